/**
 * What programs wrote to one file and the server has not been sent yet: a small set of extents that never
 * overlap. A write that continues or lies inside an extent is copied into it; one that cuts across an
 * extent first pushes that extent out, since whoever sends them keeps their order. A full extent goes out
 * at once, and so does the oldest when there are too many. Long extents live in pooled memory (see pool.ts).
 */
import { MemoryPool, Piece } from './pool.js';

/** A stretch of a file with the bytes that belong there. */
export interface Extent {
  readonly offset: number;
  readonly data: Uint8Array;
  /** What `data` is a view of: whoever takes the extent out holds it, and releases it when it is done with. */
  readonly piece: Piece;
}

interface Growing {
  readonly offset: number;
  piece: Piece;
}

const FIRST_CAPACITY = 16 * 1024;
/** An extent that outgrows this moves to a pooled piece. */
const MAX_SMALL = 64 * 1024;
const MAX_EXTENTS = 64;

export class WriteBuffer {
  readonly #limit: number;
  readonly #pool: MemoryPool;
  /** In the order of their first write. */
  #extents: Growing[] = [];
  #bytes = 0;

  /** `limit` is the longest extent in bytes: one request to the server. Pieces of `pool` are as long. */
  constructor(limit: number, pool = new MemoryPool(limit)) {
    this.#limit = limit;
    this.#pool = pool;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#extents.length === 0;
  }

  /** Takes (copies) `data` at `offset`; answers the extents that must be sent now, in this order. */
  write(offset: number, data: Uint8Array): Extent[] {
    const out: Extent[] = [];
    let done = 0;
    while (done < data.length) {
      const extent = this.#place(offset + done, data.length - done, out);
      const room = Math.min(data.length - done, this.#limit - (offset + done - extent.offset));
      this.#copy(extent, offset + done - extent.offset, data.subarray(done, done + room));
      done += room;
      if (extent.piece.length === this.#limit) out.push(this.#take(extent));
    }
    while (this.#extents.length > MAX_EXTENTS) {
      const oldest = this.#extents[0];
      if (oldest !== undefined) out.push(this.#take(oldest));
    }
    return out;
  }

  /** Takes everything out, oldest first. */
  takeAll(): Extent[] {
    const all = this.#extents.map(view);
    this.#extents = [];
    this.#bytes = 0;
    return all;
  }

  /** The extents that touch the range, as views; to look at them later, retain their pieces. */
  overlapping(offset: number, length: number): Extent[] {
    return this.#extents
      .filter(({ offset: at, piece }) => at < offset + length && at + piece.length > offset)
      .map(view);
  }

  /** The extent that a write at `offset` goes into; pushes out whatever it would overlap otherwise. */
  #place(offset: number, length: number, out: Extent[]): Growing {
    const last = this.#extents.at(-1);
    const host =
      last !== undefined && this.#accepts(last, offset)
        ? last
        : this.#extents.find((extent) => this.#accepts(extent, offset));
    const end = host === undefined ? offset + length : Math.min(offset + length, host.offset + this.#limit);
    for (const extent of [...this.#extents]) {
      if (extent !== host && extent.offset < end && extent.offset + extent.piece.length > offset) {
        out.push(this.#take(extent));
      }
    }
    if (host !== undefined) return host;
    const fresh: Growing = { offset, piece: this.#memory(length) };
    this.#extents.push(fresh);
    return fresh;
  }

  #accepts(extent: Growing, offset: number): boolean {
    return (
      offset >= extent.offset &&
      offset <= extent.offset + extent.piece.length &&
      offset < extent.offset + this.#limit
    );
  }

  #copy(extent: Growing, at: number, data: Uint8Array): void {
    const end = at + data.length;
    const { piece } = extent;
    if (end > piece.memory.length) {
      extent.piece = this.#memory(Math.max(end, piece.memory.length * 2));
      extent.piece.memory.set(piece.data, 0);
      extent.piece.length = piece.length;
      piece.release();
    }
    extent.piece.memory.set(data, at);
    if (end > extent.piece.length) {
      this.#bytes += end - extent.piece.length;
      extent.piece.length = end;
    }
  }

  /** Room for at least `length` bytes, or for a whole extent. */
  #memory(length: number): Piece {
    const capacity = Math.max(length, FIRST_CAPACITY);
    if (capacity > MAX_SMALL) return this.#pool.take();
    return new Piece(Buffer.allocUnsafeSlow(Math.min(capacity, this.#limit)), null);
  }

  #take(extent: Growing): Extent {
    this.#extents.splice(this.#extents.indexOf(extent), 1);
    this.#bytes -= extent.piece.length;
    return view(extent);
  }
}

function view({ offset, piece }: Growing): Extent {
  return { offset, data: piece.data, piece };
}

/** Lays `extents`, in order, over `base`, whose first byte stands at file offset `offset`. */
export function overlay(base: Buffer, offset: number, extents: readonly Extent[]): void {
  for (const extent of extents) {
    const from = Math.max(offset, extent.offset);
    const to = Math.min(offset + base.length, extent.offset + extent.data.length);
    if (from < to) base.set(extent.data.subarray(from - extent.offset, to - extent.offset), from - offset);
  }
}
