/**
 * Replies and notifications, encoded: one pure function for each struct `fuse_*_out`. A reply is the header
 * and a list of payload buffers, written together by one writev, so file data is never copied.
 */
import type { ByteString } from '../../base/bytes.js';
import type { Attributes, FileSystemStats } from '../../fs/operations.js';
import {
  FOPEN_CACHE_DIR,
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  FOPEN_NOFLUSH,
  FUSE_NOTIFY_INVAL_ENTRY,
  FUSE_NOTIFY_INVAL_INODE,
  SIZEOF_ATTR_OUT,
  SIZEOF_ENTRY_OUT,
  SIZEOF_LSEEK_OUT,
  SIZEOF_OPEN_OUT,
  SIZEOF_OUT_HEADER,
  SIZEOF_STATFS_OUT,
  SIZEOF_WRITE_OUT,
} from './constants.js';
import { putI64 } from './wire.js';

/** What programs are told to read and write at once (st_blksize), in bytes. */
const BLKSIZE = 128 * 1024;

/** Longest lifetime the wire carries here: what is longer means "until told otherwise". */
const TTL_CEILING_MS = 0x7fff_ffff * 1000;

/** `Buffer.alloc` would make an ArrayBuffer for every few bytes; this takes them from Node's pool. */
function zeroed(size: number): Buffer {
  return Buffer.allocUnsafe(size).fill(0);
}

/** `fuse_out_header`; `error` is a positive errno or 0. */
export function outHeader(unique: number, error: number, payloadLength: number): Buffer {
  const header = Buffer.allocUnsafe(SIZEOF_OUT_HEADER);
  header.writeUInt32LE(SIZEOF_OUT_HEADER + payloadLength, 0);
  header.writeInt32LE(-error, 4);
  putI64(header, unique, 8);
  return header;
}

function putTime(out: Buffer, seconds: number, at: number, nsecAt: number): void {
  const whole = Math.floor(seconds);
  putI64(out, whole, at);
  out.writeUInt32LE(Math.min(999_999_999, Math.round((seconds - whole) * 1e9)), nsecAt);
}

/** `fuse_attr`. */
function putAttr(out: Buffer, at: number, ino: number, attributes: Attributes): void {
  putI64(out, ino, at);
  putI64(out, attributes.size, at + 8);
  putI64(out, Math.ceil(attributes.size / 512), at + 16);
  putTime(out, attributes.atime, at + 24, at + 48);
  putTime(out, attributes.mtime, at + 32, at + 52);
  putTime(out, attributes.ctime, at + 40, at + 56);
  out.writeUInt32LE(attributes.mode >>> 0, at + 60);
  out.writeUInt32LE(attributes.nlink >>> 0, at + 64);
  out.writeUInt32LE(attributes.uid >>> 0, at + 68);
  out.writeUInt32LE(attributes.gid >>> 0, at + 72);
  out.writeUInt32LE(0, at + 76); // rdev
  out.writeUInt32LE(BLKSIZE, at + 80);
  out.writeUInt32LE(0, at + 84); // flags
}

function putTtl(out: Buffer, milliseconds: number, at: number, nsecAt: number): void {
  const bounded = Math.min(Math.max(0, milliseconds), TTL_CEILING_MS);
  const whole = Math.floor(bounded / 1000);
  putI64(out, whole, at);
  out.writeUInt32LE(Math.floor((bounded - whole * 1000) * 1e6), nsecAt);
}

export interface Entry {
  readonly nodeid: number;
  readonly ino: number;
  readonly attributes: Attributes;
  /** Milliseconds. */
  readonly attrTtl: number;
  /** Milliseconds. */
  readonly entryTtl: number;
}

export function putEntryOut(out: Buffer, at: number, entry: Entry): void {
  putI64(out, entry.nodeid, at);
  putI64(out, 0, at + 8); // generation: node ids are never used twice
  putTtl(out, entry.entryTtl, at + 16, at + 32);
  putTtl(out, entry.attrTtl, at + 24, at + 36);
  putAttr(out, at + 40, entry.ino, entry.attributes);
}

/** `fuse_entry_out`. */
export function entryOut(entry: Entry): Buffer {
  const out = Buffer.allocUnsafe(SIZEOF_ENTRY_OUT);
  putEntryOut(out, 0, entry);
  return out;
}

/** A name that does not exist, to be remembered for `entryTtl` milliseconds (0: not at all): node id 0. */
export function negativeEntryOut(entryTtl: number): Buffer {
  const out = zeroed(SIZEOF_ENTRY_OUT);
  putTtl(out, entryTtl, 16, 32);
  return out;
}

/** `fuse_attr_out`. */
export function attrOut(ino: number, attributes: Attributes, attrTtl: number): Buffer {
  const out = Buffer.allocUnsafe(SIZEOF_ATTR_OUT);
  putTtl(out, attrTtl, 0, 8);
  out.writeUInt32LE(0, 12);
  putAttr(out, 16, ino, attributes);
  return out;
}

function handleOut(handle: number, openFlags: number): Buffer {
  const out = zeroed(SIZEOF_OPEN_OUT);
  putI64(out, handle, 0);
  out.writeUInt32LE(openFlags, 8);
  return out;
}

export interface OpenOut {
  readonly handle: number;
  readonly keepCache: boolean;
  readonly directIo: boolean;
  /** FLUSH is not wanted. */
  readonly noFlush?: boolean;
}

/** `fuse_open_out` of a file. */
export function openOut(opened: OpenOut): Buffer {
  const { handle, keepCache, directIo, noFlush = false } = opened;
  const cache = (keepCache ? FOPEN_KEEP_CACHE : 0) | (directIo ? FOPEN_DIRECT_IO : 0);
  return handleOut(handle, cache | (noFlush ? FOPEN_NOFLUSH : 0));
}

const LISTING_FLAGS = { none: 0, fill: FOPEN_CACHE_DIR, keep: FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE } as const;

/** `fuse_open_out` of a directory: without FOPEN_KEEP_CACHE the kernel drops the listing it has. */
export function opendirOut(handle: number, listing: keyof typeof LISTING_FLAGS): Buffer {
  return handleOut(handle, LISTING_FLAGS[listing]);
}

/** `fuse_write_out`, of WRITE and COPY_FILE_RANGE. */
export function writeOut(size: number): Buffer {
  const out = zeroed(SIZEOF_WRITE_OUT);
  out.writeUInt32LE(size, 0);
  return out;
}

/** `fuse_lseek_out`. */
export function lseekOut(offset: number): Buffer {
  const out = Buffer.allocUnsafe(SIZEOF_LSEEK_OUT);
  putI64(out, offset, 0);
  return out;
}

/** `fuse_statfs_out`. */
export function statfsOut(stats: FileSystemStats): Buffer {
  const out = zeroed(SIZEOF_STATFS_OUT);
  putI64(out, stats.blocks, 0);
  putI64(out, stats.bfree, 8);
  putI64(out, stats.bavail, 16);
  putI64(out, stats.files, 24);
  putI64(out, stats.ffree, 32);
  out.writeUInt32LE(stats.bsize >>> 0, 40);
  out.writeUInt32LE(stats.namemax >>> 0, 44);
  out.writeUInt32LE(stats.frsize >>> 0, 48);
  return out;
}

function notification(code: number, length: number): Buffer {
  const out = zeroed(SIZEOF_OUT_HEADER + length);
  out.writeUInt32LE(out.length, 0);
  out.writeInt32LE(code, 4);
  return out;
}

/** FUSE_NOTIFY_INVAL_INODE: attributes alone, or attributes and every page. */
export function invalInode(nodeid: number, pages: boolean): Buffer {
  const out = notification(FUSE_NOTIFY_INVAL_INODE, 24);
  putI64(out, nodeid, 16);
  // A negative offset leaves the pages alone; length 0 reaches to the end of the file.
  putI64(out, pages ? 0 : -1, 24);
  return out;
}

/**
 * FUSE_NOTIFY_INVAL_ENTRY: the name is followed by a NUL that `namelen` does not count. Kernels before 6.2 know no flags:
 * they take the name from whatever it leads to, even if that is somebody's working directory.
 */
export function invalEntry(parent: number, name: ByteString, flags = 0): Buffer {
  const out = notification(FUSE_NOTIFY_INVAL_ENTRY, 16 + name.length + 1);
  putI64(out, parent, 16);
  out.writeUInt32LE(name.length, 24);
  out.writeUInt32LE(flags, 28);
  out.write(name, 32, 'latin1');
  return out;
}
