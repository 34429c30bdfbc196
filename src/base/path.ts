/**
 * Paths inside a mount: byte strings relative to its root, parts joined by single slashes, no leading or
 * trailing slash; the root itself is the empty string.
 */
import { ascii, type ByteString } from './bytes.js';

export type Path = ByteString;

export const ROOT = '' as Path;

/** Longest name of one directory entry, in bytes (NAME_MAX). */
export const NAME_MAX = 255;

export function joinPath(parent: Path, name: ByteString): Path {
  return (parent === '' ? name : `${parent}/${name}`) as Path;
}

/** The directory that holds `path`; the root is its own parent. */
export function parentOf(path: Path): Path {
  const slash = path.lastIndexOf('/');
  return (slash < 0 ? '' : path.slice(0, slash)) as Path;
}

export function nameOf(path: Path): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

/** True when `path` is `ancestor` or lies below it. */
export function isWithin(path: Path, ancestor: Path): boolean {
  return ancestor === '' || path === ancestor || path.startsWith(`${ancestor}/`);
}

/** The same of absolute paths of a server, whose root is `/`. */
export function isWithinAbsolute(path: ByteString, ancestor: ByteString): boolean {
  return ancestor === '/' || isWithin(path, ancestor);
}

/** Where the path of a mount lies on the server, whose absolute directory `root` is mounted. */
export function absolutePath(root: ByteString, path: Path): ByteString {
  if (path === ROOT) return root;
  return ascii(root === '/' ? `/${path}` : `${root}/${path}`);
}

/** A name that a directory may hold: not empty, not `.` or `..`, no slash and no NUL. */
export function isValidName(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** `path`, which lies within `from`, as it is called after `from` was renamed to `to`. */
export function rebase(path: Path, from: Path, to: Path): Path {
  return (path === from ? to : joinPath(to, path.slice(from === '' ? 0 : from.length + 1) as Path)) as Path;
}
