/**
 * When a lost session is tried again: at once, then after times that grow by half up to a bound, each with some
 * jitter, so that the mounts of a whole office do not come back in one moment.
 */

/** Milliseconds before the second try, and at most. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** The bound where calls wait for a short time only, so that none of them ends without a try made while it waited. */
const TRIES_PER_CALL = 4;
const SHORTEST_BOUND = 1000;
/** A wait is so much longer than the one before it: a server that was gone for a while is found soon after. */
const GROWTH = 1.5;
/** The part of a wait that chance decides. */
const JITTER = 0.5;

/** The longest wait, in milliseconds, where calls wait for `timeout` milliseconds (0: not at all). */
export function longestWait(timeout: number): number {
  if (timeout === 0) return LONGEST_WAIT;
  return Math.min(LONGEST_WAIT, Math.max(SHORTEST_BOUND, timeout / TRIES_PER_CALL));
}

/**
 * Milliseconds to wait before try number `attempt`, counted from 1 since the session was lost. `chance` is a
 * number from 0 to 1, `longest` the bound in milliseconds.
 */
export function waitBefore(attempt: number, chance: number, longest = LONGEST_WAIT): number {
  if (attempt <= 1) return 0;
  const full = Math.min(longest, FIRST_WAIT * GROWTH ** Math.min(attempt - 2, 20));
  return full * (1 - JITTER * chance);
}
