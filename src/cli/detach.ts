/**
 * What runs when a serving process has ended without unmounting (see watcher.ts):
 *
 *     node detach.js <lock> <mountpoint> <major>:<minor>
 *
 * Takes the mount away if it is there, dead, and the very one: its device number is compared, since another may have
 * been mounted at the place meanwhile. The control socket and the lock of the process go, too. Silent, because nobody
 * is there to be told.
 */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFuseMount } from '../fuse/mount/mounts.js';
import { leave } from './deadline.js';
import { atPlace, detachDead } from './stale.js';

/** The kernel closes the files of a killed process one by one: the lock may go before the connection. */
const TRIES = 50;
const PAUSE = 100;

async function detach(lock: string, mountpoint: string, device: string): Promise<void> {
  const isMeant = ({ major, minor }: { major: number; minor: number }) => `${major}:${minor}` === device;
  for (let tries = 0; tries < TRIES; tries++) {
    const mount = await findFuseMount(mountpoint);
    if (mount === undefined || !isMeant(mount)) break;
    if (await atPlace(dirname(lock), mountpoint, () => detachDead(mountpoint, isMeant))) break;
    await delay(PAUSE);
  }
  for (const path of [lock.replace(/\.lock$/, '.sock'), lock]) rmSync(path, { force: true });
}

const [lock, mountpoint, device] = process.argv.slice(2);
if (lock === undefined || mountpoint === undefined || device === undefined) process.exit(2);
await detach(lock, mountpoint, device).then(
  () => leave(0),
  () => leave(1),
);
