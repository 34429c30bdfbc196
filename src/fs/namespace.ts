/**
 * What is known about names: attributes, names that do not exist, listings and symlink targets, each
 * trusted for its stated time and dropped at once when we change something ourselves. An answer that
 * crosses a change of ours is given to whoever asked, but not stored (see Epochs).
 *
 * A complete listing that is fresh answers for names that are missing from it. Link counts come only from
 * listings, so an LSTAT inherits the count that was seen last.
 */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { isDirectory, isRegular, isSymlink, S_IFMT } from '../base/mode.js';
import { isWithin, joinPath, nameOf, type Path, parentOf, ROOT } from '../base/path.js';
import { Epochs } from '../cache/epochs.js';
import { type Timed, TimedStore } from '../cache/timed.js';
import { linkCountOf, type SftpAttributes, type SftpName } from '../sftp/attributes.js';
import { type Identity, toAttributes } from './identity.js';
import type { HardLinks } from './links.js';
import { readPages } from './listing.js';
import type { Attributes, DirectoryEntry, KernelCache } from './operations.js';
import type { FsOptions } from './options.js';
import type { Remote } from './remote.js';

/** Entries of all cached listings together. */
const LISTING_CAPACITY = 400_000;

/** A name in a listing; `isStale` once we changed the file: then only its type still holds. */
interface Listed {
  readonly attributes: Attributes;
  readonly isStale: boolean;
}

type Names = Map<ByteString, Listed>;

export class Namespace {
  readonly #remote: Remote;
  readonly #identity: Identity;
  readonly #options: FsOptions;
  readonly #links: HardLinks;
  readonly #epochs = new Epochs();
  readonly #attributes: TimedStore<Attributes | null>;
  readonly #listings: TimedStore<Names>;
  readonly #targets: TimedStore<ByteString>;
  readonly #asking = new Map<Path, Promise<Attributes | null>>();
  readonly #listing = new Map<Path, Promise<Names>>();
  kernel: KernelCache | null = null;

  constructor(remote: Remote, identity: Identity, options: FsOptions, links: HardLinks, clock: Clock) {
    this.#remote = remote;
    this.#identity = identity;
    this.#options = options;
    this.#links = links;
    this.#attributes = new TimedStore(options.maxCachedAttributes, clock);
    this.#listings = new TimedStore(LISTING_CAPACITY, clock, (names) => names.size);
    this.#targets = new TimedStore(1024, clock);
  }

  /** Note this before asking the server about a path whose answer goes to `learn`. */
  epoch(): number {
    return this.#epochs.now();
  }

  /** What is known and may be trusted: attributes, null for a name that does not exist, or undefined. */
  known(path: Path): Timed<Attributes | null> | undefined {
    const known = this.#attributes.get(path);
    if (known !== undefined || path === ROOT) return known;
    const listing = this.#listings.get(parentOf(path));
    if (listing === undefined) return undefined;
    const found = listing.value.get(nameOf(path));
    if (found?.isStale) return undefined;
    if (found !== undefined) {
      const ttl = this.#options.statTtl - listing.age;
      return ttl > 0 ? { value: found.attributes, ttl, age: listing.age } : undefined;
    }
    // A server may leave out names that it may not look at: an empty listing proves nothing.
    if (listing.value.size === 0) return undefined;
    const ttl = this.#options.negativeTtl - listing.age;
    return ttl > 0 ? { value: null, ttl, age: listing.age } : undefined;
  }

  /** Attributes of `path`, null when there is no such name; asks the server unless it is known. */
  async lookup(path: Path): Promise<Attributes | null> {
    const known = this.known(path);
    return known !== undefined ? known.value : this.ask(path);
  }

  /** Asks the server. Callers that ask at the same time share one LSTAT. */
  ask(path: Path): Promise<Attributes | null> {
    const asking = this.#asking.get(path);
    if (asking !== undefined) return asking;
    const request = this.#ask(path).finally(() => {
      if (this.#asking.get(path) === request) this.#asking.delete(path);
    });
    this.#asking.set(path, request);
    return request;
  }

  async #ask(path: Path): Promise<Attributes | null> {
    const since = this.epoch();
    const at = this.#remote.at(path);
    try {
      return this.learn(path, await this.#remote.client.lstat(at), since);
    } catch (error) {
      const failure = await this.#remote.failure(error, { op: 'lstat', path: at });
      if (failure.code !== 'ENOENT') throw failure;
      if (this.#epochs.isCurrent(path, since)) this.#attributes.set(path, null, this.#options.negativeTtl);
      return null;
    }
  }

  /** Attributes that the server answered about `path` when asked at epoch `since`. */
  learn(path: Path, answer: SftpAttributes, since: number): Attributes {
    const attributes = toAttributes(this.#identity, answer, this.linkCount(path));
    if (this.#epochs.isCurrent(path, since)) this.#store(path, attributes);
    return attributes;
  }

  /** Has nothing touched `path` since that epoch? */
  isCurrent(path: Path, since: number): boolean {
    return this.#epochs.isCurrent(path, since);
  }

  /** Attributes that hold from now on, after a change of our own. */
  changed(path: Path, attributes: Attributes): void {
    this.#touch(path);
    this.#store(path, attributes);
    this.#listings.peek(parentOf(path))?.set(nameOf(path), { attributes, isStale: false });
  }

  /** A name that we made, with what the server said of it; its directory changed as well. */
  created(path: Path, answer: SftpAttributes, nlink = 1): Attributes {
    const attributes = toAttributes(this.#identity, answer, nlink);
    this.#targets.delete(path);
    this.changed(path, attributes);
    this.outdated(parentOf(path));
    return attributes;
  }

  /** A name that we removed; of a directory nothing below it is left either. */
  removed(path: Path, isTree: boolean): void {
    if (isTree) this.forgetTree(path);
    this.#touch(path);
    this.#targets.delete(path);
    this.#attributes.set(path, null, this.#options.negativeTtl);
    this.#listings.peek(parentOf(path))?.delete(nameOf(path));
    this.outdated(parentOf(path));
  }

  /** A rename of ours; `keepsOld`: both names may be one file, and then rename(2) leaves the old one. */
  renamed(from: Path, to: Path, keepsOld: boolean): void {
    const attributes = this.known(from)?.value ?? null;
    const target = this.#targets.get(from);
    const isTree = attributes === null || isDirectory(attributes.mode);
    this.removed(from, isTree);
    if (keepsOld) this.forget(from);
    if (isTree) this.forgetTree(to);
    this.#targets.delete(to);
    if (target !== undefined) this.#targets.set(to, target.value, target.ttl);
    if (attributes !== null) this.changed(to, attributes);
    else this.forget(to);
    this.outdated(parentOf(to));
  }

  /** The file at `path` exists, and what is known of it no longer holds. */
  outdated(path: Path): void {
    this.#touch(path);
    this.#attributes.delete(path);
    if (path === ROOT) return;
    const names = this.#listings.peek(parentOf(path));
    const listed = names?.get(nameOf(path));
    if (listed !== undefined) names?.set(nameOf(path), { ...listed, isStale: true });
  }

  /** The file at `path` has `nlink` names now: so say all of them that are known. */
  setLinkCount(path: Path, nlink: number): void {
    this.#links.recount(path, nlink);
    for (const name of this.#links.twins(path)) {
      const known = this.#attributes.get(name)?.value;
      if (known) this.changed(name, { ...known, nlink });
    }
  }

  /** How many names the file at `path` was last known to have. */
  linkCount(path: Path): number {
    return this.#links.count(path) ?? this.#attributes.peek(path)?.nlink ?? 1;
  }

  /** Nothing is known of `path` any more, not even whether it exists. */
  forget(path: Path): void {
    this.#touch(path);
    this.#attributes.delete(path);
    this.#targets.delete(path);
    this.#listings.delete(parentOf(path));
  }

  forgetTree(path: Path): void {
    this.#epochs.touchTree(path);
    const within = (key: Path) => isWithin(key, path);
    this.#attributes.deleteWhere(within);
    this.#targets.deleteWhere(within);
    this.#listings.deleteWhere(within);
    for (const key of [...this.#asking.keys()]) if (within(key)) this.#asking.delete(key);
    for (const key of [...this.#listing.keys()])
      if (within(key) || key === parentOf(path)) this.#listing.delete(key);
  }

  /** The names in a directory, from the cache while it may be trusted. */
  async list(path: Path): Promise<readonly DirectoryEntry[]> {
    const names = this.#listings.get(path)?.value ?? (await this.#askListing(path));
    return [...names].map(([name, { attributes }]) => ({ name, type: attributes.mode & S_IFMT }));
  }

  async readlink(path: Path): Promise<ByteString> {
    const known = this.#targets.get(path);
    if (known !== undefined) return known.value;
    const since = this.epoch();
    const at = this.#remote.at(path);
    const target = await this.#remote.ask(this.#remote.client.readlink(at), { op: 'readlink', path: at });
    if (this.#epochs.isCurrent(path, since)) this.#targets.set(path, target, this.#options.linkTtl);
    return target;
  }

  get size(): { readonly attributes: number; readonly listings: number } {
    return { attributes: this.#attributes.size, listings: this.#listings.size };
  }

  #askListing(path: Path): Promise<Names> {
    const asking = this.#listing.get(path);
    if (asking !== undefined) return asking;
    const request = this.#fetchListing(path).finally(() => {
      if (this.#listing.get(path) === request) this.#listing.delete(path);
    });
    this.#listing.set(path, request);
    return request;
  }

  async #fetchListing(path: Path): Promise<Names> {
    const since = this.epoch();
    const at = this.#remote.at(path);
    const { client } = this.#remote;
    const names: Names = new Map();
    try {
      const handle = await client.opendir(at);
      for await (const page of readPages(client, handle, this.#options.syncReaddir)) {
        for (const entry of page) {
          names.set(entry.filename, { attributes: this.#listed(path, entry, since), isStale: false });
        }
      }
    } catch (error) {
      throw await this.#remote.failure(error, { op: 'opendir', path: at });
    }
    if (this.#epochs.isCurrent(path, since)) this.#listings.set(path, names, this.#options.dirTtl);
    return names;
  }

  #listed(directory: Path, entry: SftpName, since: number): Attributes {
    const path = joinPath(directory, entry.filename);
    const nlink = linkCountOf(entry.longname) ?? 1;
    const attributes = toAttributes(this.#identity, entry.attributes, nlink);
    if (isRegular(attributes.mode)) this.#links.observe(path, attributes);
    if (this.#epochs.isCurrent(path, since)) this.#store(path, attributes);
    return attributes;
  }

  /** The kernel caches a symlink's target without end, so a link that changed is taken from it. */
  #store(path: Path, attributes: Attributes): void {
    const before = this.#attributes.peek(path);
    if (isSymlink(attributes.mode) && before?.mtime !== attributes.mtime) {
      this.#targets.delete(path);
      this.kernel?.invalidateData(path);
    }
    this.#attributes.set(path, attributes, this.#options.statTtl);
  }

  #touch(path: Path): void {
    this.#epochs.touch(path);
    this.#asking.delete(path);
    if (this.#listing.delete(parentOf(path))) this.#epochs.touch(parentOf(path));
  }
}
