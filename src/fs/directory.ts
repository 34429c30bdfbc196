/**
 * What is known of the names in one directory, whether a listing or a question about one name told it: each
 * name is kept once, with the time it was asked for, and the newer word wins. A listing makes the directory
 * complete: then names that are missing do not exist.
 */
import type { ByteString } from '../base/bytes.js';
import { S_IFDIR, S_IFMT } from '../base/mode.js';
import type { Order } from '../cache/walk.js';
import type { Attributes, DirectoryEntry } from './operations.js';

export interface Name extends DirectoryEntry {
  /** Null for a name that does not exist; undefined for a file that changed since it was asked for. */
  readonly attributes: Attributes | null | undefined;
  /** When it was listed or, asked for by itself, answered, in milliseconds of the monotonic clock. */
  readonly at: number;
}

export function nameWith(name: ByteString, attributes: Attributes | null, at: number): Name {
  return { name, type: attributes === null ? 0 : attributes.mode & S_IFMT, attributes, at };
}

export class Directory {
  #names = new Map<ByteString, Name>();
  #listedAt: number | null = null;
  #provesAbsence = false;
  #snapshot: readonly DirectoryEntry[] | null = null;
  readonly #subdirectories = new Map<Order, readonly ByteString[]>();
  /** The snapshot that the kernel's pages hold, as far as we know. */
  given: readonly DirectoryEntry[] | null = null;

  /** Names known, the missing ones among them. */
  get size(): number {
    return this.#names.size;
  }

  /** When the whole directory was asked for; null if it was not, or some of it is not known any more. */
  get listedAt(): number | null {
    return this.#listedAt;
  }

  /**
   * Since when a name that is not known does not exist, or null. An empty listing of a server's proves nothing:
   * servers leave out what they may not look at.
   */
  get absenceProvedAt(): number | null {
    return this.#provesAbsence ? this.#listedAt : null;
  }

  get(name: ByteString): Name | undefined {
    return this.#names.get(name);
  }

  /**
   * Puts what is known of names that we `touched` while the directory was listed into that listing, where it is newer.
   * False if something of theirs is not known.
   */
  addTo(listing: Map<ByteString, Name>, touched: ReadonlySet<ByteString>): boolean {
    let isComplete = true;
    for (const name of touched) {
      const ours = this.#names.get(name);
      if (ours === undefined) isComplete = false;
      else listing.set(name, ours);
    }
    return isComplete;
  }

  names(): Iterable<Name> {
    return this.#names.values();
  }

  put(name: Name): void {
    const before = this.#names.get(name.name);
    if (before === undefined || before.type !== name.type) this.#renew();
    this.#names.set(name.name, name);
  }

  /** The file exists, and what was known of it no longer holds. */
  outdate(name: ByteString): void {
    const before = this.#names.get(name);
    if (before?.attributes) this.#names.set(name, { ...before, attributes: undefined });
  }

  /** Nothing is known of the name any more, so the directory is not complete. */
  forget(name: ByteString): void {
    this.#names.delete(name);
    this.unlist();
    this.#renew();
  }

  /** Whoever wants a listing asks for it anew. */
  unlist(): void {
    this.#listedAt = null;
  }

  /** Takes over a complete listing, asked for at `at`. What the kernel was given stays so if it is the same. */
  list(names: Map<ByteString, Name>, at: number, provesAbsence: boolean): void {
    const before = this.#snapshot;
    this.#names = names;
    this.#listedAt = at;
    this.#provesAbsence = provesAbsence;
    this.#renew();
    if (before !== null && isSame(before, this.snapshot())) this.#snapshot = before;
  }

  /** The names that exist; the same array as long as no name comes, goes or changes its type. */
  snapshot(): readonly DirectoryEntry[] {
    this.#snapshot ??= [...this.#names.values()].filter(({ attributes }) => attributes !== null);
    return this.#snapshot;
  }

  subdirectories(order: Order): readonly ByteString[] {
    const known = this.#subdirectories.get(order);
    if (known !== undefined) return known;
    const names = this.snapshot().flatMap(({ name, type }) => (type === S_IFDIR ? name : []));
    if (order === 'sorted') names.sort();
    this.#subdirectories.set(order, names);
    return names;
  }

  #renew(): void {
    this.#snapshot = null;
    this.#subdirectories.clear();
  }
}

function isSame(a: readonly DirectoryEntry[], b: readonly DirectoryEntry[]): boolean {
  return (
    a.length === b.length && a.every(({ name, type }, at) => name === b[at]?.name && type === b[at].type)
  );
}
