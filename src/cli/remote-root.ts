/**
 * Finding and checking the remote directory before anything is mounted: its absolute path, that it is a
 * directory and may be listed, and who the login is.
 */
import { ascii, type ByteString, decodeText } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { isDirectory } from '../base/mode.js';
import type { SftpClient } from '../sftp/client.js';
import { explain, type Operation } from '../sftp/explain.js';
import { CommandError, type ExitName } from './exit.js';

/** The exit for a remote directory that cannot be mounted, by the errno of the call that failed. */
export function remoteFailure(shown: string, error: FsError): CommandError {
  const [exit, what] = ((): [ExitName, string] => {
    switch (error.code) {
      case 'ENOENT':
        return ['remote-missing', 'no such directory on the server'];
      case 'ENOTDIR':
        return ['remote-not-directory', 'not a directory on the server'];
      case 'EACCES':
      case 'EPERM':
        return ['remote-permission', 'the server does not let you read it'];
      default:
        return ['failure', error.message];
    }
  })();
  return new CommandError(exit, `${shown}: ${what}`, { cause: error });
}

/** What REALPATH is asked for: the path a person typed, with `subdir` below it. */
export function requestedPath(directory: ByteString, subdir: ByteString | null): ByteString {
  const base = directory === '' ? '.' : directory;
  if (subdir === null) return ascii(base);
  return ascii(`${base}/${subdir.replace(/^\/+/, '')}`);
}

/** Runs one request; its failure becomes a CommandError about `shown`. */
async function attempt<T>(
  client: SftpClient,
  shown: string,
  operation: Operation,
  request: () => Promise<T>,
): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw remoteFailure(shown, await explain(client, error, operation));
  }
}

/** `~` and `~user` are the server's to expand; one that cannot is asked relative to the login's home. */
async function resolvePath(client: SftpClient, path: ByteString): Promise<ByteString> {
  if (!path.startsWith('~')) return client.realpath(path);
  if (client.has('expand-path@openssh.com')) return client.expandPath(path);
  if (path === '~' || path.startsWith('~/')) return client.realpath(ascii(`.${path.slice(1)}`));
  throw new FsError('ENOENT', 'the server cannot expand ~user');
}

/**
 * The absolute path of the directory to mount. With `check` it must be a directory that can be listed.
 * Throws a CommandError `remote-…`; `source` is what the person typed.
 */
export async function findRoot(
  client: SftpClient,
  source: string,
  path: ByteString,
  check: boolean,
): Promise<ByteString> {
  const root = await attempt(client, source, { op: 'lstat', path }, () => resolvePath(client, path));
  if (!root.startsWith('/')) {
    throw new CommandError('protocol', `${source}: the server resolves it to ${decodeText(root)}`);
  }
  if (!check) return root;
  const stats = await attempt(client, source, { op: 'lstat', path: root }, () => client.stat(root));
  if (stats.permissions !== undefined && !isDirectory(stats.permissions)) {
    throw remoteFailure(source, new FsError('ENOTDIR'));
  }
  const handle = await attempt(client, source, { op: 'opendir', path: root }, () => client.opendir(root));
  await client.close(handle);
  return root;
}

/** The login's numbers on the server: those of its home directory; null when the server does not say. */
export async function findLogin(
  client: SftpClient,
): Promise<{ readonly uid: number; readonly gid: number } | null> {
  try {
    const { uid, gid } = await client.stat(ascii('.'));
    return uid === undefined || gid === undefined ? null : { uid, gid };
  } catch {
    return null;
  }
}
