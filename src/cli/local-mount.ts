/**
 * The local side of a mount: made at its mount point, served, watched by whoever cleans up after a killed process,
 * taken out of the tree.
 */
import { logger } from '../base/log.js';
import type { Served } from '../fs/delayed.js';
import type { KernelSession } from '../fuse/driver.js';
import { MountError } from '../fuse/mount/errors.js';
import { findFuseMount } from '../fuse/mount/mounts.js';
import { raiseReadAhead } from '../fuse/mount/readahead.js';
import { atMost } from './deadline.js';
import { type Driver, type ServedMount, serve } from './drivers.js';
import type { Job } from './ipc.js';
import { atPlace } from './stale.js';
import { Watcher } from './watcher.js';

const log = logger('mount');

/** Milliseconds for the daemon's own side to see that the mount has gone. */
const DETACH_TIMEOUT = 5000;

export class LocalMount {
  readonly session: KernelSession;
  readonly driver: Driver;
  readonly #job: Job;
  readonly #served: ServedMount;
  #watcher: Watcher | null = null;
  /** Is it in the tree still? An aborted one is, dead. */
  #isAttached = true;

  private constructor(job: Job, served: ServedMount, filesystem: Served) {
    this.#job = job;
    this.#served = served;
    this.driver = served.driver;
    this.session = served.session;
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
    filesystem: Served,
    directory: string,
    isStalled: () => boolean,
  ): Promise<LocalMount> {
    const local = await atPlace(directory, job.mountpoint, async () => {
      const served = await serve(job, filesystem, isStalled);
      return new LocalMount(job, served, filesystem);
    });
    if (job.options.autoUnmount) await local.#watch(directory);
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
    await this.#served.unmount(options);
    if (options.lazy) this.#isAttached = false;
    else await atMost(DETACH_TIMEOUT, this.session.done);
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
