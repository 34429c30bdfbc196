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
import { formatUnsent } from './format.js';
import { describeHolders, holdersOf } from './holders.js';
import { isDeadMount, mountedPath } from './mountpoint.js';
import { waitForEnd } from './processes.js';

/** Milliseconds for sending what was written; the daemon reports what it could not send before that. */
const FLUSH_TIMEOUT = 10 * 60_000;
/** Milliseconds for the daemon to end once the kernel has let go. */
const END_TIMEOUT = 60_000;
/** Milliseconds for the daemon to take note. */
const STOP_TIMEOUT = 2000;
/** How often and after how many milliseconds a busy mount that nobody can be seen to use is tried again. */
const BUSY_RETRIES = 10;
const BUSY_DELAY = 100;

export interface UnmountRequest {
  readonly mountpoint: string;
  readonly force: boolean;
}

/** Unmounts, or throws a CommandError. `warn` gets lines for standard error. */
export async function unmount(
  request: UnmountRequest,
  env: NodeJS.ProcessEnv,
  uid: number,
  warn: (text: string) => void,
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
  for (const daemon of daemons) await flush(daemon, path, warn);
  if (mount !== undefined) await detach(path);
  for (const daemon of daemons) await end(daemon, mount === undefined);
}

async function flush(daemon: Daemon, path: string, warn: (text: string) => void): Promise<void> {
  const { status, pid, socket } = daemon;
  if (status === null) {
    throw new CommandError(
      'unsent',
      `${path}: its process ${pid} does not answer; --force unmounts all the same`,
    );
  }
  let unsent: readonly Unsent[];
  try {
    unsent = await askControl(socket, { op: 'flush' }, { timeout: FLUSH_TIMEOUT });
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.kind === 'dead') return;
    throw new CommandError('unsent', `${path}: ${error.message}; --force unmounts all the same`);
  }
  if (unsent.length === 0) return;
  warn(`data that the server did not take:\n${formatUnsent(unsent)}`);
  throw new CommandError(
    'unsent',
    `${path} stays mounted, since written data could not be sent; --force gives it up`,
  );
}

/** Takes the mount out of the tree; one in use only when its process is gone anyway. */
async function detach(path: string, retries = BUSY_RETRIES): Promise<void> {
  try {
    await unmountPath(path, { lazy: false });
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    if (error.kind === 'not-mounted') return;
    if (error.kind !== 'busy') throw error;
    if (await isDeadMount(path)) return unmountPath(path, { lazy: true });
    const holders = describeHolders(await holdersOf(path));
    // Nobody to be seen: whoever it was is just leaving.
    if (holders === '' && retries > 0) {
      await delay(BUSY_DELAY);
      return detach(path, retries - 1);
    }
    const who = holders === '' ? '' : ` by ${holders}`;
    throw new CommandError('busy', `${path} is in use${who}; --force unmounts all the same`);
  }
}

/** Waits until the daemon has gone. */
async function end({ socket, pid }: Daemon, isDetached: boolean): Promise<void> {
  if (isDetached)
    await askControl(socket, { op: 'stop', force: false }, { timeout: STOP_TIMEOUT }).catch(() => {});
  if (await waitForEnd(pid, END_TIMEOUT)) return;
  throw new CommandError('busy', `unmounted, but process ${pid} still runs; --force ends it`);
}
