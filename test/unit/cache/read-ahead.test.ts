import { describe, expect, it } from 'vitest';
import { planReadAhead, READ_AHEAD_START, type ReadAheadState } from '../../../src/cache/read-ahead.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FILE = 100 * MIB;

/** Reads at the given offsets in turn, each of which `waits` for its data or not; answers each prefetch. */
function run(
  offsets: readonly number[],
  size: number,
  { fileSize = FILE, limit = 4 * MIB, waits = true } = {},
) {
  let state: ReadAheadState = READ_AHEAD_START;
  return offsets.map((offset) => {
    const plan = planReadAhead(state, { offset, size, fileSize, waits }, limit);
    state = plan.state;
    return plan.prefetch;
  });
}

/** How far beyond each read its prefetch reaches. */
const reach = (plans: ReturnType<typeof run>, offsets: readonly number[], size: number) =>
  plans.map((plan, at) => (plan === null ? 0 : plan.offset + plan.length - (offsets[at] ?? 0) - size));

describe('read-ahead', () => {
  const step = 128 * KIB;
  const forward = Array.from({ length: 100 }, (_, at) => at * step);

  it('starts with the first read at 0 and doubles up to the limit while the reader waits', () => {
    const plans = run(forward, step);
    expect(plans[0]).toEqual({ offset: step, length: 256 * KIB });
    expect(Math.max(...reach(plans, forward, step))).toBe(4 * MIB);
  });

  it('stays small for a reader that never has to wait', () => {
    const plans = run(forward, step, { waits: false });
    expect(Math.max(...reach(plans, forward, step))).toBe(256 * KIB);
  });

  it('asks for every byte once, without gaps', () => {
    const plans = run(forward.slice(0, 80), step, { fileSize: 80 * step });
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
    const plans = run([0, 2 * step, step, 4 * step, 3 * step, 5 * step, 6 * step], step);
    expect(plans.filter((plan) => plan !== null).length).toBeGreaterThan(2);
  });

  it('does nothing for reading with gaps', () => {
    const offsets = Array.from({ length: 20 }, (_, at) => 5 * MIB + at * 2 * MIB);
    expect(run(offsets, 64 * KIB).every((plan) => plan === null)).toBe(true);
  });

  it('is off at limit 0 and stops at the end of the file', () => {
    expect(run([0, step], step, { limit: 0 })).toEqual([null, null]);
    expect(run([0], step, { fileSize: step })).toEqual([null]);
    expect(run([0], step, { fileSize: 130 * KIB })).toEqual([{ offset: step, length: 2 * KIB }]);
  });
});
