/** Whether a process still runs, as /proc tells; a zombie that nobody reaped has ended. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // proc(5): the state is the first letter after the parenthesised name, which may hold parentheses.
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return state !== '' && state !== 'Z' && state !== 'X';
}

/** True when the process ended within `timeout` milliseconds. */
export async function waitForEnd(pid: number, timeout: number): Promise<boolean> {
  const end = performance.now() + timeout;
  while (await isRunning(pid)) {
    if (performance.now() > end) return false;
    await delay(20);
  }
  return true;
}
