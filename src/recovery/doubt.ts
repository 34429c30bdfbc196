/**
 * Had it happened? A session was lost before the server answered, and what was asked cannot simply be asked
 * again: a second mkdir would meet the directory of the first, and a program would hear of an EEXIST that is
 * none. Each of these looks at the new session for what the first try would have left behind. They are the best
 * answers that SFTP allows, not proof: another machine may have made the very same thing in that moment.
 */
import type { ByteString } from '../base/bytes.js';
import { isDirectory, isRegular } from '../base/mode.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';
import { SSH_FX_NO_SUCH_FILE } from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';
import type { Verdict } from './call.js';
import { openExisting } from './handles.js';

/** Null for a name that does not exist. */
async function look(client: SftpClient, path: ByteString): Promise<SftpAttributes | null> {
  try {
    return await client.lstat(path);
  } catch (error) {
    if (error instanceof SftpStatusError && error.code === SSH_FX_NO_SUCH_FILE) return null;
    throw error;
  }
}

const DONE: Verdict<void> = { done: undefined };
const happened = (is: boolean): Verdict<void> => (is ? DONE : 'not done');

/** REMOVE, RMDIR: the name is gone. */
export async function isGone(client: SftpClient, path: ByteString): Promise<Verdict<void>> {
  return happened((await look(client, path)) === null);
}

/** MKDIR: there is a directory. */
export async function isMade(client: SftpClient, path: ByteString): Promise<Verdict<void>> {
  return happened(isDirectory((await look(client, path))?.permissions ?? 0));
}

/** SYMLINK: there is a link with that target. */
export async function isLinked(
  client: SftpClient,
  path: ByteString,
  target: ByteString,
): Promise<Verdict<void>> {
  try {
    return happened((await client.readlink(path)) === target);
  } catch (error) {
    if (error instanceof SftpStatusError) return 'not done';
    throw error;
  }
}

/** hardlink@openssh.com: both names show one file. */
export async function isTwin(
  client: SftpClient,
  existing: ByteString,
  name: ByteString,
): Promise<Verdict<void>> {
  const [from, to] = await Promise.all([look(client, existing), look(client, name)]);
  return happened(from !== null && to !== null && looksAlike(from, to));
}

/** RENAME: the old name is gone and the new one is there. When both are there, the first try did nothing. */
export async function isRenamed(
  client: SftpClient,
  from: ByteString,
  to: ByteString,
): Promise<Verdict<void>> {
  const [source, target] = await Promise.all([look(client, from), look(client, to)]);
  return happened(source === null && target !== null);
}

/** OPEN with EXCL: there is an empty file that looks like the one we asked for; it is opened as what it is. */
export async function isCreated(
  client: SftpClient,
  path: ByteString,
  pflags: number,
  { permissions }: SftpAttributes,
): Promise<Verdict<SftpHandle>> {
  const found = await look(client, path);
  if (found === null || found.size !== 0 || !isRegular(found.permissions ?? 0)) return 'not done';
  // A umask takes bits away and adds none.
  const isOurs = permissions === undefined || ((found.permissions ?? 0) & 0o777 & ~permissions) === 0;
  return isOurs ? { done: await openExisting(client, path, pflags) } : 'not done';
}

function looksAlike(a: SftpAttributes, b: SftpAttributes): boolean {
  return (
    a.size === b.size &&
    a.mtime === b.mtime &&
    a.permissions === b.permissions &&
    a.uid === b.uid &&
    a.gid === b.gid
  );
}
