/** `remora list`: a table for people, an array of objects for programs, nothing at all when there is none. */

import { printable } from '../base/printable.js';
import { type ListedMount, listMounts } from './discover.js';
import { formatDuration, formatTable } from './format.js';

/** The table of `mounts`, with a heading, and with names where there are any; empty text for none. */
export function formatList(mounts: readonly ListedMount[]): string {
  if (mounts.length === 0) return '';
  const isNamed = mounts.some(({ name }) => name !== null);
  const named = (name: string) => (isNamed ? [name] : []);
  const heading = [...named('NAME'), 'SOURCE', 'MOUNT POINT', 'STATE', 'UPTIME', 'DRIVER', 'PID'];
  const rows = mounts.map((mount) => [
    ...named(mount.name ?? '-'),
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
  const mounts = await listMounts(env, uid, Date.now());
  return json ? `${JSON.stringify(mounts, null, 2)}\n` : formatList(mounts);
}
