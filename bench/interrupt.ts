/**
 * A run that is told to end. `timeout`, npm and a terminal may each send a signal of their own, so a repeated one
 * must not end the process while it is still taking down mounts and servers; and who read the output may be gone.
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `action`; at the first signal aborts the signal that it was given, and calls `leave`, once. Every further one
 * is ignored until `action` has ended.
 */
export async function interruptible<T>(
  action: (signal: AbortSignal) => Promise<T>,
  leave: () => void,
): Promise<T> {
  const interrupt = new AbortController();
  const told = () => {
    if (interrupt.signal.aborted) return;
    interrupt.abort(new Error('interrupted'));
    leave();
  };
  const ignored = () => {};
  for (const signal of SIGNALS) process.on(signal, told);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignored);
  try {
    return await action(interrupt.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, told);
    for (const stream of [process.stdout, process.stderr]) stream.off('error', ignored);
  }
}
