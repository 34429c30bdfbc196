/**
 * What the link carries, as far as answers show it: bandwidth × delay bounds read-ahead, since what is asked
 * beyond it does not arrive sooner and only makes everyone else queue. Bandwidth is the best of the last few
 * stretches of time, delay the shortest of lately. A reader that asks for little makes the link look slow, so
 * whoever uses the estimate allows some times as much: that grows with each round trip until the link is full.
 */

/** So many times what the link was seen to carry may be on its way, so that the estimate can grow. */
const HEADROOM = 3;
/** Milliseconds after which a measured delay is forgotten: a route may change. */
const DELAY_MEMORY = 60_000;
/** Shortest stretch to measure over, in milliseconds. */
const MIN_STRETCH = 20;
/** Stretches whose best counts. */
const STRETCHES = 8;

export class LinkEstimate {
  #delay = Number.POSITIVE_INFINITY;
  #delaySeen = 0;
  readonly #rates: number[] = [];
  #since: number | null = null;
  #bytes = 0;

  /** `bytes` arrived at `now`, `delay` after they were asked for; times in milliseconds. */
  arrived(bytes: number, delay: number, now: number): void {
    if (delay <= this.#delay || now - this.#delaySeen > DELAY_MEMORY) {
      this.#delay = delay;
      this.#delaySeen = now;
    }
    // A pause belongs to the reader, not to the link.
    if (this.#since === null || now - this.#since > 4 * this.#stretch) {
      this.#since = now - delay;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    const elapsed = now - this.#since;
    if (elapsed < this.#stretch) return;
    this.#rates.push(this.#bytes / elapsed);
    if (this.#rates.length > STRETCHES) this.#rates.shift();
    this.#since = now;
    this.#bytes = 0;
  }

  /** Bytes that the link holds: bandwidth × delay; infinite before anything was measured. */
  get capacity(): number {
    if (this.#rates.length === 0) return Number.POSITIVE_INFINITY;
    return Math.max(...this.#rates) * this.#delay;
  }

  /** Bytes that may be on their way: `least` whatever was measured, infinite before anything was. */
  allowance(least: number): number {
    return Math.max(least, HEADROOM * this.capacity);
  }

  get #stretch(): number {
    return Math.max(MIN_STRETCH, this.#delay);
  }
}
