/** Mounts through libfuse and serves: all that a program needs beside a filesystem. */
import { closeSync, fstatSync, readdirSync } from 'node:fs';
import { logger } from '../base/log.js';
import type { Operations } from '../fs/operations.js';
import { closeOnExec } from '../fuse/libc.js';
import { MountError } from '../fuse/mount/errors.js';
import { findProgram, noHelper } from '../fuse/mount/helper.js';
import { openDevice } from '../fuse/mount/mount.js';
import { isMountPoint } from '../fuse/mount/mounts.js';
import { unmountPath } from '../fuse/mount/unmount.js';
import { type FuseNative as Fuse, loadFuseNative } from './addon.js';
import { type LibfuseOptions, libfuseArgument, type Machine } from './options.js';
import { threadEnd } from './serving-thread.js';
import { LibfuseSession } from './session.js';
import { allowSingleTimes } from './single-times.js';

const log = logger('libfuse');

/** Milliseconds for libfuse and the kernel to agree. */
const READY_TIMEOUT = 15_000;

/**
 * Mounts and starts serving; `session.ready` tells when the kernel has agreed. Rejects with a `MountError`. libfuse
 * says on standard error what it does not like.
 */
export async function serveLibfuse(options: LibfuseOptions, operations: Operations): Promise<LibfuseSession> {
  const machine: Machine = { platform: process.platform, isRoot: process.geteuid?.() === 0 };
  const { FuseNative, isOwnLibfuse } = loadFuseNative();
  const argument = libfuseArgument(options, machine);
  if (machine.platform === 'linux') await mustBeAllowed(machine);

  const session = new LibfuseSession(operations);
  const fuse = new FuseNative(options.mountpoint, session.callbacks(), { timeout: false });
  fuse._fuseOptions = () => argument;
  fuse._handlers = fuse._handlers.map((handler) =>
    handler === undefined
      ? undefined
      : (native, ...rest) => session.during(native, () => handler(native, ...rest)),
  );
  log('mount %s: %s', options.mountpoint, argument);
  try {
    await mounted(fuse);
  } catch (cause) {
    // Made, perhaps, and not served.
    if (await isMountPoint(options.mountpoint)) await unmountPath(options.mountpoint, { lazy: true });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MountError('mount-failed', `libfuse cannot mount at ${options.mountpoint}: ${why}`, { cause });
  }
  keepDescriptors();
  const single = isOwnLibfuse && allowSingleTimes(fuse._thread);
  if (!single) log('this libfuse ignores changes of one time alone');
  session.serve();
  void threadEnd(fuse._thread).then(() => session.end('unmounted'));
  return session;
}

/** What libfuse would only complain of on standard error is looked at before. */
async function mustBeAllowed({ isRoot }: Machine): Promise<void> {
  closeSync(openDevice());
  if (isRoot) return;
  // By this name alone does libfuse 2 look for it; fuse3 brings a link of that name.
  if ((await findProgram('fusermount')) === null) throw noHelper('fusermount');
}

/**
 * libfuse 2.9 opens its device without O_CLOEXEC: a program that inherited it would keep the mount alive, and its
 * users waiting, when this process has gone. No other character device of ours is meant for anybody else either.
 */
function keepDescriptors(): void {
  for (const fd of readdirSync('/dev/fd').map(Number)) {
    if (fd <= 2) continue;
    try {
      if (fstatSync(fd).isCharacterDevice()) closeOnExec(fd);
    } catch {
      // The one that has just read the directory.
    }
  }
}

/** fuse-native's `mount` calls back when the kernel's first request has come. */
function mounted(fuse: Fuse): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the kernel does not answer')), READY_TIMEOUT);
    fuse.mount((error) => {
      clearTimeout(timer);
      if (error === null) resolve();
      else reject(error);
    });
  });
}
