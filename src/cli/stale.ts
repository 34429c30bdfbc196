/**
 * Mounts whose serving process is gone: every call on them answers ENOTCONN until somebody takes them away. Whoever
 * does so, or mounts, holds the lock of the place meanwhile, so that nobody takes away what another has just mounted.
 */
import { join } from 'node:path';
import { type FuseMount, findFuseMount } from '../fuse/mount/mounts.js';
import { unmountPath } from '../fuse/mount/unmount.js';
import { placeLockName } from './directories.js';
import { CommandError } from './exit.js';
import { FileLock } from './lock.js';
import { isDeadMount } from './mountpoint.js';

/** Milliseconds to wait for another process that mounts or clears the same place. */
const PLACE_TIMEOUT = 20_000;

/** Runs `work` while nobody else of this user mounts at `mountpoint` or clears it; `directory` holds the locks. */
export async function atPlace<T>(directory: string, mountpoint: string, work: () => Promise<T>): Promise<T> {
  const lock = await FileLock.take(join(directory, placeLockName(mountpoint)), PLACE_TIMEOUT);
  if (lock === null) {
    throw new CommandError('failure', `${mountpoint}: another process is mounting or unmounting there`);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Takes away the topmost mount at `mountpoint` if `isMeant` says so of it and it is dead; answers whether it did.
 * For whoever holds the place.
 */
export async function detachDead(
  mountpoint: string,
  isMeant: (mount: FuseMount) => boolean,
): Promise<boolean> {
  const mount = await findFuseMount(mountpoint);
  if (mount === undefined || !isMeant(mount) || !(await isDeadMount(mountpoint))) return false;
  await unmountPath(mountpoint, { lazy: true });
  return true;
}
