/**
 * Inode numbers for files of a protocol that has none: a hash of the parent's number and the name, so that
 * the same path has the same number after a remount. A number follows its file through renames; because a
 * child derives from its parent's number, a renamed directory keeps the numbers of everything below it.
 * Renamed names are remembered past FORGET in a bounded LRU, and what is remembered is reserved, so a new
 * file under the old name gets another number.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/bytes.js';

export const ROOT_INO = 1;
const REMEMBERED_NAMES = 65_536;
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

export class InodeNumbers {
  readonly #remembered: LRUCache<string, number>;
  readonly #reserved = new Map<number, string>();

  constructor(capacity = REMEMBERED_NAMES) {
    this.#remembered = new LRUCache<string, number>({
      max: capacity,
      dispose: (ino, key) => {
        if (this.#reserved.get(ino) === key) this.#reserved.delete(ino);
      },
    });
  }

  /** The number for a name that has no live node; `isLive` tells which numbers live nodes hold. */
  choose(parentIno: number, name: ByteString, isLive: (ino: number) => boolean): number {
    const key = keyOf(parentIno, name);
    const known = this.#remembered.get(key);
    if (known !== undefined && !isLive(known)) return known;
    for (let attempt = 0; ; attempt++) {
      const ino = hashIno(parentIno, name, attempt);
      const owner = this.#reserved.get(ino);
      if (!isLive(ino) && (owner === undefined || owner === key)) return ino;
    }
  }

  /** The file `ino` is now called `name`. */
  remember(parentIno: number, name: ByteString, ino: number): void {
    const key = keyOf(parentIno, name);
    this.#remembered.delete(key);
    if (hashIno(parentIno, name) === ino) return;
    this.#remembered.set(key, ino);
    this.#reserved.set(ino, key);
  }

  /** The name means nothing any more. */
  drop(parentIno: number, name: ByteString): void {
    this.#remembered.delete(keyOf(parentIno, name));
  }
}

function keyOf(parentIno: number, name: ByteString): string {
  return `${parentIno}/${name}`;
}
