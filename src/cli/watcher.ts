/**
 * Who cleans up after a serving process that is killed. fusermount3's own auto_unmount serves only mounts that root
 * may enter, so this is built from locks: the serving process holds one for its whole life, and `flock`
 * (util-linux, busybox) waits for it in a session of its own, in the kernel and in a megabyte. When the process is
 * gone, however it went, `detach.js` runs and takes the dead mount away.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { logger } from '../base/log.js';
import { findProgram, SYSTEM_PATH } from '../fuse/mount/helper.js';
import type { FuseMount } from '../fuse/mount/mounts.js';
import { lifeLockName } from './directories.js';
import { FileLock } from './lock.js';

const log = logger('watcher');

export class Watcher {
  readonly #lock: FileLock;
  readonly #child: ChildProcess;

  private constructor(lock: FileLock, child: ChildProcess) {
    this.#lock = lock;
    this.#child = child;
  }

  /** Has `mount` watched, which this process serves; null where it cannot be. `directory` holds the locks. */
  static async start(directory: string, mount: FuseMount): Promise<Watcher | null> {
    const flock = await findProgram('flock');
    if (flock === null) {
      log('there is no flock program: should this process be killed, a dead mount stays');
      return null;
    }
    const { mountpoint, major, minor } = mount;
    const lock = FileLock.try(join(directory, lifeLockName(mountpoint, process.pid)));
    if (lock === null) {
      log('the watcher of an earlier process of this number is still at work');
      return null;
    }
    const script = fileURLToPath(new URL('./detach.js', import.meta.url));
    const detach = [process.execPath, script, lock.path, mountpoint, `${major}:${minor}`];
    const child = spawn(flock, [lock.path, ...detach], {
      detached: true,
      cwd: '/',
      stdio: 'ignore',
      env: { PATH: SYSTEM_PATH.join(delimiter) },
    });
    child.on('error', (error) => log('%s cannot be started: %s', flock, error.message));
    child.unref();
    log('process %d watches', child.pid);
    return new Watcher(lock, child);
  }

  /** For when the mount is gone. */
  stop(): void {
    this.#child.kill('SIGKILL');
    this.#lock.release();
  }
}
