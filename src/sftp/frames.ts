/**
 * Cuts a byte stream into packets (uint32 length, then that many bytes). A packet that lies within one
 * chunk is a view of it; one that spans chunks is gathered in a buffer of its exact size, unless whoever
 * reads it names a place for the bytes behind its head: file data goes straight there. So each byte is
 * copied once at most, and a peer makes us hold no more than one packet of the permitted length.
 */
import { MAX_FRAME } from './constants.js';
import { ProtocolError } from './errors.js';

const LENGTH = 4;
/** Bytes at the beginning of a packet that tell where the rest of it goes: those in front of file data. */
const HEAD = 1 + 4 + 4;

/** Takes what follows a packet's head. */
export interface PacketSink {
  /** The next bytes: a view that is valid during the call only. */
  write(piece: Buffer): void;
  /** The packet is complete. */
  end(): void;
}

export interface FrameSplitterOptions {
  /**
   * Asked with the first 9 bytes of each packet that has them (valid during the call only) and the number of
   * those that follow: where do these go? Null has the packet gathered.
   */
  readonly divert?: (head: Buffer, rest: number) => PacketSink | null;
  /** Longest packet accepted, in bytes without its length field. */
  readonly maxLength?: number;
}

export class FrameSplitter {
  readonly #take: (packet: Buffer) => void;
  readonly #divert: (head: Buffer, rest: number) => PacketSink | null;
  readonly #maxLength: number;
  /** The length field and the head of the packet that begins, and how many bytes of them are there. */
  readonly #start = Buffer.alloc(LENGTH + HEAD);
  readonly #head = this.#start.subarray(LENGTH);
  #started = 0;
  /** Where the rest of a packet goes, and how many bytes are still to come. */
  #sink: PacketSink | null = null;
  #missing = 0;

  /** `take` gets each packet that is not diverted, without its length field; often a view of the chunk. */
  constructor(take: (packet: Buffer) => void, options: FrameSplitterOptions = {}) {
    this.#take = take;
    this.#divert = options.divert ?? (() => null);
    this.#maxLength = options.maxLength ?? MAX_FRAME;
  }

  /**
   * Passes on all that `chunk` holds. Throws `ProtocolError` for a length of zero or over the bound; the stream
   * cannot be followed after that, nor after an error of `take`, `divert` or a sink.
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#sink === null ? this.#begin(chunk, at) : this.#continue(this.#sink, chunk, at);
    }
  }

  /** Reads the start of a packet, or the whole of it, from `at` on; answers where to go on. */
  #begin(chunk: Buffer, at: number): number {
    const body = at - this.#started + LENGTH;
    if (!this.#fill(chunk, at, LENGTH)) return chunk.length;
    const length = this.#checked(this.#start.readUInt32BE(0));
    const head = Math.min(length, HEAD);
    if (!this.#fill(chunk, Math.max(at, body), LENGTH + head)) return chunk.length;
    this.#started = 0;
    this.#missing = length - head;
    this.#sink = length < HEAD ? null : this.#divert(this.#head, this.#missing);
    if (this.#sink === null && body >= 0 && body + length <= chunk.length) {
      this.#take(chunk.subarray(body, body + length));
      return body + length;
    }
    this.#sink ??= this.#gather(length, head);
    return this.#missing === 0 ? this.#continue(this.#sink, chunk, body + head) : body + head;
  }

  /** Adds bytes from `at` on to the start until it holds `wanted`; false when the chunk has too few. */
  #fill(chunk: Buffer, at: number, wanted: number): boolean {
    this.#started += chunk.copy(this.#start, this.#started, at, at + Math.max(0, wanted - this.#started));
    return this.#started >= wanted;
  }

  #continue(sink: PacketSink, chunk: Buffer, at: number): number {
    const piece = chunk.subarray(at, at + this.#missing);
    this.#missing -= piece.length;
    sink.write(piece);
    if (this.#missing === 0) {
      this.#sink = null;
      sink.end();
    }
    return at + piece.length;
  }

  /** Has a packet of `length` bytes put together, the first `head` of which are there. */
  #gather(length: number, head: number): PacketSink {
    const packet = Buffer.allocUnsafe(length);
    let filled = this.#head.copy(packet, 0, 0, head);
    return {
      write: (piece) => {
        filled += piece.copy(packet, filled);
      },
      end: () => this.#take(packet),
    };
  }

  #checked(length: number): number {
    if (length === 0) throw new ProtocolError('a packet of length zero');
    if (length > this.#maxLength) {
      throw new ProtocolError(`a packet of ${length} bytes, more than the ${this.#maxLength} permitted`);
    }
    return length;
  }
}
