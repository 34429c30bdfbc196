/** How much passes in a second: a total, and the rate of the last few whole seconds, without a timer. */

/** Whole seconds that the rate is of. */
const SECONDS = 3;
/** One more for the second under way. */
const SLOTS = SECONDS + 1;

export class Meter {
  #total = 0;
  readonly #amounts: number[] = new Array<number>(SLOTS).fill(0);
  /** Which second each slot holds. */
  readonly #seconds: number[] = new Array<number>(SLOTS).fill(-1);

  get total(): number {
    return this.#total;
  }

  /** `amount` passed at `now`, in milliseconds of a monotonic clock. */
  add(amount: number, now: number): void {
    this.#total += amount;
    const second = Math.floor(now / 1000);
    const slot = second % SLOTS;
    if (this.#seconds[slot] === second) amount += this.#amounts[slot] ?? 0;
    this.#seconds[slot] = second;
    this.#amounts[slot] = amount;
  }

  /** Amount a second, over the last whole seconds before `now`. */
  rate(now: number): number {
    const second = Math.floor(now / 1000);
    let sum = 0;
    for (const [slot, seen] of this.#seconds.entries()) {
      if (seen < second && seen >= second - SECONDS) sum += this.#amounts[slot] ?? 0;
    }
    return sum / SECONDS;
  }
}
