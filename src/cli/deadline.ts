/**
 * Calls on a path may hang for ever when a dead mount lies on the way. Each gets a deadline; and because a
 * hung call holds a thread that a normal exit would wait for, the process then leaves by _exit(2).
 */
import koffi from 'koffi';

/** Calls that passed their deadline and still hold a thread of the pool. */
let stuck = 0;

/** The result of `call`, or `late()` thrown after `timeout` milliseconds. */
export async function withDeadline<T>(call: Promise<T>, timeout: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      stuck++;
      call.then(
        () => stuck--,
        () => stuck--,
      );
      reject(late());
    }, timeout);
  });
  try {
    return await Promise.race([call, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Ends the process with `code`. libuv joins its pool threads in exit(3), so while one hangs in a system call
 * only _exit(2) ends the process; the kernel kills the waiting thread.
 */
export function leave(code: number): never {
  if (stuck === 0) process.exit(code);
  return exitNow(code);
}

/** _exit(2): at once, whatever other threads do. */
export function exitNow(code: number): never {
  const exit = koffi.load(null).func('void _exit(int status)');
  exit(code);
  throw new Error('_exit returned');
}
