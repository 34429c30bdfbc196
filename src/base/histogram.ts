/**
 * How long things took, counted into a few fixed buckets: cheap enough for every call, small enough to keep one for
 * each kind of call, and what is asked of it (a median, a 99th percentile, a graph over time) is told from the
 * counts alone. What a bucket holds is taken to be spread evenly over it: one duration stands in the middle.
 */

/** Upper bounds in milliseconds, each included; one more bucket holds what took longer. */
export const BOUNDS: readonly number[] = [
  0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000,
];

/** Durations as plain numbers: what a histogram has counted so far. Milliseconds. */
export interface Durations {
  readonly count: number;
  /** Sum of all of them. */
  readonly milliseconds: number;
  /** Null while nothing was counted. */
  readonly median: number | null;
  readonly p99: number | null;
  /** How many fell into each bucket of `BOUNDS`, and how many above the last. */
  readonly buckets: readonly number[];
}

export class Histogram {
  readonly #buckets: number[] = new Array<number>(BOUNDS.length + 1).fill(0);
  #count = 0;
  #sum = 0;

  get count(): number {
    return this.#count;
  }

  /** Sum of all durations, in milliseconds. */
  get sum(): number {
    return this.#sum;
  }

  add(milliseconds: number): void {
    let bucket = 0;
    while (milliseconds > (BOUNDS[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sum += milliseconds;
  }

  durations(): Durations {
    const buckets = [...this.#buckets];
    return {
      count: this.#count,
      milliseconds: this.#sum,
      median: quantile(buckets, 0.5),
      p99: quantile(buckets, 0.99),
      buckets,
    };
  }
}

/** The duration that a share `q` (0 to 1) of the counted ones does not exceed; null when nothing was counted. */
export function quantile(buckets: readonly number[], q: number): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  // The quantile is one of the durations, counted from the shortest.
  let rank = Math.max(1, Math.ceil(q * total));
  for (const [bucket, count] of buckets.entries()) {
    const low = BOUNDS[bucket - 1] ?? 0;
    // Nothing bounds the last bucket: all that is known is that it took longer.
    const high = BOUNDS[bucket] ?? low;
    if (rank <= count) return low + (high - low) * ((rank - 0.5) / count);
    rank -= count;
  }
  return BOUNDS.at(-1) ?? null;
}
