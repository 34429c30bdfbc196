/** A bounded LRU store whose entries are trusted for a time that is stated when they are stored. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.js';
import type { Path } from '../base/path.js';

interface Entry<V> {
  readonly value: V;
  readonly expiresAt: number;
}

/** A value and how much longer, in milliseconds, it may be trusted. */
export interface Timed<V> {
  readonly value: V;
  readonly ttl: number;
}

export class TimedStore<V extends NonNullable<unknown> | null> {
  readonly #entries: LRUCache<Path, Entry<V>>;
  readonly #clock: Clock;

  constructor(capacity: number, clock: Clock) {
    this.#clock = clock;
    this.#entries = new LRUCache({ max: capacity });
  }

  set(key: Path, value: V, ttl: number): void {
    if (ttl <= 0) this.#entries.delete(key);
    else this.#entries.set(key, { value, expiresAt: this.#clock.monotonic() + ttl });
  }

  /** The entry while it may be trusted. */
  get(key: Path): Timed<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ttl = entry.expiresAt - this.#clock.monotonic();
    return ttl > 0 ? { value: entry.value, ttl } : undefined;
  }

  delete(key: Path): void {
    this.#entries.delete(key);
  }

  deleteWhere(matches: (key: Path) => boolean): void {
    for (const key of [...this.#entries.keys()]) if (matches(key)) this.#entries.delete(key);
  }
}
