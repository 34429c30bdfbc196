/** What is known of each mount: its serving process is asked, never its server. */
import { join } from 'node:path';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { askControl } from './control-client.js';
import type { MountDetails } from './control-protocol.js';
import { runtimeDirectory, socketName } from './directories.js';
import { ANSWER_TIMEOUT, type ListedMount, listMounts } from './discover.js';
import { mountedPath } from './mountpoint.js';
import { notMounted } from './place.js';

/** What only `inspect` tells; null where the serving process does not answer. */
type Details = Omit<MountDetails, keyof ListedMount>;

/** A row of the list, and all else that is known of the mount. */
export type MountReport = ListedMount & { readonly [Name in keyof Details]: Details[Name] | null };

const UNKNOWN = {
  traffic: null,
  unsent: null,
  handles: null,
  calls: null,
  requests: null,
  failures: null,
  watch: null,
} as const satisfies { readonly [Name in keyof Details]: null };

async function report(directory: string, row: ListedMount): Promise<MountReport> {
  // Only a daemon that has just told of its connection is asked more.
  if (row.link === null || row.pid === null) return { ...row, ...UNKNOWN };
  const socket = join(directory, socketName(row.mountpoint, row.pid));
  const asked = askControl(socket, { op: 'inspect' }, { timeout: ANSWER_TIMEOUT });
  const details = await asked.catch(() => null);
  if (details === null) return { ...row, ...UNKNOWN };
  const { traffic, unsent, handles, calls, requests, failures, filesystem, kernel, watch } = details;
  return { ...row, filesystem, kernel, traffic, unsent, handles, calls, requests, failures, watch };
}

/** How one mount is, or each one is. Throws `not-mounted` when there is none at `mountpoint`. */
export async function reportsOf(
  mountpoint: string | null,
  env: NodeJS.ProcessEnv,
  uid: number,
): Promise<readonly MountReport[]> {
  const directory = runtimeDirectory(env, uid);
  const rows = await listMounts(env, uid, Date.now());
  const path = mountpoint === null ? null : await mountedPath(mountpoint, await findFuseMounts());
  const meant = path === null ? rows : rows.filter((row) => row.mountpoint === path);
  if (path !== null && meant.length === 0) throw notMounted(path);
  return Promise.all(meant.map((row) => report(directory, row)));
}
