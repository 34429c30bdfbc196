/** Chooses who speaks with the kernel, and mounts. The portable driver is loaded only where it is asked for. */
import { logger } from '../base/log.js';
import type { MountOptions } from '../config/parse.js';
import type { Operations } from '../fs/operations.js';
import { type KernelSession, serveFuse } from '../fuse/driver.js';
import { mountFuse } from '../fuse/mount/mount.js';
import { unmountPath } from '../fuse/mount/unmount.js';
import type { Job } from './ipc.js';
import { kernelMount } from './wiring.js';

const log = logger('mount');

/** Who speaks with the kernel: this program itself, or libfuse. */
export type Driver = 'direct' | 'libfuse';

/** A mount that is served. */
export interface ServedMount {
  readonly session: KernelSession;
  readonly driver: Driver;
  unmount(options: { readonly lazy: boolean }): Promise<void>;
}

/** The driver of a mount: the kernel's protocol itself is Linux's. */
export function driverOf(
  { driver }: Pick<MountOptions, 'driver'>,
  platform: NodeJS.Platform = process.platform,
): Driver {
  if (driver !== 'auto') return driver;
  return platform === 'linux' ? 'direct' : 'libfuse';
}

/** Mounts and starts serving. `isStalled` tells whether the server fails to answer at this moment. */
export async function serve(
  { options, source, mountpoint }: Job,
  operations: Operations,
  isStalled: () => boolean,
): Promise<ServedMount> {
  const mount = kernelMount(options, source, mountpoint);
  if (driverOf(options) === 'direct') {
    const mounted = await mountFuse(mount);
    const owner = process.getuid?.() ?? 0;
    const session = serveFuse({
      fd: mounted.fd,
      operations,
      isStalled,
      // The kernel keeps targets until it is told that they changed, which may be a moment too late.
      init: { cacheSymlinks: options.dirCache && options.dcacheLinkTimeout > 0 },
      ...(options.allowRoot ? { admits: (uid: number) => uid === 0 || uid === owner } : {}),
    });
    log('mounted by %s', mounted.method);
    return { unmount: mounted.unmount, driver: 'direct', session };
  }
  const { serveLibfuse } = await import('../libfuse/driver.js');
  // Nothing tells this kernel of changes, so it asks unless told otherwise; the filesystem's own caches answer.
  const { attrTimeout, entryTimeout, allowRoot } = options;
  const lifetimes = { attrTimeout: attrTimeout ?? 0, entryTimeout: entryTimeout ?? 0 };
  const session = await serveLibfuse({ ...mount, ...lifetimes, allowRoot }, operations);
  return { session, driver: 'libfuse', unmount: (how) => unmountPath(mountpoint, how) };
}
