/**
 * Notices that the machine slept, or that this process stood still. A suspended machine stops the monotonic clock
 * and not the wall clock, so that one gets ahead of the other; a stopped process (SIGSTOP, a debugger) sees its
 * next look come late. What was believed about the network before is then worth a question.
 */
import type { Clock } from './clock.js';
import { logger } from './log.js';

const log = logger('wake');

/** Milliseconds between two looks. */
const PERIOD = 3000;
/** Milliseconds by which the clocks may part, for corrections of the time, and a look may be late, under load. */
const TOLERANCE = 2000;

/** Both clocks at one moment, in milliseconds. */
export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

/** Whether more happened between two looks, that should lie `period` milliseconds apart, than that time passed. */
export function isJump(before: Moment, now: Moment, period: number): boolean {
  const passed = now.monotonic - before.monotonic;
  const asleep = now.wall - before.wall - passed;
  return asleep > TOLERANCE || passed - period > TOLERANCE;
}

/**
 * Calls `onWake` after each sleep, within some seconds, until the returned function is called. Does not keep the
 * process alive.
 */
export function watchWake(clock: Clock, onWake: () => void): () => void {
  const look = (): Moment => ({ wall: clock.now(), monotonic: clock.monotonic() });
  let before = look();
  const timer = setInterval(() => {
    const now = look();
    const jumped = isJump(before, now, PERIOD);
    if (jumped) log('awake: %o -> %o', before, now);
    before = now;
    if (jumped) onWake();
  }, PERIOD).unref();
  return () => clearInterval(timer);
}
