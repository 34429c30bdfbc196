/** From the options of a mount to what each layer wants to know: pure translations, seconds to milliseconds. */
import type { MountOptions } from '../config/parse.js';
import { FOREVER } from '../config/schema/recovery.js';
import type { Identity } from '../fs/identity.js';
import type { FsOptions } from '../fs/options.js';
import type { MountOptions as KernelMount } from '../fuse/mount/options.js';

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
    directIo: options.directIo,
    kernelCache: options.kernelCache,
    syncWrites: options.sshfsSync,
    syncReaddir: options.syncReaddir,
    checksRoot: !options.noCheckRoot,
    readOnly: options.readOnly,
    hardLinks: !options.disableHardlink,
    containSymlinks: options.containSymlinks,
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

export function identityOf(
  options: MountOptions,
  local: Identity['local'],
  remote: Identity['remote'],
): Identity {
  const { idmap, uid, gid, umask } = options;
  return { idmap, local, remote, uid, gid, umask };
}

/** `source` is what mount tables show unless `fsname` says otherwise. */
export function kernelMount(options: MountOptions, source: string, mountpoint: string): KernelMount {
  return {
    mountpoint,
    fsname: options.fsname ?? source,
    subtype: options.subtype,
    allowOther: options.allowOther,
    defaultPermissions: options.defaultPermissions,
    readOnly: options.readOnly,
    nosuid: !options.suid,
    nodev: !options.dev,
    noexec: !options.exec,
    noatime: options.noatime,
  };
}
