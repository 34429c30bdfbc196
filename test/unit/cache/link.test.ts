import { describe, expect, it } from 'vitest';
import { LinkEstimate } from '../../../src/cache/link.js';

const MIB = 1024 * 1024;

/** Feeds answers of 256 KiB as a link of `rate` bytes per ms and `delay` ms would give them for `time` ms. */
function feed(link: LinkEstimate, { rate, delay, from = 0, time = 1000 }: Record<string, number>): number {
  const bytes = 256 * 1024;
  let now = from + (delay ?? 0);
  while (now < from + time) {
    now += bytes / (rate ?? 1);
    link.arrived(bytes, delay ?? 0, now);
  }
  return now;
}

describe('link estimate', () => {
  it('knows nothing, and so bounds nothing, at first', () => {
    expect(new LinkEstimate().capacity).toBe(Number.POSITIVE_INFINITY);
  });

  it('is bandwidth × delay', () => {
    const link = new LinkEstimate();
    feed(link, { rate: 50_000, delay: 50 });
    expect(link.capacity / 2_500_000).toBeCloseTo(1, 0);
  });

  it('follows a link that becomes slower and faster', () => {
    const link = new LinkEstimate();
    const slower = feed(link, { rate: 50_000, delay: 50 });
    const faster = feed(link, { rate: 5_000, delay: 50, from: slower, time: 2000 });
    expect(link.capacity).toBeLessThan(400_000);
    feed(link, { rate: 50_000, delay: 50, from: faster, time: 2000 });
    expect(link.capacity).toBeGreaterThan(2_000_000);
  });

  it('does not take a pause of the reader for a slow link', () => {
    const link = new LinkEstimate();
    let now = feed(link, { rate: 50_000, delay: 50 });
    const before = link.capacity;
    for (let burst = 0; burst < 4; burst += 1) {
      now = feed(link, { rate: 50_000, delay: 50, from: now + 5000, time: 300 });
    }
    expect(link.capacity).toBeGreaterThan(before / 2);
  });

  it('forgets a delay that has not been seen for a minute', () => {
    const link = new LinkEstimate();
    const now = feed(link, { rate: 50_000, delay: 10 });
    feed(link, { rate: 50_000, delay: 100, from: now + 61_000 });
    expect(link.capacity).toBeGreaterThan(2 * MIB);
  });
});
