/**
 * The way of packets from the socket to ssh2, made cheap for downloads. Node allocates 64 KiB for each read, and
 * ssh2 a further buffer for each packet that lies in two of them: garbage as large as the data, which the
 * collector answers with work of its own. Here the socket reads into one buffer that is used again and again,
 * and ssh2 is given whole packets, of which it keeps nothing once it has taken them.
 *
 * That is possible where packets can be told apart from outside, with AES-GCM, whose length field is not
 * encrypted (RFC 5647 §7.3), and while nobody keeps what arrives: ssh2 does until an exchange of keys has ended,
 * and a channel does until it is read. Then ssh2 is given copies, as if it read the socket itself.
 */
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import { readingOf } from './ssh2-internals.js';

/**
 * Bytes of the buffer: some packets. libuv fills it up to 32 times in a turn of the event loop, and what else is
 * to be done waits meanwhile, so it is not larger.
 */
const SIZE = 128 * 1024;
/** What surrounds a packet's body: its length field, and the tag of AES-GCM. */
const LENGTH = 4;
const TAG = 16;
/** The longest body that ssh2 takes; what claims to be longer is passed on, for ssh2 to refuse. */
const MAX_BODY = 35_000;

const FRAMED: ReadonlySet<string> = new Set(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com']);

export class Incoming {
  #buffer = Buffer.allocUnsafeSlow(SIZE);
  /** The beginning of a packet of which the rest is still to come, at the start of the buffer. */
  #held = 0;
  #stream: Duplex | null = null;
  #client: Client | null = null;
  #keepers = 0;
  #arrived: () => void = () => {};

  /** The option `onread` of the socket (net.connect), which must be paused until ssh2 listens to it. */
  readonly onread = {
    buffer: (): Buffer => this.#buffer.subarray(this.#held),
    callback: (length: number): boolean => {
      this.#arrived();
      this.#take(this.#held + length);
      return true;
    },
  };

  /** What tells of all that arrives, without keeping it: the socket that has `onread`, or whose reader feeds this. */
  attach(stream: Duplex): void {
    this.#stream = stream;
  }

  /** As if `data` had been read by `onread`. It is copied. */
  feed(data: Buffer): void {
    this.#arrived();
    for (let at = 0; at < data.length; ) {
      const length = data.copy(this.#buffer, this.#held, at);
      at += length;
      this.#take(this.#held + length);
    }
  }

  /** `arrived` is called for all that comes from now on, before anybody reads it. */
  watch(arrived: () => void): void {
    this.#arrived = arrived;
  }

  /** Keys were exchanged: `cipher` encrypts what the server sends to `client` from now on. */
  encrypted(client: Client, cipher: string): void {
    this.#client = FRAMED.has(cipher) ? client : null;
  }

  /** Somebody keeps what arrives, until the returned function is called. */
  keep(): () => void {
    let isKept = true;
    this.#keepers += 1;
    return () => {
      if (isKept) this.#keepers -= 1;
      isKept = false;
    };
  }

  /** There are `end` bytes in the buffer now. */
  #take(end: number): void {
    const client = this.#client;
    const reading = client === null ? null : readingOf(client);
    const isKept = client === null || reading === null || reading.exchangesKeys || this.#keepers > 0;
    // In the middle of a packet that it has the beginning of, ssh2 gets memory to keep as well.
    if (isKept || (this.#held === 0 && reading.insidePacket)) {
      this.#held = 0;
      this.#stream?.emit('data', Buffer.from(this.#buffer.subarray(0, end)));
      return;
    }
    const whole = wholePackets(this.#buffer, end);
    if (whole > 0) this.#stream?.emit('data', this.#buffer.subarray(0, whole));
    this.#held = end - whole;
    if (readingOf(client)?.exchangesKeys === false) {
      this.#buffer.copyWithin(0, whole, end);
      return;
    }
    // An exchange began with one of these packets: their memory is not ours any more.
    const fresh = Buffer.allocUnsafeSlow(SIZE);
    this.#buffer.copy(fresh, 0, whole, end);
    this.#buffer = fresh;
  }
}

/** Bytes of the packets that lie wholly within the first `end` bytes; of all, where they make no sense. */
function wholePackets(buffer: Buffer, end: number): number {
  let at = 0;
  while (end - at >= LENGTH) {
    const body = buffer.readUInt32BE(at);
    if (body > MAX_BODY) return end;
    const next = at + LENGTH + body + TAG;
    if (next > end) break;
    at = next;
  }
  return at;
}
