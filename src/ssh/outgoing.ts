/**
 * The way of packets from ssh2 to the socket, made cheap for uploads. ssh2 writes each packet by itself, one to
 * three times; here all that is written in one tick leaves in one system call. And ssh2 allocates each packet
 * and draws random bytes for its padding; here the memory of full packets is used again.
 */
import type { Writable } from 'node:stream';
import type { Cipher } from './ssh2-internals.js';

/** Bytes of data in a full packet to OpenSSH and most others: everyone takes as many (RFC 4253 §6.1). */
export const PACKET = 32 * 1024;

/** A full packet's payload: SSH_MSG_CHANNEL_DATA, its channel, the length of the data, the data. */
const FULL = 1 + 4 + 4 + PACKET;
/** What stands in front of the payload: the packet's length and its padding's. */
const HEADER = 4 + 1;
/** Full packets whose memory is kept at most: as many as wait for the socket when data is written at full speed. */
const KEPT = 128;

type WriteCallback = (error?: Error | null) => void;

export class Outgoing {
  readonly #socket: Writable;
  /** The full packets there are, each with the free ones of its cipher. */
  readonly #homes = new WeakMap<Buffer, Buffer[]>();
  #gathering = false;

  /** Everything that is written to `socket`, which is connected, goes this way from now on. */
  constructor(socket: Writable) {
    this.#socket = socket;
    const { write } = socket;
    socket.write = (
      data: Uint8Array | string,
      encoding?: BufferEncoding | WriteCallback,
      callback?: WriteCallback,
    ) => {
      this.#gather();
      return Reflect.apply(write, socket, [data, encoding, callback ?? this.#takeBack(data)]);
    };
  }

  /**
   * Has `cipher` use the memory of full packets again once they are sent. Their padding then is what encryption
   * left there; RFC 4253 §6 would have it random, which ciphertext is to everyone else.
   */
  recycle(cipher: Cipher): void {
    const allocPacket = cipher.allocPacket.bind(cipher);
    const header = Buffer.from(allocPacket(FULL).subarray(0, HEADER));
    const free: Buffer[] = [];
    cipher.allocPacket = (payload) => {
      if (payload !== FULL) return allocPacket(payload);
      const used = free.pop();
      if (used !== undefined) {
        used.set(header);
        return used;
      }
      const packet = allocPacket(payload);
      this.#homes.set(packet, free);
      return packet;
    };
  }

  /** Corks the socket for the rest of this tick. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#socket.cork();
    // A stream passes on in the next tick what was written to it while it was at work. That belongs to the same
    // burst, and a microtask comes behind it.
    process.nextTick(queueMicrotask, () => {
      this.#gathering = false;
      this.#socket.uncork();
    });
  }

  /** For memory that is to be used again: what to do when it is written. */
  #takeBack(data: Uint8Array | string): WriteCallback | undefined {
    if (!Buffer.isBuffer(data)) return undefined;
    const free = this.#homes.get(data);
    if (free === undefined) return undefined;
    return () => {
      if (free.length < KEPT) free.push(data);
    };
  }
}
