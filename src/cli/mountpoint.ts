/**
 * Checks of a mount point before anything is mounted over it. The facts are gathered by asynchronous calls
 * with a deadline, since a dead mount may answer ENOTCONN or never; the verdict on them is a pure function.
 */
import { constants } from 'node:fs';
import { access, lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { FuseMount } from '../fuse/mount/mounts.js';
import { withDeadline } from './deadline.js';
import { CommandError, type ExitName } from './exit.js';

/** Milliseconds for each call on a path that may lie in a dead mount. */
const DEADLINE = 5000;

/** Symbolic links followed before giving up, as the kernel does (path_resolution(7)). */
const LINKS_MAX = 40;

/** What a look at the mount point found; `error` is the code of the call that failed. */
export interface MountpointFacts {
  readonly fuseMounted: boolean;
  readonly error?: string;
  readonly directory?: boolean;
  readonly entries?: number;
  readonly writable?: boolean;
}

/** Null when a mount may be put there, else why not. */
export function judgeMountpoint(
  path: string,
  facts: MountpointFacts,
  nonempty: boolean,
): CommandError | null {
  const refuse = (exit: ExitName, what: string) => new CommandError(exit, `mount point ${path}: ${what}`);
  switch (facts.error) {
    case undefined:
      break;
    case 'ENOENT':
      return refuse('mountpoint-missing', 'no such directory');
    case 'ENOTDIR':
      return refuse('mountpoint-not-directory', 'not a directory');
    case 'ENOTCONN':
    case 'ECONNABORTED':
    case 'ETIMEDOUT':
    case 'EIO':
      return refuse(
        'mountpoint-stale',
        `a mount that is dead or does not answer is in the way; remove it with: remora unmount --force ${path}`,
      );
    case 'EACCES':
    case 'EPERM':
      // The owner of a FUSE mount may keep everybody else out of it, root included.
      if (!facts.fuseMounted) return refuse('mountpoint-permission', 'permission denied');
      break;
    default:
      return refuse('failure', facts.error);
  }
  if (facts.fuseMounted) return refuse('mountpoint-mounted', 'a FUSE filesystem is already mounted there');
  if (facts.directory === false) return refuse('mountpoint-not-directory', 'not a directory');
  if (facts.writable === false) {
    return refuse('mountpoint-permission', 'you need write permission to mount there');
  }
  if (!nonempty && (facts.entries ?? 0) > 0) {
    return refuse('mountpoint-not-empty', 'not empty (-o nonempty mounts over it anyway)');
  }
  return null;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}

const late = () => Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });

const bounded = <T>(call: Promise<T>): Promise<T> => withDeadline(call, DEADLINE, late);

/**
 * The absolute path of `path` as the mount table shows it. Only the directories above are resolved, so that
 * a mount at `path` itself is not touched; a symbolic link at `path` is followed.
 * Rejects with the error of realpath(3), or ETIMEDOUT.
 */
export async function canonicalPath(
  path: string,
  isMounted: (path: string) => boolean,
  links = 0,
): Promise<string> {
  const absolute = resolve(path);
  if (absolute === '/' || isMounted(absolute)) return absolute;
  const candidate = join(await bounded(realpath(dirname(absolute))), basename(absolute));
  if (isMounted(candidate)) return candidate;
  const link = await bounded(readlink(candidate)).catch(() => null);
  if (link === null) return candidate;
  if (links === LINKS_MAX) throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
  return canonicalPath(resolve(dirname(candidate), link), isMounted, links + 1);
}

/** `typed` as the mount table has it; as an absolute path, where the way there cannot be followed. */
export async function mountedPath(
  typed: string,
  mounts: readonly Pick<FuseMount, 'mountpoint'>[],
): Promise<string> {
  const isMounted = (path: string) => mounts.some(({ mountpoint }) => mountpoint === path);
  return canonicalPath(typed, isMounted).catch(() => resolve(typed));
}

async function look(path: string, fuseMounted: boolean): Promise<MountpointFacts> {
  try {
    await bounded(lstat(path));
    if (fuseMounted) {
      await bounded(stat(path));
      return { fuseMounted };
    }
    const stats = await bounded(stat(path));
    if (!stats.isDirectory()) return { fuseMounted, directory: false };
    const writable = await bounded(access(path, constants.W_OK | constants.X_OK)).then(
      () => true,
      () => false,
    );
    if (!writable) return { fuseMounted, directory: true, writable };
    const entries = (await bounded(readdir(path))).length;
    return { fuseMounted, directory: true, writable, entries };
  } catch (error) {
    return { fuseMounted, error: codeOf(error) };
  }
}

/**
 * The absolute path to mount at. Throws a CommandError that says what is wrong with it.
 * `isFuseMount` tells whether a FUSE filesystem is mounted at exactly that path.
 */
export async function checkMountpoint(
  typed: string,
  nonempty: boolean,
  isFuseMount: (path: string) => boolean,
): Promise<string> {
  let path: string;
  try {
    path = await canonicalPath(typed, isFuseMount);
  } catch (error) {
    throw judgeMountpoint(typed, { fuseMounted: false, error: codeOf(error) }, nonempty) ?? error;
  }
  const refusal = judgeMountpoint(typed, await look(path, isFuseMount(path)), nonempty);
  if (refusal !== null) throw refusal;
  return path;
}

/** True when nothing has that name; a place that does not answer may have it. */
export async function isMissing(path: string): Promise<boolean> {
  return bounded(lstat(path)).then(
    () => false,
    (error) => codeOf(error) === 'ENOENT',
  );
}

/**
 * True when the process behind the FUSE mount at `path` is gone: every call answers ENOTCONN. One that does not
 * answer within `timeout` milliseconds is not dead.
 */
export async function isDeadMount(path: string, timeout = DEADLINE): Promise<boolean> {
  return withDeadline(lstat(path), timeout, late).then(
    () => false,
    (error) => codeOf(error) === 'ENOTCONN',
  );
}
