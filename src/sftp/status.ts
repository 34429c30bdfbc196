/**
 * What a status code means when nothing else is known. Version 3 has eight codes for all of errno, so some
 * are only a first guess, which `explain.ts` refines; the later codes come from servers that mix in drafts
 * of versions 4 to 6, and say exactly what they mean.
 */
import type { ErrnoName } from '../base/errno.js';
import {
  SSH_FX_BAD_MESSAGE,
  SSH_FX_DIR_NOT_EMPTY,
  SSH_FX_FAILURE,
  SSH_FX_FILE_ALREADY_EXISTS,
  SSH_FX_FILE_IS_A_DIRECTORY,
  SSH_FX_INVALID_FILENAME,
  SSH_FX_INVALID_HANDLE,
  SSH_FX_INVALID_PARAMETER,
  SSH_FX_LINK_LOOP,
  SSH_FX_NO_SPACE_ON_FILESYSTEM,
  SSH_FX_NO_SUCH_FILE,
  SSH_FX_NO_SUCH_PATH,
  SSH_FX_NOT_A_DIRECTORY,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FX_PERMISSION_DENIED,
  SSH_FX_QUOTA_EXCEEDED,
  SSH_FX_WRITE_PROTECT,
} from './constants.js';

const TABLE: ReadonlyMap<number, ErrnoName> = new Map([
  [SSH_FX_NO_SUCH_FILE, 'ENOENT'],
  [SSH_FX_PERMISSION_DENIED, 'EACCES'],
  [SSH_FX_FAILURE, 'EIO'],
  // OpenSSH's answer for EINVAL and ENAMETOOLONG.
  [SSH_FX_BAD_MESSAGE, 'EINVAL'],
  [SSH_FX_OP_UNSUPPORTED, 'EOPNOTSUPP'],
  [SSH_FX_INVALID_HANDLE, 'EBADF'],
  [SSH_FX_NO_SUCH_PATH, 'ENOENT'],
  [SSH_FX_FILE_ALREADY_EXISTS, 'EEXIST'],
  [SSH_FX_WRITE_PROTECT, 'EROFS'],
  [SSH_FX_NO_SPACE_ON_FILESYSTEM, 'ENOSPC'],
  [SSH_FX_QUOTA_EXCEEDED, 'EDQUOT'],
  [SSH_FX_DIR_NOT_EMPTY, 'ENOTEMPTY'],
  [SSH_FX_NOT_A_DIRECTORY, 'ENOTDIR'],
  [SSH_FX_INVALID_FILENAME, 'EINVAL'],
  [SSH_FX_LINK_LOOP, 'ELOOP'],
  [SSH_FX_INVALID_PARAMETER, 'EINVAL'],
  [SSH_FX_FILE_IS_A_DIRECTORY, 'EISDIR'],
]);

/** The errno of an SSH_FX_* code by itself; EIO for one that no draft defines. */
export function errnoOfStatus(code: number): ErrnoName {
  return TABLE.get(code) ?? 'EIO';
}
