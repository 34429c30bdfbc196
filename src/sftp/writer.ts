/** Builds one packet with its length in front. The buffer is enough for most, and doubles when it is full. */
import type { ByteString } from '../base/bytes.js';

const TWO_TO_32 = 0x1_0000_0000;

export class PacketWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 4;

  constructor(type: number) {
    this.uint8(type);
  }

  uint8(value: number): this {
    const at = this.#grow(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32BE(value, at);
    return this;
  }

  uint64(value: number | bigint): this {
    const at = this.#grow(8);
    if (typeof value === 'bigint') {
      this.#buffer.writeBigUInt64BE(value, at);
    } else {
      this.#buffer.writeUInt32BE(Math.floor(value / TWO_TO_32), at);
      this.#buffer.writeUInt32BE(value % TWO_TO_32, at + 4);
    }
    return this;
  }

  string(value: ByteString): this {
    this.uint32(value.length);
    const at = this.#grow(value.length);
    this.#buffer.write(value, at, 'latin1');
    return this;
  }

  data(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  /** Bytes without a length in front. */
  raw(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** The packet, ready for the stream; `following`: bytes of it that are sent apart, behind this. */
  finish(following = 0): Buffer {
    this.#buffer.writeUInt32BE(this.#length - 4 + following, 0);
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(length: number): number {
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = needed;
    return at;
  }
}
