/**
 * The filesystem of one mount: what each call of a program means on the server. This class only puts the
 * parts together; `attribute-operations`, `file-operations` and `name-operations` hold the meaning.
 */
import { type ByteString, decodeText } from '../base/bytes.js';
import { type Clock, systemClock } from '../base/clock.js';
import type { FsError } from '../base/errno.js';
import type { Path } from '../base/path.js';
import { BlockCache } from '../cache/blocks.js';
import type { DiskCache } from '../cache/disk/disk-cache.js';
import type { RecoveringClient } from '../recovery/client.js';
import { AttributeOperations } from './attribute-operations.js';
import { AttributesBehind } from './attributes-behind.js';
import type { BulkClients } from './bulk.js';
import { LinkGuard } from './containment.js';
import { Content } from './content.js';
import { Creating } from './creating.js';
import { Elsewhere } from './elsewhere.js';
import { FileOperations } from './file-operations.js';
import { FileTable } from './file-table.js';
import { FilesAhead } from './files-ahead.js';
import { Freshness } from './freshness.js';
import { Giving } from './giving.js';
import type { Identity } from './identity.js';
import { Lanes } from './lanes.js';
import { LateOpens } from './late-opens.js';
import { LinkCounts } from './link-counts.js';
import { HardLinks } from './links.js';
import { ListingAhead } from './listing-ahead.js';
import { Listings } from './listings.js';
import { NameOperations } from './name-operations.js';
import { Namespace } from './namespace.js';
import { OpenDirectories } from './open-directories.js';
import { describeHandle, type FileNode, type OpenHandle, type Unsent, unsentOf } from './open-file.js';
import { Opening } from './opening.js';
import type { AttributeChanges, Ids, KernelCache, Operations, Target, WriteFlags } from './operations.js';
import type { FsOptions } from './options.js';
import { mustBeWritable, type Parts, type Store } from './parts.js';
import { Posted } from './posted.js';
import { Remote } from './remote.js';
import type { FsStatus } from './status.js';
import { Vouching } from './vouching.js';
import { WriteBehind } from './write-behind.js';

export interface FileSystemSettings {
  readonly client: RecoveringClient;
  /** Carries the data of large files, where there is more than one connection. */
  readonly bulk?: BulkClients;
  /** The mounted directory, absolute, as REALPATH answered it. */
  readonly root: ByteString;
  readonly options: FsOptions;
  readonly identity: Identity;
  /** File content that survives the mount. */
  readonly disk?: DiskCache | null;
  /** Where it is mounted on this machine, absolute, if that is known. */
  readonly mountpoint?: ByteString;
  readonly clock?: Clock;
  /** Takes a line for the log of the mount. */
  readonly report?: (text: string) => void;
}

export type { OpenHandle, Unsent } from './open-file.js';

/** Files that are named when a person is told what the server refused. */
const MAX_UNTOLD = 1000;

export class FileSystem implements Operations {
  /** For whoever watches on the server what others do there. */
  readonly elsewhere: Elsewhere;
  readonly #parts: Parts;
  readonly #blocks: BlockCache;
  readonly #disk: DiskCache | null;
  readonly #attributes: AttributeOperations;
  readonly #opening: Opening;
  readonly #ahead: FilesAhead;
  readonly #files: FileOperations;
  readonly #names: NameOperations;
  readonly #directories: OpenDirectories;
  readonly #untold: Unsent[] = [];

  constructor(settings: FileSystemSettings) {
    const { client, bulk, root, options, identity, mountpoint, clock = systemClock } = settings;
    const report = settings.report ?? (() => undefined);
    this.#disk = settings.disk ?? null;
    const remote = new Remote(client, root, options.followSymlinks);
    const links = new HardLinks();
    this.#blocks = new BlockCache(options.cacheBytes);
    const rules = {
      mode: options.containSymlinks,
      transform: options.transformSymlinks,
      root,
      mountpoint: mountpoint ?? null,
    };
    const guard = new LinkGuard(rules, report);
    const vouching = new Vouching(clock, options.followSymlinks ? 0 : options.statTtl);
    const names = new Namespace(remote, identity, options, links, guard, clock, vouching);
    const lanes = new Lanes(remote, bulk ?? null);
    const content = new Content(remote, lanes, this.#blocks, this.#disk, options, clock);
    const writes = new WriteBehind(remote, lanes, clock, options.dirtyBytes, {
      failed: (node, extent, error) => this.#writeFailed(node, extent.data.length, error),
      confirmed: (node) => {
        // A flush that waits for it learns the attributes; without one they are unknown.
        if (node.path !== null && node.settling === 0) names.outdated(node.path);
      },
    });
    const listings = new Listings(remote, names, identity, links, options, clock);
    const walks = new ListingAhead(names, listings, clock, options.dirTtl);
    const store: Store = {
      remote,
      options,
      identity,
      clock,
      names,
      listings,
      counts: new LinkCounts(names, listings),
      walks,
      links,
      lanes,
      content,
      writes,
      behind: new AttributesBehind(remote, writes, ({ node: { path } }) => {
        if (path === null) return;
        names.outdated(path);
        this.#parts.kernel?.invalidateAttributes(path);
      }),
      posted: new Posted({
        client,
        isOn: options.posts,
        report,
        directory: (path) => names.known(path)?.value,
      }),
      report,
      files: new FileTable(this.#blocks, links, client.limits.maxWrite),
      kernel: null,
    };
    const parts: Parts = Object.assign(store, {
      freshness: new Freshness(store),
      giving: new Giving(store),
      late: new LateOpens(store),
    });
    this.#ahead = new FilesAhead(parts, bulk ?? null);
    parts.late.onReplaced = (path) => parts.freshness.replaced(path);
    listings.onListed = (path) => {
      walks.listed(path);
      this.#ahead.listed(path);
    };
    listings.onAlone = (path, since) => void parts.freshness.alone(path, since);
    names.answers.onVanished = (path, byListing) => parts.freshness.vanished(path, byListing);
    // A server that has just started may lack the disk: then files only seem to be gone.
    if (options.checksRoot) client.vouch = (fresh) => remote.vouch(fresh);
    client.onWeather = (isDown) => (isDown ? writes.wake() : parts.freshness.resolveDoubts());
    this.#parts = parts;
    this.elsewhere = new Elsewhere(parts, vouching);
    const creating = new Creating(parts);
    this.#opening = new Opening(parts, this.#ahead, creating);
    this.#files = new FileOperations(parts, this.#opening, creating);
    this.#attributes = new AttributeOperations(parts, this.#files, creating);
    this.#directories = new OpenDirectories(parts);
    this.#names = new NameOperations(parts, this.#directories);
  }

  /** From now on the kernel is told what it should forget. */
  attachKernel(kernel: KernelCache): void {
    this.#parts.kernel = kernel;
    this.#parts.names.answers.kernel = kernel;
  }

  /**
   * Brings everything written to the server, as far as that is possible within the time that a call may wait;
   * answers what it refused and nobody was told of yet, and what could not be sent.
   */
  async flushAll(): Promise<readonly Unsent[]> {
    const nodes = [...this.#parts.files.nodes()].filter((node) => node.isDirty);
    await Promise.allSettled(
      nodes.map((node) => {
        const file = [...node.handles].find((handle) => handle.canWrite) ?? [...node.handles][0];
        return file === undefined ? undefined : this.#parts.writes.push(file);
      }),
    );
    await this.#parts.posted.settled().catch(() => undefined);
    return this.unsent();
  }

  /** What was refused of closed files has been told to a person: it is not named again. */
  told(): void {
    this.#untold.length = 0;
    this.#parts.posted.told();
  }

  /** What was written and is not on the server at this moment, or was refused and no program was told of. */
  unsent(): readonly Unsent[] {
    const open = [...this.#parts.files.nodes()].flatMap((node) => unsentOf(node) ?? []);
    return [...this.#untold, ...open, ...this.#parts.posted.unsent()];
  }

  status(): FsStatus {
    const { remote, files, lanes, writes, names, posted, options } = this.#parts;
    return {
      openFiles: files.openHandles,
      openDirectories: this.#directories.size,
      inFlight: remote.client.inFlight + lanes.inFlight,
      queued: remote.client.parked + writes.queued,
      dirtyBytes: writes.dirtyBytes,
      dirtyAge: writes.oldestAge,
      posted: posted.pending,
      postedFailed: posted.failed,
      cachedBytes: this.#blocks.bytes,
      cacheLimit: options.directIo ? 0 : this.#blocks.maxBytes,
      lentBytes: this.#blocks.lentBytes,
      cacheHits: this.#blocks.hits,
      cacheMisses: this.#blocks.misses,
      disk: this.#disk?.status() ?? null,
      attributeHits: this.#attributes.counts.hits,
      attributeMisses: this.#attributes.counts.misses,
      cachedAttributes: names.size.attributes,
      cachedListings: names.size.listings,
      prefetch: this.#ahead.status,
    };
  }

  /** What programs have open; files first. */
  handles(): readonly OpenHandle[] {
    const directories = this.#directories.paths().map((path): OpenHandle => {
      return { path: path === null ? null : decodeText(path), access: 'list', unsent: 0 };
    });
    return [...[...this.#parts.files.handles()].map(describeHandle), ...directories];
  }

  /**
   * Forgets what is cached of `path` and all below, here and in the kernel: whoever looks next sees what the server
   * has. What was written and is not sent stays. Asks the server nothing.
   */
  async refresh(path: Path): Promise<void> {
    const { names, files, content, kernel } = this.#parts;
    names.forgetTree(path);
    names.forget(path);
    content.doubt(path);
    for (const node of [...files.within(path)]) content.drop(node);
    await kernel?.invalidateTree(path);
  }

  /** Forgets what is cached and ends the SFTP channel. */
  close(): void {
    this.#parts.files.clear();
    this.#blocks.clear();
    this.#parts.remote.client.end();
  }

  lookup(path: Path) {
    return this.#attributes.lookup(path);
  }

  getattr(target: Target) {
    return this.#attributes.getattr(target);
  }

  setattr(target: Target, changes: AttributeChanges) {
    return this.#attributes.setattr(target, changes);
  }

  access(target: Target, mask: number) {
    return this.#attributes.access(target, mask);
  }

  statfs() {
    return this.#attributes.statfs();
  }

  readlink(path: Path) {
    return this.#names.readlink(path);
  }

  async symlink(path: Path, target: ByteString, by?: Ids) {
    mustBeWritable(this.#parts.options);
    return this.#names.symlink(path, target, by);
  }

  async mkdir(path: Path, mode: number, by?: Ids) {
    mustBeWritable(this.#parts.options);
    return this.#names.mkdir(path, mode, by);
  }

  async unlink(path: Path) {
    mustBeWritable(this.#parts.options);
    return this.#names.unlink(path);
  }

  async rmdir(path: Path) {
    mustBeWritable(this.#parts.options);
    return this.#names.rmdir(path);
  }

  async rename(from: Path, to: Path, options: { readonly noReplace: boolean }) {
    mustBeWritable(this.#parts.options);
    return this.#names.rename(from, to, options);
  }

  async link(from: Path, to: Path) {
    mustBeWritable(this.#parts.options);
    return this.#names.link(from, to);
  }

  opendir(path: Path | null) {
    return this.#directories.opendir(path);
  }

  readdir(handle: number, restart: boolean) {
    return this.#directories.readdir(handle, restart);
  }

  async releasedir(handle: number) {
    this.#directories.releasedir(handle);
  }

  fsyncdir(handle: number) {
    return this.#directories.fsyncdir(handle);
  }

  mknod(path: Path, mode: number, by?: Ids) {
    return this.#files.mknod(path, mode, by);
  }

  open(path: Path, flags: number) {
    return this.#opening.open(path, flags);
  }

  create(path: Path, flags: number, mode: number, by?: Ids) {
    return this.#opening.create(path, flags, mode, by);
  }

  read(handle: number, offset: number, size: number) {
    return this.#files.read(handle, offset, size);
  }

  write(handle: number, offset: number, data: Uint8Array, flags: WriteFlags) {
    return this.#files.write(handle, offset, data, flags);
  }

  flush(handle: number) {
    return this.#files.flush(handle);
  }

  fsync(handle: number) {
    return this.#files.fsync(handle);
  }

  async release(handle: number) {
    const unsent = await this.#files.release(handle);
    if (unsent !== null && this.#untold.length < MAX_UNTOLD) this.#untold.push(unsent);
  }

  lseek(handle: number, offset: number, whence: number) {
    return this.#files.lseek(handle, offset, whence);
  }

  fallocate(handle: number, mode: number, offset: number, length: number) {
    return this.#files.fallocate(handle, mode, offset, length);
  }

  copyFileRange(from: number, fromOffset: number, to: number, toOffset: number, length: number) {
    return this.#files.copyFileRange(from, fromOffset, to, toOffset, length);
  }

  /** What was written did not arrive: neither we nor the kernel may go on showing it. */
  #writeFailed(node: FileNode, bytes: number, error: FsError): void {
    const { content, names, kernel } = this.#parts;
    node.lostBytes += bytes;
    node.fail(error);
    content.drop(node);
    if (node.path === null) return;
    names.outdated(node.path);
    kernel?.invalidateData(node.path);
  }
}
