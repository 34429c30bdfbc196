/**
 * libfuse 2.9 has utimensat(2) with UTIME_OMIT answered and nothing done, unless the filesystem said that it
 * understands; fuse-native cannot say so. Then what `tar` unpacks would keep the time of unpacking. So it is said
 * for it, in the memory of the very libfuse that comes with fuse-native, whose layout is known (its debug
 * information tells) and checked.
 */
import type { AttributeChanges } from '../fs/operations.js';
import { koffi } from '../fuse/koffi.js';

/** `fuse_thread_t` of fuse-native: where its `struct fuse *` is. */
const THREAD_FUSE = 368;
/** `struct fuse`: `struct fuse_fs *fs`, and `int utime_omit_ok`. */
const FUSE_FS = 272;
const FUSE_UTIME_OMIT_OK = 284;
const FUSE_SIZE = 344;
/** `struct fuse_fs`: `void *user_data`, which is the `fuse_thread_t`. */
const FS_USER_DATA = 368;
const FS_SIZE = 384;

const at = (address: bigint, size: number): Buffer => Buffer.from(koffi().view(address, size));

/** Has libfuse pass single times on; `thread` is the `fuse_thread_t`. Answers whether it was the libfuse we know. */
export function allowSingleTimes(thread: Buffer): boolean {
  const fuse = at(thread.readBigUInt64LE(THREAD_FUSE), FUSE_SIZE);
  const fs = at(fuse.readBigUInt64LE(FUSE_FS), FS_SIZE);
  if (fs.readBigUInt64LE(FS_USER_DATA) !== BigInt(koffi().address(thread))) return false;
  fuse.writeInt32LE(1, FUSE_UTIME_OMIT_OK);
  return true;
}

/** UTIME_OMIT and UTIME_NOW are numbers of nanoseconds of which fuse-native keeps the milliseconds: both become this. */
const OMIT_OR_NOW = 1073;

/**
 * What utimensat(2) wants, from milliseconds. Of two times that are not said, at least one is 'now', and both most
 * likely (`touch`); beside one that is said, the other was most likely left out (`tar`, `touch -d -m`).
 */
export function timeChanges({ atime, mtime }: { atime: number; mtime: number }): AttributeChanges {
  if (atime === OMIT_OR_NOW && mtime === OMIT_OR_NOW) return { atime: 'now', mtime: 'now' };
  return {
    ...(atime === OMIT_OR_NOW ? {} : { atime: atime / 1000 }),
    ...(mtime === OMIT_OR_NOW ? {} : { mtime: mtime / 1000 }),
  };
}
