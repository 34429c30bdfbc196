/**
 * How much a server is asked to copy at once, so that one request keeps it busy for a wanted time: whoever waits behind
 * it does not wait longer, and a server that still works is not taken for a dead one. What it does in that time shows in
 * how long it takes from one answer to the next. The guess before the first answer is that of an ordinary disk.
 */

const MIB = 2 ** 20;
/** Bytes a millisecond, before anything was measured. */
const FIRST_RATE = (160 * MIB) / 1000;
/** Answers may come together, and a server may pause: one measurement changes the rate by no more than this factor. */
const STEP = 4;
const MIN_PIECE = MIB / 4;
const MAX_PIECE = 256 * MIB;

export class CopyPace {
  #rate = FIRST_RATE;

  /** Bytes that the server copies in so many milliseconds; 256 KiB to 256 MiB. */
  piece(milliseconds: number): number {
    return Math.round(Math.min(MAX_PIECE, Math.max(MIN_PIECE, this.#rate * milliseconds)));
  }

  /** The server copied `bytes` in so many milliseconds. */
  took(bytes: number, milliseconds: number): void {
    const found = bytes / Math.max(1, milliseconds);
    this.#rate = Math.min(this.#rate * STEP, Math.max(this.#rate / STEP, found));
  }
}
