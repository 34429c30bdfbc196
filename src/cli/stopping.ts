/** When a command that goes on and on is to end: Ctrl-C, a signal to end, or nobody who reads its output any more. */

/** A signal that is aborted then. The process does not end by itself any more. */
export function untilStopped(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  process.stdout.on('error', stop);
  return controller.signal;
}
