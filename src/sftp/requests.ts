/**
 * Requests as values, and as bytes in both directions: the client encodes them, the embedded server decodes
 * them. Fields carry the draft's names (section 6); extended requests are in `extensions.ts`.
 */
import type { ByteString } from '../base/bytes.js';
import { readAttributes, type SftpAttributes, writeAttributes } from './attributes.js';
import {
  SSH_FXP_CLOSE,
  SSH_FXP_EXTENDED,
  SSH_FXP_FSETSTAT,
  SSH_FXP_FSTAT,
  SSH_FXP_LSTAT,
  SSH_FXP_MKDIR,
  SSH_FXP_OPEN,
  SSH_FXP_OPENDIR,
  SSH_FXP_READ,
  SSH_FXP_READDIR,
  SSH_FXP_READLINK,
  SSH_FXP_REALPATH,
  SSH_FXP_REMOVE,
  SSH_FXP_RENAME,
  SSH_FXP_RMDIR,
  SSH_FXP_SETSTAT,
  SSH_FXP_STAT,
  SSH_FXP_SYMLINK,
  SSH_FXP_WRITE,
} from './constants.js';
import { decodeExtended, type ExtendedRequest, encodeExtended } from './extensions.js';
import { readHandle, type SftpHandle } from './handle.js';
import { PacketReader } from './reader.js';
import { PacketWriter } from './writer.js';

export type PathRequestType =
  | typeof SSH_FXP_LSTAT
  | typeof SSH_FXP_STAT
  | typeof SSH_FXP_OPENDIR
  | typeof SSH_FXP_REMOVE
  | typeof SSH_FXP_RMDIR
  | typeof SSH_FXP_REALPATH
  | typeof SSH_FXP_READLINK;

export type HandleRequestType = typeof SSH_FXP_CLOSE | typeof SSH_FXP_FSTAT | typeof SSH_FXP_READDIR;

export interface ReadRequest {
  readonly type: typeof SSH_FXP_READ;
  readonly handle: SftpHandle;
  readonly offset: number;
  readonly len: number;
}

export type Request =
  | {
      readonly type: typeof SSH_FXP_OPEN;
      readonly filename: ByteString;
      readonly pflags: number;
      readonly attrs: SftpAttributes;
    }
  | { readonly type: HandleRequestType; readonly handle: SftpHandle }
  | ReadRequest
  | {
      readonly type: typeof SSH_FXP_WRITE;
      readonly handle: SftpHandle;
      readonly offset: number;
      readonly data: Uint8Array;
    }
  | { readonly type: PathRequestType; readonly path: ByteString }
  | {
      readonly type: typeof SSH_FXP_SETSTAT | typeof SSH_FXP_MKDIR;
      readonly path: ByteString;
      readonly attrs: SftpAttributes;
    }
  | { readonly type: typeof SSH_FXP_FSETSTAT; readonly handle: SftpHandle; readonly attrs: SftpAttributes }
  | { readonly type: typeof SSH_FXP_RENAME; readonly oldpath: ByteString; readonly newpath: ByteString }
  | { readonly type: typeof SSH_FXP_SYMLINK; readonly linkpath: ByteString; readonly targetpath: ByteString }
  | ({ readonly type: typeof SSH_FXP_EXTENDED } & ExtendedRequest);

/** A request of a type that this codec does not know; a server answers SSH_FX_OP_UNSUPPORTED. */
export interface UnknownRequest {
  readonly type: 'unknown';
  readonly number: number;
}

/** One packet with its length field; of a WRITE, what goes in front of `data`, which is sent as it lies. */
export function encodeRequest(id: number, request: Request): Buffer {
  switch (request.type) {
    case SSH_FXP_OPEN: {
      const writer = start(id, request.type).string(request.filename).uint32(request.pflags);
      return writeAttributes(writer, request.attrs).finish();
    }
    case SSH_FXP_CLOSE:
    case SSH_FXP_FSTAT:
    case SSH_FXP_READDIR:
      return start(id, request.type).string(request.handle).finish();
    case SSH_FXP_READ:
      return start(id, request.type)
        .string(request.handle)
        .uint64(request.offset)
        .uint32(request.len)
        .finish();
    case SSH_FXP_WRITE:
      return start(id, request.type)
        .string(request.handle)
        .uint64(request.offset)
        .uint32(request.data.length)
        .finish(request.data.length);
    case SSH_FXP_LSTAT:
    case SSH_FXP_STAT:
    case SSH_FXP_OPENDIR:
    case SSH_FXP_REMOVE:
    case SSH_FXP_RMDIR:
    case SSH_FXP_REALPATH:
    case SSH_FXP_READLINK:
      return start(id, request.type).string(request.path).finish();
    case SSH_FXP_SETSTAT:
    case SSH_FXP_MKDIR:
      return writeAttributes(start(id, request.type).string(request.path), request.attrs).finish();
    case SSH_FXP_FSETSTAT:
      return writeAttributes(start(id, request.type).string(request.handle), request.attrs).finish();
    case SSH_FXP_RENAME:
      return start(id, request.type).string(request.oldpath).string(request.newpath).finish();
    case SSH_FXP_SYMLINK:
      // The draft says link, then target; OpenSSH swapped them, and the others followed OpenSSH.
      return start(id, request.type).string(request.targetpath).string(request.linkpath).finish();
    case SSH_FXP_EXTENDED:
      return encodeExtended(start(id, request.type), request).finish();
  }
}

/** Reads one packet, without its length field. Throws `ProtocolError` when it is malformed. */
export function decodeRequest(packet: Buffer): {
  readonly id: number;
  readonly request: Request | UnknownRequest;
} {
  const reader = new PacketReader(packet);
  const type = reader.uint8();
  const id = reader.uint32();
  return { id, request: decodeBody(type, reader) };
}

function decodeBody(type: number, reader: PacketReader): Request | UnknownRequest {
  switch (type) {
    case SSH_FXP_OPEN:
      return { type, filename: reader.string(), pflags: reader.uint32(), attrs: readAttributes(reader) };
    case SSH_FXP_CLOSE:
    case SSH_FXP_FSTAT:
    case SSH_FXP_READDIR:
      return { type, handle: readHandle(reader) };
    case SSH_FXP_READ:
      return { type, handle: readHandle(reader), offset: reader.uint53(), len: reader.uint32() };
    case SSH_FXP_WRITE:
      return { type, handle: readHandle(reader), offset: reader.uint53(), data: reader.data() };
    case SSH_FXP_LSTAT:
    case SSH_FXP_STAT:
    case SSH_FXP_OPENDIR:
    case SSH_FXP_REMOVE:
    case SSH_FXP_RMDIR:
    case SSH_FXP_REALPATH:
    case SSH_FXP_READLINK:
      return { type, path: reader.string() };
    case SSH_FXP_SETSTAT:
    case SSH_FXP_MKDIR:
      return { type, path: reader.string(), attrs: readAttributes(reader) };
    case SSH_FXP_FSETSTAT:
      return { type, handle: readHandle(reader), attrs: readAttributes(reader) };
    case SSH_FXP_RENAME:
      return { type, oldpath: reader.string(), newpath: reader.string() };
    case SSH_FXP_SYMLINK:
      return { type, targetpath: reader.string(), linkpath: reader.string() };
    case SSH_FXP_EXTENDED:
      return { type, ...decodeExtended(reader) };
    default:
      return { type: 'unknown', number: type };
  }
}

function start(id: number, type: number): PacketWriter {
  return new PacketWriter(type).uint32(id);
}
