/**
 * What is known of the names in one directory, whether a listing or a question about one name told it: each
 * name is kept once, with the time it was asked for, and the newer word wins. A listing makes the directory
 * complete: then names that are missing do not exist.
 */
import type { ByteString } from '../base/bytes.js';
import { hashIno, inoOfPath } from '../base/inode.js';
import { S_IFDIR, S_IFMT } from '../base/mode.js';
import type { Path } from '../base/path.js';
import { NOTHING, Ordered } from '../cache/ordered.js';
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

/**
 * Do names that are not in a listing not exist? `knowable`: it would tell, and is not to be used for that yet. An empty
 * listing of a server's tells nothing: servers leave out what they may not look at.
 */
export type Absence = 'known' | 'knowable' | 'unknown';

/** So many names are sorted: for more it takes as long as many opens, and walks in that order are not followed. */
const MOST: Readonly<Record<Order, number>> = {
  listed: Number.POSITIVE_INFINITY,
  sorted: 20_000,
  paths: 10_000,
  inodes: 10_000,
};
/** One name in so many may have come or gone before they are put in order anew. */
const CHANGES = 16;

export class Directory {
  #names = new Map<ByteString, Name>();
  #listedAt: number | null = null;
  #absence: Absence = 'unknown';
  #snapshot: readonly DirectoryEntry[] | null = null;
  readonly #sorted = new Map<Order, Ordered>();
  readonly #subdirectories = new Map<Order, Ordered>();
  /** Names that came or went since these were made. */
  #changes = 0;
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

  /** Since when a name that is not known does not exist, or null. */
  get absenceProvedAt(): number | null {
    return this.#absence === 'known' ? this.#listedAt : null;
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
    if (before === undefined ? name.attributes !== null : before.type !== name.type) this.#changed();
    this.#names.set(name.name, name);
  }

  /** Names that the listing did not show do not exist, if it tells that. */
  useForAbsence(): void {
    if (this.#absence === 'knowable') this.#absence = 'known';
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
    this.#changed();
  }

  /** Whoever wants a listing asks for it anew. */
  unlist(): void {
    this.#listedAt = null;
  }

  /** Takes over a complete listing, asked for at `at`. What the kernel was given stays so if it is the same. */
  list(names: Map<ByteString, Name>, at: number, absence: Absence): void {
    const before = this.#snapshot;
    this.#names = names;
    this.#listedAt = at;
    this.#absence = absence;
    this.#snapshot = null;
    if (before !== null && isSame(before, this.#existing())) this.#snapshot = before;
    else this.#reorder();
  }

  /** The names that exist; the same array as long as no name comes, goes or changes its type. */
  snapshot(): readonly DirectoryEntry[] {
    if (this.#snapshot === null) {
      this.#snapshot = this.#existing();
      // Whoever reads the directory goes on with what he finds there.
      if (this.#changes > 0) this.#reorder();
    }
    return this.#snapshot;
  }

  /**
   * What is in the directory, which is called `path`, in the order in which programs visit it; undefined if there is too
   * much of it. Only a hint: it may lack some of the names that came since, and have some that went.
   */
  entries(path: Path, order: Order): Ordered | undefined {
    if (this.#names.size > MOST[order]) return undefined;
    let ordered = this.#sorted.get(order);
    if (ordered === undefined) {
      ordered = inOrder(this.snapshot(), path, order);
      this.#sorted.set(order, ordered);
    }
    return ordered;
  }

  /** The same for subdirectories alone; none if there are too many. */
  subdirectories(path: Path, order: Order): Ordered {
    let ordered = this.#subdirectories.get(order);
    if (ordered === undefined) {
      const directories = this.snapshot().filter(({ type }) => type === S_IFDIR);
      ordered = directories.length > MOST[order] ? NOTHING : inOrder(directories, path, order);
      this.#subdirectories.set(order, ordered);
    }
    return ordered;
  }

  #existing(): readonly DirectoryEntry[] {
    return [...this.#names.values()].filter(({ attributes }) => attributes !== null);
  }

  #changed(): void {
    this.#snapshot = null;
    this.#changes += 1;
    if (this.#changes > this.#names.size / CHANGES) this.#reorder();
  }

  #reorder(): void {
    this.#changes = 0;
    this.#sorted.clear();
    this.#subdirectories.clear();
  }
}

function inOrder(entries: readonly DirectoryEntry[], path: Path, order: Order): Ordered {
  const key = keyFor(path, order);
  if (key === null) return new Ordered(entries);
  const keyed = entries.map((entry) => ({ entry, key: key(entry) }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
  return new Ordered(keyed.map(({ entry }) => entry));
}

/** What the entries of the directory at `path` are sorted by; null for the server's order. */
function keyFor(path: Path, order: Order): ((entry: DirectoryEntry) => string | number) | null {
  switch (order) {
    case 'listed':
      return null;
    case 'sorted':
      return ({ name }) => name;
    case 'paths':
      return ({ name, type }) => (type === S_IFDIR ? `${name}/` : name);
    case 'inodes': {
      const ino = inoOfPath(path);
      return ({ name }) => hashIno(ino, name);
    }
  }
}

function isSame(a: readonly DirectoryEntry[], b: readonly DirectoryEntry[]): boolean {
  return (
    a.length === b.length && a.every(({ name, type }, at) => name === b[at]?.name && type === b[at].type)
  );
}
