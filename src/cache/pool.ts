/**
 * Memory that is used again. File data passes through at hundreds of megabytes a second; memory from the
 * allocator would be garbage a moment later, and V8 answers much external garbage with full collections, which
 * then cost more than the data. So pieces of one size are cut from arenas that are never given back, and counted
 * by their holders: the last one to let go of a piece makes it free for the next taker.
 */

/** Bytes of an arena; small enough that a mount which reads little stays small. */
const ARENA = 1024 * 1024;

export class Piece {
  readonly memory: Buffer;
  /** Bytes of `memory` that mean something. */
  length = 0;
  readonly #free: Piece[] | null;
  #holders = 1;

  /** A piece outside of any pool when `free` is null: the collector takes it. */
  constructor(memory: Buffer, free: Piece[] | null) {
    this.memory = memory;
    this.#free = free;
  }

  /** The meaningful bytes. */
  get data(): Buffer {
    return this.length === this.memory.length ? this.memory : this.memory.subarray(0, this.length);
  }

  /** One more holder, who must `release`. */
  retain(): this {
    this.#holders += 1;
    return this;
  }

  /** Whoever took or retained the piece does not look at it any more. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#free?.push(this);
    else if (this.#holders < 0) throw new RangeError('a piece of memory was released twice');
  }

  /** From the pool's hands into a taker's. */
  renew(): this {
    this.#holders = 1;
    this.length = 0;
    return this;
  }
}

export class MemoryPool {
  readonly #size: number;
  readonly #free: Piece[] = [];
  #pieces = 0;

  /** `size`: bytes of each piece. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Pieces that somebody holds. */
  get held(): number {
    return this.#pieces - this.#free.length;
  }

  /** An empty piece with one holder. Its memory holds whatever was there before. */
  take(): Piece {
    if (this.#free.length === 0) this.#grow();
    const piece = this.#free.pop();
    if (piece === undefined) throw new RangeError('an arena without pieces');
    return piece.renew();
  }

  #grow(): void {
    const count = Math.max(1, Math.floor(ARENA / this.#size));
    const arena = Buffer.allocUnsafeSlow(count * this.#size);
    for (let at = count - 1; at >= 0; at -= 1) {
      const memory = arena.subarray(at * this.#size, (at + 1) * this.#size);
      this.#free.push(new Piece(memory, this.#free));
    }
    this.#pieces += count;
  }
}
