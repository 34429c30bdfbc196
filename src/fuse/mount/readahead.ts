/**
 * The kernel reads ahead 128 KiB on a FUSE mount, so it never asks for more at once, and a program can only
 * lower that in FUSE_INIT. The mount's backing device information in sysfs is where root can raise it.
 */
import { writeFile } from 'node:fs/promises';
import { logger } from '../../base/log.js';
import type { FuseMount } from './mounts.js';

const log = logger('fuse:mount');

/**
 * Raises the kernel's read-ahead of a mount to `kibibytes`; call it when the session is `ready`, since FUSE_INIT
 * sets it anew. Answers false where it may not be done (not root, sysfs not writable): reading works as well then,
 * in smaller requests.
 */
export async function raiseReadAhead(
  { major, minor }: Pick<FuseMount, 'major' | 'minor'>,
  kibibytes = 1024,
): Promise<boolean> {
  try {
    await writeFile(`/sys/class/bdi/${major}:${minor}/read_ahead_kb`, String(kibibytes));
    return true;
  } catch (error) {
    log('read-ahead stays as it is: %s', (error as NodeJS.ErrnoException).code);
    return false;
  }
}
