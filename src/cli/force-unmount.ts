/**
 * `remora unmount --force`: the mount ends, whatever hangs. The serving process is asked first: it gives the server
 * a moment, lets the kernel go, so that stuck programs get their error, and says what it could not send. One that
 * does not answer is gone around: the kernel's own control filesystem aborts the connection, and a signal no
 * process can refuse ends the daemon.
 */
import { unlink } from 'node:fs/promises';
import { logger } from '../base/log.js';
import type { Unsent } from '../fs/open-file.js';
import { abortConnection } from '../fuse/mount/abort.js';
import { MountError } from '../fuse/mount/errors.js';
import { findFuseMount } from '../fuse/mount/mounts.js';
import { unmountPath } from '../fuse/mount/unmount.js';
import { askControl, ControlError } from './control-client.js';
import type { Daemon } from './discover.js';
import { CommandError } from './exit.js';
import { formatUnsent } from './format.js';
import { isDaemon, isStopped, sendSignal, waitForEnd, waitForServer } from './processes.js';

const log = logger('unmount');

/** Milliseconds for the daemon to say what is unsent, and to end the mount. */
const ASK_TIMEOUT = 2000;
const STOP_TIMEOUT = 6000;
/** Milliseconds for its process to end then, and after it was killed. */
const END_TIMEOUT = 5000;

/** Ends the mount at `path` and `daemons`, which serve or served it. Throws `unsent` when data was given up. */
export async function forceUnmount(path: string, daemons: readonly Daemon[]): Promise<void> {
  const given: Unsent[] = [];
  const silent: number[] = [];
  for (const daemon of daemons) {
    const unsent = await stopDaemon(daemon);
    if (unsent === null) silent.push(daemon.pid);
    else given.push(...unsent);
  }
  await detach(path);
  for (const daemon of daemons) await endDaemon(daemon);

  const known = given.length === 0 ? '' : `, and data that the server does not have was given up:\n`;
  const unknown = silent.map((pid) => `; process ${pid} did not say what it had not sent yet`).join('');
  if (known !== '' || unknown !== '') {
    throw new CommandError('unsent', `${path} is unmounted${unknown}${known}${formatUnsent(given)}`);
  }
}

/** Tells the daemon to end; answers what it did not send, or null when it does not say. */
async function stopDaemon({ pid, socket }: Daemon): Promise<readonly Unsent[] | null> {
  if ((await isStopped(pid)) && (await isDaemon(pid))) sendSignal(pid, 'SIGCONT');
  let unsent: readonly Unsent[] | null = null;
  try {
    unsent = await askControl(socket, { op: 'unsent' }, { timeout: ASK_TIMEOUT });
    unsent = await askControl(socket, { op: 'stop', force: true }, { timeout: STOP_TIMEOUT });
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    log('process %d: %s', pid, error.message);
  }
  return unsent;
}

async function detach(path: string): Promise<void> {
  const mount = await findFuseMount(path);
  if (mount === undefined) return;
  try {
    await abortConnection(mount);
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    log('%s', error.message);
  }
  try {
    await unmountPath(path, { lazy: true });
  } catch (error) {
    if (!(error instanceof MountError) || error.kind !== 'not-mounted') throw error;
  }
}

async function endDaemon(daemon: Daemon): Promise<void> {
  const { pid, socket } = daemon;
  if (await waitForServer(daemon, END_TIMEOUT)) return;
  if (await isDaemon(pid)) {
    sendSignal(pid, 'SIGKILL');
    await waitForEnd(pid, END_TIMEOUT);
  }
  await unlink(socket).catch(() => {});
}
