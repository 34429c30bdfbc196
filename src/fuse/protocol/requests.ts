/**
 * Requests of the kernel, decoded: one pure function for each struct `fuse_*_in`, fields named as there.
 * What Remora has no use for (lock owners, umask that the kernel has applied already) is left out. A decoder
 * never throws; the caller asks the reader whether it `failed`.
 */
import type { ByteString } from '../../base/bytes.js';
import type { AttributeChanges } from '../../fs/operations.js';
import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_FH,
  FATTR_GID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  FUSE_GETATTR_FH,
} from './constants.js';
import type { WireReader } from './wire.js';

/** `fuse_in_header`. */
export interface InHeader {
  readonly len: number;
  readonly opcode: number;
  readonly unique: number;
  readonly nodeid: number;
  readonly uid: number;
  readonly gid: number;
  /** The thread that waits (0 when it lives in a foreign pid namespace). */
  readonly pid: number;
}

export function readInHeader(reader: WireReader): InHeader {
  const header = {
    len: reader.u32(),
    opcode: reader.u32(),
    unique: reader.u64(),
    nodeid: reader.u64(),
    uid: reader.u32(),
    gid: reader.u32(),
    pid: reader.u32(),
  };
  reader.unused('total_extlen, padding', 4);
  return header;
}

export const readName = (reader: WireReader): ByteString => reader.cstring();

export function readForgetIn(reader: WireReader): { nlookup: number } {
  return { nlookup: reader.u64() };
}

export interface ForgetOne {
  readonly nodeid: number;
  readonly nlookup: number;
}

/** As many as the request really holds; a `count` that promises more marks it malformed. */
export function readBatchForgetIn(reader: WireReader): ForgetOne[] {
  const count = reader.u32();
  reader.unused('dummy', 4);
  const forgets: ForgetOne[] = [];
  while (forgets.length < count && !reader.failed) {
    const one = { nodeid: reader.u64(), nlookup: reader.u64() };
    if (!reader.failed) forgets.push(one);
  }
  return forgets;
}

export function readGetattrIn(reader: WireReader): { fh: number | null } {
  const flags = reader.u32();
  reader.unused('dummy', 4);
  // The field holds garbage when the flag is not set, so it is not read as a number then.
  if ((flags & FUSE_GETATTR_FH) === 0) {
    reader.unused('fh', 8);
    return { fh: null };
  }
  return { fh: reader.u64() };
}

export interface SetattrIn {
  readonly fh: number | null;
  readonly changes: AttributeChanges;
}

export function readSetattrIn(reader: WireReader): SetattrIn {
  const valid = reader.u32();
  reader.unused('padding', 4);
  let fh: number | null = null;
  if (valid & FATTR_FH) fh = reader.u64();
  else reader.unused('fh', 8);
  const size = reader.extent64();
  reader.unused('lock_owner', 8);
  const atime = reader.i64();
  const mtime = reader.i64();
  // The server sets the ctime itself.
  reader.unused('ctime', 8);
  const atimensec = reader.u32();
  const mtimensec = reader.u32();
  reader.unused('ctimensec', 4);
  const mode = reader.u32();
  reader.unused('unused4', 4);
  const uid = reader.u32();
  const gid = reader.u32();
  reader.unused('unused5', 4);
  const time = (now: number, given: number, seconds: number, nanoseconds: number) =>
    valid & now ? 'now' : valid & given ? seconds + nanoseconds / 1e9 : undefined;
  const newAtime = time(FATTR_ATIME_NOW, FATTR_ATIME, atime, atimensec);
  const newMtime = time(FATTR_MTIME_NOW, FATTR_MTIME, mtime, mtimensec);
  return {
    fh,
    changes: {
      ...(valid & FATTR_MODE ? { mode } : {}),
      ...(valid & FATTR_UID ? { uid } : {}),
      ...(valid & FATTR_GID ? { gid } : {}),
      ...(valid & FATTR_SIZE ? { size } : {}),
      ...(newAtime === undefined ? {} : { atime: newAtime }),
      ...(newMtime === undefined ? {} : { mtime: newMtime }),
    },
  };
}

/** SYMLINK carries two strings: the new name, then what it points to. */
export function readSymlinkIn(reader: WireReader): { name: ByteString; target: ByteString } {
  return { name: reader.cstring(), target: reader.cstring() };
}

export function readMknodIn(reader: WireReader): { mode: number; name: ByteString } {
  const mode = reader.u32();
  reader.unused('rdev, umask, padding', 12);
  return { mode, name: reader.cstring() };
}

export function readMkdirIn(reader: WireReader): { mode: number; name: ByteString } {
  const mode = reader.u32();
  reader.unused('umask', 4);
  return { mode, name: reader.cstring() };
}

export interface RenameIn {
  readonly newdir: number;
  readonly flags: number;
  readonly oldname: ByteString;
  readonly newname: ByteString;
}

export function readRenameIn(reader: WireReader): RenameIn {
  return { newdir: reader.u64(), flags: 0, oldname: reader.cstring(), newname: reader.cstring() };
}

export function readRename2In(reader: WireReader): RenameIn {
  const newdir = reader.u64();
  const flags = reader.u32();
  reader.unused('padding', 4);
  return { newdir, flags, oldname: reader.cstring(), newname: reader.cstring() };
}

export function readLinkIn(reader: WireReader): { oldnodeid: number; newname: ByteString } {
  return { oldnodeid: reader.u64(), newname: reader.cstring() };
}

/** OPEN and OPENDIR. */
export function readOpenIn(reader: WireReader): { flags: number } {
  const flags = reader.u32();
  reader.unused('open_flags', 4);
  return { flags };
}

export function readCreateIn(reader: WireReader): { flags: number; mode: number; name: ByteString } {
  const flags = reader.u32();
  const mode = reader.u32();
  reader.unused('umask, open_flags', 8);
  return { flags, mode, name: reader.cstring() };
}

/** RELEASE and RELEASEDIR. */
export function readReleaseIn(reader: WireReader): { fh: number } {
  const fh = reader.u64();
  reader.unused('flags, release_flags, lock_owner', 16);
  return { fh };
}

export function readFlushIn(reader: WireReader): { fh: number } {
  const fh = reader.u64();
  reader.unused('unused, padding, lock_owner', 16);
  return { fh };
}

/** READ, READDIR and READDIRPLUS. */
export function readReadIn(reader: WireReader): { fh: number; offset: number; size: number } {
  const result = { fh: reader.u64(), offset: reader.extent64(), size: reader.u32() };
  reader.unused('read_flags, lock_owner, flags, padding', 20);
  return result;
}

export interface WriteIn {
  readonly fh: number;
  readonly offset: number;
  readonly writeFlags: number;
  /** A view of the request. */
  readonly data: Buffer;
}

export function readWriteIn(reader: WireReader): WriteIn {
  const fh = reader.u64();
  const offset = reader.extent64();
  const size = reader.u32();
  const writeFlags = reader.u32();
  reader.unused('lock_owner, flags, padding', 16);
  return { fh, offset, writeFlags, data: reader.bytes(size) };
}

/** FSYNC and FSYNCDIR. */
export function readFsyncIn(reader: WireReader): { fh: number; fsyncFlags: number } {
  const result = { fh: reader.u64(), fsyncFlags: reader.u32() };
  reader.unused('padding', 4);
  return result;
}

export function readAccessIn(reader: WireReader): { mask: number } {
  const mask = reader.u32();
  reader.unused('padding', 4);
  return { mask };
}

export interface InitIn {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
}

/** Only what 7.31 has; newer kernels append to it. */
export function readInitIn(reader: WireReader): InitIn {
  return { major: reader.u32(), minor: reader.u32(), maxReadahead: reader.u32(), flags: reader.u32() };
}

export function readInterruptIn(reader: WireReader): { unique: number } {
  return { unique: reader.u64() };
}

export interface FallocateIn {
  readonly fh: number;
  readonly offset: number;
  readonly length: number;
  readonly mode: number;
}

export function readFallocateIn(reader: WireReader): FallocateIn {
  const fh = reader.u64();
  const offset = reader.extent64();
  const length = reader.extent64();
  const mode = reader.u32();
  reader.unused('padding', 4);
  return { fh, offset, length, mode };
}

export function readLseekIn(reader: WireReader): { fh: number; offset: number; whence: number } {
  const result = { fh: reader.u64(), offset: reader.extent64(), whence: reader.u32() };
  reader.unused('padding', 4);
  return result;
}

export interface CopyFileRangeIn {
  readonly fhIn: number;
  readonly offIn: number;
  readonly fhOut: number;
  readonly offOut: number;
  readonly length: number;
  readonly flags: number;
}

export function readCopyFileRangeIn(reader: WireReader): CopyFileRangeIn {
  const fhIn = reader.u64();
  const offIn = reader.extent64();
  reader.unused('nodeid_out', 8);
  return {
    fhIn,
    offIn,
    fhOut: reader.u64(),
    offOut: reader.extent64(),
    length: reader.extent64(),
    flags: reader.extent64(),
  };
}
