/**
 * Inode numbers, since libfuse's own tell two names of one file apart. A name keeps its number as long as it is
 * remembered, follows its file through renames and shares it with the names that `link` gave it. fuse-native carries
 * 32 bits, too few for a hash: so they are counted, and other ones after a remount.
 */
import { LRUCache } from 'lru-cache';
import { isWithin, type Path, ROOT, rebase } from '../base/path.js';

export const ROOT_INO = 1;
const MAX_INO = 0xffff_fffe;
const REMEMBERED_NAMES = 65_536;

export class InodeNumbers {
  readonly #numbers: LRUCache<Path, number>;
  #last = ROOT_INO;

  constructor(capacity = REMEMBERED_NAMES) {
    this.#numbers = new LRUCache({ max: capacity });
  }

  of(path: Path): number {
    if (path === ROOT) return ROOT_INO;
    const known = this.#numbers.get(path);
    if (known !== undefined) return known;
    this.#last = this.#last >= MAX_INO ? ROOT_INO + 1 : this.#last + 1;
    this.#numbers.set(path, this.#last);
    return this.#last;
  }

  /** `name` is one more name of the file `path`. */
  linked(path: Path, name: Path): void {
    this.#numbers.set(name, this.of(path));
  }

  removed(path: Path): void {
    this.#numbers.delete(path);
  }

  /** What was at and below `from` is at `to` now, and what was there is not any more. */
  renamed(from: Path, to: Path): void {
    const moved = [...this.#numbers.entries()].filter(([path]) => isWithin(path, from));
    for (const path of [...this.#numbers.keys()]) if (isWithin(path, to)) this.#numbers.delete(path);
    for (const [path] of moved) this.#numbers.delete(path);
    for (const [path, number] of moved) this.#numbers.set(rebase(path, from, to), number);
  }
}
