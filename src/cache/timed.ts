/** A bounded LRU store whose entries are trusted for a time that is stated when they are stored. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.js';
import type { Path } from '../base/path.js';

interface Entry<V> {
  readonly value: V;
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** A value and how much longer, in milliseconds, it may be trusted. */
export interface Timed<V> {
  readonly value: V;
  readonly ttl: number;
  /** Milliseconds since it was stored. */
  readonly age: number;
}

export class TimedStore<V extends NonNullable<unknown> | null> {
  readonly #entries: LRUCache<Path, Entry<V>>;
  readonly #clock: Clock;

  /** `weigh` gives an entry's share of `capacity` (an entry counts 1 without it). */
  constructor(capacity: number, clock: Clock, weigh?: (value: V) => number) {
    this.#clock = clock;
    this.#entries =
      weigh === undefined
        ? new LRUCache({ max: capacity })
        : new LRUCache({ maxSize: capacity, sizeCalculation: (entry) => Math.max(1, weigh(entry.value)) });
  }

  get size(): number {
    return this.#entries.size;
  }

  set(key: Path, value: V, ttl: number): void {
    const storedAt = this.#clock.monotonic();
    if (ttl <= 0) this.#entries.delete(key);
    else this.#entries.set(key, { value, storedAt, expiresAt: storedAt + ttl });
  }

  /** The entry while it may be trusted. */
  get(key: Path): Timed<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const now = this.#clock.monotonic();
    const ttl = entry.expiresAt - now;
    return ttl > 0 ? { value: entry.value, ttl, age: now - entry.storedAt } : undefined;
  }

  /** The entry whether or not its time has passed: for comparing, never for answering. */
  peek(key: Path): V | undefined {
    return this.#entries.peek(key)?.value;
  }

  /** Replaces the value and leaves its lifetime as it is. */
  patch(key: Path, value: V): void {
    const entry = this.#entries.peek(key);
    if (entry !== undefined) this.#entries.set(key, { ...entry, value });
  }

  delete(key: Path): void {
    this.#entries.delete(key);
  }

  deleteWhere(matches: (key: Path) => boolean): void {
    for (const key of [...this.#entries.keys()]) if (matches(key)) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
