/**
 * What programs wrote to one file and the server has not been sent yet: a small set of extents that never
 * overlap. A write that continues or lies inside an extent is copied into it; one that cuts across an
 * extent first pushes that extent out, since whoever sends them keeps their order. A full extent goes out
 * at once, and so does the oldest when there are too many.
 */

/** A stretch of a file with the bytes that belong there. */
export interface Extent {
  readonly offset: number;
  readonly data: Uint8Array;
}

interface Growing {
  readonly offset: number;
  buffer: Buffer;
  length: number;
}

const FIRST_CAPACITY = 16 * 1024;
const MAX_EXTENTS = 64;

export class WriteBuffer {
  readonly #limit: number;
  /** In the order of their first write. */
  #extents: Growing[] = [];
  #bytes = 0;

  /** `limit` is the longest extent in bytes: one request to the server. */
  constructor(limit: number) {
    this.#limit = limit;
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
      if (extent.length === this.#limit) out.push(this.#take(extent));
    }
    while (this.#extents.length > MAX_EXTENTS) {
      const oldest = this.#extents[0];
      if (oldest !== undefined) out.push(this.#take(oldest));
    }
    return out;
  }

  /** Takes everything out, oldest first. */
  takeAll(): Extent[] {
    const all = this.#extents.map((extent) => ({
      offset: extent.offset,
      data: extent.buffer.subarray(0, extent.length),
    }));
    this.#extents = [];
    this.#bytes = 0;
    return all;
  }

  /** The extents that touch the range, as views. */
  overlapping(offset: number, length: number): Extent[] {
    return this.#extents
      .filter((extent) => extent.offset < offset + length && extent.offset + extent.length > offset)
      .map((extent) => ({ offset: extent.offset, data: extent.buffer.subarray(0, extent.length) }));
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
      if (extent !== host && extent.offset < end && extent.offset + extent.length > offset) {
        out.push(this.#take(extent));
      }
    }
    if (host !== undefined) return host;
    const fresh: Growing = { offset, buffer: Buffer.allocUnsafeSlow(0), length: 0 };
    this.#extents.push(fresh);
    return fresh;
  }

  #accepts(extent: Growing, offset: number): boolean {
    return (
      offset >= extent.offset &&
      offset <= extent.offset + extent.length &&
      offset < extent.offset + this.#limit
    );
  }

  #copy(extent: Growing, at: number, data: Uint8Array): void {
    const end = at + data.length;
    if (end > extent.buffer.length) {
      const capacity = Math.min(this.#limit, Math.max(end, extent.buffer.length * 2, FIRST_CAPACITY));
      const larger = Buffer.allocUnsafeSlow(Math.max(capacity, end));
      extent.buffer.copy(larger, 0, 0, extent.length);
      extent.buffer = larger;
    }
    extent.buffer.set(data, at);
    if (end > extent.length) {
      this.#bytes += end - extent.length;
      extent.length = end;
    }
  }

  #take(extent: Growing): Extent {
    this.#extents.splice(this.#extents.indexOf(extent), 1);
    this.#bytes -= extent.length;
    return { offset: extent.offset, data: extent.buffer.subarray(0, extent.length) };
  }
}

/** Lays `extents`, in order, over `base`, whose first byte stands at file offset `offset`. */
export function overlay(base: Buffer, offset: number, extents: readonly Extent[]): void {
  for (const extent of extents) {
    const from = Math.max(offset, extent.offset);
    const to = Math.min(offset + base.length, extent.offset + extent.data.length);
    if (from < to) base.set(extent.data.subarray(from - extent.offset, to - extent.offset), from - offset);
  }
}
