/** Whose files are these, and what are they? Pure rules that translate between SFTP's attributes and ours. */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../base/mode.js';
import { NAME_MAX } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { StatVfs } from '../sftp/extensions.js';
import type { IdMap } from './id-map.js';
import type { Attributes, FileSystemStats, Ids } from './operations.js';

/** The types of stat(2). The kernel refuses a directory that shows any other. */
const TYPES: ReadonlySet<number> = new Set([S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO]);
/** Size of a block where a server states none that a program could count with, and the largest of those. */
const BLOCK = 4096;
const LARGEST_BLOCK = 2 ** 30;

export interface Identity {
  readonly users: IdMap;
  readonly groups: IdMap;
  /** The login on the server, where files of its own are told from others; null when it could not be found out. */
  readonly login: Ids | null;
  /** What a local user creates shall belong to that user: others use the mount, and the login may give files away. */
  readonly givesAway: boolean;
  /** `umask=`: every file appears with the permissions that it leaves. */
  readonly umask: number | null;
}

/** Must this file not be shown, since one of its owners has no number here (nomap=error)? */
export function isHidden({ users, groups }: Identity, { uid = 0, gid = 0 }: SftpAttributes): boolean {
  return users.hides(uid) || groups.hides(gid);
}

/**
 * Attributes as a program sees them. SFTP v3 has whole seconds and no change time (mtime stands in) and no
 * link count; `nlink` comes from a listing, or 1. A server that omits permissions gets a plain file's; a type that
 * Linux does not have (a door, or nonsense) is shown as a socket, which nobody can open.
 */
export function toAttributes(identity: Identity, remote: SftpAttributes, nlink: number): Attributes {
  const permissions = remote.permissions ?? 0o644;
  const type = typeOf(permissions);
  const size = remote.size ?? (type === S_IFDIR ? 4096 : 0);
  const bits = identity.umask === null ? permissions & 0o7777 : 0o777 & ~identity.umask;
  const mtime = remote.mtime ?? 0;
  return {
    mode: type | bits,
    size,
    uid: identity.users.toLocal(remote.uid ?? 0),
    gid: identity.groups.toLocal(remote.gid ?? 0),
    atime: remote.atime ?? mtime,
    mtime,
    ctime: mtime,
    nlink,
  };
}

function typeOf(permissions: number): number {
  const type = permissions & S_IFMT;
  if (type === 0) return S_IFREG;
  return TYPES.has(type) ? type : S_IFSOCK;
}

/** statvfs(3) as programs can count with it: no block of zero bytes, no more free than there is. */
export function toStats(stats: StatVfs): FileSystemStats {
  const unit = (size: number) => (size > 0 && size <= LARGEST_BLOCK ? size : BLOCK);
  const { blocks, files, namemax } = stats;
  return {
    bsize: unit(stats.bsize || stats.frsize),
    frsize: unit(stats.frsize || stats.bsize),
    blocks,
    bfree: Math.min(stats.bfree, blocks),
    bavail: Math.min(stats.bavail, blocks),
    files,
    ffree: Math.min(stats.ffree, files),
    namemax: Math.min(namemax || NAME_MAX, NAME_MAX),
  };
}
