import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Clock } from '../../../src/base/clock.js';
import { isJump, watchWake } from '../../../src/base/wake.js';

const at = (wall: number, monotonic: number) => ({ wall, monotonic });

test.each([
  ['a look in time', at(3000, 3000), false],
  ['a machine under load', at(4500, 4500), false],
  ['a correction of the time forward', at(4900, 3000), false],
  ['a correction of the time backward', at(1200, 3000), false],
  ['the time set back by an hour', at(-3_600_000, 3000), false],
  ['a machine that slept', at(63_000, 3000), true],
  ['a short sleep', at(5200, 3000), true],
  ['a sleep of a machine whose time was then set back', at(3000, 600_000), true],
  ['a process that was stopped', at(8000, 8000), true],
])('%s', (_what, now, jumped) => {
  expect(isJump(at(0, 0), now, 3000)).toBe(jumped);
});

describe('the watch', () => {
  /** The clocks of the machine; the timers of the process go by the monotonic one. */
  class ManualClock implements Clock {
    time = at(1_000_000, 0);
    now = () => this.time.wall;
    monotonic = () => this.time.monotonic;

    /** The process runs for so many milliseconds. */
    run(milliseconds: number): void {
      for (let step = 0; step < milliseconds; step += 100) {
        this.time = at(this.time.wall + 100, this.time.monotonic + 100);
        vi.advanceTimersByTime(100);
      }
    }
  }

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('tells each sleep once, until it ends', () => {
    const clock = new ManualClock();
    const onWake = vi.fn();
    const stop = watchWake(clock, onWake);
    clock.run(60_000);
    expect(onWake).not.toHaveBeenCalled();
    clock.time = at(clock.time.wall + 8 * 3_600_000, clock.time.monotonic);
    clock.run(5000);
    expect(onWake).toHaveBeenCalledTimes(1);
    clock.run(60_000);
    expect(onWake).toHaveBeenCalledTimes(1);
    clock.time = at(clock.time.wall + 20_000, clock.time.monotonic + 20_000);
    clock.run(5000);
    expect(onWake).toHaveBeenCalledTimes(2);
    stop();
    clock.time = at(clock.time.wall + 20_000, clock.time.monotonic);
    clock.run(10_000);
    expect(onWake).toHaveBeenCalledTimes(2);
    expect(vi.getTimerCount()).toBe(0);
  });
});
