import { describe, expect, it } from 'vitest';
import { planReadAhead, READ_AHEAD_START, type ReadAheadState } from '../../../src/cache/read-ahead.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FILE = 100 * MIB;

/** Reads at the given offsets in turn; answers each prefetch. */
function run(offsets: readonly number[], size: number, fileSize = FILE, limit = 4 * MIB) {
  let state: ReadAheadState = READ_AHEAD_START;
  return offsets.map((offset) => {
    const plan = planReadAhead(state, offset, size, fileSize, limit);
    state = plan.state;
    return plan.prefetch;
  });
}

describe('read-ahead', () => {
  it('starts with the first read at 0 and doubles up to the limit', () => {
    const step = 128 * KIB;
    const offsets = Array.from({ length: 100 }, (_, at) => at * step);
    const plans = run(offsets, step);
    expect(plans[0]).toEqual({ offset: step, length: 128 * KIB });
    const furthest = plans.map((plan, at) =>
      plan === null ? 0 : plan.offset + plan.length - (at + 1) * step,
    );
    expect(Math.max(...furthest)).toBe(4 * MIB);
  });

  it('asks for every byte once, without gaps', () => {
    const step = 128 * KIB;
    const plans = run(
      Array.from({ length: 80 }, (_, at) => at * step),
      step,
      80 * step,
    );
    let asked = step;
    for (const plan of plans) {
      if (plan === null) continue;
      expect(plan.offset).toBe(asked);
      asked = plan.offset + plan.length;
    }
    expect(asked).toBe(80 * step);
  });

  it('does nothing for random reading', () => {
    expect(run([50 * MIB, 3 * MIB, 77 * MIB, 20 * MIB], 4 * KIB)).toEqual([null, null, null, null]);
  });

  it('does nothing for reading backward', () => {
    const offsets = Array.from({ length: 20 }, (_, at) => FILE - (at + 1) * 4 * KIB);
    expect(run(offsets, 4 * KIB).every((plan) => plan === null)).toBe(true);
  });

  it('bears parallel requests that arrive out of order', () => {
    const step = 128 * KIB;
    const plans = run([0, 2 * step, step, 4 * step, 3 * step, 5 * step, 6 * step], step);
    expect(plans.filter((plan) => plan !== null).length).toBeGreaterThan(2);
  });

  it('is off at limit 0 and stops at the end of the file', () => {
    expect(run([0, 128 * KIB], 128 * KIB, FILE, 0)).toEqual([null, null]);
    expect(run([0], 128 * KIB, 128 * KIB)).toEqual([null]);
    expect(run([0], 128 * KIB, 130 * KIB)).toEqual([{ offset: 128 * KIB, length: 2 * KIB }]);
  });
});
