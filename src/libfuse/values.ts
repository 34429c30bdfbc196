/** Between the values of fuse-native and ours: pure translations. */
import { constants } from 'node:fs';
import { type ByteString, encodeText, toBuffer } from '../base/bytes.js';
import { O_ACCMODE, O_APPEND, O_CREAT, O_DSYNC, O_EXCL, O_SYNC, O_TRUNC } from '../base/mode.js';
import { type Path, ROOT } from '../base/path.js';
import type { Attributes, FileSystemStats } from '../fs/operations.js';

/** Largest number that fuse-native's 32 bits hold. */
const U32_MAX = 0xffff_ffff;

/** uid_t and gid_t of chown(2): leave it as it is. */
const UNCHANGED = U32_MAX;

/** U+FFFD stands for bytes that are not UTF-8 (and for itself). */
export const isFaithful = (text: string): boolean => !text.includes('\uFFFD');

/** Can fuse-native carry these bytes in a string of JavaScript? */
export function isUtf8(bytes: ByteString): boolean {
  const buffer = toBuffer(bytes);
  return buffer.equals(Buffer.from(buffer.toString('utf8'), 'utf8'));
}

/** A path of libfuse, which begins with a slash, as text where that is faithful, else as its bytes. */
export function pathOf(text: string, bytes: () => ByteString): Path {
  const path = isFaithful(text) ? encodeText(text) : bytes();
  return (path === '/' ? ROOT : path.replace(/^\//, '')) as Path;
}

const milliseconds = (seconds: number): number => Math.max(0, Math.round(seconds * 1000));

/** What fuse-native makes a `struct stat` of; it takes nlink 0 for 1. */
export function statOf(attributes: Attributes, ino: number): object {
  const { mode, size, uid, gid, nlink, atime, mtime, ctime } = attributes;
  return {
    ino,
    mode,
    size,
    uid,
    gid,
    nlink,
    blocks: Math.ceil(size / 512),
    atime: milliseconds(atime),
    mtime: milliseconds(mtime),
    ctime: milliseconds(ctime),
  };
}

/** A `struct statvfs` whose numbers have 32 bits: larger blocks, until their count fits. */
export function statvfsOf(stats: FileSystemStats): FileSystemStats {
  const { files, ffree } = stats;
  let { frsize, blocks, bfree, bavail } = stats;
  while (blocks > U32_MAX && frsize * 2 <= U32_MAX) {
    frsize *= 2;
    [blocks, bfree, bavail] = [Math.floor(blocks / 2), Math.floor(bfree / 2), Math.floor(bavail / 2)];
  }
  return {
    ...stats,
    frsize,
    blocks,
    bfree,
    bavail,
    files: Math.min(files, U32_MAX),
    ffree: Math.min(ffree, U32_MAX),
  };
}

/** An id of chown(2), absent when it shall stay. */
export const idOf = (id: number): number | undefined => (id === UNCHANGED ? undefined : id);

type OpenFlags = Pick<typeof constants, 'O_CREAT' | 'O_EXCL' | 'O_TRUNC' | 'O_APPEND' | 'O_DSYNC' | 'O_SYNC'>;

/** open(2) flags of this platform with the numbers of Linux, which the filesystem knows; others are dropped. */
export function openFlagsOf(flags: number, native: OpenFlags = constants): number {
  const pairs = [
    [native.O_CREAT, O_CREAT],
    [native.O_EXCL, O_EXCL],
    [native.O_TRUNC, O_TRUNC],
    [native.O_APPEND, O_APPEND],
    [native.O_DSYNC, O_DSYNC],
    [native.O_SYNC, O_SYNC],
  ] as const;
  return pairs.reduce(
    (known, [theirs, ours]) => ((flags & theirs) === theirs ? known | ours : known),
    flags & O_ACCMODE,
  );
}
