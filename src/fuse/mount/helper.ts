/**
 * fusermount3 (package fuse3), the set-user-id program through which a plain user mounts and unmounts. It
 * opens the device, mounts, and sends the descriptor over the socket that `_FUSE_COMMFD` names. Programs are
 * started with argument arrays and a bare environment; a mount point always stands behind `--`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { logger } from '../../base/log.js';
import { MountError } from './errors.js';
import { othersForbidden } from './privileges.js';

const log = logger('fuse:mount');

/** Distributions put programs here, and a service's PATH may lack them. */
export const SYSTEM_PATH: readonly string[] = ['/usr/bin', '/bin', '/usr/local/bin', '/usr/sbin', '/sbin'];

/** Longest text kept of what the helper says. */
const MAX_STDERR = 4096;

/** The absolute path of a program in PATH or where distributions put it, or null. */
export async function findProgram(name: string, path = process.env.PATH ?? ''): Promise<string | null> {
  for (const directory of [...path.split(delimiter).filter(isAbsolute), ...SYSTEM_PATH]) {
    const candidate = join(directory, name);
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return null;
}

/** The helper's absolute path: fusermount3, or else the fusermount of libfuse 2. */
export async function findHelper(path?: string): Promise<string | null> {
  return (await findProgram('fusermount3', path)) ?? (await findProgram('fusermount', path));
}

export interface Helper {
  readonly child: ChildProcess;
  /** Exit code (null: a signal ended it) and what it said. */
  readonly exited: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

/** Starts the helper; `socket`, when given, becomes its descriptor 3. */
export function startHelper(program: string, args: readonly string[], socket?: number): Helper {
  log('%s %o', program, args);
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])],
    env: {
      PATH: SYSTEM_PATH.join(delimiter),
      LC_ALL: 'C',
      ...(socket === undefined ? {} : { _FUSE_COMMFD: '3' }),
    },
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, MAX_STDERR);
  });
  const exited = new Promise<{ code: number | null; stderr: string }>((resolve, reject) => {
    child.on('error', (cause) =>
      reject(new MountError('helper-failed', `${program} cannot be started: ${cause.message}`, { cause })),
    );
    child.on('close', (code) => resolve({ code, stderr: stderr.trim() }));
  });
  return { child, exited };
}

/** What the helper's complaint means for the person who mounts or unmounts `mountpoint`. */
export function explainHelper(stderr: string, mountpoint: string): MountError {
  const line = stderr.split('\n').find((text) => text.startsWith('fusermount')) ?? stderr;
  const reason = line.replace(/^fusermount3?:\s*/, '') || 'it gave no reason';
  if (/user_allow_other/.test(reason)) return othersForbidden();
  if (/device not found/.test(reason)) return noDevice();
  if (/Device or resource busy/.test(reason)) {
    return new MountError('busy', `${mountpoint} is in use`);
  }
  if (
    /not mounted|not found in|Invalid argument/.test(reason) &&
    /unmount|not mounted|not found/.test(reason)
  ) {
    return new MountError('not-mounted', `${mountpoint} is not mounted, or not by this user`);
  }
  if (/Operation not permitted/.test(reason)) {
    return new MountError(
      'helper-failed',
      `fusermount3 may not mount here: ${reason} (is it set-user-id root, and does a container have CAP_SYS_ADMIN?)`,
    );
  }
  return new MountError('helper-failed', `fusermount3: ${reason}`);
}

export function noDevice(cause?: unknown): MountError {
  return new MountError(
    'no-device',
    '/dev/fuse is missing: load the kernel module with "modprobe fuse" ' +
      '(a container needs --device /dev/fuse and --cap-add SYS_ADMIN)',
    { cause },
  );
}

export function noHelper(program = 'fusermount3'): MountError {
  return new MountError(
    'no-helper',
    `${program} is missing, and only root can mount without it: install the package fuse3`,
  );
}
