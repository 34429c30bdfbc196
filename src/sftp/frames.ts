/**
 * Cuts a byte stream into packets (uint32 length, then that many bytes). A packet that lies within one
 * chunk is a view of it; one that spans chunks is gathered in a buffer of its exact size. So each byte is
 * copied once at most, and a peer makes us hold no more than one packet of the permitted length.
 */
import { MAX_FRAME } from './constants.js';
import { ProtocolError } from './errors.js';

const HEADER = 4;

export class FrameSplitter {
  readonly #maxLength: number;
  readonly #header = Buffer.alloc(HEADER);
  #headerFilled = 0;
  #packet: Buffer | null = null;
  #packetFilled = 0;

  /** `maxLength`: longest packet accepted, in bytes without its length field. */
  constructor(maxLength: number = MAX_FRAME) {
    this.#maxLength = maxLength;
  }

  /**
   * The packets that `chunk` completes, without their length fields. Throws `ProtocolError` for a length
   * of zero or over the bound; the stream cannot be followed after that.
   */
  push(chunk: Buffer): Buffer[] {
    const packets: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#packet !== null) {
        const copied = chunk.copy(this.#packet, this.#packetFilled, at);
        at += copied;
        this.#packetFilled += copied;
        if (this.#packetFilled === this.#packet.length) {
          packets.push(this.#packet);
          this.#packet = null;
        }
        continue;
      }
      const copied = chunk.copy(this.#header, this.#headerFilled, at);
      at += copied;
      this.#headerFilled += copied;
      if (this.#headerFilled < HEADER) break;
      this.#headerFilled = 0;
      const length = this.#checked(this.#header.readUInt32BE(0));
      if (chunk.length - at >= length) {
        packets.push(chunk.subarray(at, at + length));
        at += length;
      } else {
        this.#packet = Buffer.allocUnsafe(length);
        this.#packetFilled = 0;
      }
    }
    return packets;
  }

  #checked(length: number): number {
    if (length === 0) throw new ProtocolError('a packet of length zero');
    if (length > this.#maxLength) {
      throw new ProtocolError(`a packet of ${length} bytes, more than the ${this.#maxLength} permitted`);
    }
    return length;
  }
}
