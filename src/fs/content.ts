/**
 * Reading through the block cache. A read takes its blocks from the cache, from a fetch that is already
 * under way, or from a new one; fetches ask for as many whole blocks as the server gives in one answer, which
 * arrives in the blocks' own memory and is lent to the driver from there: data is copied once on its way.
 *
 * With `cache_dir`, the disk of this machine is asked before the server, for files whose state is known for certain.
 *
 * What programs wrote and the server has not confirmed is laid over the result, as it stood when the read
 * began and again when it ends, so that a read sees every write that came before it.
 */
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { Path } from '../base/path.js';
import { BLOCK_SIZE, type BlockCache } from '../cache/blocks.js';
import type { DiskCache } from '../cache/disk/disk-cache.js';
import type { CachedFile } from '../cache/disk/entry.js';
import { LinkEstimate } from '../cache/link.js';
import type { Piece } from '../cache/pool.js';
import { planReadAhead } from '../cache/read-ahead.js';
import type { Extent } from '../cache/write-buffer.js';
import type { Lane, Lanes } from './lanes.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { Attributes, ReadResult } from './operations.js';
import type { FsOptions } from './options.js';
import { merged, slices, stretch } from './pieces.js';
import { isUnanswered, type Remote } from './remote.js';

const log = logger('read');

/** Read-ahead is allowed this much whatever was measured, in bytes. */
const MIN_READ_AHEAD = 1024 * 1024;
/** A reader that keeps this much ahead moves to lanes of its own, in bytes. */
const WIDE_WINDOW = 512 * 1024;

const NOTHING: ReadResult = { parts: [], release: () => undefined };

/** Blocks that one request brings; their pieces are filled when `done` resolves. */
export interface Fetch {
  readonly first: number;
  readonly blocks: readonly Piece[];
  readonly done: Promise<void>;
}

const blockOf = (offset: number): number => Math.floor(offset / BLOCK_SIZE);

export class Content {
  readonly #remote: Remote;
  readonly #lanes: Lanes;
  readonly #cache: BlockCache;
  readonly #disk: DiskCache | null;
  readonly #options: FsOptions;
  readonly #clock: Clock;
  readonly #link = new LinkEstimate();
  /** Bytes asked for ahead of their readers and not arrived, of all files. */
  #ahead = 0;

  constructor(
    remote: Remote,
    lanes: Lanes,
    cache: BlockCache,
    disk: DiskCache | null,
    options: FsOptions,
    clock: Clock,
  ) {
    this.#remote = remote;
    this.#lanes = lanes;
    this.#cache = cache;
    this.#disk = disk;
    this.#options = options;
    this.#clock = clock;
  }

  /** The bytes from `offset`, up to `size` of them; fewer only at the end of the file. */
  async read(file: OpenFile, offset: number, size: number): Promise<ReadResult> {
    const { node } = file;
    const end = Math.min(offset + size, node.size);
    if (end <= offset) return NOTHING;
    const length = end - offset;
    const wasDirty = node.isDirty;
    const before = this.#unsent(node, offset, length);
    const blocks: Piece[] = [];
    const waits = this.#gather(file, offset, end, blocks);
    this.#readAhead(file, offset, length, waits.size > 0);
    const release = () => {
      for (const block of blocks) block.release();
    };
    try {
      // Awaiting nothing would still cost a turn.
      if (waits.size > 0) await Promise.all(waits);
      if (!wasDirty && !node.isDirty) return { parts: slices(blocks, offset, length), release };
      // A file that is still to grow on the server is shorter there than what it holds: zeros fill the rest.
      const after = this.#unsent(node, offset, length);
      const result = merged(node.size, blocks, offset, end, [...before, ...after]);
      for (const { piece } of after) piece.release();
      release();
      return { parts: [result], release: NOTHING.release };
    } catch (error) {
      release();
      throw error;
    } finally {
      for (const { piece } of before) piece.release();
    }
  }

  /** Straight from the server, for files whose size says nothing (direct_io). */
  async readDirect(file: OpenFile, offset: number, wanted: number): Promise<ReadResult> {
    const size = Math.min(wanted, Number.MAX_SAFE_INTEGER - offset);
    const { maxRead } = this.#remote.client.limits;
    const buffer = Buffer.allocUnsafe(size);
    const pieces: Promise<number>[] = [];
    for (let at = 0; at < size; at += maxRead) {
      pieces.push(
        this.#fill(file, offset + at, [buffer.subarray(at, at + maxRead)], Number.MAX_SAFE_INTEGER),
      );
    }
    const lengths = await Promise.all(pieces);
    const short = lengths.findIndex((length, at) => length < Math.min(maxRead, size - at * maxRead));
    const length = short < 0 ? size : short * maxRead + (lengths[short] ?? 0);
    return length === 0 ? NOTHING : { parts: [buffer.subarray(0, length)], release: NOTHING.release };
  }

  /** Is there anything on disk that could be loaded? */
  get hasDisk(): boolean {
    return this.#disk !== null;
  }

  /**
   * Brings all of a file that is not open from this machine's disk into memory. `attributes`, which the node is stamped
   * with, are what the server has just said of it: an entry of the same owner and permissions was read by this login.
   * False when something is missing, or where what is shown of owners and permissions is not the server's.
   */
  async load(node: FileNode, attributes: Attributes): Promise<boolean> {
    const { size, uid, gid, mode } = attributes;
    const known = this.#onDisk(node);
    if (this.#disk === null || known === null || !node.matches(attributes) || size === 0) return false;
    const { state } = known;
    const isSame = state.uid === uid && state.gid === gid && state.mode === mode;
    if (!isSame || !this.#options.showsPermissions) return false;
    const { version } = node;
    const blocks = Array.from({ length: Math.ceil(size / BLOCK_SIZE) }, () => this.#cache.take());
    const targets = blocks.map(({ memory }) => memory);
    const isThere = (await this.#disk.load(known, 0, targets)) && node.version === version;
    for (const [index, block] of blocks.entries()) {
      block.length = Math.min(BLOCK_SIZE, size - index * BLOCK_SIZE);
      if (isThere) this.#cache.set(node.id, index, block);
      block.release();
    }
    return isThere;
  }

  /** Another file has the name from now on, or its file an older time: what lies on disk is not believed any more. */
  renewed(path: Path): void {
    this.#disk?.forget(this.#remote.at(path));
  }

  /** The same of everything at and below `path`. */
  doubt(path: Path): void {
    this.#disk?.doubt(this.#remote.at(path));
  }

  /** A copy of some block of the file as it was read; null when none is held. */
  sample(node: FileNode): { readonly index: number; readonly data: Buffer } | null {
    const newest = this.#cache.newest(node.id);
    return newest === undefined ? null : { index: newest.index, data: Buffer.from(newest.block.data) };
  }

  /** Is all of the file here? */
  holds(node: FileNode): boolean {
    const last = blockOf(node.size - 1);
    for (let index = 0; index <= last; index += 1) if (!this.#cache.has(node.id, index)) return false;
    return true;
  }

  /** Memory for a whole file of `size` bytes; whoever takes it hands it to `keep`, and releases it in any case. */
  take(size: number): readonly Piece[] {
    return Array.from({ length: blockOf(size - 1) + 1 }, () => this.#cache.take());
  }

  /** `blocks` hold the file from its beginning, `length` bytes of it. */
  keep(node: FileNode, blocks: readonly Piece[], length: number): void {
    for (const [index, block] of blocks.entries()) {
      block.length = Math.min(BLOCK_SIZE, length - index * BLOCK_SIZE);
      this.#cache.set(node.id, index, block);
      this.#keep(node, index, block);
    }
  }

  /** Content from `offset` to `end` changed, the file having been `oldSize` bytes long before. */
  changed(node: FileNode, offset: number, end: number, oldSize: number): void {
    node.version += 1;
    // A growing file also outdates the short block that was its last.
    const first = blockOf(Math.min(offset, oldSize));
    const last = blockOf(Math.max(offset, end - 1));
    this.#cache.drop(node.id, first, last);
    for (const index of [...node.fetching.keys()])
      if (index >= first && index <= last) node.fetching.delete(index);
  }

  /** Nothing that is cached of the file may be used again. */
  drop(node: FileNode): void {
    node.version += 1;
    node.stamp = null;
    node.fetching.clear();
    this.#cache.dropFile(node.id);
  }

  /** Puts the blocks of the range, each held, into `blocks`; answers what has to be awaited before they are read. */
  #gather(file: OpenFile, offset: number, end: number, blocks: Piece[]): Set<Promise<void>> {
    const { node } = file;
    const waits = new Set<Promise<void>>();
    const last = blockOf(end - 1);
    for (let index = blockOf(offset); index <= last; ) {
      const cached = this.#cache.get(node.id, index);
      if (cached !== undefined) {
        blocks.push(cached);
        index += 1;
        continue;
      }
      const fetch = node.fetching.get(index) ?? this.#fetch(file, index, last);
      waits.add(fetch.done);
      for (const block of fetch.blocks.slice(index - fetch.first, last + 1 - fetch.first)) {
        blocks.push(block.retain());
        index += 1;
      }
    }
    return waits;
  }

  /**
   * Fetches as many missing blocks from `first` on, up to `last`, as one answer may bring. While writes are
   * unconfirmed the server's answer may lack them, so it serves this one read (which lays them over it) and
   * neither the cache nor anyone else.
   */
  #fetch(file: OpenFile, first: number, last: number): Fetch {
    const { node } = file;
    const { version } = node;
    const isShared = !node.isDirty;
    const atOnce = Math.max(1, Math.floor(this.#remote.client.limits.maxRead / BLOCK_SIZE));
    const blocks = [this.#cache.take()];
    while (blocks.length < atOnce && first + blocks.length <= last) {
      if (!this.#isMissing(node, first + blocks.length)) break;
      blocks.push(this.#cache.take());
    }
    const targets = blocks.map(({ memory }) => memory);
    const done = this.#bring(file, first, targets, isShared).then(
      ({ length, isNew }) => {
        for (const [at, block] of blocks.entries()) {
          block.length = Math.max(0, Math.min(BLOCK_SIZE, length - at * BLOCK_SIZE));
          if (!isShared || node.version !== version || block.length === 0) continue;
          this.#cache.set(node.id, first + at, block);
          if (isNew) this.#keep(node, first + at, block);
        }
        this.#ended(node, fetch);
      },
      (error: unknown) => {
        this.#ended(node, fetch);
        throw error;
      },
    );
    // A prefetch has nobody waiting; whoever reads the block awaits it and is told.
    done.catch(() => undefined);
    const fetch: Fetch = { first, blocks, done };
    if (isShared) for (let at = 0; at < blocks.length; at += 1) node.fetching.set(first + at, fetch);
    return fetch;
  }

  #ended(node: FileNode, fetch: Fetch): void {
    for (const [at, block] of fetch.blocks.entries()) {
      if (node.fetching.get(fetch.first + at) === fetch) node.fetching.delete(fetch.first + at);
      block.release();
    }
  }

  #isMissing(node: FileNode, index: number): boolean {
    return !this.#cache.has(node.id, index) && !node.fetching.has(index);
  }

  /** Fills `targets` from this machine's disk if it has them all, else from the server; how many bytes came. */
  async #bring(
    file: OpenFile,
    first: number,
    targets: readonly Buffer[],
    isShared: boolean,
  ): Promise<{ readonly length: number; readonly isNew: boolean }> {
    const { node } = file;
    const { version } = node;
    const known = this.#disk === null || !isShared ? null : this.#onDisk(node);
    if (known !== null && (await this.#disk?.load(known, first, targets)) && node.version === version)
      return { length: known.state.size - first * BLOCK_SIZE, isNew: false };
    return { length: await this.#fill(file, first * BLOCK_SIZE, targets, node.size), isNew: true };
  }

  /** What the file is to the disk; null while its state is not known, or could change without showing it. */
  #onDisk(node: FileNode): CachedFile | null {
    const { path, seen } = node;
    if (path === null || seen === null || node.racy || node.isDirty) return null;
    if (node.seenVersion !== node.version || !node.matches(seen)) return null;
    return { path: this.#remote.at(path), state: seen };
  }

  #keep(node: FileNode, index: number, block: Piece): void {
    const known = this.#disk === null ? null : this.#onDisk(node);
    if (known !== null) this.#disk?.keep(known, index, block);
  }

  /**
   * Reads into `targets` until they are full or the file ends: a server may answer less than asked, and be asked
   * for less than a block at most. A short answer that reaches `size`, the end we know of, needs no second question.
   * Others may wait for the bytes when `file` was closed; its handle may be another file's by then. Answers how
   * many bytes came.
   */
  async #fill(file: OpenFile, offset: number, targets: readonly Buffer[], size: number): Promise<number> {
    const { maxRead } = this.#remote.client.limits;
    const length = targets.reduce((sum, target) => sum + target.length, 0);
    let got = 0;
    let wasLost = false;
    for (;;) {
      const reader = file.node.reader(file);
      if (reader === null) throw new FsError('EBADF', 'closed while it was read ahead');
      // Another lane may be as silent as the one that was lost, and would be waited for anew.
      const lane = wasLost ? reader.home : this.#lanes.best(reader);
      const wanted = Math.min(length - got, maxRead);
      try {
        const count = await this.#ask(lane, offset + got, stretch(targets, got, wanted), wanted);
        got += count;
        if (count === 0 || got === length || offset + got >= size) return got;
      } catch (error) {
        const isLost = this.#lanes.isLost(reader, lane);
        wasLost ||= isLost;
        // Who has waited for the server in vain does not begin anew through the handle of another.
        const isClosed = !file.node.handles.has(reader) && !(error instanceof FsError && isUnanswered(error));
        if (isLost || isClosed) continue;
        const path = file.node.path === null ? null : this.#remote.at(file.node.path);
        throw await this.#remote.failure(error, { op: 'read', path });
      }
    }
  }

  async #ask(lane: Lane, offset: number, targets: readonly Buffer[], length: number): Promise<number> {
    const asked = this.#clock.monotonic();
    const count = await this.#lanes.carry(
      lane,
      'down',
      length,
      lane.client.readInto(lane.handle, offset, targets),
    );
    const now = this.#clock.monotonic();
    this.#link.arrived(count, now - asked, now);
    return count;
  }

  #readAhead(file: OpenFile, offset: number, size: number, waits: boolean): void {
    const { node } = file;
    const fileSize = node.size;
    const plan = planReadAhead(file.readAhead, { offset, size, fileSize, waits }, this.#limit);
    file.readAhead = plan.state;
    if (plan.prefetch === null || node.isDirty) return;
    if (plan.state.window >= WIDE_WINDOW) void this.#lanes.widen(file);
    log('ahead %d+%d', plan.prefetch.offset, plan.prefetch.length);
    const last = blockOf(plan.prefetch.offset + plan.prefetch.length - 1);
    for (let index = blockOf(plan.prefetch.offset); index <= last; ) {
      if (!this.#isMissing(node, index)) {
        index += 1;
        continue;
      }
      const { blocks, done } = this.#fetch(file, index, last);
      index += blocks.length;
      this.#count(blocks.length * BLOCK_SIZE, done);
    }
  }

  /** How far one handle may read ahead at this moment. */
  get #limit(): number {
    const { readAheadBytes, cacheBytes } = this.#options;
    const useful = this.#link.allowance(MIN_READ_AHEAD);
    return Math.min(readAheadBytes, useful, Math.max(0, Math.floor(cacheBytes / 2) - this.#ahead));
  }

  #count(bytes: number, done: Promise<void>): void {
    this.#ahead += bytes;
    const ended = () => {
      this.#ahead -= bytes;
    };
    done.then(ended, ended);
  }

  /** The node's unconfirmed writes that touch the range, oldest first, their memory held. */
  #unsent(node: FileNode, offset: number, length: number): Extent[] {
    if (!node.isDirty) return [];
    const sent = [...node.unconfirmed].filter(
      (extent) => extent.offset < offset + length && extent.offset + extent.data.length > offset,
    );
    const extents = [...sent, ...node.buffer.overlapping(offset, length)];
    for (const { piece } of extents) piece.retain();
    return extents;
  }
}
