/**
 * What the server says of names. Whoever asks at the same time shares one question; an answer that crosses a change of
 * ours is given to whoever asked, but not stored (see Epochs). Link counts come only from listings, so an LSTAT inherits
 * the count that was seen last.
 *
 * The kernel trusts what it was told for as long as we do and asks nobody meanwhile. So an answer that differs
 * from what is still trusted is told to it at once. What was lost from here (room for other names was needed)
 * the kernel may still hold: for as long as that can be, names that are new to us are taken for changed.
 */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { isDirectory, isSymlink, S_IFMT } from '../base/mode.js';
import { isWithin, joinPath, type Path } from '../base/path.js';
import type { Epochs } from '../cache/epochs.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { type Directories, homeOf } from './directories.js';
import { Directory, type Name } from './directory.js';
import { type Identity, isHidden, toAttributes } from './identity.js';
import type { Lifetimes } from './lifetimes.js';
import type { HardLinks } from './links.js';
import type { Attributes, KernelCache } from './operations.js';
import type { Remote } from './remote.js';
import { looksSame } from './same-file.js';
import type { Symlinks } from './symlinks.js';
import { toTell } from './telling.js';
import type { Vouching } from './vouching.js';

interface AnswersSettings {
  readonly remote: Remote;
  readonly identity: Identity;
  readonly links: HardLinks;
  readonly clock: Clock;
  readonly epochs: Epochs;
  readonly directories: Directories;
  readonly symlinks: Symlinks;
  readonly vouching: Vouching;
  readonly lifetimes: Lifetimes;
}

/** What was asked for after the listing began is newer, but for the link count, which only listings tell. */
function counted(asked: Name, listed: Name | undefined): Name {
  if (!asked.attributes || !listed?.attributes || asked.type !== listed.type) return asked;
  return { ...asked, attributes: { ...asked.attributes, nlink: listed.attributes.nlink } };
}

export class Answers {
  readonly #settings: AnswersSettings;
  readonly #asking = new Map<Path, Promise<Attributes | null>>();
  kernel: KernelCache | null = null;
  /**
   * Called when the server turns out to have no such name any more, or another file by it; by a listing, which has told
   * link counts as well, or not.
   */
  onVanished: (path: Path, byListing: boolean) => void = () => undefined;
  /** Called when a directory was listed that was not held before. */
  onListed: () => void = () => undefined;

  constructor(settings: AnswersSettings) {
    this.#settings = settings;
  }

  /** Asks the server: attributes of `path`, or null when there is no such name. Rejects with an `FsError`. */
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
    const { remote, identity, epochs, directories, clock, links } = this.#settings;
    const since = epochs.now();
    const askedAt = clock.monotonic();
    const at = remote.at(path);
    try {
      const answer = await remote.look(at);
      if (isHidden(identity, answer)) {
        throw new FsError('EPERM', `owner ${answer.uid}:${answer.gid} has no number here`);
      }
      return this.learn(path, answer, since);
    } catch (error) {
      const failure = await remote.failure(error, { op: 'lstat', path: at });
      if (failure.code !== 'ENOENT') throw failure;
      if (epochs.isCurrent(path, since)) {
        const was = directories.nameAt(path);
        const isNews = was !== undefined && was.attributes !== null;
        if (isNews || links.twin(path) !== null) this.#vanished(path, was?.type ?? 0, false);
        directories.put(path, null, askedAt);
      }
      return null;
    }
  }

  /** Attributes that the server answered about `path` when asked at epoch `since`. */
  learn(path: Path, answer: SftpAttributes, since: number): Attributes {
    const { identity, links, epochs, directories, vouching } = this.#settings;
    const before = directories.nameAt(path);
    const type = (answer.permissions ?? 0) & S_IFMT;
    const isOther = before !== undefined && before.attributes !== null && before.type !== type;
    const attributes = toAttributes(identity, answer, isOther ? 1 : this.linkCount(path));
    if (epochs.isCurrent(path, since)) {
      if (before !== undefined) this.#tell(path, before, attributes, false);
      if (before?.attributes && !looksSame(before.attributes, attributes)) {
        for (const twin of links.twins(path)) directories.outdate(twin);
      }
      directories.put(path, attributes, vouching.answeredAt(path, since));
    }
    return attributes;
  }

  /**
   * The server was asked once more, at epoch `since` and at `askedAt` of the monotonic clock: is what it told of
   * `path` still what is known, which is then as fresh as the question?
   */
  confirm(path: Path, told: Attributes, since: number, askedAt: number): boolean {
    const { epochs, directories } = this.#settings;
    const known = directories.nameAt(path);
    if (!known?.attributes || !looksSame(known.attributes, told) || !epochs.isCurrent(path, since))
      return false;
    directories.amend(path, { ...known, at: Math.max(known.at, askedAt) });
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
    const touched = this.#settings.epochs.touchedIn(path, since);
    const known = this.#settings.directories.peek(path);
    if (touched !== null && (known?.addTo(names, touched) ?? touched.size === 0))
      return this.#relist(path, names, askedAt, provesAbsence);
    const passing = new Directory();
    passing.list(names, askedAt, 'unknown');
    return passing;
  }

  /** How many names the file at `path` was last known to have. */
  linkCount(path: Path): number {
    const { links, directories } = this.#settings;
    return links.count(path) ?? directories.nameAt(path)?.attributes?.nlink ?? 1;
  }

  /** Answers about `path` that are under way may be old. */
  voidAbout(path: Path): void {
    this.#settings.epochs.touch(path);
    this.#asking.delete(path);
  }

  /** Nothing is known of what lies in the directory `path` and below, and answers that are under way may be old. */
  forgetTree(path: Path): void {
    const { epochs, vouching, directories, symlinks } = this.#settings;
    epochs.touchTree(path);
    vouching.drop(path);
    directories.drop(path);
    symlinks.forgetWithin(path);
    for (const key of [...this.#asking.keys()]) if (isWithin(key, path)) this.#asking.delete(key);
  }

  /** The symbolic link at `path` may lead elsewhere: the kernel caches a target without end, so it is taken from it. */
  forgetTarget(path: Path): void {
    this.#settings.symlinks.forget(path);
    this.kernel?.invalidateData(path);
  }

  /** Takes over a complete listing, unless something newer is known of a name; the kernel is told what differs. */
  #relist(path: Path, names: Map<ByteString, Name>, askedAt: number, provesAbsence: boolean): Directory {
    const { directories } = this.#settings;
    const absence = names.size === 0 ? 'unknown' : provesAbsence ? 'known' : 'knowable';
    const directory = directories.use(path) ?? new Directory();
    const mayBeHeld = directories.hasLost;
    const vanished: [Path, number][] = [];
    for (const before of directory.names()) {
      if (before.at > askedAt) names.set(before.name, counted(before, names.get(before.name)));
      else if (before.attributes !== null && !names.has(before.name)) {
        vanished.push([joinPath(path, before.name), before.type]);
      }
    }
    for (const { name, attributes } of names.values()) {
      if (!attributes) continue;
      const before = directory.get(name);
      if (before === undefined && !mayBeHeld && !isSymlink(attributes.mode)) continue;
      this.#tell(joinPath(path, name), before, attributes, true);
    }
    const wasHeld = directories.peek(path) !== undefined;
    directory.list(names, askedAt, absence);
    directories.keep(path, directory);
    if (!wasHeld) this.onListed();
    for (const [gone, mode] of vanished) this.#vanished(gone, mode, true);
    return directory;
  }

  /** Tells the kernel if it may hold something else than what is now known to be true. */
  #tell(path: Path, before: Name | undefined, now: Attributes, byListing: boolean): void {
    const { clock } = this.#settings;
    // The server's clock is taken for ours.
    const seenAt = (clock.now() - clock.monotonic() + (before?.at ?? 0)) / 1000;
    const what = toTell(before, now, seenAt);
    if (what === 'other') this.#vanished(path, before?.type ?? 0, byListing);
    else if (what === 'target') this.forgetTarget(path);
    else if (what === 'attributes' && (before === undefined || this.#isHeld(path, before))) {
      this.kernel?.invalidateAttributes(path);
    }
  }

  /** May the kernel still trust what it was told of the name? */
  #isHeld(path: Path, name: Name): boolean {
    const { vouching, lifetimes } = this.#settings;
    return vouching.isRecent || lifetimes.ofName(homeOf(path), name) > 0;
  }

  #vanished(path: Path, mode: number, byListing: boolean): void {
    if (isDirectory(mode)) this.forgetTree(path);
    this.#settings.symlinks.forget(path);
    this.onVanished(path, byListing);
  }
}
