/** The pure rules of recovery: when to try again, and how long to wait. */
import { describe, expect, it } from 'vitest';
import { longestWait, waitBefore } from '../../../src/recovery/backoff.js';
import { verdict } from '../../../src/recovery/patience.js';

describe('the pauses between tries', () => {
  it('begin at once, grow by half up to half a minute, and stay there', () => {
    const pauses = [1, 2, 3, 4, 5, 12, 13, 1000].map((attempt) => waitBefore(attempt, 0));
    expect(pauses).toEqual([0, 500, 750, 1125, 1687.5, 28_832.51953125, 30_000, 30_000]);
  });

  it('are short enough for a call to see several tries before its time is over', () => {
    const timeouts = [0, 1000, 10_000, 60_000, 600_000, Number.POSITIVE_INFINITY];
    expect(timeouts.map(longestWait)).toEqual([30_000, 1000, 2500, 15_000, 30_000, 30_000]);
    expect(waitBefore(1000, 0, 2500)).toBe(2500);
  });

  it('are shortened by chance, by half at most', () => {
    expect(waitBefore(3, 1)).toBe(375);
    expect(waitBefore(3, 0.5)).toBe(562.5);
  });
});

describe('how long a call waits', () => {
  const down = { isDown: true, hasSession: false, isGivenUp: false };

  it('is without a bound while all is well', () => {
    expect(verdict({ ...down, isDown: false, hasSession: true }, 10, 1e9)).toBeNull();
  });

  it('is the timeout', () => {
    expect(verdict(down, 60_000, 59_999)).toBeNull();
    expect(verdict(down, 60_000, 60_000)?.code).toBe('ETIMEDOUT');
  });

  it('is for ever with "hard", whatever happens', () => {
    expect(verdict({ ...down, isGivenUp: true }, Number.POSITIVE_INFINITY, 1e12)).toBeNull();
  });

  it('is nothing with "soft" once the connection is lost, but not while the server is only silent', () => {
    expect(verdict(down, 0, 0)?.code).toBe('EHOSTDOWN');
    expect(verdict({ ...down, hasSession: true }, 0, 1e9)).toBeNull();
  });

  it('is nothing when nobody tries to reach the server any more', () => {
    expect(verdict({ ...down, isGivenUp: true }, 60_000, 0)?.code).toBe('EHOSTDOWN');
  });
});
