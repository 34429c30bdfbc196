/**
 * Hard links. SFTP v3 has no inode numbers, so which names share a file is known only for links that were
 * made through this mount (groups); of others a listing's link count says that they have further names
 * somewhere. When one of them changes, whatever is cached for its possible other names must go.
 */
import { LRUCache } from 'lru-cache';
import { isWithin, type Path, rebase } from '../base/path.js';

const MAX_SHARED = 4096;
const MAX_GROUPED = 32_768;

export class HardLinks {
  readonly #groups = new Map<Path, Set<Path>>();
  /** Paths whose link count was seen to be above 1, with that count. */
  readonly #shared = new LRUCache<Path, number>({ max: MAX_SHARED });

  /** The regular file at `path` has `nlink` names. */
  observe(path: Path, nlink: number): void {
    for (const name of this.#groups.get(path) ?? [path]) {
      if (nlink > 1) this.#shared.set(name, nlink);
      else this.#shared.delete(name);
    }
  }

  /** How many names the file at `path` was last known to have, if more than one. */
  count(path: Path): number | undefined {
    return this.#shared.get(path);
  }

  /** `to` became a further name of `from`, which makes `nlink` of them. */
  linked(from: Path, to: Path, nlink: number): void {
    const group = this.#groups.get(from) ?? new Set([from]);
    group.add(to);
    this.#groups.set(from, group);
    this.#groups.set(to, group);
    this.observe(from, nlink);
    for (const oldest of this.#groups.keys()) {
      if (this.#groups.size <= MAX_GROUPED) break;
      for (const name of [...(this.#groups.get(oldest) ?? [])]) this.#groups.delete(name);
    }
  }

  /** Names that may be the same file as `path`, without itself. */
  others(path: Path): Path[] {
    if (!this.#shared.has(path)) return [];
    const names = new Set<Path>(this.#shared.keys());
    for (const name of this.#groups.get(path) ?? []) names.add(name);
    names.delete(path);
    return [...names];
  }

  /** Another name known to be the same file, or null. */
  twin(path: Path): Path | null {
    for (const name of this.#groups.get(path) ?? []) if (name !== path) return name;
    return null;
  }

  /** Every name known to be the file at `path`, itself included. */
  twins(path: Path): readonly Path[] {
    return [...(this.#groups.get(path) ?? [path])];
  }

  /** Are these two known to be one file? */
  areTwins(a: Path, b: Path): boolean {
    return this.#groups.get(a)?.has(b) ?? false;
  }

  removed(path: Path): void {
    const group = this.#groups.get(path);
    group?.delete(path);
    this.#groups.delete(path);
    this.#shared.delete(path);
    if (group?.size === 1) for (const last of group) this.#groups.delete(last);
  }

  /** `from`, and for a directory all below it, is now called `to`. */
  renamed(from: Path, to: Path): void {
    for (const [path, group] of [...this.#groups]) {
      if (!isWithin(path, from)) continue;
      const moved = rebase(path, from, to);
      group.delete(path);
      group.add(moved);
      this.#groups.delete(path);
      this.#groups.set(moved, group);
    }
    for (const path of [...this.#shared.keys()]) {
      const count = this.#shared.peek(path);
      if (!isWithin(path, from) || count === undefined) continue;
      this.#shared.delete(path);
      this.#shared.set(rebase(path, from, to), count);
    }
  }
}
