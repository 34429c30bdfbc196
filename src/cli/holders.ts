/**
 * Who keeps a mount busy: the processes whose working directory, root, program or open files lie in it. Only
 * links of /proc are read, never the mounted filesystem itself; what another user's processes hold stays
 * unseen unless one is root.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface Holder {
  readonly pid: number;
  /** The command name, as in /proc/<pid>/comm. */
  readonly name: string;
}

/** True when the target of a link in /proc lies in `mountpoint`. */
export function liesIn(target: string, mountpoint: string): boolean {
  return target === mountpoint || target.startsWith(mountpoint === '/' ? '/' : `${mountpoint}/`);
}

async function links(pid: string): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const paths = ['cwd', 'root', 'exe', ...fds.map((fd) => `fd/${fd}`)];
  return Promise.all(paths.map((path) => readlink(`/proc/${pid}/${path}`).catch(() => '')));
}

/** The processes that use something in `mountpoint`, by pid, without this one. */
export async function holdersOf(mountpoint: string): Promise<readonly Holder[]> {
  const holders: Holder[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    if (!(await links(pid)).some((target) => liesIn(target, mountpoint))) continue;
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?');
    holders.push({ pid: Number(pid), name: name.trim() });
  }
  return holders;
}

/** `bash (1234), vim (1300) and 2 more`; empty when nobody was found. */
export function describeHolders(holders: readonly Holder[]): string {
  const shown = holders.slice(0, 5).map(({ name, pid }) => `${name} (${pid})`);
  const more = holders.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}
