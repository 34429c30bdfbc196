/**
 * Which mounts this user has: the control sockets of living daemons and the kernel's mount table, brought
 * together. A socket that refuses is the remainder of a killed daemon and is removed; a mount without a
 * daemon is shown as dead, so that it can be found and detached.
 */
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FsStatus } from '../fs/status.js';
import { type FuseMount, findFuseMounts } from '../fuse/mount/mounts.js';
import type { SessionStats } from '../fuse/session.js';
import type { LinkStatus } from '../recovery/session.js';
import { askControl, ControlError } from './control-client.js';
import type { MountStatus } from './control-protocol.js';
import { isPrivateDirectory, mountHash, runtimeDirectory } from './directories.js';
import { isDeadMount } from './mountpoint.js';
import { namesOfMounts } from './named.js';

/** Milliseconds that a daemon, or a mount whose daemon cannot be asked, has to answer. */
export const ANSWER_TIMEOUT = 2000;

/** A control socket and what its daemon said; null when it is alive but silent. */
export interface Daemon {
  readonly socket: string;
  readonly pid: number;
  readonly hash: string;
  readonly status: MountStatus | null;
}

/** A row of `remora list`. */
export interface ListedMount {
  readonly source: string;
  readonly mountpoint: string;
  /**
   * The daemon's state, or its connection's while it serves without one; `not answering`; `dead` when the process is
   * gone and the mount is not; `unknown` when it lives, but its control socket is elsewhere.
   */
  readonly state: string;
  readonly pid: number | null;
  /** ISO 8601. */
  readonly since: string | null;
  /** Seconds. */
  readonly uptime: number | null;
  readonly link: LinkStatus | null;
  readonly driver: string | null;
  readonly server: string | null;
  readonly connections: number | null;
  readonly lanes: number | null;
  readonly log: string | null;
  readonly filesystem: FsStatus | null;
  readonly kernel: SessionStats | null;
  /** What the configuration file calls a mount at this place. */
  readonly name: string | null;
}

const SOCKET_NAME = /^([0-9a-f]{12})-(\d+)\.sock$/;

async function askDaemon(directory: string, name: string): Promise<Daemon | null> {
  const [, hash, pid] = SOCKET_NAME.exec(name) ?? [];
  if (hash === undefined) return null;
  const socket = join(directory, name);
  try {
    const status = await askControl(socket, { op: 'status' }, { timeout: ANSWER_TIMEOUT });
    return { socket, pid: Number(pid), hash, status };
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.kind !== 'dead') return { socket, pid: Number(pid), hash, status: null };
    await unlink(socket).catch(() => {});
    return null;
  }
}

/** The daemons whose sockets are in `directory`, ours alone; of one mount point only, when it is given. */
export async function findDaemons(directory: string, mountpoint?: string): Promise<readonly Daemon[]> {
  if (!(await isPrivateDirectory(directory, process.getuid?.() ?? 0))) return [];
  const prefix = mountpoint === undefined ? '' : mountHash(mountpoint);
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.startsWith(prefix));
  const daemons = await Promise.all(names.map((name) => askDaemon(directory, name)));
  return daemons.filter((daemon) => daemon !== null);
}

/** What the kernel's table says of a mount, and whether its process is gone. */
interface TableEntry {
  readonly source: string;
  readonly mountpoint: string;
  readonly dead: boolean;
}

/** A mount that serves shows how its connection is, unless that is as it should be. */
function shownState({ state, link }: MountStatus): string {
  // One of an earlier version says nothing of its connection.
  const connection = link?.state ?? 'connected';
  return state === 'serving' && connection !== 'connected' ? connection : state;
}

/** The rows of the list: `daemons` and `mounts` joined by mount point, sorted by it; `names` are by mount point. */
export function joinMounts(
  daemons: readonly Daemon[],
  mounts: readonly TableEntry[],
  now: number,
  names: ReadonlyMap<string, string> = new Map(),
): readonly ListedMount[] {
  const rows: Omit<ListedMount, 'name'>[] = [];
  for (const { status } of daemons) {
    if (status === null) continue;
    const { since, ...rest } = status;
    const state = shownState(status);
    const uptime = Math.max(0, Math.floor((now - since) / 1000));
    rows.push({ ...rest, state, link: rest.link ?? null, since: new Date(since).toISOString(), uptime });
  }
  for (const { source, mountpoint, dead } of mounts) {
    if (rows.some((row) => row.mountpoint === mountpoint)) continue;
    const silent = daemons.find(({ hash }) => hash === mountHash(mountpoint));
    const nothing = {
      since: null,
      uptime: null,
      link: null,
      driver: null,
      server: null,
      connections: null,
      lanes: null,
      log: null,
      filesystem: null,
      kernel: null,
    };
    const state = dead ? 'dead' : silent === undefined ? 'unknown' : 'not answering';
    rows.push({ source, mountpoint, state, pid: silent?.pid ?? null, ...nothing });
  }
  rows.sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1));
  return rows.map((row) => ({ ...row, name: names.get(row.mountpoint) ?? null }));
}

/** The mounts of user `uid`. */
export async function listMounts(
  env: NodeJS.ProcessEnv,
  uid: number,
  now: number,
): Promise<readonly ListedMount[]> {
  const daemons = await findDaemons(runtimeDirectory(env, uid));
  const known = new Set(daemons.map(({ status }) => status?.mountpoint));
  const silent = new Set(daemons.flatMap(({ status, hash }) => (status === null ? hash : [])));
  const mounts = await findFuseMounts();
  const orphans = mounts.filter(
    (mount) => isRemora(mount) && mount.userId === uid && !known.has(mount.mountpoint),
  );
  const entries = orphans.map(async ({ source, mountpoint }) => {
    // Its process is there and says nothing: then the mount would say nothing either.
    const dead = !silent.has(mountHash(mountpoint)) && (await isDeadMount(mountpoint, ANSWER_TIMEOUT));
    return { source, mountpoint, dead };
  });
  const [names, ...table] = await Promise.all([namesOfMounts(env, uid, mounts), ...entries]);
  return joinMounts(daemons, table, now, names);
}

/** Of Remora's own type; a mount that chose another `subtype` is known by its daemon only. */
export function isRemora(mount: Pick<FuseMount, 'fstype'>): boolean {
  return mount.fstype === 'fuse.remora';
}
