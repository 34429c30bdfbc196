/** SETSTAT in its three forms: each part of ATTRS is applied by itself, and the last failure is the answer. */
import { chmod, chown, type FileHandle, lchown, lstat, lutimes, truncate, utimes } from 'node:fs/promises';
import { isSymlink } from '../base/mode.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { SSH_FX_BAD_MESSAGE, SSH_FX_FAILURE } from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';

interface Setters {
  size(bytes: number): Promise<void>;
  mode(bits: number): Promise<void>;
  times(atime: number, mtime: number): Promise<void>;
  owner(uid: number, gid: number): Promise<void>;
}

/** Follows symlinks. */
export function changePath(path: Buffer, attributes: SftpAttributes): Promise<void> {
  return apply(attributes, {
    size: (bytes) => truncate(path, bytes),
    mode: (bits) => chmod(path, bits),
    times: (atime, mtime) => utimes(path, atime, mtime),
    owner: (uid, gid) => chown(path, uid, gid),
  });
}

export function changeFile(file: FileHandle, attributes: SftpAttributes): Promise<void> {
  return apply(attributes, {
    size: (bytes) => file.truncate(bytes),
    mode: (bits) => file.chmod(bits),
    times: (atime, mtime) => file.utimes(atime, mtime),
    owner: (uid, gid) => file.chown(uid, gid),
  });
}

/** lsetstat@openssh.com: a symlink itself, which has neither a size nor a mode of its own. */
export function changeLink(path: Buffer, attributes: SftpAttributes): Promise<void> {
  return apply(attributes, {
    size: () => Promise.reject(new SftpStatusError(SSH_FX_BAD_MESSAGE, 'links have no size')),
    mode: async (bits) => {
      if (isSymlink((await lstat(path)).mode))
        throw new SftpStatusError(SSH_FX_FAILURE, 'links have no mode');
      await chmod(path, bits);
    },
    times: (atime, mtime) => lutimes(path, atime, mtime),
    owner: (uid, gid) => lchown(path, uid, gid),
  });
}

async function apply(attributes: SftpAttributes, set: Setters): Promise<void> {
  const { size, permissions, atime, mtime, uid, gid } = attributes;
  const steps: (() => Promise<void>)[] = [];
  if (size !== undefined) steps.push(() => set.size(size));
  if (permissions !== undefined) steps.push(() => set.mode(permissions & 0o7777));
  if (atime !== undefined && mtime !== undefined) steps.push(() => set.times(atime, mtime));
  if (uid !== undefined && gid !== undefined) steps.push(() => set.owner(uid, gid));
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures.at(-1);
}
