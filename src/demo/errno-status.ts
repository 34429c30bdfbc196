/** Which status an errno becomes on the wire: the same poor table as OpenSSH's sftp-server has. */
import {
  SSH_FX_BAD_MESSAGE,
  SSH_FX_FAILURE,
  SSH_FX_NO_SUCH_FILE,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FX_PERMISSION_DENIED,
} from '../sftp/constants.js';

const STATUS: ReadonlyMap<string, number> = new Map([
  ['ENOENT', SSH_FX_NO_SUCH_FILE],
  ['ENOTDIR', SSH_FX_NO_SUCH_FILE],
  ['EBADF', SSH_FX_NO_SUCH_FILE],
  ['ELOOP', SSH_FX_NO_SUCH_FILE],
  ['EPERM', SSH_FX_PERMISSION_DENIED],
  ['EACCES', SSH_FX_PERMISSION_DENIED],
  ['EFAULT', SSH_FX_PERMISSION_DENIED],
  ['EINVAL', SSH_FX_BAD_MESSAGE],
  ['ENAMETOOLONG', SSH_FX_BAD_MESSAGE],
  ['ENOSYS', SSH_FX_OP_UNSUPPORTED],
]);

/** The errno name of a failed call of node:fs, or undefined. */
export function errnoNameOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function statusOf(error: unknown): number {
  return STATUS.get(errnoNameOf(error) ?? '') ?? SSH_FX_FAILURE;
}
