/**
 * The inode number of a path, for files of a protocol that has none: the driver shows it to programs, and some of
 * them (cp -r) open the files of a directory in the order of these numbers.
 */
import type { ByteString } from './bytes.js';
import { type Path, ROOT } from './path.js';

export const ROOT_INO = 1;
const TWO_32 = 0x1_0000_0000;

/**
 * A number from 2 to 2^53 - 1 for `name` in the directory `parentIno`: two 32-bit multiply-and-rotate lanes
 * over the bytes, mixed into each other at the end. `attempt` varies it when the first choice is taken.
 */
export function hashIno(parentIno: number, name: ByteString, attempt = 0): number {
  let a = (parentIno % TWO_32) ^ 0x52454d4f;
  let b = Math.floor(parentIno / TWO_32) ^ Math.imul(attempt + 1, 0x5bd1e995);
  for (let index = 0; index < name.length; index++) {
    const byte = name.charCodeAt(index);
    a = Math.imul(a ^ byte, 0x2c1b3c6d);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b + byte, 0x297a2d39);
    b = (b << 17) | (b >>> 15);
  }
  a = Math.imul(a ^ (a >>> 16) ^ name.length, 0x7feb352d);
  b = Math.imul(b ^ (b >>> 15) ^ a, 0x846ca68b);
  a = Math.imul(a ^ (a >>> 15) ^ b, 0x9e3779b1);
  b ^= b >>> 16;
  a ^= a >>> 14;
  const ino = (b >>> 11) * TWO_32 + (a >>> 0);
  return ino > ROOT_INO ? ino : ino + 2;
}

/** The number of the file at `path`, unless it was renamed to there or another one has the number already. */
export function inoOfPath(path: Path): number {
  if (path === ROOT) return ROOT_INO;
  return path.split('/').reduce((ino, name) => hashIno(ino, name as ByteString), ROOT_INO);
}
