/**
 * OpenSSH's extended requests and what their SSH_FXP_EXTENDED_REPLY holds (openssh-portable, PROTOCOL
 * section 4; copy-data and home-directory are drafts of their own). Each is told apart by its name.
 */
import { type ByteString, encodeText } from '../base/bytes.js';
import { readAttributes, type SftpAttributes, writeAttributes } from './attributes.js';
import {
  COPY_DATA,
  EXPAND_PATH,
  FSTATVFS,
  FSYNC,
  HARDLINK,
  HOME_DIRECTORY,
  LIMITS,
  LSETSTAT,
  POSIX_RENAME,
  STATVFS,
  USERS_GROUPS_BY_ID,
} from './constants.js';
import { ProtocolError } from './errors.js';
import { readHandle, type SftpHandle } from './handle.js';
import { PacketReader } from './reader.js';
import { PacketWriter } from './writer.js';

export type ExtendedRequest =
  | {
      readonly extension: typeof POSIX_RENAME | typeof HARDLINK;
      readonly oldpath: ByteString;
      readonly newpath: ByteString;
    }
  | { readonly extension: typeof STATVFS | typeof EXPAND_PATH; readonly path: ByteString }
  | { readonly extension: typeof FSTATVFS | typeof FSYNC; readonly handle: SftpHandle }
  | { readonly extension: typeof LSETSTAT; readonly path: ByteString; readonly attrs: SftpAttributes }
  | { readonly extension: typeof LIMITS }
  | {
      readonly extension: typeof COPY_DATA;
      readonly readHandle: SftpHandle;
      readonly readOffset: number;
      /** 0 means up to the end of the file. */
      readonly length: number;
      readonly writeHandle: SftpHandle;
      readonly writeOffset: number;
    }
  | { readonly extension: typeof HOME_DIRECTORY; readonly username: ByteString }
  | {
      readonly extension: typeof USERS_GROUPS_BY_ID;
      readonly uids: readonly number[];
      readonly gids: readonly number[];
    }
  /** Decoded only: an extension that this codec does not know. */
  | { readonly extension: 'unknown'; readonly name: ByteString };

export function encodeExtended(writer: PacketWriter, request: ExtendedRequest): PacketWriter {
  writer.string(request.extension === 'unknown' ? request.name : encodeText(request.extension));
  switch (request.extension) {
    case POSIX_RENAME:
    case HARDLINK:
      return writer.string(request.oldpath).string(request.newpath);
    case STATVFS:
    case EXPAND_PATH:
      return writer.string(request.path);
    case FSTATVFS:
    case FSYNC:
      return writer.string(request.handle);
    case LSETSTAT:
      return writeAttributes(writer.string(request.path), request.attrs);
    case LIMITS:
    case 'unknown':
      return writer;
    case COPY_DATA:
      return writer
        .string(request.readHandle)
        .uint64(request.readOffset)
        .uint64(request.length)
        .string(request.writeHandle)
        .uint64(request.writeOffset);
    case HOME_DIRECTORY:
      return writer.string(request.username);
    case USERS_GROUPS_BY_ID:
      return writer.data(packIds(request.uids)).data(packIds(request.gids));
  }
}

export function decodeExtended(reader: PacketReader): ExtendedRequest {
  const extension: string = reader.string();
  switch (extension) {
    case POSIX_RENAME:
    case HARDLINK:
      return { extension, oldpath: reader.string(), newpath: reader.string() };
    case STATVFS:
    case EXPAND_PATH:
      return { extension, path: reader.string() };
    case FSTATVFS:
    case FSYNC:
      return { extension, handle: readHandle(reader) };
    case LSETSTAT:
      return { extension, path: reader.string(), attrs: readAttributes(reader) };
    case LIMITS:
      return { extension };
    case COPY_DATA:
      return {
        extension,
        readHandle: readHandle(reader),
        readOffset: reader.uint53(),
        length: reader.uint53(),
        writeHandle: readHandle(reader),
        writeOffset: reader.uint53(),
      };
    case HOME_DIRECTORY:
      return { extension, username: reader.string() };
    case USERS_GROUPS_BY_ID:
      return { extension, uids: unpackIds(reader.data()), gids: unpackIds(reader.data()) };
    default:
      return { extension: 'unknown', name: extension as ByteString };
  }
}

function packIds(ids: readonly number[]): Buffer {
  const packed = Buffer.allocUnsafe(ids.length * 4);
  for (const [index, id] of ids.entries()) packed.writeUInt32BE(id, index * 4);
  return packed;
}

function unpackIds(packed: Buffer): number[] {
  if (packed.length % 4 !== 0) throw new ProtocolError(`a list of ids of ${packed.length} bytes`);
  return Array.from({ length: packed.length / 4 }, (_, index) => packed.readUInt32BE(index * 4));
}

/** statvfs(3): counts of blocks are in units of `frsize` bytes. */
export interface StatVfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly favail: number;
  /** Tells filesystems of one server apart. */
  readonly fsid: bigint;
  /** ST_RDONLY 1, ST_NOSUID 2. */
  readonly flag: number;
  readonly namemax: number;
}

/** Bit of `StatVfs.flag`: the filesystem is mounted read-only. */
export const ST_RDONLY = 1;

export function encodeStatVfs(stats: StatVfs): Buffer {
  return payload((writer) =>
    writer
      .uint64(stats.bsize)
      .uint64(stats.frsize)
      .uint64(stats.blocks)
      .uint64(stats.bfree)
      .uint64(stats.bavail)
      .uint64(stats.files)
      .uint64(stats.ffree)
      .uint64(stats.favail)
      .uint64(stats.fsid)
      .uint64(stats.flag)
      .uint64(stats.namemax),
  );
}

export function decodeStatVfs(data: Buffer): StatVfs {
  const reader = new PacketReader(data);
  return {
    bsize: reader.uint53(),
    frsize: reader.uint53(),
    blocks: reader.uint53(),
    bfree: reader.uint53(),
    bavail: reader.uint53(),
    files: reader.uint53(),
    ffree: reader.uint53(),
    favail: reader.uint53(),
    fsid: reader.uint64(),
    flag: reader.uint53(),
    namemax: reader.uint53(),
  };
}

/** limits@openssh.com: bytes, and open handles; 0 where the server states no limit. */
export interface ServerLimits {
  readonly maxPacket: number;
  readonly maxRead: number;
  readonly maxWrite: number;
  readonly maxHandles: number;
}

export function encodeLimits(limits: ServerLimits): Buffer {
  return payload((writer) =>
    writer.uint64(limits.maxPacket).uint64(limits.maxRead).uint64(limits.maxWrite).uint64(limits.maxHandles),
  );
}

export function decodeLimits(data: Buffer): ServerLimits {
  const reader = new PacketReader(data);
  return {
    maxPacket: reader.uint53(),
    maxRead: reader.uint53(),
    maxWrite: reader.uint53(),
    maxHandles: reader.uint53(),
  };
}

/** Names in the order of the ids asked for; an empty one where the server knows none. */
export interface UsersGroups {
  readonly users: readonly ByteString[];
  readonly groups: readonly ByteString[];
}

export function encodeUsersGroups(names: UsersGroups): Buffer {
  return payload((writer) => writer.data(packNames(names.users)).data(packNames(names.groups)));
}

export function decodeUsersGroups(data: Buffer): UsersGroups {
  const reader = new PacketReader(data);
  return { users: unpackNames(reader.data()), groups: unpackNames(reader.data()) };
}

function packNames(names: readonly ByteString[]): Buffer {
  return payload((writer) => {
    for (const name of names) writer.string(name);
    return writer;
  });
}

function unpackNames(packed: Buffer): ByteString[] {
  const reader = new PacketReader(packed);
  const names: ByteString[] = [];
  while (reader.remaining > 0) names.push(reader.string());
  return names;
}

/** What `build` writes, without the length and the type that make a packet of it. */
function payload(build: (writer: PacketWriter) => PacketWriter): Buffer {
  return build(new PacketWriter(0)).finish().subarray(5);
}
