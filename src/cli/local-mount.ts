/**
 * The local side of a mount: made at its mount point, served, watched by whoever cleans up after a killed process,
 * taken out of the tree.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { logger } from '../base/log.js';
import type { FileSystem } from '../fs/filesystem.js';
import { serveFuse } from '../fuse/driver.js';
import { MountError } from '../fuse/mount/errors.js';
import { type Mounted, mountFuse } from '../fuse/mount/mount.js';
import { findFuseMount } from '../fuse/mount/mounts.js';
import { raiseReadAhead } from '../fuse/mount/readahead.js';
import type { FuseSession } from '../fuse/session.js';
import type { Job } from './ipc.js';
import { atPlace } from './stale.js';
import { Watcher } from './watcher.js';
import { kernelMount } from './wiring.js';

const log = logger('mount');

/** Milliseconds for the daemon's own side to see that the mount has gone. */
const DETACH_TIMEOUT = 5000;

export class LocalMount {
  readonly session: FuseSession;
  /** How it was mounted. */
  readonly method: Mounted['method'];
  readonly #job: Job;
  readonly #mounted: Mounted;
  #watcher: Watcher | null = null;
  /** Is it in the tree still? An aborted one is, dead. */
  #isAttached = true;

  private constructor(job: Job, mounted: Mounted, filesystem: FileSystem, isStalled: () => boolean) {
    this.#job = job;
    this.#mounted = mounted;
    this.method = mounted.method;
    this.session = serveFuse({ fd: mounted.fd, operations: filesystem, isStalled });
    void this.session.done.then((reason) => {
      if (reason === 'unmounted') this.#isAttached = false;
    });
    filesystem.attachKernel(this.session.kernelCache);
  }

  /**
   * Mounts; to be `remove`d from then on, also when `ready` rejects. `directory` holds the locks; `isStalled` tells
   * whether the server fails to answer at this moment.
   */
  static async make(
    job: Job,
    filesystem: FileSystem,
    directory: string,
    isStalled: () => boolean,
  ): Promise<LocalMount> {
    const { options, source, mountpoint } = job;
    const local = await atPlace(directory, mountpoint, async () => {
      const mounted = await mountFuse(kernelMount(options, source, mountpoint));
      return new LocalMount(job, mounted, filesystem, isStalled);
    });
    if (options.autoUnmount) await local.#watch(directory);
    return local;
  }

  /** Resolves when programs can use it. */
  async ready(): Promise<void> {
    await this.session.ready;
    // Larger requests of the kernel, where it lets us; the mount table is read, never the mount itself.
    const mount = await findFuseMount(this.#job.mountpoint);
    if (mount !== undefined && this.#job.options.readahead > 0) await raiseReadAhead(mount);
  }

  /** Takes it out of the tree, unless programs use it; `lazy` all the same. Rejects with a MountError. */
  async unmount(options: { readonly lazy: boolean }): Promise<void> {
    if (!this.#isAttached) return;
    await this.#mounted.unmount(options);
    if (options.lazy) this.#isAttached = false;
    else await Promise.race([this.session.done, delay(DETACH_TIMEOUT)]);
  }

  /** Whatever holds it: out of the tree, and nobody need watch it any more. */
  async remove(): Promise<void> {
    try {
      await this.unmount({ lazy: true });
    } catch (error) {
      if (!(error instanceof MountError) || error.kind !== 'not-mounted') throw error;
    }
    this.#watcher?.stop();
  }

  async #watch(directory: string): Promise<void> {
    try {
      const mount = await findFuseMount(this.#job.mountpoint);
      if (mount !== undefined) this.#watcher = await Watcher.start(directory, mount);
    } catch (error) {
      log('nobody watches this mount: %o', error);
    }
  }
}
