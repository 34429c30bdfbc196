/** `cache_dir`: where it is, whether it may be used, and whose files it keeps apart. */
import { realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { DirectoryRefused, prepareDirectory } from '../cache/disk/directory.js';
import type { MountOptions } from '../config/parse.js';
import { type ConnectSettings, expandHome } from '../ssh/settings.js';
import { withDeadline } from './deadline.js';
import { CommandError } from './exit.js';
import { liesIn } from './holders.js';

/** Milliseconds for looking at it: it may lie in a mount that is dead. */
const DEADLINE = 5000;

/**
 * The directory that `given` names, made where it was missing; relative ones are those of `directory`. Throws a
 * CommandError for one that others may write to, that cannot be written to, or that the mount would cover.
 */
export async function prepareCacheDirectory(
  given: string,
  mountpoint: string,
  env: NodeJS.ProcessEnv,
  uid: number,
  directory: string,
): Promise<string> {
  const path = resolve(directory, expandHome(given, env.HOME || homedir()));
  const refuse = (why: string) => new CommandError('usage', `cache_dir=${path} cannot be used: ${why}`);
  const prepare = async () => {
    await prepareDirectory(path, uid);
    return realpath(path);
  };
  const late = () => refuse('it does not answer');
  const real = await withDeadline(prepare(), DEADLINE, late).catch((error: unknown) => {
    if (error instanceof DirectoryRefused) throw refuse(error.message);
    throw error;
  });
  if (liesIn(real, mountpoint)) throw refuse('the mount would cover it');
  return real;
}

/**
 * What content belongs to, apart from the path on the server: the login, whom other files may be readable for than for
 * others, and the server, by its name and by its key where that is known. With `sftp_server` another program may see
 * other files, and what is shown of owners is part of the state that content is stored for.
 */
export function cacheOwner(
  settings: Pick<ConnectSettings, 'user' | 'host' | 'port' | 'hostKeyAlias' | 'directPort' | 'sftpServer'>,
  hostKey: string | null,
  { idmap, uid, gid, umask }: Pick<MountOptions, 'idmap' | 'uid' | 'gid' | 'umask'>,
): string {
  const { user, host, port, hostKeyAlias, directPort, sftpServer } = settings;
  const server = [hostKeyAlias?.toLowerCase() ?? host, directPort ?? port, hostKey, sftpServer];
  return JSON.stringify([user, ...server, idmap, uid, gid, umask]);
}
