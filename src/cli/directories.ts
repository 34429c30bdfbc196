/**
 * Where Remora keeps what lives beside a mount: control sockets and locks in the user's runtime directory, log
 * files in the state directory. Both are private to the user, and a directory in /tmp that somebody else prepared
 * is refused rather than used.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, statSync } from 'node:fs';
import { chmod, lstat, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from './exit.js';

/** `sun_path` of unix(7) holds 108 bytes, the last a NUL. */
const SOCKET_PATH_MAX = 107;

/** Twelve hex digits that stand for a mount point in file names. */
export function mountHash(mountpoint: string): string {
  return createHash('sha256').update(mountpoint).digest('hex').slice(0, 12);
}

/** `<hash>-<pid>.sock`: the pid keeps a mount that is still ending apart from its successor at the place. */
export function socketName(mountpoint: string, pid: number): string {
  return `${mountHash(mountpoint)}-${pid}.sock`;
}

/** Held by the serving process for its whole life: who waits for this lock learns of its end. */
export function lifeLockName(mountpoint: string, pid: number): string {
  return `${mountHash(mountpoint)}-${pid}.lock`;
}

/** Held by whoever mounts at a mount point or clears it, for as long as that takes. */
export function placeLockName(mountpoint: string): string {
  return `${mountHash(mountpoint)}.lock`;
}

/** Where a login of anybody's has its runtime directory (pam_systemd(8)). */
const SESSION_DIRECTORY = /^\/run\/user\/\d+\/*$/;

/**
 * The directory of the control sockets; short enough that every socket in it can be bound. Root's mounts are made by
 * mount(8) and by services as well as from a login, outlive the login, and are to be found from all of them: they are
 * not in the directory of a session, least of all in that of the user who has become root by su(1).
 */
export function runtimeDirectory(env: NodeJS.ProcessEnv, uid: number): string {
  const base = env.XDG_RUNTIME_DIR;
  if (base?.startsWith('/') && !(uid === 0 && SESSION_DIRECTORY.test(base))) {
    const path = join(base, 'remora');
    const longest = join(path, `${'0'.repeat(12)}-4194304.sock`);
    if (Buffer.byteLength(longest) <= SOCKET_PATH_MAX) return path;
  }
  return (uid === 0 ? ownRun() : null) ?? `/tmp/remora-${uid}`;
}

/**
 * Root's place, which nobody else can take first, as everybody could in /tmp, so that no mount of root's would come
 * about. Null where /run is not root's to write: for the root of a user namespace, or on a machine without it.
 */
function ownRun(): string | null {
  try {
    accessSync('/run', constants.W_OK);
    const { uid, mode } = statSync('/run');
    return uid === 0 && (mode & 0o022) === 0 ? '/run/remora' : null;
  } catch {
    return null;
  }
}

/** The log file of the mount at `mountpoint`. */
export function logFile(env: NodeJS.ProcessEnv, mountpoint: string): string {
  const base = env.XDG_STATE_HOME;
  const state = base?.startsWith('/') ? base : join(homedir(), '.local', 'state');
  return join(state, 'remora', `${mountHash(mountpoint)}.log`);
}

/**
 * Creates `path` for this user alone. What exists already must be a directory (no symlink) of `uid` that
 * nobody else may enter; our own with wider permissions is narrowed.
 */
export async function ensurePrivateDirectory(path: string, uid: number): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stats = await lstat(path);
  if (!stats.isDirectory() || stats.uid !== uid) {
    throw new CommandError('failure', `${path} is not a directory of yours; remove it and try again`);
  }
  if ((stats.mode & 0o077) !== 0) await chmod(path, 0o700);
}

/** May what lies in `path` be believed? Only in a directory of `uid` that nobody else may enter. */
export async function isPrivateDirectory(path: string, uid: number): Promise<boolean> {
  const stats = await lstat(path).catch(() => null);
  return stats?.isDirectory() === true && stats.uid === uid && (stats.mode & 0o077) === 0;
}
