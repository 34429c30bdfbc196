/**
 * ATTRS (section 5) and the names of a directory listing. Version 3 says size, owner, mode and times only,
 * each optional, owner and times in pairs; link counts hide in the `longname` that servers write like `ls -l`.
 */
import type { ByteString } from '../base/bytes.js';
import {
  SSH_FILEXFER_ATTR_ACMODTIME,
  SSH_FILEXFER_ATTR_EXTENDED,
  SSH_FILEXFER_ATTR_PERMISSIONS,
  SSH_FILEXFER_ATTR_SIZE,
  SSH_FILEXFER_ATTR_UIDGID,
} from './constants.js';
import type { PacketReader } from './reader.js';
import type { PacketWriter } from './writer.js';

/** What a server knows of a file, or what to change; a field that is absent was not sent. */
export interface SftpAttributes {
  /** Bytes, up to 2^53 - 1. */
  readonly size?: number;
  /** Owner; goes over the wire only together with `gid`. */
  readonly uid?: number;
  readonly gid?: number;
  /** Type and permission bits, as `st_mode`. */
  readonly permissions?: number;
  /** Seconds since the epoch, 0 to 2^32 - 1; goes over the wire only together with `mtime`. */
  readonly atime?: number;
  readonly mtime?: number;
}

/** One entry of a directory listing. */
export interface SftpName {
  readonly filename: ByteString;
  /** A line in the form of `ls -l`, or whatever the server likes. */
  readonly longname: ByteString;
  readonly attributes: SftpAttributes;
}

export const NO_ATTRIBUTES: SftpAttributes = {};

export function readAttributes(reader: PacketReader): SftpAttributes {
  const flags = reader.uint32();
  const attributes: { -readonly [Key in keyof SftpAttributes]: SftpAttributes[Key] } = {};
  if (flags & SSH_FILEXFER_ATTR_SIZE) attributes.size = reader.uint53();
  if (flags & SSH_FILEXFER_ATTR_UIDGID) {
    attributes.uid = reader.uint32();
    attributes.gid = reader.uint32();
  }
  if (flags & SSH_FILEXFER_ATTR_PERMISSIONS) attributes.permissions = reader.uint32();
  if (flags & SSH_FILEXFER_ATTR_ACMODTIME) {
    attributes.atime = reader.uint32();
    attributes.mtime = reader.uint32();
  }
  if (flags & SSH_FILEXFER_ATTR_EXTENDED) {
    for (let pairs = reader.uint32(); pairs > 0; pairs--) {
      reader.unused('extended_type');
      reader.unused('extended_data');
    }
  }
  return attributes;
}

export function writeAttributes(writer: PacketWriter, attributes: SftpAttributes): PacketWriter {
  const { size, uid, gid, permissions, atime, mtime } = attributes;
  if ((uid === undefined) !== (gid === undefined)) throw new RangeError('uid and gid go in pairs');
  if ((atime === undefined) !== (mtime === undefined)) throw new RangeError('atime and mtime go in pairs');
  writer.uint32(
    (size === undefined ? 0 : SSH_FILEXFER_ATTR_SIZE) |
      (uid === undefined ? 0 : SSH_FILEXFER_ATTR_UIDGID) |
      (permissions === undefined ? 0 : SSH_FILEXFER_ATTR_PERMISSIONS) |
      (atime === undefined ? 0 : SSH_FILEXFER_ATTR_ACMODTIME),
  );
  if (size !== undefined) writer.uint64(size);
  if (uid !== undefined && gid !== undefined) writer.uint32(uid).uint32(gid);
  if (permissions !== undefined) writer.uint32(permissions);
  if (atime !== undefined && mtime !== undefined) writer.uint32(wireTime(atime)).uint32(wireTime(mtime));
  return writer;
}

/** Times are unsigned 32-bit seconds on the wire; one before 1970 or after 2106 becomes the nearest of them. */
function wireTime(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), 0xffff_ffff);
}

/** `mode` of ten or eleven characters (ACL mark), then the count. */
const LS_LINE = /^[-bcdlpsDC][-rwxsStTlL]{9}[.+@ ]? *([0-9]{1,9}) /;

/** The link count in an `ls -l` line, at least 1; null when the line is of another form. */
export function linkCountOf(longname: ByteString): number | null {
  const count = Number(LS_LINE.exec(longname)?.[1] ?? 0);
  return count > 0 ? count : null;
}
