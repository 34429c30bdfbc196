/** Whether a process still runs, as /proc tells; a zombie that nobody reaped has ended. */
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** proc(5): the state is the first letter after the parenthesised name, which may hold parentheses; empty when gone. */
async function stateOf(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return line.slice(line.lastIndexOf(')') + 2, line.lastIndexOf(')') + 3);
}

export async function isRunning(pid: number): Promise<boolean> {
  return !['', 'Z', 'X'].includes(await stateOf(pid));
}

/** By SIGSTOP or the like: it will do nothing until it is continued. */
export async function isStopped(pid: number): Promise<boolean> {
  return (await stateOf(pid)) === 'T';
}

/** One that has gone needs no signal. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** True when the process ended within `timeout` milliseconds. */
export async function waitForEnd(pid: number, timeout: number): Promise<boolean> {
  return within(timeout, async () => !(await isRunning(pid)));
}

/**
 * True when whoever serves a mount ended within `timeout` milliseconds: the serving process, or, where a program serves
 * its own mount and goes on, what listens at `socket`.
 */
export async function waitForServer(
  { pid, socket }: { readonly pid: number; readonly socket: string },
  timeout: number,
): Promise<boolean> {
  return within(timeout, async () => {
    if (!(await isRunning(pid))) return true;
    const isListening = (await stat(socket).catch(() => null)) !== null;
    // One that is just ending has no command any more.
    return !isListening && (await commandOf(pid)) !== '' && !(await isDaemon(pid));
  });
}

async function within(timeout: number, isOver: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + timeout;
  while (!(await isOver())) {
    if (performance.now() > end) return false;
    await delay(20);
  }
  return true;
}

/** Is `pid` a serving process of ours? Numbers are used again, so whoever kills by one looks first. */
export async function isDaemon(pid: number): Promise<boolean> {
  const owner = await stat(`/proc/${pid}`).catch(() => null);
  const command = await commandOf(pid);
  return (
    owner?.uid === process.getuid?.() && command.split('\0').some((word) => word.endsWith('/cli/daemon.js'))
  );
}

/** The words of its command, each with a NUL behind it; empty when it is gone. */
function commandOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}
