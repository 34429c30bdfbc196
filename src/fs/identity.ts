/**
 * Whose files are these? Pure rules that translate between the server's user and group numbers and what
 * local programs see, and between SFTP's attributes and ours.
 */
import { S_IFDIR, S_IFMT, S_IFREG } from '../base/mode.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { Attributes } from './operations.js';

export interface Identity {
  /** `user`: the login's files appear as the local user's; `none`: the server's numbers as they are. */
  readonly idmap: 'none' | 'user';
  /** The person who mounted. */
  readonly local: { readonly uid: number; readonly gid: number };
  /** The login on the server; null when it could not be found out. */
  readonly remote: { readonly uid: number; readonly gid: number } | null;
  /** `uid=`, `gid=`, `umask=`: every file appears with these. */
  readonly uid: number | null;
  readonly gid: number | null;
  readonly umask: number | null;
}

type Kind = 'uid' | 'gid';

/** The owner number a program sees for the server's `id`. */
export function toLocalId(identity: Identity, kind: Kind, id: number): number {
  const fixed = identity[kind];
  if (fixed !== null) return fixed;
  if (identity.idmap === 'user' && id === identity.remote?.[kind]) return identity.local[kind];
  return id;
}

/** The server's number for the owner a program asks for in chown(2). */
export function toRemoteId(identity: Identity, kind: Kind, id: number): number {
  const mapped = identity.idmap === 'user' && identity.remote !== null;
  return mapped && id === identity.local[kind] ? (identity.remote?.[kind] ?? id) : id;
}

/**
 * Attributes as a program sees them. SFTP v3 has whole seconds and no change time (mtime stands in) and no
 * link count; `nlink` comes from a listing, or 1. A server that omits permissions gets a plain file's.
 */
export function toAttributes(identity: Identity, remote: SftpAttributes, nlink: number): Attributes {
  const permissions = remote.permissions ?? 0o644;
  const type = permissions & S_IFMT || S_IFREG;
  const size = remote.size ?? (type === S_IFDIR ? 4096 : 0);
  const bits = identity.umask === null ? permissions & 0o7777 : 0o777 & ~identity.umask;
  const mtime = remote.mtime ?? 0;
  return {
    mode: type | bits,
    size,
    uid: toLocalId(identity, 'uid', remote.uid ?? 0),
    gid: toLocalId(identity, 'gid', remote.gid ?? 0),
    atime: remote.atime ?? mtime,
    mtime,
    ctime: mtime,
    nlink,
  };
}
