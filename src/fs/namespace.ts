/**
 * What is known about names: attributes, names that do not exist, listings and symlink targets, each
 * trusted for its stated time and dropped at once when we change something ourselves, or hear that somebody else has.
 * What the server says comes in by `answers`.
 */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { isDirectory, isSymlink } from '../base/mode.js';
import { nameOf, type Path, parentOf, rebase } from '../base/path.js';
import { Epochs } from '../cache/epochs.js';
import type { Ordered } from '../cache/ordered.js';
import type { Timed } from '../cache/timed.js';
import type { Order } from '../cache/walk.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { Answers } from './answers.js';
import type { LinkGuard } from './containment.js';
import { Directories, homeOf } from './directories.js';
import { Directory, type Name, nameWith } from './directory.js';
import { type Identity, toAttributes } from './identity.js';
import { Lifetimes } from './lifetimes.js';
import type { HardLinks } from './links.js';
import type { Attributes } from './operations.js';
import type { FsOptions } from './options.js';
import type { Remote } from './remote.js';
import { Symlinks } from './symlinks.js';
import type { Vouching } from './vouching.js';

export class Namespace {
  readonly #identity: Identity;
  readonly #options: FsOptions;
  readonly #links: HardLinks;
  readonly #clock: Clock;
  readonly #vouching: Vouching;
  readonly #lifetimes: Lifetimes;
  readonly #directories: Directories;
  /** Note the epoch before asking the server about a path whose answer goes to `answers`. */
  readonly epochs = new Epochs();
  readonly symlinks: Symlinks;
  readonly answers: Answers;
  /** How often something known was looked for: whether it grows tells whether the mount is in use. */
  uses = 0;

  constructor(
    remote: Remote,
    identity: Identity,
    options: FsOptions,
    links: HardLinks,
    guard: LinkGuard,
    clock: Clock,
    vouching: Vouching,
  ) {
    this.#identity = identity;
    this.#options = options;
    this.#links = links;
    this.#clock = clock;
    this.#vouching = vouching;
    this.#lifetimes = new Lifetimes(options, vouching, clock);
    this.#directories = new Directories(options, clock);
    this.symlinks = new Symlinks(remote, guard, this.epochs, options.linkTtl, clock);
    this.answers = new Answers({
      remote,
      identity,
      links,
      clock,
      epochs: this.epochs,
      directories: this.#directories,
      symlinks: this.symlinks,
      vouching,
      lifetimes: this.#lifetimes,
    });
  }

  /** What is known and may be trusted: attributes, null for a name that does not exist, or undefined. */
  known(path: Path): Timed<Attributes | null> | undefined {
    this.uses += 1;
    const home = homeOf(path);
    const directory = this.#directories.use(home);
    return directory === undefined ? undefined : this.knownIn(home, directory, nameOf(path));
  }

  /** The same of a name in the directory called `home`, which is at hand. */
  knownIn(home: Path, directory: Directory, name: ByteString): Timed<Attributes | null> | undefined {
    const found = directory.get(name);
    if (found === undefined) {
      const ttl = this.#lifetimes.ofAbsence(home, directory);
      return ttl > 0 ? { value: null, ttl } : undefined;
    }
    if (found.attributes === undefined) return undefined;
    const ttl = this.#lifetimes.ofName(home, found);
    return ttl > 0 ? { value: found.attributes, ttl } : undefined;
  }

  /** Milliseconds that missing names will go on being known for missing by the listing of a directory; 0 or less: none. */
  absenceLeft(path: Path): number {
    const directory = this.#directories.peek(path);
    return directory === undefined ? 0 : this.#lifetimes.ofAbsence(path, directory);
  }

  /** For how long, in milliseconds, this answer about `path` may be trusted; 0 if it was not stored. */
  ttl(path: Path, answer: Attributes | null): number {
    const known = this.known(path);
    return known?.value === answer ? known.ttl : 0;
  }

  /** Attributes of `path`, null when there is no such name; asks the server unless it is known. */
  async lookup(path: Path): Promise<Attributes | null> {
    const known = this.known(path);
    return known !== undefined ? known.value : this.answers.ask(path);
  }

  /** Was the server asked for what is known of `path` within so many milliseconds, or is it watched? */
  isFresh(path: Path, age: number): boolean {
    const known = this.#directories.nameAt(path);
    return known?.attributes !== undefined && this.#lifetimes.isFresh(homeOf(path), known, age);
  }

  /** What was said of the name last, trusted or not; undefined for one of which nothing is known. */
  remembered(path: Path): Name | undefined {
    return this.#directories.nameAt(path);
  }

  /** The attributes that were known last, trusted or not; null for none. */
  last(path: Path): Attributes | null {
    return this.remembered(path)?.attributes ?? null;
  }

  /** st_size as it was last known, 0 if it is not. */
  sizeOf(path: Path): number {
    return this.last(path)?.size ?? 0;
  }

  /** How many names the file at `path` was last known to have. */
  linkCount(path: Path): number {
    return this.answers.linkCount(path);
  }

  /** The directory if it was listed and may still be trusted. */
  listed(path: Path): Directory | undefined {
    this.uses += 1;
    const directory = this.#directories.use(path);
    return directory !== undefined && this.#lifetimes.ofListing(path, directory) > 0 ? directory : undefined;
  }

  /** What is in the directory, in that order; undefined if that is not known. */
  entries(path: Path, order: Order): Ordered | undefined {
    return this.listed(path)?.entries(path, order);
  }

  /** What is held of the directory, trusted or not. */
  held(path: Path): Directory | undefined {
    return this.#directories.peek(path);
  }

  /** Directories of which anything is known, as many as `most`, the one that was used last first. */
  recent(most: number): readonly Path[] {
    return this.#directories.recent(most);
  }

  /** Names known, and how many directories are known as a whole. */
  get size(): { readonly attributes: number; readonly listings: number } {
    return this.#directories.size;
  }

  /** Attributes that hold from now on, after a change of our own, by whichever of its names the file is asked for. */
  changed(path: Path, attributes: Attributes): void {
    this.#touch(path);
    if (isSymlink(attributes.mode)) this.answers.forgetTarget(path);
    // Who may list a directory may have changed with its mode.
    if (isDirectory(attributes.mode)) this.#directories.peek(path)?.unlist();
    this.#directories.put(path, attributes);
    for (const twin of this.#links.twins(path)) {
      if (twin === path) continue;
      this.#touch(twin);
      if (this.remembered(twin) !== undefined)
        this.#directories.amend(twin, nameWith(nameOf(twin), attributes, this.#clock.monotonic()));
    }
  }

  /** A name that we made, with what the server said of it; its directory changed as well. */
  created(path: Path, answer: SftpAttributes, nlink = 1): Attributes {
    const attributes = toAttributes(this.#identity, answer, nlink);
    this.made(path, attributes);
    return attributes;
  }

  /** The same with attributes as programs see them, whether the server has confirmed them or not. */
  made(path: Path, attributes: Attributes): void {
    this.#touch(path);
    this.symlinks.forget(path);
    this.#directories.put(path, attributes);
    this.#membersChanged(path);
  }

  /** A directory that we made holds nothing yet: that is a complete listing. */
  createdEmpty(path: Path): void {
    const directory = new Directory();
    directory.list(new Map(), this.#clock.monotonic(), 'known');
    this.#directories.keep(path, directory);
  }

  /** A name that we removed; of a directory nothing below it is left either. */
  removed(path: Path, isTree: boolean): void {
    if (isTree) this.forgetTree(path);
    this.#touch(path);
    this.symlinks.forget(path);
    this.#directories.put(path, null);
    this.#membersChanged(path);
  }

  /** A rename of ours; `keepsOld`: both names may be one file, and then rename(2) leaves the old one. */
  renamed(from: Path, to: Path, keepsOld: boolean): void {
    const attributes = this.known(from)?.value ?? null;
    const isTree = attributes === null || isDirectory(attributes.mode);
    if (isTree) this.forgetTree(to);
    const moved = isTree ? this.#directories.below(from) : [];
    this.symlinks.renamed(from, to);
    this.removed(from, isTree);
    for (const [path, directory] of moved) this.#directories.keep(rebase(path, from, to), directory);
    if (keepsOld) this.forget(from);
    this.#touch(to);
    if (attributes !== null) this.#directories.put(to, attributes);
    else this.forget(to);
    this.#membersChanged(to);
  }

  /** The file at `path` has `nlink` names now: so say all of them that are known. */
  setLinkCount(path: Path, nlink: number): void {
    this.#links.recount(path, nlink);
    for (const name of this.#links.twins(path)) {
      this.#touch(name);
      const known = this.remembered(name);
      if (known?.attributes)
        this.#directories.amend(name, { ...known, attributes: { ...known.attributes, nlink } });
    }
  }

  /** The file at `path` exists, and what is known of it, by whichever of its names, no longer holds: we changed it. */
  outdated(path: Path): void {
    for (const name of this.#links.twins(path)) {
      this.#touch(name);
      this.#directories.outdate(name);
    }
  }

  /** Nothing is known of `path` any more, not even whether it exists. */
  forget(path: Path): void {
    this.#touch(path);
    this.symlinks.forget(path);
    this.#directories.forget(path);
  }

  /** Nothing is known of what lies in the directory `path` and below. */
  forgetTree(path: Path): void {
    this.answers.forgetTree(path);
  }

  /** Somebody else has changed the file at `path`: what was known of it no longer holds. */
  changedElsewhere(path: Path): void {
    if (isSymlink(this.remembered(path)?.type ?? 0)) this.answers.forgetTarget(path);
    for (const name of this.#links.twins(path)) {
      this.answers.voidAbout(name);
      this.#directories.outdate(name);
      this.answers.kernel?.invalidateAttributes(name);
    }
  }

  /** Somebody else has made the name `path`, or made and removed it again: the listing is not whole any more. */
  appeared(path: Path): void {
    const { kernel } = this.answers;
    this.answers.voidAbout(path);
    this.#directories.peek(homeOf(path))?.forget(nameOf(path));
    kernel?.invalidateAbsence(path);
    // What was lost from here it may still hold.
    kernel?.invalidateAttributes(path);
  }

  /**
   * The directory of `path` has changed. Where changes are posted, asking it would wait for them: then it is known all
   * the same, with the time of this machine.
   */
  #membersChanged(path: Path): void {
    const directory = parentOf(path);
    const before = this.#options.posts ? this.remembered(directory) : undefined;
    this.outdated(directory);
    if (!before?.attributes) return;
    const now = Math.floor(this.#clock.now() / 1000);
    const attributes = { ...before.attributes, mtime: now, ctime: now };
    this.#directories.amend(directory, { ...before, attributes });
  }

  #touch(path: Path): void {
    this.answers.voidAbout(path);
    this.#vouching.changedByUs(path);
  }
}
