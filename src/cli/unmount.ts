/**
 * `remora unmount`: first everything written goes to the server, then the kernel lets go, then the daemon
 * ends; success means that all three have happened. Where one of them cannot, --force is for (force-unmount.ts).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Unsent } from '../fs/open-file.js';
import { MountError } from '../fuse/mount/errors.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { unmountPath } from '../fuse/mount/unmount.js';
import { askControl, ControlError } from './control-client.js';
import { runtimeDirectory } from './directories.js';
import { type Daemon, findDaemons, isRemora } from './discover.js';
import { CommandError } from './exit.js';
import { forceUnmount } from './force-unmount.js';
import { formatBytes, formatRate, formatUnsent } from './format.js';
import { describeHolders, holdersOf } from './holders.js';
import { isDeadMount, mountedPath } from './mountpoint.js';
import { waitForServer } from './processes.js';
import type { Progress } from './progress.js';

/** Milliseconds for sending what was written; the daemon reports what it could not send before that. */
const FLUSH_TIMEOUT = 10 * 60_000;
/** Milliseconds for the daemon to end once the kernel has let go. */
const END_TIMEOUT = 60_000;
/** Milliseconds for the daemon to take note. */
const STOP_TIMEOUT = 2000;
/** Milliseconds after which it is shown how much there is to send, and how often then. */
const PATIENCE = 1000;
const SHOWN_EVERY = 500;

export interface UnmountRequest {
  readonly mountpoint: string;
  readonly force: boolean;
}

/** Unmounts, or throws a CommandError. `warn` gets lines for standard error; sending that takes long is shown. */
export async function unmount(
  request: UnmountRequest,
  env: NodeJS.ProcessEnv,
  uid: number,
  warn: (text: string) => void,
  progress: Progress | null,
): Promise<void> {
  const { force } = request;
  const mounts = await findFuseMounts();
  const path = await mountedPath(request.mountpoint, mounts);
  const mount = mounts.findLast(({ mountpoint }) => mountpoint === path);
  const daemons = await findDaemons(runtimeDirectory(env, uid), path);
  if (mount !== undefined && !isRemora(mount) && daemons.length === 0) {
    throw new CommandError('not-mounted', `${path} is not a Remora mount (${mount.fstype})`);
  }
  if (mount === undefined && daemons.length === 0) {
    throw new CommandError('not-mounted', `${path} is not mounted`);
  }

  if (force) return forceUnmount(path, daemons);
  let isComplete = true;
  for (const daemon of daemons) isComplete = (await flush(daemon, path, warn, progress)) && isComplete;
  if (mount !== undefined) await detach(path);
  for (const daemon of daemons) await end(daemon, mount === undefined);
  if (!isComplete)
    throw new CommandError('unsent', `${path} is unmounted, and what the server refused is lost`);
}

/** Answers whether the server has everything that was written. Throws while something is still to be sent. */
async function flush(
  daemon: Daemon,
  path: string,
  warn: (text: string) => void,
  progress: Progress | null,
): Promise<boolean> {
  const { status, pid, socket } = daemon;
  if (status === null) {
    throw new CommandError(
      'unsent',
      `${path}: its process ${pid} does not answer; --force unmounts all the same`,
    );
  }
  let unsent: readonly Unsent[];
  const showing = new AbortController();
  if (progress?.isSeen) void showUnsent(socket, progress, showing.signal);
  try {
    unsent = await askControl(socket, { op: 'flush' }, { timeout: FLUSH_TIMEOUT });
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.kind === 'dead') return true;
    throw new CommandError('unsent', `${path}: ${error.message}; --force unmounts all the same`);
  } finally {
    showing.abort();
    progress?.clear();
  }
  if (unsent.length === 0) return true;
  warn(`data that the server did not take:\n${formatUnsent(unsent)}`);
  if (unsent.every(({ isLost }) => isLost)) return false;
  throw new CommandError(
    'unsent',
    `${path} stays mounted, since written data could not be sent; --force gives it up`,
  );
}

/** Says how much is left to send, and how fast it goes, until `ended`. */
async function showUnsent(socket: string, progress: Progress, ended: AbortSignal): Promise<void> {
  const pause = (milliseconds: number) => delay(milliseconds, undefined, { signal: ended }).catch(() => {});
  let first: { readonly left: number; readonly at: number } | null = null;
  for (await pause(PATIENCE); !ended.aborted; await pause(SHOWN_EVERY)) {
    const status = await askControl(socket, { op: 'status' }, { timeout: STOP_TIMEOUT }).catch(() => null);
    if (!status?.filesystem || ended.aborted) continue;
    const left = status.filesystem.dirtyBytes;
    const now = performance.now();
    first ??= { left, at: now };
    const rate = (1000 * (first.left - left)) / Math.max(1, now - first.at);
    progress.show(`${formatBytes(left)} to be sent, ${formatRate(Math.max(0, rate))}`);
  }
}

/** Takes the mount out of the tree; one in use only when its process is gone anyway. */
async function detach(path: string): Promise<void> {
  try {
    await unmountPath(path, { lazy: false });
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    if (error.kind === 'not-mounted') return;
    if (error.kind !== 'busy') throw error;
    if (await isDeadMount(path)) return unmountPath(path, { lazy: true });
    const holders = describeHolders(await holdersOf(path));
    const who = holders === '' ? '' : ` by ${holders}`;
    throw new CommandError('busy', `${path} is in use${who}; --force unmounts all the same`);
  }
}

/** Waits until the daemon has gone. */
async function end(daemon: Daemon, isDetached: boolean): Promise<void> {
  const { socket, pid } = daemon;
  if (isDetached)
    await askControl(socket, { op: 'stop', force: false }, { timeout: STOP_TIMEOUT }).catch(() => {});
  if (await waitForServer(daemon, END_TIMEOUT)) return;
  throw new CommandError('busy', `unmounted, but process ${pid} still runs; --force ends it`);
}
