/**
 * What is known about names: attributes, names that do not exist, listings and symlink targets, each
 * trusted for its stated time and dropped at once when we change something ourselves. An answer that
 * crosses a change of ours is given to whoever asked, but not stored (see Epochs).
 *
 * The kernel trusts what it was told for as long as we do and asks nobody meanwhile. So an answer that differs
 * from what is still trusted is told to it at once. What was lost from here (room for other names was needed)
 * the kernel may still hold: for as long as that can be, names that are new to us are taken for changed.
 *
 * Link counts come only from listings, so an LSTAT inherits the count that was seen last.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { isDirectory, isSymlink, S_IFMT } from '../base/mode.js';
import { isWithin, joinPath, nameOf, type Path, parentOf, ROOT, rebase } from '../base/path.js';
import { Epochs } from '../cache/epochs.js';
import type { Timed } from '../cache/timed.js';
import type { Order } from '../cache/walk.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { LinkGuard } from './containment.js';
import { Directory, type Name, nameWith } from './directory.js';
import { type Identity, isHidden, toAttributes } from './identity.js';
import { ABOVE_ROOT, Lifetimes } from './lifetimes.js';
import type { HardLinks } from './links.js';
import type { Attributes, DirectoryEntry, KernelCache } from './operations.js';
import type { FsOptions } from './options.js';
import type { Remote } from './remote.js';
import { looksSame } from './same-file.js';
import { Symlinks } from './symlinks.js';
import { toTell } from './telling.js';
import type { Vouching } from './vouching.js';

function homeOf(path: Path): Path {
  return path === ROOT ? ABOVE_ROOT : parentOf(path);
}

export class Namespace {
  readonly #remote: Remote;
  readonly #identity: Identity;
  readonly #options: FsOptions;
  readonly #links: HardLinks;
  readonly #clock: Clock;
  readonly #vouching: Vouching;
  readonly #lifetimes: Lifetimes;
  /** Note the epoch before asking the server about a path whose answer goes to `learn` or `learnListing`. */
  readonly epochs = new Epochs();
  readonly #directories: LRUCache<Path, Directory>;
  readonly symlinks: Symlinks;
  readonly #asking = new Map<Path, Promise<Attributes | null>>();
  /** Until when the kernel may hold what was lost from here. */
  #lostUntil = Number.NEGATIVE_INFINITY;
  kernel: KernelCache | null = null;
  /** Called when the server turns out to have no such name any more, or another file by it. */
  onVanished: (path: Path) => void = () => undefined;
  /** Called when a directory was listed that was not held before. */
  onListed: () => void = () => undefined;
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
    this.#remote = remote;
    this.#identity = identity;
    this.#options = options;
    this.#links = links;
    this.#clock = clock;
    this.#vouching = vouching;
    this.#lifetimes = new Lifetimes(options, vouching, clock);
    this.symlinks = new Symlinks(remote, guard, this.epochs, options.linkTtl, clock);
    const capacity = options.maxCachedNames;
    this.#directories = new LRUCache({
      maxSize: capacity,
      // However large, the directory that was used last is kept.
      sizeCalculation: ({ size }) => Math.min(capacity, Math.max(1, size)),
      dispose: (_directory, _path, reason) => {
        if (reason === 'evict') this.#lost();
      },
    });
  }

  /** What is known and may be trusted: attributes, null for a name that does not exist, or undefined. */
  known(path: Path): Timed<Attributes | null> | undefined {
    this.uses += 1;
    const home = homeOf(path);
    const directory = this.#directories.get(home);
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
    const since = this.epochs.now();
    const at = this.#remote.at(path);
    try {
      const answer = await this.#remote.look(at);
      if (isHidden(this.#identity, answer)) {
        throw new FsError('EPERM', `owner ${answer.uid}:${answer.gid} has no number here`);
      }
      return this.learn(path, answer, since);
    } catch (error) {
      const failure = await this.#remote.failure(error, { op: 'lstat', path: at });
      if (failure.code !== 'ENOENT') throw failure;
      if (this.epochs.isCurrent(path, since)) {
        const was = this.#peek(path);
        if (was !== undefined && was.attributes !== null) this.#vanished(path, was.type);
        this.#put(path, null, this.#vouching.answeredAt(path, since));
      }
      return null;
    }
  }

  /** Attributes that the server answered about `path` when asked at epoch `since`. */
  learn(path: Path, answer: SftpAttributes, since: number): Attributes {
    const before = this.#peek(path);
    const isOther = before?.attributes && before.type !== ((answer.permissions ?? 0) & S_IFMT);
    const attributes = toAttributes(this.#identity, answer, isOther ? 1 : this.linkCount(path));
    if (this.epochs.isCurrent(path, since)) {
      if (before !== undefined) this.#tell(path, before, attributes);
      if (before?.attributes && !looksSame(before.attributes, attributes)) {
        for (const twin of this.#links.twins(path)) this.#outdate(twin);
      }
      this.#put(path, attributes, this.#vouching.answeredAt(path, since));
    }
    return attributes;
  }

  /** Was the server asked for what is known of `path` within so many milliseconds, or is it watched? */
  isFresh(path: Path, age: number): boolean {
    const known = this.#peek(path);
    return known?.attributes !== undefined && this.#lifetimes.isFresh(homeOf(path), known, age);
  }

  /**
   * The server was asked once more, at epoch `since` and at `askedAt` of the monotonic clock: is what it told of
   * `path` still what is known, which is then as fresh as the question?
   */
  confirm(path: Path, told: Attributes, since: number, askedAt: number): boolean {
    const directory = this.#directories.peek(homeOf(path));
    const known = directory?.get(nameOf(path));
    if (!known?.attributes || !looksSame(known.attributes, told) || !this.epochs.isCurrent(path, since))
      return false;
    directory?.put({ ...known, at: Math.max(known.at, askedAt) });
    return true;
  }

  /**
   * Takes over a listing that was asked for at epoch `since`, at `askedAt` of the monotonic clock; answers the
   * directory as it is to be shown. One that crossed what cannot be mended is shown and not kept.
   */
  learnListing(
    path: Path,
    names: Map<ByteString, Name>,
    since: number,
    askedAt: number,
    provesAbsence = true,
  ): Directory {
    const touched = this.epochs.touchedIn(path, since);
    if (touched !== null && (this.#directories.peek(path)?.addTo(names, touched) ?? touched.size === 0))
      return this.#relist(path, names, askedAt, provesAbsence);
    const passing = new Directory();
    passing.list(names, askedAt, false);
    return passing;
  }

  /** Attributes that hold from now on, after a change of our own. */
  changed(path: Path, attributes: Attributes): void {
    this.#touch(path);
    if (isSymlink(attributes.mode)) this.#forgetTarget(path);
    // Who may list a directory may have changed with its mode.
    if (isDirectory(attributes.mode)) this.#directories.peek(path)?.unlist();
    this.#put(path, attributes);
  }

  /** A name that we made, with what the server said of it; its directory changed as well. */
  created(path: Path, answer: SftpAttributes, nlink = 1): Attributes {
    const attributes = toAttributes(this.#identity, answer, nlink);
    this.#touch(path);
    this.symlinks.forget(path);
    this.#put(path, attributes);
    this.#membersChanged(path);
    return attributes;
  }

  /** The same for one that the server has not confirmed. */
  made(path: Path, attributes: Attributes): void {
    this.#touch(path);
    this.symlinks.forget(path);
    this.#put(path, attributes);
    this.#membersChanged(path);
  }

  /** A directory that we made holds nothing yet: that is a complete listing. */
  createdEmpty(path: Path): void {
    const directory = new Directory();
    directory.list(new Map(), this.#clock.monotonic(), true);
    this.#directories.set(path, directory);
  }

  /** A name that we removed; of a directory nothing below it is left either. */
  removed(path: Path, isTree: boolean): void {
    if (isTree) this.forgetTree(path);
    this.#touch(path);
    this.symlinks.forget(path);
    this.#put(path, null);
    this.#membersChanged(path);
  }

  /** A rename of ours; `keepsOld`: both names may be one file, and then rename(2) leaves the old one. */
  renamed(from: Path, to: Path, keepsOld: boolean): void {
    const attributes = this.known(from)?.value ?? null;
    const isTree = attributes === null || isDirectory(attributes.mode);
    if (isTree) this.forgetTree(to);
    const moved = isTree ? this.#below(from) : [];
    this.symlinks.renamed(from, to);
    this.removed(from, isTree);
    for (const [path, directory] of moved) this.#directories.set(rebase(path, from, to), directory);
    if (keepsOld) this.forget(from);
    this.#touch(to);
    if (attributes !== null) this.#put(to, attributes);
    else this.forget(to);
    this.#membersChanged(to);
  }

  /** The file at `path` exists, and what is known of it no longer holds, since we changed it. */
  outdated(path: Path): void {
    this.#touch(path);
    this.#outdate(path);
  }

  /** Somebody else has changed the file at `path`: what was known of it no longer holds. */
  changedElsewhere(path: Path): void {
    this.voidAnswers(path);
    if (isSymlink(this.#peek(path)?.type ?? 0)) this.#forgetTarget(path);
    this.#outdate(path);
    this.kernel?.invalidateAttributes(path);
  }

  /** Somebody else has made the name `path`, or made and removed it again: the listing is not whole any more. */
  appeared(path: Path): void {
    this.voidAnswers(path);
    this.#directories.peek(homeOf(path))?.forget(nameOf(path));
    this.kernel?.invalidateAbsence(path);
    // What was lost from here it may still hold.
    this.kernel?.invalidateAttributes(path);
  }

  /** Answers about `path` that are under way may be old. */
  voidAnswers(path: Path): void {
    this.epochs.touch(path);
    this.#asking.delete(path);
  }

  /**
   * The directory of `path` has changed. Where changes are posted, asking it would wait for them: then it is known all
   * the same, with the time of this machine.
   */
  #membersChanged(path: Path): void {
    const directory = parentOf(path);
    const before = this.#options.posts ? this.#peek(directory) : undefined;
    this.outdated(directory);
    if (!before?.attributes) return;
    const now = Math.floor(this.#clock.now() / 1000);
    const attributes = { ...before.attributes, mtime: now, ctime: now };
    this.#directories.peek(homeOf(directory))?.put({ ...before, attributes });
  }

  #outdate(path: Path): void {
    this.#directories.peek(homeOf(path))?.outdate(nameOf(path));
  }

  /** The file at `path` has `nlink` names now: so say all of them that are known. */
  setLinkCount(path: Path, nlink: number): void {
    this.#links.recount(path, nlink);
    for (const name of this.#links.twins(path)) {
      const known = this.known(name)?.value;
      if (known) this.changed(name, { ...known, nlink });
    }
  }

  /** How many names the file at `path` was last known to have. */
  linkCount(path: Path): number {
    return this.#links.count(path) ?? this.#peek(path)?.attributes?.nlink ?? 1;
  }

  /** The attributes that were known last, trusted or not; null for none. */
  last(path: Path): Attributes | null {
    return this.#peek(path)?.attributes ?? null;
  }

  /** st_size as it was last known, 0 if it is not. */
  sizeOf(path: Path): number {
    return this.last(path)?.size ?? 0;
  }

  /** Nothing is known of `path` any more, not even whether it exists. */
  forget(path: Path): void {
    this.#touch(path);
    this.symlinks.forget(path);
    this.#directories.peek(homeOf(path))?.forget(nameOf(path));
    this.#lost();
  }

  /** Nothing is known of what lies in the directory `path` and below. */
  forgetTree(path: Path): void {
    this.epochs.touchTree(path);
    this.#vouching.drop(path);
    for (const [key] of this.#below(path)) this.#directories.delete(key);
    this.symlinks.forgetWithin(path);
    for (const key of [...this.#asking.keys()]) if (isWithin(key, path)) this.#asking.delete(key);
  }

  #below(path: Path): [Path, Directory][] {
    return [...this.#directories.entries()].filter(([key]) => isWithin(key, path));
  }

  /** The directory if it was listed and may still be trusted. */
  listed(path: Path): Directory | undefined {
    this.uses += 1;
    const directory = this.#directories.get(path);
    return directory !== undefined && this.#lifetimes.ofListing(path, directory) > 0 ? directory : undefined;
  }

  /** Directories of which anything is known, as many as `most`, the one that was used last first. */
  recent(most: number): readonly Path[] {
    const paths: Path[] = [];
    for (const path of this.#directories.keys()) {
      if (paths.length === most) break;
      if (path !== ABOVE_ROOT) paths.push(path);
    }
    return paths;
  }

  /** What was said of the name last, trusted or not; undefined for one of which nothing is known. */
  remembered(path: Path): Name | undefined {
    return this.#peek(path);
  }

  /** What is in the directory, in that order; undefined if that is not known. */
  entries(path: Path, order: Order): readonly DirectoryEntry[] | undefined {
    return this.listed(path)?.entries(path, order);
  }

  /** What is held of the directory, trusted or not. */
  held(path: Path): Directory | undefined {
    return this.#directories.peek(path);
  }

  /** Names known, and how many directories they lie in. */
  get size(): { readonly attributes: number; readonly listings: number } {
    let listings = 0;
    let attributes = 0;
    for (const { listedAt, size } of this.#directories.values()) {
      attributes += size;
      if (listedAt !== null) listings += 1;
    }
    return { attributes, listings };
  }

  /** Takes over a complete listing, unless something newer is known of a name; the kernel is told what differs. */
  #relist(path: Path, names: Map<ByteString, Name>, askedAt: number, provesAbsence: boolean): Directory {
    const isShown = names.size > 0;
    const directory = this.#directories.get(path) ?? new Directory();
    const mayBeHeld = this.#lostUntil > this.#clock.monotonic();
    const vanished: [Path, number][] = [];
    for (const before of directory.names()) {
      if (before.at > askedAt) names.set(before.name, before);
      else if (before.attributes !== null && !names.has(before.name)) {
        vanished.push([joinPath(path, before.name), before.type]);
      }
    }
    for (const { name, attributes } of names.values()) {
      if (!attributes) continue;
      const before = directory.get(name);
      if (before === undefined && !mayBeHeld && !isSymlink(attributes.mode)) continue;
      this.#tell(joinPath(path, name), before, attributes);
    }
    const wasHeld = this.#directories.has(path);
    directory.list(names, askedAt, provesAbsence && isShown);
    this.#keep(path, directory);
    if (!wasHeld) this.onListed();
    for (const [gone, mode] of vanished) this.#vanished(gone, mode);
    return directory;
  }

  /** Tells the kernel if it may hold something else than what is now known to be true. */
  #tell(path: Path, before: Name | undefined, now: Attributes): void {
    // The server's clock is taken for ours.
    const seenAt = (this.#clock.now() - this.#clock.monotonic() + (before?.at ?? 0)) / 1000;
    const what = toTell(before, now, seenAt);
    if (what === 'other') this.#vanished(path, before?.type ?? 0);
    else if (what === 'target') this.#forgetTarget(path);
    else if (what === 'attributes' && (before === undefined || this.#isHeld(path, before))) {
      this.kernel?.invalidateAttributes(path);
    }
  }

  /** May the kernel still trust what it was told of the name? */
  #isHeld(path: Path, name: Name): boolean {
    return this.#vouching.isRecent || this.#lifetimes.ofName(homeOf(path), name) > 0;
  }

  #vanished(path: Path, mode: number): void {
    if (isDirectory(mode)) this.forgetTree(path);
    this.symlinks.forget(path);
    this.onVanished(path);
  }

  /** The kernel caches a symlink's target without end, so a link that changed is taken from it. */
  #forgetTarget(path: Path): void {
    this.symlinks.forget(path);
    this.kernel?.invalidateData(path);
  }

  #peek(path: Path): Name | undefined {
    return this.#directories.peek(homeOf(path))?.get(nameOf(path));
  }

  #put(path: Path, attributes: Attributes | null, at = this.#clock.monotonic()): void {
    const home = homeOf(path);
    const directory = this.#directories.get(home) ?? new Directory();
    const { size } = directory;
    directory.put(nameWith(nameOf(path), attributes, at));
    if (directory.size !== size) this.#keep(home, directory);
  }

  /** Stored anew, its size counts anew. */
  #keep(path: Path, directory: Directory): void {
    this.#directories.delete(path);
    this.#directories.set(path, directory);
  }

  #lost(): void {
    this.#lostUntil = this.#clock.monotonic() + this.#options.statTtl;
  }

  #touch(path: Path): void {
    this.voidAnswers(path);
    this.#vouching.changedByUs(path);
  }
}
