/**
 * Hard links. SFTP v3 has no inode numbers, so which names share a file is known only for links that were
 * made through this mount (groups); of others a listing's link count says that they have further names
 * somewhere. When one of them changes, whatever is cached for its possible other names must go.
 */
import { LRUCache } from 'lru-cache';
import { isWithin, type Path, rebase } from '../base/path.js';
import type { Attributes } from './operations.js';

const MAX_SHARED = 4096;
const MAX_GROUPED = 32_768;

/** What a listing shows of a file with several names; names of one file show the same. */
export type Shared = Pick<Attributes, 'nlink' | 'size' | 'mtime' | 'uid' | 'gid'>;

function looksLike(a: Shared, b: Shared): boolean {
  return (
    a.nlink === b.nlink && a.size === b.size && a.mtime === b.mtime && a.uid === b.uid && a.gid === b.gid
  );
}

export class HardLinks {
  readonly #groups = new Map<Path, Set<Path>>();
  /** Paths whose link count was seen to be above 1, as they were then. */
  readonly #shared = new LRUCache<Path, Shared>({ max: MAX_SHARED });
  /** There are servers that show 1 of every file; one that has shown more is not one of them. */
  #areCountsTrue = false;

  /** Is no file known to have several names? */
  get isEmpty(): boolean {
    return this.#groups.size === 0 && this.#shared.size === 0;
  }

  /** The server showed this of the regular file at `path`; false for one that is nobody's twin, though we took it for one. */
  observe(path: Path, shown: Shared): boolean {
    if (shown.nlink > 1) this.#areCountsTrue = true;
    this.#show(path, shown);
    return shown.nlink > 1 || !this.#areCountsTrue || !this.#groups.has(path);
  }

  /** The file at `path` has `nlink` names now. */
  recount(path: Path, nlink: number): void {
    const shown = this.#shared.get(path);
    if (shown !== undefined) this.#show(path, { ...shown, nlink });
  }

  /** How many names the file at `path` was last known to have, if more than one. */
  count(path: Path): number | undefined {
    return this.#shared.get(path)?.nlink;
  }

  /** `to` became a further name of `from`, which now shows `shown`. */
  linked(from: Path, to: Path, shown: Shared): void {
    this.removed(to);
    const group = this.#groups.get(from) ?? new Set([from]);
    group.add(to);
    this.#groups.set(from, group);
    this.#groups.set(to, group);
    this.#show(from, shown);
    for (const oldest of this.#groups.keys()) {
      if (this.#groups.size <= MAX_GROUPED) break;
      for (const name of [...this.twins(oldest)]) this.#groups.delete(name);
    }
  }

  /** Names that may be the same file as `path`, without itself. */
  others(path: Path): Path[] {
    const names = new Set<Path>(this.twins(path));
    const shown = this.#shared.get(path);
    if (shown !== undefined) {
      for (const [name, other] of this.#shared.entries()) if (looksLike(shown, other)) names.add(name);
    }
    names.delete(path);
    return [...names];
  }

  /** Every name known to be the file at `path`, itself included. */
  twins(path: Path): Iterable<Path> {
    return this.#groups.get(path) ?? [path];
  }

  /** Another name known to be the same file, or null. */
  twin(path: Path): Path | null {
    for (const name of this.twins(path)) if (name !== path) return name;
    return null;
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

  #show(path: Path, shown: Shared): void {
    for (const name of this.twins(path)) {
      if (shown.nlink > 1) this.#shared.set(name, shown);
      else this.#shared.delete(name);
    }
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
      const shown = this.#shared.peek(path);
      if (!isWithin(path, from) || shown === undefined) continue;
      this.#shared.delete(path);
      this.#shared.set(rebase(path, from, to), shown);
    }
  }
}
