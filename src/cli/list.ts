/** `remora list`: a table for people, an array of objects for programs, nothing at all when there is none. */

import { printable } from '../base/printable.js';
import { runtimeDirectory } from './directories.js';
import { type ListedMount, listMounts } from './discover.js';
import { formatDuration, formatTable } from './format.js';

/** The table of `mounts`, with a heading; empty text for none. */
export function formatList(mounts: readonly ListedMount[]): string {
  if (mounts.length === 0) return '';
  const heading = ['SOURCE', 'MOUNT POINT', 'STATE', 'UPTIME', 'DRIVER', 'PID'];
  const rows = mounts.map((mount) => [
    printable(mount.source),
    printable(mount.mountpoint),
    mount.state,
    mount.uptime === null ? '-' : formatDuration(mount.uptime * 1000),
    mount.driver ?? '-',
    mount.pid === null ? '-' : String(mount.pid),
  ]);
  return formatTable([heading, ...rows]);
}

export async function list(env: NodeJS.ProcessEnv, uid: number, json: boolean): Promise<string> {
  const mounts = await listMounts(runtimeDirectory(env, uid), uid, Date.now());
  return json ? `${JSON.stringify(mounts, null, 2)}\n` : formatList(mounts);
}
