/**
 * What the suites run on: a plain directory (the oracle), a mount of the embedded server, and mounts of
 * OpenSSH as root and as a plain user. Each has a directory to work in and the same one on the server's disk.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dropbear } from './dropbear.js';
import { startEmbedded } from './embedded.js';
import { type Mounted, Remora } from './remora.js';
import type { Identity } from './run.js';
import { Scope } from './scope.js';
import type { Server } from './server.js';
import { Sshd } from './sshd.js';
import { createUser, isRoot } from './user.js';

export interface Backend {
  readonly scope: Scope;
  /** Where programs work. */
  readonly directory: string;
  /** The same directory without a mount in between. */
  readonly disk: string;
  /** Whom programs run as; absent means as this process. */
  readonly as?: Identity;
  /** Absent for the plain directory. */
  readonly mounted?: Mounted;
  readonly remora?: Remora;
  readonly server?: Server;
  /** What of the server is mounted. */
  readonly exported?: string;
  /** Values of `-o` that it is mounted with. */
  readonly options?: readonly string[];
  /** What others do on the server shows by itself. */
  readonly isWatched?: boolean;
}

export interface BackendKind {
  readonly name: string;
  /** The user id that programs run with, as far as permissions matter. */
  readonly privileged: boolean;
  open(label: string): Promise<Backend>;
}

const native = (asUser: boolean): BackendKind => ({
  name: asUser ? 'a plain directory, as a plain user' : 'a plain directory',
  privileged: isRoot && !asUser,
  async open(label) {
    const scope = await Scope.open(label);
    const as = asUser ? await createUser(scope) : undefined;
    const directory = await scope.makeDirectory('disk', as);
    return { scope, directory, disk: directory, ...(as ? { as } : {}) };
  },
});

/** Every cache as small as it can be, nothing trusted for any time, everything over one connection. */
const TIGHTEST: readonly string[] = [
  'cache_size=1M,dirty_limit=1M,readahead=0,dcache_max_size=1,dir_cache=no',
  'attr_timeout=0,entry_timeout=0,negative_timeout=0,max_conns=1',
];

/** Caches larger than anything a test makes, over four connections. */
const WIDEST: readonly string[] = [
  'cache_size=4G,dirty_limit=1G,readahead=1G,dcache_max_size=1000000,max_conns=4',
];

const embedded = (variant = '', options: readonly string[] = []): BackendKind => ({
  name: `the embedded server${variant}`,
  privileged: isRoot,
  async open(label) {
    const scope = await Scope.open(label);
    const disk = await scope.makeDirectory('disk');
    const server = await startEmbedded(scope, disk);
    const remora = await Remora.create(scope);
    const exported = '/';
    const mounted = await remora.mount(server, exported, { options });
    return { scope, directory: mounted.directory, disk, mounted, remora, server, exported, options };
  },
});

const openssh = (
  asUser: boolean,
  variant = '',
  options: readonly string[] = [],
  config: readonly string[] = [],
): BackendKind => ({
  name: `OpenSSH${asUser ? ', as a plain user' : ''}${variant}`,
  privileged: isRoot && !asUser,
  async open(label) {
    const scope = await Scope.open(label);
    const as = asUser ? await createUser(scope) : undefined;
    const disk = await scope.makeDirectory('disk', as);
    const server = await Sshd.start(scope, { config, ...(as ? { user: as.name } : {}) });
    const remora = await Remora.create(scope, as);
    const mounted = await remora.mount(server, disk, { options });
    return {
      scope,
      directory: mounted.directory,
      disk,
      mounted,
      remora,
      server,
      exported: disk,
      options,
      ...(as ? { as } : {}),
    };
  },
});

/** The server of small devices, whose windows are small; only root can run it. */
const dropbear: BackendKind = {
  name: 'Dropbear',
  privileged: false,
  async open(label) {
    const scope = await Scope.open(label);
    const as = await createUser(scope);
    const disk = await scope.makeDirectory('disk', as);
    const server = await Dropbear.start(scope, { user: as });
    const remora = await Remora.create(scope, as);
    const mounted = await remora.mount(server, disk);
    return { scope, directory: mounted.directory, disk, mounted, remora, server, exported: disk, as };
  },
};

export const DROPBEAR_BACKENDS: readonly BackendKind[] = isRoot ? [dropbear] : [];

/** Everything there is for whoever runs the tests: only root can make a further user. */
export const ALL_BACKENDS: readonly BackendKind[] = isRoot
  ? [native(false), native(true), embedded(), openssh(false), openssh(true)]
  : [native(false), embedded(), openssh(false)];

/** A server that wants new keys after each mebibyte. */
export const REKEYING: BackendKind = openssh(false, ' with new keys all the time', [], ['RekeyLimit 1M']);

/** The ssh program in the place of the built-in transport. */
export const PROGRAM_BACKEND: BackendKind = openssh(false, ' by the ssh program', ['transport=openssh']);

/** Mounts at both ends of what can be set. */
export const EXTREME_BACKENDS: readonly BackendKind[] = [
  embedded(' with the tightest caches', TIGHTEST),
  openssh(false, ' with the tightest caches', TIGHTEST),
  openssh(false, ' with the widest caches', WIDEST),
];

/** Mounts that answer before the server has confirmed. */
export const ASYNC_BACKENDS: readonly BackendKind[] = [
  embedded(' with durability=async', ['durability=async']),
  openssh(false, ' with durability=async', ['durability=async']),
];

/** A mount that watches the server and keeps content on this machine's disk; what is not watched yet is soon old. */
const watched = (variant: string, options: readonly string[]): BackendKind => ({
  name: `OpenSSH with watch and cache_dir${variant}`,
  privileged: isRoot,
  async open(label) {
    const cache = await mkdtemp(join(tmpdir(), 'remora-cache-'));
    const all = ['watch=inotify,dcache_timeout=2', `cache_dir=${cache}`, ...options];
    const backend = await openssh(false, '', all).open(label);
    backend.scope.defer('cache', () => rm(cache, { recursive: true }));
    return { ...backend, isWatched: true };
  },
});

/** Mounts that show what others do on the server. */
export const WATCHED_BACKENDS: readonly BackendKind[] = [
  watched('', []),
  watched(' and durability=async', ['durability=async']),
];

/** The mounts of a real sshd. */
export const OPENSSH_BACKENDS: readonly BackendKind[] = isRoot
  ? [openssh(false), openssh(true)]
  : [openssh(false)];

/** The portable driver; cases that wait for a cache to run out need not wait for long. */
const LIBFUSE: readonly string[] = ['driver=libfuse,dcache_timeout=2'];

/** The portable driver in the place of the built-in one, as whoever runs the tests and as a plain user. */
export const LIBFUSE_BACKENDS: readonly BackendKind[] = [
  embedded(' through libfuse', LIBFUSE),
  ...(isRoot ? [openssh(true, ' through libfuse', LIBFUSE)] : []),
];

/** Ends a backend: an orderly unmount that checks the gauges, then everything else. */
export async function closeBackend(backend: Backend): Promise<void> {
  try {
    await backend.mounted?.unmount();
  } finally {
    await backend.scope.close();
  }
}

/** The same backend after an unmount and a new mount, with nothing left in any cache. */
export async function remounted(backend: Backend): Promise<Backend> {
  const { mounted, remora, server, exported, options = [] } = backend;
  if (!mounted || !remora || !server || exported === undefined) throw new Error('this backend has no mount');
  await mounted.unmount();
  const again = await remora.mount(server, exported, { options });
  return { ...backend, mounted: again, directory: again.directory };
}
