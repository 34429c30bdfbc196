/**
 * The directories of which anything is known, and which name lies in which of them. Together they hold a bounded number
 * of names: beyond it, those go that were of no use for the longest time. What is lost that way, or forgotten, the
 * kernel may still hold, so it is remembered until when that can be.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.js';
import { isWithin, nameOf, type Path, parentOf, ROOT } from '../base/path.js';
import { Directory, type Name, nameWith } from './directory.js';
import type { Attributes } from './operations.js';
import type { FsOptions } from './options.js';

/** The directory that holds the root's own name; no path leads there. */
export const ABOVE_ROOT = '/' as Path;

/** The directory in which the name `path` is known. */
export function homeOf(path: Path): Path {
  return path === ROOT ? ABOVE_ROOT : parentOf(path);
}

export class Directories {
  readonly #clock: Clock;
  readonly #statTtl: number;
  readonly #directories: LRUCache<Path, Directory>;
  #lostUntil = Number.NEGATIVE_INFINITY;

  constructor({ maxCachedNames, statTtl }: FsOptions, clock: Clock) {
    this.#clock = clock;
    this.#statTtl = statTtl;
    this.#directories = new LRUCache({
      maxSize: maxCachedNames,
      // However large, the directory that was used last is kept.
      sizeCalculation: ({ size }) => Math.min(maxCachedNames, Math.max(1, size)),
      dispose: (_directory, _path, reason) => {
        if (reason === 'evict') this.#lost();
      },
    });
  }

  /** What is held of the directory, for somebody who makes use of it now. */
  use(path: Path): Directory | undefined {
    return this.#directories.get(path);
  }

  /** What is held of the directory; that counts as no use. */
  peek(path: Path): Directory | undefined {
    return this.#directories.peek(path);
  }

  /** What was said of the name last, trusted or not; undefined for one of which nothing is known. Counts as no use. */
  nameAt(path: Path): Name | undefined {
    return this.peek(homeOf(path))?.get(nameOf(path));
  }

  /** What is known of a name from now on; `at` in milliseconds of the monotonic clock, this moment when left out. */
  put(path: Path, attributes: Attributes | null, at = this.#clock.monotonic()): void {
    const home = homeOf(path);
    const directory = this.use(home) ?? new Directory();
    const { size } = directory;
    directory.put(nameWith(nameOf(path), attributes, at));
    if (directory.size !== size) this.keep(home, directory);
  }

  /** More is known of a name than was; counts as no use. */
  amend(path: Path, name: Name): void {
    this.peek(homeOf(path))?.put(name);
  }

  /** The file at `path` exists, and what was known of it no longer holds. */
  outdate(path: Path): void {
    this.peek(homeOf(path))?.outdate(nameOf(path));
  }

  /** Nothing is known of the name any more. */
  forget(path: Path): void {
    this.peek(homeOf(path))?.forget(nameOf(path));
    this.#lost();
  }

  /** The directory is held as the one used last, and counts with the names that are in it now. */
  keep(path: Path, directory: Directory): void {
    // The store counts anew only what is new to it.
    this.#directories.delete(path);
    this.#directories.set(path, directory);
  }

  /** What is held of the directory `path` and of those below. */
  below(path: Path): readonly [Path, Directory][] {
    return [...this.#directories.entries()].filter(([key]) => isWithin(key, path));
  }

  /** Nothing is held of the directory `path` and of those below any more. */
  drop(path: Path): void {
    for (const [key] of this.below(path)) this.#directories.delete(key);
  }

  /** As many as `most`, the one that was used last first. */
  recent(most: number): readonly Path[] {
    const paths: Path[] = [];
    for (const path of this.#directories.keys()) {
      if (paths.length === most) break;
      if (path !== ABOVE_ROOT) paths.push(path);
    }
    return paths;
  }

  /** Names known, and how many directories are known as a whole. */
  get size(): { readonly attributes: number; readonly listings: number } {
    let listings = 0;
    let attributes = 0;
    for (const { listedAt, size } of this.#directories.values()) {
      attributes += size;
      if (listedAt !== null) listings += 1;
    }
    return { attributes, listings };
  }

  /** May the kernel still hold a name that was lost from here? */
  get hasLost(): boolean {
    return this.#lostUntil > this.#clock.monotonic();
  }

  #lost(): void {
    this.#lostUntil = this.#clock.monotonic() + this.#statTtl;
  }
}
