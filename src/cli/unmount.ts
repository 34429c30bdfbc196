/**
 * `remora unmount`: first everything written goes to the server, then the kernel lets go, then the daemon
 * ends; success means that all three have happened. With --force nothing on the way may stop it: programs
 * that still hold files get errors, and what could not be sent is named.
 */

import { unlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Unsent } from '../fs/open-file.js';
import { MountError } from '../fuse/mount/errors.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { unmountPath } from '../fuse/mount/unmount.js';
import { askControl, ControlError } from './control.js';
import { runtimeDirectory } from './directories.js';
import { type Daemon, findDaemons, isRemora } from './discover.js';
import { CommandError } from './exit.js';
import { formatUnsent } from './format.js';
import { describeHolders, holdersOf } from './holders.js';
import { canonicalPath, isDeadMount } from './mountpoint.js';
import { isDaemon, waitForEnd } from './processes.js';

/** Milliseconds for sending what was written; the daemon reports what it could not send before that. */
const FLUSH_TIMEOUT = 10 * 60_000;
const FORCED_FLUSH_TIMEOUT = 5000;
/** Milliseconds for the daemon to end once the kernel has let go. */
const END_TIMEOUT = 60_000;
const FORCED_END_TIMEOUT = 5000;
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
  const at = (path: string) => mounts.findLast((mount) => mount.mountpoint === path);
  const path = await canonicalPath(request.mountpoint, (candidate) => at(candidate) !== undefined).catch(
    () => request.mountpoint,
  );
  const mount = at(path);
  const daemons = await findDaemons(runtimeDirectory(env, uid), path);
  if (mount !== undefined && !isRemora(mount) && daemons.length === 0) {
    throw new CommandError('not-mounted', `${path} is not a Remora mount (${mount.fstype})`);
  }
  if (mount === undefined && daemons.length === 0) {
    throw new CommandError('not-mounted', `${path} is not mounted`);
  }

  for (const daemon of daemons) await flush(daemon, force, path, warn);
  if (mount !== undefined) await detach(path, force);
  for (const daemon of daemons) await end(daemon, force, mount === undefined);
}

async function flush(
  daemon: Daemon,
  force: boolean,
  path: string,
  warn: (text: string) => void,
): Promise<void> {
  if (daemon.status === null) {
    if (force) return;
    throw new CommandError(
      'unsent',
      `${path}: its process ${daemon.pid} does not answer; --force unmounts all the same`,
    );
  }
  let unsent: readonly Unsent[];
  try {
    const timeout = force ? FORCED_FLUSH_TIMEOUT : FLUSH_TIMEOUT;
    unsent = await askControl(daemon.socket, { op: 'flush' }, timeout);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    if (error.kind === 'dead' || force) return;
    throw new CommandError('unsent', `${path}: ${error.message}; --force unmounts all the same`);
  }
  if (unsent.length === 0) return;
  warn(`data that the server did not take:\n${formatUnsent(unsent)}`);
  if (!force) {
    throw new CommandError(
      'unsent',
      `${path} stays mounted, since written data could not be sent; --force gives it up`,
    );
  }
}

/** Takes the mount out of the tree; one in use only by force, or when its process is gone anyway. */
async function detach(path: string, force: boolean, retries = BUSY_RETRIES): Promise<void> {
  try {
    await unmountPath(path, { lazy: false });
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    if (error.kind === 'not-mounted') return;
    if (error.kind !== 'busy') throw error;
    if (force || (await isDeadMount(path))) return unmountPath(path, { lazy: true });
    const holders = describeHolders(await holdersOf(path));
    // Nobody to be seen: whoever it was is just leaving.
    if (holders === '' && retries > 0) {
      await delay(BUSY_DELAY);
      return detach(path, force, retries - 1);
    }
    const who = holders === '' ? '' : ` by ${holders}`;
    throw new CommandError('busy', `${path} is in use${who}; --force unmounts all the same`);
  }
}

/** Waits until the daemon has gone; a forced one is told to abort, and killed when it does not. */
async function end(daemon: Daemon, force: boolean, detached: boolean): Promise<void> {
  const { socket, pid, status } = daemon;
  if (status !== null) {
    if (force || detached) await askControl(socket, { op: 'stop', force }, STOP_TIMEOUT).catch(() => {});
    if (await waitForEnd(pid, force ? FORCED_END_TIMEOUT : END_TIMEOUT)) return;
  }
  if (!force) throw new CommandError('busy', `unmounted, but process ${pid} still runs; --force ends it`);
  if (await isDaemon(pid)) kill(pid);
  await waitForEnd(pid, FORCED_END_TIMEOUT);
  await unlink(socket).catch(() => {});
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
