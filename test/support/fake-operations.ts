/** A filesystem whose every call is `missing` unless a test says what it does. */
import { FsError } from '../../src/base/errno.js';
import type { Attributes, Operations, ReadResult, Stat } from '../../src/fs/operations.js';

export const fileAttributes: Attributes = {
  mode: 0o100644,
  size: 5,
  uid: 1000,
  gid: 1000,
  atime: 1,
  mtime: 2,
  ctime: 3,
  nlink: 1,
};
export const directoryAttributes: Attributes = { ...fileAttributes, mode: 0o040755, size: 0 };
export const fileStat: Stat = { attributes: fileAttributes, attrTtl: 1000, entryTtl: 1000 };
export const directoryStat: Stat = { ...fileStat, attributes: directoryAttributes };

/** What a read answers that lends nothing. */
export function readResult(...parts: readonly Uint8Array[]): ReadResult {
  return { parts, release: () => undefined };
}

export function fakeOperations(given: Partial<Operations>): Operations {
  return new Proxy(given as Operations, {
    get: (target, name) =>
      Reflect.get(target, name) ?? (() => Promise.reject(new FsError('EIO', `no ${String(name)} here`))),
  });
}
