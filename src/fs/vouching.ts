/**
 * Which directories a watch on the server vouches for: whatever changes in them, we are told. Then what was asked
 * since the watch began may be trusted beyond its own lifetime, but never for longer than that lifetime behind the
 * last proof that the watch is alive (an answer of its, which came behind all that it had to tell). So nothing has to
 * be taken back when a watch is lost: what it vouched for is only as old as the plain lifetimes allow.
 *
 * A directory is vouched for only below one that is, up to the root: else it may be another one by the time. What we
 * change ourselves is left to its plain lifetime, since its echo and our own answers may cross.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.js';
import { isWithin, type Path, parentOf, ROOT } from '../base/path.js';

/**
 * Milliseconds that anything is trusted at most. Not all changes make events: writing through a memory map makes
 * none, nor does a hard link elsewhere.
 */
const LONGEST = 10 * 60_000;
/** Times of change may be so many milliseconds too old: there are filesystems that keep them in steps of two seconds. */
const COARSE = 2000;
/** So many milliseconds after a change of ours, an event of that name may be its echo. */
const ECHO = 2000;
/** Changes of ours that are remembered. */
const MAX_OWN = 4096;

/** Since when a directory is watched. */
interface Watch {
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  /** Since then no name came or went, in it and in those above, which had not changed for long when it began. */
  readonly namesAt: number;
  /** What was asked before this epoch may be older than the watch. */
  readonly epoch: number;
}

export class Vouching {
  readonly #clock: Clock;
  readonly #lifetime: number;
  readonly #watches = new Map<Path, Watch>();
  readonly #own: LRUCache<Path, number>;
  /** Changes of ours until then are not all remembered. */
  #ownFloor = Number.NEGATIVE_INFINITY;
  #provedAt = Number.NEGATIVE_INFINITY;
  /** Called for each directory that is not vouched for any more, unless the watch itself was lost. */
  onDropped: (directory: Path) => void = () => undefined;

  /** `lifetime`: milliseconds that what was just proved may be trusted; 0 turns all of it off. */
  constructor(clock: Clock, lifetime: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
    this.#own = new LRUCache({
      max: MAX_OWN,
      dispose: (at, _path, reason) => {
        if (reason === 'evict') this.#ownFloor = Math.max(this.#ownFloor, at);
      },
    });
  }

  /** Directories that are vouched for. */
  get size(): number {
    return this.#watches.size;
  }

  has(directory: Path): boolean {
    return this.#watches.has(directory);
  }

  /**
   * From now on all changes in `directory` are told, and nothing came or went there for `quiet` milliseconds by the
   * server's clock. False, and no effect, where its parent is not vouched for.
   */
  begin(directory: Path, epoch: number, quiet: number): boolean {
    const parent = directory === ROOT ? undefined : this.#watches.get(parentOf(directory));
    if (directory !== ROOT && parent === undefined) return false;
    const at = this.#clock.monotonic();
    const above = parent?.namesAt ?? Number.NEGATIVE_INFINITY;
    const namesAt = Math.min(at, Math.max(above, at - quiet + COARSE));
    this.#watches.set(directory, { at, namesAt, epoch });
    return true;
  }

  /** `directory` and all below it may be others by now, or are not watched any more. */
  drop(directory: Path): void {
    for (const path of [...this.#watches.keys()]) {
      if (!isWithin(path, directory)) continue;
      this.#watches.delete(path);
      this.onDropped(path);
    }
  }

  /** The watch is lost. */
  clear(): void {
    this.#watches.clear();
  }

  /** All that changed until `at`, of the monotonic clock, has been told. */
  proved(at: number): void {
    this.#provedAt = Math.max(this.#provedAt, at);
  }

  /** Something was vouched for so lately that the kernel may trust it yet, whatever has become of the watch. */
  get isRecent(): boolean {
    return this.#provedAt + this.#lifetime > this.#clock.monotonic();
  }

  /** Was the watch alive no longer than `age` milliseconds ago? */
  isProvedWithin(age: number): boolean {
    return this.#clock.monotonic() - this.#provedAt < age;
  }

  /** We have changed `path` ourselves. */
  changedByUs(path: Path): void {
    this.#own.set(path, this.#clock.monotonic());
  }

  /** May an event of this moment be the echo of a change of ours? */
  isOwn(path: Path): boolean {
    return this.#clock.monotonic() - this.#ownAt(path) < ECHO;
  }

  /** When an answer about `path` counts as asked, which came just now to a question of epoch `since`. */
  answeredAt(path: Path, since: number): number {
    let at = this.#clock.monotonic();
    for (const watched of [parentOf(path), path]) {
      const watch = this.#watches.get(watched);
      if (watch !== undefined && since < watch.epoch) at = Math.min(at, watch.at);
    }
    return at;
  }

  /** Milliseconds that what was asked about `directory` at `at` is vouched for; 0 or less if it is not. */
  left(directory: Path, at: number): number {
    return this.#left(at, this.#watches.get(directory)?.at);
  }

  /** The same of which names there are in it, and which not. */
  leftOfNames(directory: Path, at: number): number {
    return this.#left(at, this.#watches.get(directory)?.namesAt);
  }

  /** The same of the one name `path` in `directory`. */
  leftOf(path: Path, directory: Path, at: number): number {
    return this.#isEcho(path, at) ? 0 : this.left(directory, at);
  }

  /** The same of its absence. */
  leftOfAbsence(path: Path, directory: Path, at: number): number {
    return this.#isEcho(path, at) ? 0 : this.leftOfNames(directory, at);
  }

  #left(at: number, since: number | undefined): number {
    if (since === undefined || at <= since) return 0;
    return Math.min(this.#provedAt + this.#lifetime, at + LONGEST) - this.#clock.monotonic();
  }

  #isEcho(path: Path, at: number): boolean {
    return at - this.#ownAt(path) < ECHO;
  }

  #ownAt(path: Path): number {
    return this.#own.get(path) ?? this.#ownFloor;
  }
}
