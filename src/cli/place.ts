/** Which mount a path lies in, and who serves it. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { withDeadline } from './deadline.js';
import { runtimeDirectory } from './directories.js';
import { type Daemon, findDaemons } from './discover.js';
import { CommandError } from './exit.js';
import { liesIn } from './holders.js';

/** Milliseconds to follow the links of a path. */
const REALPATH_TIMEOUT = 5000;

/** A path in a mount. */
export interface Place {
  /** Absolute. */
  readonly path: string;
  readonly mountpoint: string;
  /** Relative to the mount point; empty for itself. */
  readonly inside: string;
}

/** Where `path`, absolute, lies among `mountpoints`, of which the deepest counts; null for nowhere. */
export function placeOf(path: string, mountpoints: readonly string[]): Place | null {
  let found: string | null = null;
  for (const mountpoint of mountpoints) {
    if (liesIn(path, mountpoint) && mountpoint.length >= (found?.length ?? 0)) found = mountpoint;
  }
  if (found === null) return null;
  return { path, mountpoint: found, inside: path.slice(found === '/' ? 1 : found.length + 1) };
}

/**
 * Where a path leads, and where it lies itself, if that is another place: of a symbolic link both count. Throws
 * `not-mounted` when it neither lies nor leads into a FUSE mount.
 */
export async function findPlaces(path: string): Promise<readonly [Place, ...Place[]]> {
  const mountpoints = (await findFuseMounts()).map(({ mountpoint }) => mountpoint);
  const absolute = resolve(path);
  const late = () => new Error('no answer');
  const real = await withDeadline(realpath(absolute), REALPATH_TIMEOUT, late).catch(() => absolute);
  const paths = real === absolute ? [real] : [real, absolute];
  const [first, ...others] = paths.flatMap((each) => placeOf(each, mountpoints) ?? []);
  if (first === undefined) throw notMounted(absolute);
  return [first, ...others];
}

/** The process that serves `mountpoint`, which answers. Throws `not-mounted`, or `failure` when it is silent. */
export async function daemonAt(
  mountpoint: string,
  env: NodeJS.ProcessEnv,
  uid: number,
): Promise<Daemon & { readonly status: NonNullable<Daemon['status']> }> {
  const [daemon] = await findDaemons(runtimeDirectory(env, uid), mountpoint);
  if (daemon === undefined) throw notMounted(mountpoint);
  const { status } = daemon;
  if (status === null) {
    throw new CommandError('failure', `${mountpoint}: its process ${daemon.pid} does not answer`);
  }
  return { ...daemon, status };
}

/** @param path absolute */
export function notMounted(path: string): CommandError {
  return new CommandError('not-mounted', `${path}: nothing of Remora is mounted there`);
}
