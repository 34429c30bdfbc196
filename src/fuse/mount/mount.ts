/**
 * Makes a FUSE mount and answers the descriptor that serves it. Who has CAP_SYS_ADMIN calls mount(2);
 * anyone else asks fusermount3.
 */
import { closeSync, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { logger } from '../../base/log.js';
import { S_IFMT } from '../../base/mode.js';
import { LibcError, mount, receiveDescriptor, socketPair } from '../libc.js';
import { MountError } from './errors.js';
import { explainHelper, findHelper, noDevice, noHelper, startHelper } from './helper.js';
import { helperOptions, type MountOptions, mountData, mountFlags } from './options.js';
import { mayMount } from './privileges.js';
import { unmountPath } from './unmount.js';

export type { MountOptions } from './options.js';

const log = logger('fuse:mount');

const DEVICE = '/dev/fuse';
/** Milliseconds for the helper to mount. */
const HELPER_TIMEOUT = 15_000;

export interface Mounted {
  /** Read requests and write replies here; whoever has it closes it. */
  readonly fd: number;
  readonly method: 'mount' | 'fusermount3';
  unmount(options: { readonly lazy: boolean }): Promise<void>;
}

/** Rejects with a `MountError`. The mount waits for FUSE_INIT: nothing may enter it before it is served. */
export async function mountFuse(options: MountOptions): Promise<Mounted> {
  const { mountpoint } = options;
  if (!mountpoint.startsWith('/') || mountpoint.includes('\0')) {
    throw new MountError('mount-failed', `the mount point ${mountpoint} is not an absolute path`);
  }
  const unmount = (how: { readonly lazy: boolean }) => unmountPath(mountpoint, how);
  if (mayMount()) return { fd: await mountDirectly(options), method: 'mount', unmount };
  const helper = await findHelper();
  if (helper === null) throw noHelper();
  return { fd: await mountByHelper(helper, options), method: 'fusermount3', unmount };
}

/** Opens /dev/fuse, which never blocks; or throws a `MountError` that says why not. */
export function openDevice(): number {
  try {
    return openSync(DEVICE, 'r+');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') throw noDevice(cause);
    if (code !== 'EACCES' && code !== 'EPERM') {
      throw new MountError('mount-failed', `${DEVICE} cannot be opened (${code})`, { cause });
    }
    const remedy =
      process.geteuid?.() === 0
        ? 'a container needs --device /dev/fuse'
        : 'as root: chmod 666 /dev/fuse, or add this user to the group that owns it';
    throw new MountError('device-permission', `${DEVICE} may not be opened by this user (${remedy})`, {
      cause,
    });
  }
}

async function modeOf(mountpoint: string): Promise<number> {
  try {
    return (await stat(mountpoint)).mode;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const remedy =
      code === 'ENOTCONN' ? 'a dead mount is there: unmount it first' : (code ?? 'unknown error');
    throw new MountError('mount-failed', `the mount point ${mountpoint} cannot be used (${remedy})`, {
      cause,
    });
  }
}

async function mountDirectly(options: MountOptions): Promise<number> {
  const { mountpoint, fsname, subtype } = options;
  const rootMode = (await modeOf(mountpoint)) & S_IFMT;
  const fd = openDevice();
  try {
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const data = mountData(options, { fd, rootMode, ...owner });
    log('mount %s at %s: flags %d, %s', fsname, mountpoint, mountFlags(options), data);
    await mount(fsname, mountpoint, `fuse.${subtype}`, mountFlags(options), data);
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw explainMount(cause, mountpoint);
  }
}

function explainMount(cause: unknown, mountpoint: string): unknown {
  if (!(cause instanceof LibcError)) return cause;
  if (cause.code === 'ENODEV') return noDevice(cause);
  const reason =
    cause.code === 'EPERM'
      ? 'the kernel does not permit it; a container needs --cap-add SYS_ADMIN'
      : `the kernel answers ${cause.code}`;
  return new MountError('mount-failed', `cannot mount at ${mountpoint}: ${reason}`, { cause });
}

async function mountByHelper(program: string, options: MountOptions): Promise<number> {
  // Asked first, because the helper's own complaint does not say what to do.
  closeSync(openDevice());
  const [ours, theirs] = socketPair();
  try {
    const helper = startHelper(program, ['-o', helperOptions(options), '--', options.mountpoint], theirs);
    const deadline = setTimeout(() => helper.child.kill('SIGKILL'), HELPER_TIMEOUT);
    const { code, stderr } = await helper.exited.finally(() => clearTimeout(deadline));
    // The descriptor was sent before the helper ended, so it is here now or never comes.
    const fd = code === 0 ? receiveDescriptor(ours) : null;
    if (fd === null) throw explainHelper(stderr, options.mountpoint);
    return fd;
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}
