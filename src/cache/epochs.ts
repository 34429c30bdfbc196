/**
 * Keeps late answers out of the caches. Whoever asks the server notes the epoch first; when the answer
 * arrives, it may be stored only if nothing has touched that path since. Memory is bounded: beyond
 * `capacity` remembered paths the oldest is forgotten, and answers asked before it are then refused
 * wholesale, which costs a repeated question but never a wrong entry.
 */
import type { ByteString } from '../base/bytes.js';
import { isWithin, nameOf, type Path, parentOf, ROOT } from '../base/path.js';

export class Epochs {
  readonly #capacity: number;
  readonly #paths = new Map<Path, number>();
  readonly #subtrees = new Map<Path, number>();
  #epoch = 0;
  #floor = 0;

  constructor(capacity = 4096) {
    this.#capacity = capacity;
  }

  /** The epoch to note before asking. */
  now(): number {
    return this.#epoch;
  }

  /** A new epoch in which nothing has changed: what is asked from now on is told from what was asked before. */
  next(): number {
    this.#epoch += 1;
    return this.#epoch;
  }

  /** `path` changed: answers about it that are under way are void. */
  touch(path: Path): void {
    this.#remember(this.#paths, path, this.#capacity);
  }

  /** Everything at and below `path` changed. */
  touchTree(path: Path): void {
    this.#remember(this.#subtrees, path, 64);
  }

  /** May an answer about `path`, asked at epoch `since`, still be stored? */
  isCurrent(path: Path, since: number): boolean {
    if (since === this.#epoch) return true;
    if (since < this.#floor) return false;
    if ((this.#paths.get(path) ?? 0) > since) return false;
    for (const [tree, epoch] of this.#subtrees) if (epoch > since && isWithin(path, tree)) return false;
    return true;
  }

  /** Names in `directory` that were touched after epoch `since`; null if that is not known of all of them. */
  touchedIn(directory: Path, since: number): ReadonlySet<ByteString> | null {
    const names = new Set<ByteString>();
    if (since === this.#epoch) return names;
    if (since < this.#floor) return null;
    for (const [tree, epoch] of this.#subtrees) if (epoch > since && isWithin(directory, tree)) return null;
    for (const [path, epoch] of this.#paths) {
      if (epoch > since && path !== ROOT && parentOf(path) === directory) names.add(nameOf(path));
    }
    return names;
  }

  #remember(map: Map<Path, number>, path: Path, capacity: number): void {
    this.#epoch += 1;
    map.delete(path);
    map.set(path, this.#epoch);
    if (map.size <= capacity) return;
    const oldest = map.entries().next().value;
    if (oldest === undefined) return;
    map.delete(oldest[0]);
    this.#floor = Math.max(this.#floor, oldest[1]);
  }
}
