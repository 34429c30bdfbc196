/**
 * One cursor over a request, with a sticky failure: a read past the end answers zero and marks the whole
 * request as malformed, so that a decoder reads straight through and asks once at the end.
 */
import type { ByteString } from '../../base/bytes.js';

const TWO_32 = 0x1_0000_0000;

export class WireReader {
  readonly #buffer: Buffer;
  #position: number;
  #failed = false;

  constructor(buffer: Buffer, position = 0) {
    this.#buffer = buffer;
    this.#position = position;
  }

  /** True once something was missing or out of range. */
  get failed(): boolean {
    return this.#failed;
  }

  #take(length: number): number {
    const at = this.#position;
    if (this.#failed || this.#buffer.length - at < length) {
      this.#failed = true;
      return -1;
    }
    this.#position = at + length;
    return at;
  }

  /** Passes over fields that nobody here needs; their names are for the reader of the code. */
  unused(_fields: string, length: number): void {
    this.#take(length);
  }

  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#buffer.readUInt32LE(at);
  }

  /** An unsigned number that must be exact, as ids are: beyond 2^53 - 1 the request is malformed. */
  u64(): number {
    const at = this.#take(8);
    if (at < 0) return 0;
    const value = this.#buffer.readUInt32LE(at + 4) * TWO_32 + this.#buffer.readUInt32LE(at);
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    this.#failed = true;
    return 0;
  }

  /** An unsigned length, or a place in a file: cut to 2^53 - 1, which stands for everything beyond. */
  extent64(): number {
    const at = this.#take(8);
    if (at < 0) return 0;
    const value = this.#buffer.readUInt32LE(at + 4) * TWO_32 + this.#buffer.readUInt32LE(at);
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  }

  /** A signed number, as times are; cut to the exact range of a JavaScript number. */
  i64(): number {
    const at = this.#take(8);
    if (at < 0) return 0;
    const value = this.#buffer.readInt32LE(at + 4) * TWO_32 + this.#buffer.readUInt32LE(at);
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(value, Number.MAX_SAFE_INTEGER));
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    const at = this.#take(length);
    return at < 0 ? Buffer.alloc(0) : this.#buffer.subarray(at, at + length);
  }

  /** A string that ends in NUL, without the NUL. */
  cstring(): ByteString {
    const end = this.#failed ? -1 : this.#buffer.indexOf(0, this.#position);
    if (end < 0) {
      this.#failed = true;
      return '' as ByteString;
    }
    const text = this.#buffer.toString('latin1', this.#position, end) as ByteString;
    this.#position = end + 1;
    return text;
  }
}

/** Writes a whole number from -2^53 to 2^53 as 64 bits, two's complement. */
export function putI64(buffer: Buffer, value: number, offset: number): void {
  const high = Math.floor(value / TWO_32);
  buffer.writeUInt32LE(value - high * TWO_32, offset);
  buffer.writeInt32LE(high | 0, offset + 4);
}
