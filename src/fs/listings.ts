/**
 * Directories, asked for as a whole: whoever wants one at the same time shares the request, and a listing that
 * was begun ahead serves those who come to want it. What is learned goes to the namespace.
 */
import { ascii, type ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { isRegular, isSymlink, S_IFMT } from '../base/mode.js';
import { joinPath, type Path } from '../base/path.js';
import { linkCountOf, type SftpName } from '../sftp/attributes.js';
import { type Directory, type Name, nameWith } from './directory.js';
import { type Identity, isHidden, toAttributes } from './identity.js';
import type { HardLinks } from './links.js';
import type { Namespace } from './namespace.js';
import type { Attributes } from './operations.js';
import type { FsOptions } from './options.js';
import { depthFor, memoryOf, readPages } from './pages.js';
import type { Remote } from './remote.js';

/** A listing that nobody asked for is given up beyond this many names. */
const MAX_AHEAD = 10_000;
/**
 * Bytes of memory for the directories that are being read, all of them together: about 1.9 million names of
 * ordinary length. A server may go on sending for ever, even the same name; what goes beyond this is EIO.
 */
const MAX_LISTING_BYTES = 512 * 1024 * 1024;

/** Why a directory is listed. */
interface Purpose {
  /** Somebody waits for it; else it is only made ahead, and given up beyond so many names. */
  isWanted: boolean;
  readonly limit: number;
  /** Names that it does not show do not exist; so it is of what somebody wants to list in any case. */
  provesAbsence: boolean;
  /** The server has opened it: what is in it comes with the next round trip. */
  isOpen: boolean;
}

/** For a program that will list it. */
const AHEAD = { limit: MAX_AHEAD, provesAbsence: true, isOpen: false };

/** A listing under way. */
interface Asking {
  /** The epoch at which it began. */
  readonly since: number;
  readonly purpose: Purpose;
  readonly directory: Promise<Directory>;
}

export class Listings {
  readonly #remote: Remote;
  readonly #names: Namespace;
  readonly #identity: Identity;
  readonly #links: HardLinks;
  readonly #options: FsOptions;
  readonly #clock: Clock;
  readonly #asking = new Map<Path, Asking>();
  /** What the directories being read take. */
  #bytes = 0;
  /** Called when a directory was listed. */
  onListed: (path: Path) => void = () => undefined;
  /** Called when a listing, asked for at epoch `since`, shows that a file has no other name, though we know of some. */
  onAlone: (path: Path, since: number) => void = () => undefined;

  constructor(
    remote: Remote,
    names: Namespace,
    identity: Identity,
    links: HardLinks,
    options: FsOptions,
    clock: Clock,
  ) {
    this.#remote = remote;
    this.#names = names;
    this.#identity = identity;
    this.#links = links;
    this.#options = options;
    this.#clock = clock;
  }

  /** The directory with all its names, from the cache while it may be trusted. */
  async list(path: Path): Promise<Directory> {
    const listed = this.#names.listed(path);
    if (listed !== undefined) return listed;
    const asking = this.#asking.get(path);
    // One that began before the directory was moved or removed is about another.
    if (asking === undefined || this.#names.epochs.touchedIn(path, asking.since) === null) {
      return this.#ask(path, { ...AHEAD, isWanted: true });
    }
    const { purpose } = asking;
    const wasWanted = purpose.isWanted;
    purpose.isWanted = true;
    try {
      const directory = await asking.directory;
      // One that is not held may lack what was changed before this call.
      return this.#names.held(path) === directory ? directory : this.list(path);
    } catch (error) {
      // What only listed ahead does not find out why it failed.
      if (wasWanted) throw error;
      return this.list(path);
    }
  }

  /** Lists a directory that nobody asked for yet; answers its number of names. Fails with anything, and beyond `limit`. */
  async listAhead(
    path: Path,
    { limit, provesAbsence }: Readonly<Pick<Purpose, 'limit' | 'provesAbsence'>> = AHEAD,
  ): Promise<number> {
    return (await this.#ask(path, { isWanted: false, limit, provesAbsence, isOpen: false })).size;
  }

  /**
   * Resolves when the listing that is under way ahead of those who want it has ended, somehow; null if there is none, or
   * if asking for a name takes no longer.
   */
  settled(path: Path): Promise<void> | null {
    const asking = this.#asking.get(path);
    if (asking === undefined || asking.purpose.isWanted || !asking.purpose.isOpen) return null;
    return asking.directory.then(
      () => undefined,
      () => undefined,
    );
  }

  /** What the listing that is under way does not show does not exist, to whoever asks for single names. */
  useForAbsence(path: Path): void {
    const asking = this.#asking.get(path);
    if (asking !== undefined) asking.purpose.provesAbsence = true;
  }

  isListing(path: Path): boolean {
    return this.#asking.has(path);
  }

  #ask(path: Path, purpose: Purpose): Promise<Directory> {
    const since = this.#names.epochs.now();
    const directory = this.#fetch(path, since, purpose).finally(() => {
      if (this.#asking.get(path)?.directory === directory) this.#asking.delete(path);
    });
    this.#asking.set(path, { since, purpose, directory });
    return directory;
  }

  async #fetch(path: Path, since: number, purpose: Purpose): Promise<Directory> {
    const askedAt = this.#clock.monotonic();
    const at = this.#remote.at(path);
    const { client } = this.#remote;
    const depth = this.#options.syncReaddir ? 1 : depthFor(this.#names.sizeOf(path));
    const names = new Map<ByteString, Name>();
    let bytes = 0;
    try {
      const handle = await client.opendir(at);
      purpose.isOpen = true;
      for await (const page of readPages(client, handle, depth)) {
        const taken = memoryOf(page);
        bytes += taken;
        this.#bytes += taken;
        if (this.#bytes > MAX_LISTING_BYTES) throw new FsError('EIO', 'a directory too large to be true');
        for (const entry of await this.#followed(path, page)) {
          names.set(entry.filename, this.#nameOf(path, entry, since, askedAt));
        }
        if (names.size > purpose.limit && !purpose.isWanted)
          throw new FsError('EFBIG', 'too large to list ahead');
      }
    } catch (error) {
      throw purpose.isWanted ? await this.#remote.failure(error, { op: 'opendir', path: at }) : error;
    } finally {
      this.#bytes -= bytes;
    }
    const provesAbsence = purpose.isWanted || purpose.provesAbsence;
    const directory = this.#names.answers.learnListing(path, names, since, askedAt, provesAbsence);
    this.onListed(path);
    return directory;
  }

  /** With `follow_symlinks` the entries as what their links lead to; where that is nothing, as the links they are. */
  async #followed(directory: Path, page: readonly SftpName[]): Promise<readonly SftpName[]> {
    const isLink = ({ attributes }: SftpName) => isSymlink(attributes.permissions ?? 0);
    if (!this.#remote.followsLinks || !page.some(isLink)) return page;
    const { client } = this.#remote;
    return Promise.all(
      page.map(async (entry) => {
        if (!isLink(entry)) return entry;
        const at = this.#remote.at(joinPath(directory, entry.filename));
        const attributes = await client.stat(at).catch(() => entry.attributes);
        return { filename: entry.filename, longname: ascii(''), attributes };
      }),
    );
  }

  /** An owner without a number here hides what is in the entry, not the entry itself. */
  #nameOf(directory: Path, entry: SftpName, since: number, askedAt: number): Name {
    if (!isHidden(this.#identity, entry.attributes)) {
      return nameWith(entry.filename, this.#attributesOf(directory, entry, since), askedAt);
    }
    const type = (entry.attributes.permissions ?? 0) & S_IFMT;
    return { name: entry.filename, type, attributes: undefined, at: askedAt };
  }

  #attributesOf(directory: Path, entry: SftpName, since: number): Attributes {
    const count = linkCountOf(entry.longname);
    const attributes = toAttributes(this.#identity, entry.attributes, count ?? 1);
    if (!isRegular(attributes.mode) || (attributes.nlink === 1 && this.#links.isEmpty)) return attributes;
    const path = joinPath(directory, entry.filename);
    if (count === null) return { ...attributes, nlink: this.#names.linkCount(path) };
    // One that crosses a change of ours may not know of our link.
    const isNew = this.#names.epochs.isCurrent(path, since);
    if (isNew && !this.#links.observe(path, attributes)) this.onAlone(path, since);
    return attributes;
  }
}
