/**
 * Inode numbers for files of a protocol that has none: a hash of the parent's number and the name, so that
 * the same path has the same number after a remount. A number follows its file through renames; because a
 * child derives from its parent's number, a renamed directory keeps the numbers of everything below it.
 * Renamed names are remembered past FORGET in a bounded LRU, and what is remembered is reserved, so a new
 * file under the old name gets another number.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/bytes.js';
import { hashIno } from '../base/inode.js';

const REMEMBERED_NAMES = 65_536;

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
