/** The extended requests of the embedded server; each that is not on offer is answered as unsupported. */
import { type FileHandle, link, rename } from 'node:fs/promises';
import { ascii, type ByteString } from '../base/bytes.js';
import {
  COPY_DATA,
  EXPAND_PATH,
  FSTATVFS,
  FSYNC,
  HARDLINK,
  HOME_DIRECTORY,
  LIMITS,
  LSETSTAT,
  MAX_DATA,
  POSIX_RENAME,
  SSH_FX_FAILURE,
  SSH_FX_NO_SUCH_FILE,
  SSH_FX_OK,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FXP_EXTENDED_REPLY,
  STATVFS,
  USERS_GROUPS_BY_ID,
} from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';
import { type ExtendedRequest, encodeLimits, encodeStatVfs, encodeUsersGroups } from '../sftp/extensions.js';
import type { Reply } from '../sftp/replies.js';
import type { Answers } from './answers.js';
import { changeLink } from './changes.js';
import { done, name, status } from './results.js';
import { statvfsOf } from './statvfs.js';

export async function answerExtended(answers: Answers, request: ExtendedRequest): Promise<Reply> {
  const { paths, accounts, user, extensions, limits } = answers.service;
  if (!extensions.has(request.extension)) return status(SSH_FX_OP_UNSUPPORTED);
  switch (request.extension) {
    case POSIX_RENAME:
      return done(rename(paths.toHost(request.oldpath), paths.toHost(request.newpath)));
    case HARDLINK:
      return done(link(paths.toHost(request.oldpath), paths.toHost(request.newpath)));
    case STATVFS:
      return extendedReply(encodeStatVfs(await statvfsOf(paths.toHost(request.path))));
    case FSTATVFS: {
      const { fd } = answers.handles.file(request.handle);
      return extendedReply(encodeStatVfs(await statvfsOf(Buffer.from(`/proc/self/fd/${fd}`))));
    }
    case FSYNC:
      return done(answers.handles.file(request.handle).sync());
    case LSETSTAT:
      return done(changeLink(paths.toHost(request.path), request.attrs));
    case LIMITS:
      return extendedReply(encodeLimits(limits));
    case EXPAND_PATH:
      return name(paths.realpath(expanded(request.path, user)));
    case COPY_DATA:
      return copyData(answers, request);
    case HOME_DIRECTORY:
      return name(homeOf(request.username, user));
    case USERS_GROUPS_BY_ID:
      return extendedReply(
        encodeUsersGroups({
          users: request.uids.map((uid) => accounts.user(uid)),
          groups: request.gids.map((gid) => accounts.group(gid)),
        }),
      );
    case 'unknown':
      return status(SSH_FX_OP_UNSUPPORTED);
  }
}

function extendedReply(data: Buffer): Reply {
  return { type: SSH_FXP_EXTENDED_REPLY, data };
}

/** `~` and `~user` at the start of `path` replaced. */
function expanded(path: ByteString, user: ByteString): ByteString {
  if (!path.startsWith('~')) return path;
  const slash = path.indexOf('/');
  const end = slash < 0 ? path.length : slash;
  return (homeOf(path.slice(1, end) as ByteString, user) + path.slice(end)) as ByteString;
}

/** Only the user that is served has a home here. */
function homeOf(username: ByteString, user: ByteString): ByteString {
  if (username !== '' && username !== user) throw new SftpStatusError(SSH_FX_NO_SUCH_FILE, 'no such user');
  return ascii('/');
}

type CopyData = Extract<ExtendedRequest, { extension: typeof COPY_DATA }>;

async function copyData(answers: Answers, request: CopyData): Promise<Reply> {
  if (request.readHandle === request.writeHandle) {
    throw new SftpStatusError(SSH_FX_FAILURE, 'a file cannot be copied onto itself');
  }
  const source = answers.handles.file(request.readHandle);
  const target = answers.handles.file(request.writeHandle);
  const length = request.length === 0 ? Number.MAX_SAFE_INTEGER : request.length;
  const buffer = Buffer.allocUnsafe(Math.min(length, MAX_DATA));
  let copied = 0;
  while (copied < length) {
    const wanted = Math.min(buffer.length, length - copied);
    const { bytesRead } = await source.read(buffer, 0, wanted, request.readOffset + copied);
    // A source that ends before is no failure: so OpenSSH has it.
    if (bytesRead === 0) break;
    await writeAll(target, buffer.subarray(0, bytesRead), request.writeOffset + copied);
    copied += bytesRead;
  }
  return status(SSH_FX_OK);
}

/** write(2) may take less than it is given. */
export async function writeAll(file: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < data.length; ) {
    at += (await file.write(data, at, data.length - at, offset + at)).bytesWritten;
  }
}
