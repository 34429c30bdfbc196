/**
 * A cursor over one packet. Each length that the packet claims is checked against what is left before
 * anything is sliced or allocated; a packet that promises more than it holds is a `ProtocolError`.
 */
import type { ByteString } from '../base/bytes.js';
import { ProtocolError } from './errors.js';

const TWO_TO_32 = 0x1_0000_0000;

export class PacketReader {
  readonly #packet: Buffer;
  #at = 0;

  constructor(packet: Buffer) {
    this.#packet = packet;
  }

  get remaining(): number {
    return this.#packet.length - this.#at;
  }

  uint8(): number {
    return this.#packet.readUInt8(this.#take(1));
  }

  uint32(): number {
    return this.#packet.readUInt32BE(this.#take(4));
  }

  uint64(): bigint {
    return this.#packet.readBigUInt64BE(this.#take(8));
  }

  /** A uint64 as a number; what a number cannot hold exactly becomes 2^53 - 1. */
  uint53(): number {
    const at = this.#take(8);
    const value = this.#packet.readUInt32BE(at) * TWO_TO_32 + this.#packet.readUInt32BE(at + 4);
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  }

  /** The bytes of a string, as a view into the packet. */
  data(): Buffer {
    const length = this.uint32();
    const at = this.#take(length);
    return this.#packet.subarray(at, at + length);
  }

  string(): ByteString {
    const length = this.uint32();
    const at = this.#take(length);
    return this.#packet.toString('latin1', at, at + length) as ByteString;
  }

  /** Passes over a string that nobody here needs; its name is for the reader of the code. */
  unused(_field: string): void {
    this.#take(this.uint32());
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#packet.length - at) {
      throw new ProtocolError(`a packet of ${this.#packet.length} bytes ends within a field at byte ${at}`);
    }
    this.#at = at + length;
    return at;
  }
}
