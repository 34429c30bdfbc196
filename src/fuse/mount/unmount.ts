/**
 * Takes a mount away, from any process. Unmounting waits for the serving process to answer what is still
 * open, so it never runs on an event loop: umount2(2) in the thread pool, or fusermount3.
 *
 * Whoever looks at a mount holds it for that moment (df, a look through /proc, a desktop's indexer, a process that
 * is just ending), so one that is busy is tried again for half a second before it is called so.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { LibcError, MNT_DETACH, UMOUNT_NOFOLLOW, umount2 } from '../libc.js';
import { unmountDarwin } from './darwin.js';
import { MountError } from './errors.js';
import { explainHelper, findHelper, noHelper, startHelper } from './helper.js';
import { isMountPoint } from './mounts.js';
import { mayMount } from './privileges.js';

/** Milliseconds before each further try of a mount that is busy. */
const BUSY_DELAYS = [25, 50, 75, 100, 100, 150];

/**
 * Unmounts the topmost FUSE mount at `mountpoint` (absolute, without links). `lazy` takes it out of the tree at
 * once and lets go when the last program has closed its files. Rejects with a `MountError`: 'busy',
 * 'not-mounted', or why it was refused.
 */
export async function unmountPath(mountpoint: string, options: { readonly lazy: boolean }): Promise<void> {
  for (const pause of BUSY_DELAYS) {
    try {
      return await unmountOnce(mountpoint, options);
    } catch (error) {
      if (!(error instanceof MountError && error.kind === 'busy')) throw error;
      await delay(pause);
    }
  }
  return unmountOnce(mountpoint, options);
}

async function unmountOnce(mountpoint: string, options: { readonly lazy: boolean }): Promise<void> {
  if (!(await isMountPoint(mountpoint))) {
    throw new MountError('not-mounted', `no FUSE filesystem is mounted at ${mountpoint}`);
  }
  if (process.platform === 'darwin') return unmountDarwin(mountpoint, options.lazy);
  if (mayMount()) return unmountDirectly(mountpoint, options.lazy);
  const program = await findHelper();
  if (program === null) throw noHelper();
  const args = ['-u', ...(options.lazy ? ['-z'] : []), '--', mountpoint];
  const { code, stderr } = await startHelper(program, args).exited;
  if (code !== 0) throw explainHelper(stderr, mountpoint);
}

async function unmountDirectly(mountpoint: string, lazy: boolean): Promise<void> {
  try {
    await umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0));
  } catch (cause) {
    if (!(cause instanceof LibcError)) throw cause;
    if (cause.code === 'EBUSY') throw new MountError('busy', `${mountpoint} is in use`, { cause });
    if (cause.code === 'EINVAL' || cause.code === 'ENOENT') {
      throw new MountError('not-mounted', `nothing is mounted at ${mountpoint}`, { cause });
    }
    throw new MountError('mount-failed', `cannot unmount ${mountpoint}: the kernel answers ${cause.code}`, {
      cause,
    });
  }
}
