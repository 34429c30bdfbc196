/**
 * Directories that programs have open. Each reads through the snapshot that was taken when it was opened, or when it was
 * rewound, while what is told of its entries is what is known by then. The directory may be renamed or removed meanwhile.
 */
import { FsError } from '../base/errno.js';
import { isWithin, joinPath, type Path } from '../base/path.js';
import type { Directory } from './directory.js';
import type { DirectoryEntry, Listing, Lookup, OpenedDirectory } from './operations.js';
import { missing, type Parts, statOf } from './parts.js';
import type { Listener } from './posted.js';

/** One of them: the snapshot its reader walks through. */
interface OpenDirectory extends Listener {
  /** Follows a rename; null once the directory was removed. */
  path: Path | null;
  snapshot: readonly DirectoryEntry[];
  /** The snapshot taken at opendir serves the first read. */
  isFresh: boolean;
}

export class OpenDirectories {
  readonly #parts: Parts;
  readonly #directories = new Map<number, OpenDirectory>();
  #next = 1;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#directories.size;
  }

  /** Where they are; null for one that was removed. */
  paths(): readonly (Path | null)[] {
    return [...this.#directories.values()].map(({ path }) => path);
  }

  /** Those at and below `within` are called differently now, or not at all. */
  moved(within: Path, move: (path: Path) => Path | null): void {
    for (const directory of this.#directories.values()) {
      if (directory.path !== null && isWithin(directory.path, within)) directory.path = move(directory.path);
    }
  }

  /** Reads the directory at once, so that what forbids reading it is told by opendir(3); null: it was removed. */
  async opendir(path: Path | null): Promise<OpenedDirectory> {
    if (path === null) return { handle: this.#add(null, []), keepCache: false };
    const listing = this.#parts.listings.list(path);
    this.#parts.walks.opened(path);
    const directory = await listing;
    const snapshot = directory.snapshot();
    return { handle: this.#add(path, snapshot), keepCache: this.#give(path, directory, snapshot) };
  }

  #add(path: Path | null, snapshot: readonly DirectoryEntry[]): number {
    const handle = this.#next;
    this.#next += 1;
    this.#directories.set(handle, { path, snapshot, isFresh: true, heard: this.#parts.posted.listen() });
    return handle;
  }

  async readdir(handle: number, restart: boolean): Promise<Listing> {
    const open = this.#directory(handle);
    if (restart && !open.isFresh) {
      open.snapshot = open.path === null ? [] : (await this.#parts.listings.list(open.path)).snapshot();
    }
    open.isFresh = false;
    const { path, snapshot } = open;
    const directory = path === null ? undefined : this.#parts.names.held(path);
    if (path === null || directory === undefined) return { entries: snapshot, describe: () => undefined };
    // Pages of two snapshots may mix.
    if (directory.given !== snapshot) directory.given = null;
    return { entries: snapshot, describe: (entry) => this.#describe(path, directory, entry) };
  }

  releasedir(handle: number): void {
    this.#directories.delete(handle);
  }

  /** Changes of names are then on the server; SFTP cannot force them to its disk. */
  async fsyncdir(handle: number): Promise<void> {
    const directory = this.#directory(handle);
    const { posted } = this.#parts;
    if (!posted.isOn) return;
    await posted.settled();
    posted.tell(directory);
  }

  #directory(handle: number): OpenDirectory {
    const directory = this.#directories.get(handle);
    if (directory === undefined) throw new FsError('EBADF', `no open directory ${handle}`);
    return directory;
  }

  /**
   * The kernel keeps the pages of a directory if they hold this very snapshot. It drops them by itself when a
   * change goes through it; names that come and go on the server, it hears of here.
   */
  #give(path: Path, directory: Directory, snapshot: readonly DirectoryEntry[]): boolean {
    const isHeld = directory.given === snapshot;
    const held = this.#parts.names.held(path);
    // A listing that crossed a change of ours is given, and not held.
    if (held !== undefined) held.given = held === directory ? snapshot : null;
    return isHeld;
  }

  /** What is known of an entry now: the snapshot is from opendir, and files change. */
  #describe(path: Path, directory: Directory, { name }: DirectoryEntry): Lookup | undefined {
    const { names, files, links } = this.#parts;
    const known = names.knownIn(path, directory, name);
    if (known === undefined) return undefined;
    if (known.value === null) return missing(this.#parts, 0);
    if (files.openHandles === 0 && links.isEmpty) return statOf(this.#parts, null, known.value, known.ttl);
    const child = joinPath(path, name);
    const node = files.openAt(child);
    // An open file that the listing does not show as we know it, or as programs are told of it: asking will tell.
    const isOther = node !== undefined && (node.own !== null || node.isDirty || !node.matches(known.value));
    if (isOther) return undefined;
    return statOf(this.#parts, child, known.value, known.ttl);
  }
}
