/** From the options of a mount to what each layer wants to know: pure translations, seconds to milliseconds. */
import type { MountOptions } from '../config/parse.js';
import { FOREVER } from '../config/schema/recovery.js';
import { everyone, type IdMap, type IdPair, SAME_IDS, swapped, tabled } from '../fs/id-map.js';
import type { Identity } from '../fs/identity.js';
import type { Ids } from '../fs/operations.js';
import type { FsOptions } from '../fs/options.js';
import type { MountOptions as KernelMount } from '../fuse/mount/options.js';
import type { IdTables } from './id-tables.js';

const milliseconds = (seconds: number) => Math.round(seconds * 1000);

/** `dir_cache=no` trusts nothing; unless told otherwise, the kernel trusts as long as the filesystem does. */
export function fsOptions(options: MountOptions): FsOptions {
  const ttl = (seconds: number) => (options.dirCache ? milliseconds(seconds) : 0);
  return {
    statTtl: ttl(options.dcacheStatTimeout),
    linkTtl: ttl(options.dcacheLinkTimeout),
    dirTtl: ttl(options.dcacheDirTimeout),
    negativeTtl: ttl(options.negativeTimeout),
    entryTtl: milliseconds(options.entryTimeout ?? options.dcacheStatTimeout),
    attrTtl: milliseconds(options.attrTimeout ?? options.dcacheStatTimeout),
    maxCachedNames: options.dcacheMaxSize,
    cacheBytes: options.cacheSize,
    dirtyBytes: options.dirtyLimit,
    readAheadBytes: options.readahead,
    openTtl: ttl(options.acAttrTimeout),
    prefetch: options.prefetch,
    directIo: options.directIo,
    showsPermissions: options.uid === null && options.gid === null && options.umask === null,
    kernelCache: options.kernelCache,
    // What a name leads to is not known before the server was asked.
    posts: options.durability === 'async' && !options.followSymlinks,
    syncWrites: options.sshfsSync || options.sync,
    syncReaddir: options.syncReaddir,
    checksRoot: !options.noCheckRoot,
    readOnly: options.readOnly,
    hardLinks: !options.disableHardlink,
    containSymlinks: options.containSymlinks,
    transformSymlinks: options.transformSymlinks,
    followSymlinks: options.followSymlinks,
  };
}

/** Milliseconds that a call waits while the server cannot be reached; infinity for ever. */
export function patience({ timeout }: Pick<MountOptions, 'timeout'>): number {
  return timeout >= FOREVER ? Number.POSITIVE_INFINITY : milliseconds(timeout);
}

/**
 * Milliseconds without an answer after which a channel is given up: as long as the connection itself may be
 * silent, and a minute where nothing is said about that.
 */
export function requestTimeout({
  serverAliveInterval,
  serverAliveCountMax,
}: Pick<MountOptions, 'serverAliveInterval' | 'serverAliveCountMax'>): number {
  return serverAliveInterval === 0 ? 60_000 : milliseconds(serverAliveInterval * serverAliveCountMax);
}

/** Who is who: the person who mounts, the login on the server, and what else `idmap` needs. */
export interface People {
  readonly local: Ids;
  /** Null when it could not be found out. */
  readonly login: Ids | null;
  /** For `idmap=file`; null for a kind without a file. */
  readonly tables: IdTables;
  /** For `idmap=name`. */
  readonly names: { readonly users: IdMap; readonly groups: IdMap } | null;
}

export function identityOf(options: MountOptions, people: People): Identity {
  const { idmap, uid, gid, umask } = options;
  const { local, login, tables, names } = people;
  const map = (id: keyof Ids, kind: keyof IdTables, fixed: number | null): IdMap => {
    const under = mapOf(
      idmap,
      { local: local[id], remote: login?.[id] ?? null },
      tables[kind],
      options.nomap,
    );
    const base = names?.[kind] ?? under;
    return fixed === null ? base : everyone(fixed, base);
  };
  return {
    users: map('uid', 'users', uid),
    groups: map('gid', 'groups', gid),
    login: idmap === 'user' ? login : null,
    givesAway: options.allowOther && uid === null && login?.uid === 0,
    umask,
  };
}

function mapOf(
  idmap: MountOptions['idmap'],
  { local, remote }: { readonly local: number; readonly remote: number | null },
  table: readonly IdPair[] | null,
  nomap: MountOptions['nomap'],
): IdMap {
  if (idmap === 'user' && remote !== null) return swapped(local, remote);
  if (idmap === 'file' && table !== null) return tabled(table, nomap === 'error');
  return SAME_IDS;
}

/** `source` is what mount tables show unless `fsname` says otherwise. */
export function kernelMount(options: MountOptions, source: string, mountpoint: string): KernelMount {
  return {
    mountpoint,
    fsname: options.fsname ?? source,
    subtype: options.subtype,
    allowOther: options.allowOther || options.allowRoot,
    defaultPermissions: options.defaultPermissions,
    readOnly: options.readOnly,
    nosuid: !options.suid,
    nodev: !options.dev,
    noexec: !options.exec,
    noatime: options.noatime,
    sync: options.sync,
    dirsync: options.dirsync,
  };
}
