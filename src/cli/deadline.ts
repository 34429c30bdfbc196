/**
 * Calls on a path may hang for ever when a dead mount lies on the way, so each gets a deadline; and how a process ends
 * while such a call hangs.
 */
import { koffi } from '../fuse/koffi.js';

/** The result of `call`, or `late()` thrown after `timeout` milliseconds. */
export async function withDeadline<T>(call: Promise<T>, timeout: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), timeout);
  });
  try {
    return await Promise.race([call, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `work`, but no longer than `timeout` milliseconds, and leaves no timer behind. Rejects as `work` does. */
export async function atMost(timeout: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeout);
  });
  try {
    await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Ends the process by _exit(2), whatever else goes on in it. exit(3) would wait for the threads of the pool, of which
 * one may hang in a system call; and there Node gives the terminal its settings back, and aborts when that terminal
 * was closed meanwhile. What is to be cleared away at the end is told, as exit(3) would. Without koffi it is exit(3) all the
 * same: nothing can be mounted then.
 */
export function leave(code: number): never {
  const exit = immediateExit();
  if (exit === null) return process.exit(code);
  process.emit('exit', code);
  exit(code);
  throw new Error('_exit returned');
}

function immediateExit(): ((code: number) => void) | null {
  try {
    return koffi().load(null).func('void _exit(int status)');
  } catch {
    return null;
  }
}
