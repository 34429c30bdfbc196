/** Durations in fixed buckets, and amounts a second. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BOUNDS, Histogram, quantile } from '../../../src/base/histogram.js';
import { Meter } from '../../../src/base/meter.js';

function histogramOf(...durations: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const each of durations) histogram.add(each);
  return histogram;
}

describe('a histogram', () => {
  it('puts a duration into the first bucket that it does not exceed', () => {
    const { buckets } = histogramOf(0, 0.05, 0.051, 1, 60_000, 60_001).durations();
    const filled = buckets.flatMap((count, bucket) => (count > 0 ? [[BOUNDS[bucket], count]] : []));
    expect(filled).toEqual([
      [0.05, 2],
      [0.1, 1],
      [1, 1],
      [60_000, 1],
      [undefined, 1],
    ]);
  });

  it('knows nothing before anything was counted', () => {
    expect(histogramOf().durations()).toMatchObject({ count: 0, milliseconds: 0, median: null, p99: null });
  });

  it('spreads what a bucket holds evenly over it', () => {
    const { median, p99 } = histogramOf(...Array.from({ length: 100 }, () => 3)).durations();
    expect(median).toBeCloseTo(3.485);
    expect(p99).toBeCloseTo(4.955);
  });

  it('tells one time of a single call, and of two calls the time of each', () => {
    expect(histogramOf(60).durations()).toMatchObject({ median: 75, p99: 75 });
    expect(histogramOf(1.2, 60).durations()).toMatchObject({ median: 1.5, p99: 75 });
  });

  it('says of what took longer than all bounds only that it did', () => {
    expect(histogramOf(100_000).durations().median).toBe(60_000);
  });

  it('finds every quantile within the bucket where the true one is', () => {
    const durations = fc.array(fc.double({ min: 0, max: 59_000, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(durations, fc.double({ min: 0.01, max: 1, noNaN: true }), (given, q) => {
        const { buckets } = histogramOf(...given).durations();
        const sorted = [...given].sort((a, b) => a - b);
        const truth = sorted[Math.ceil(q * given.length) - 1] ?? 0;
        const bucket = BOUNDS.findIndex((bound) => truth <= bound);
        const found = quantile(buckets, q) ?? -1;
        expect(found).toBeGreaterThanOrEqual(BOUNDS[bucket - 1] ?? 0);
        expect(found).toBeLessThanOrEqual(BOUNDS[bucket] ?? 0);
      }),
    );
  });
});

describe('a meter', () => {
  it('tells the rate of the last three whole seconds, and all of the total', () => {
    const meter = new Meter();
    for (let second = 0; second < 10; second += 1) meter.add(300, second * 1000 + 500);
    expect(meter.total).toBe(3000);
    expect(meter.rate(10_000), 'the seconds 7, 8 and 9').toBe(300);
    expect(meter.rate(9900), 'not the one under way').toBe(300);
    expect(meter.rate(12_100), 'the second 9 alone').toBe(100);
    expect(meter.rate(60_000)).toBe(0);
  });
});
