/**
 * Reading through the block cache. A read takes its blocks from the cache, from a fetch that is already
 * under way, or from a new one; fetches ask for as many whole blocks as the server gives in one answer.
 * What programs wrote and the server has not confirmed is laid over the result, as it stood when the read
 * began and again when it ends, so that a read sees every write that came before it.
 */
import { logger } from '../base/log.js';
import { BLOCK_SIZE, type BlockCache } from '../cache/blocks.js';
import { planReadAhead } from '../cache/read-ahead.js';
import { type Extent, overlay } from '../cache/write-buffer.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { FsOptions } from './options.js';
import type { Remote } from './remote.js';

const log = logger('read');

const blockOf = (offset: number): number => Math.floor(offset / BLOCK_SIZE);

/** The node's unconfirmed writes that touch the range, oldest first. */
function unsent(node: FileNode, offset: number, length: number): Extent[] {
  if (!node.isDirty) return [];
  const sent = [...node.unconfirmed].filter(
    (extent) => extent.offset < offset + length && extent.offset + extent.data.length > offset,
  );
  return [...sent, ...node.buffer.overlapping(offset, length)];
}

export class Content {
  readonly #remote: Remote;
  readonly #blocks: BlockCache;
  readonly #options: FsOptions;

  constructor(remote: Remote, blocks: BlockCache, options: FsOptions) {
    this.#remote = remote;
    this.#blocks = blocks;
    this.#options = options;
  }

  /** The bytes from `offset`, up to `size` of them; fewer only at the end of the file. */
  async read(file: OpenFile, offset: number, size: number): Promise<readonly Uint8Array[]> {
    const { node } = file;
    const end = Math.min(offset + size, node.size);
    if (end <= offset) return [];
    const length = end - offset;
    const wasDirty = node.isDirty;
    const before = unsent(node, offset, length);
    const wanted = this.#blocksFor(file, offset, end);
    this.#readAhead(file, offset, length);
    const blocks = await Promise.all(wanted);
    const after = unsent(node, offset, length);
    // A file that is still to grow on the server is shorter there than what it holds: zeros fill the rest.
    if (!wasDirty && !node.isDirty) return slices(blocks, offset, length);
    return [this.#merged(node, blocks, offset, end, [...before, ...after])];
  }

  /** Straight from the server, for files whose size says nothing (direct_io). */
  async readDirect(file: OpenFile, offset: number, size: number): Promise<readonly Uint8Array[]> {
    const data = await this.#readFully(file, offset, size);
    return data.length === 0 ? [] : [data];
  }

  /** Content from `offset` to `end` changed, the file having been `oldSize` bytes long before. */
  changed(node: FileNode, offset: number, end: number, oldSize: number): void {
    node.version += 1;
    // A growing file also outdates the short block that was its last.
    const first = blockOf(Math.min(offset, oldSize));
    const last = blockOf(Math.max(offset, end - 1));
    this.#blocks.drop(node.id, first, last);
    for (const index of [...node.fetching.keys()])
      if (index >= first && index <= last) node.fetching.delete(index);
  }

  /** Nothing that is cached of the file may be used again. */
  drop(node: FileNode): void {
    node.version += 1;
    node.stamp = null;
    node.fetching.clear();
    this.#blocks.dropFile(node.id);
  }

  #blocksFor(file: OpenFile, offset: number, end: number): (Buffer | Promise<Buffer>)[] {
    const { node } = file;
    const first = blockOf(offset);
    const last = blockOf(end - 1);
    const found: (Buffer | Promise<Buffer> | undefined)[] = [];
    for (let index = first; index <= last; index += 1) {
      found.push(this.#blocks.get(node.id, index) ?? node.fetching.get(index));
    }
    const fetched = this.#fetchMissing(file, first, last);
    return found.map((block, at) => block ?? fetched.get(first + at) ?? Buffer.alloc(0));
  }

  /** Starts fetches for the blocks from `first` to `last` that are neither cached nor under way. */
  #fetchMissing(file: OpenFile, first: number, last: number): Map<number, Promise<Buffer>> {
    const { node } = file;
    const fetched = new Map<number, Promise<Buffer>>();
    const atOnce = Math.max(1, Math.floor(this.#remote.client.limits.maxRead / BLOCK_SIZE));
    const isMissing = (index: number) => !this.#blocks.has(node.id, index) && !node.fetching.has(index);
    let index = first;
    while (index <= last) {
      if (!isMissing(index)) {
        index += 1;
        continue;
      }
      let count = 1;
      while (count < atOnce && index + count <= last && isMissing(index + count)) count += 1;
      this.#fetch(file, index, count, fetched);
      index += count;
    }
    return fetched;
  }

  /**
   * Fetches `count` blocks. While writes are unconfirmed the server's answer may lack them, so it serves
   * this one read (which lays them over it) and neither the cache nor anyone else.
   */
  #fetch(file: OpenFile, first: number, count: number, fetched: Map<number, Promise<Buffer>>): void {
    const { node } = file;
    const { version } = node;
    const isShared = !node.isDirty;
    const run = this.#readFully(file, first * BLOCK_SIZE, count * BLOCK_SIZE).then((data) => {
      if (isShared && node.version === version) this.#blocks.setRun(node.id, first, data);
      return data;
    });
    for (let at = 0; at < count; at += 1) {
      const index = first + at;
      const block = run
        .then((data) => data.subarray(at * BLOCK_SIZE, (at + 1) * BLOCK_SIZE))
        .finally(() => {
          if (node.fetching.get(index) === block) node.fetching.delete(index);
        });
      // A prefetch has nobody waiting; whoever reads the block awaits it and is told.
      block.catch(() => undefined);
      fetched.set(index, block);
      if (isShared) node.fetching.set(index, block);
    }
  }

  /** Reads until `length` bytes or the end of the file: a server may answer less than asked. */
  async #readFully(file: OpenFile, offset: number, length: number): Promise<Buffer> {
    const { client } = this.#remote;
    const { maxRead } = client.limits;
    const pieces: Promise<Buffer>[] = [];
    for (let at = 0; at < length; at += maxRead) {
      pieces.push(this.#readPiece(file, offset + at, Math.min(maxRead, length - at)));
    }
    const path = file.node.path === null ? null : this.#remote.at(file.node.path);
    const parts = await this.#remote.ask(Promise.all(pieces), { op: 'read', path });
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) return only;
    const short = parts.findIndex((part, at) => part.length < Math.min(maxRead, length - at * maxRead));
    return Buffer.concat(short < 0 ? parts : parts.slice(0, short + 1));
  }

  async #readPiece(file: OpenFile, offset: number, length: number): Promise<Buffer> {
    const { client } = this.#remote;
    const first = await client.read(file.handle, offset, length);
    if (first === null) return Buffer.alloc(0);
    const parts = [first];
    let got = first.length;
    // A short answer that reaches the end we know of needs no second question.
    while (got < length && (this.#options.directIo || offset + got < file.node.size)) {
      const more = await client.read(file.handle, offset + got, length - got);
      if (more === null || more.length === 0) break;
      parts.push(more);
      got += more.length;
    }
    return parts.length === 1 ? first : Buffer.concat(parts);
  }

  #readAhead(file: OpenFile, offset: number, length: number): void {
    const { node } = file;
    const limit = Math.min(this.#options.readAheadBytes, Math.floor(this.#options.cacheBytes / 2));
    const plan = planReadAhead(file.readAhead, offset, length, node.size, limit);
    file.readAhead = plan.state;
    if (plan.prefetch === null || node.isDirty) return;
    log('ahead %d+%d', plan.prefetch.offset, plan.prefetch.length);
    this.#fetchMissing(
      file,
      blockOf(plan.prefetch.offset),
      blockOf(plan.prefetch.offset + plan.prefetch.length - 1),
    );
  }

  /** The range in one buffer: the server's bytes, zeros for what we extended, our writes on top. */
  #merged(
    node: FileNode,
    blocks: readonly Buffer[],
    offset: number,
    end: number,
    writes: readonly Extent[],
  ): Buffer {
    const result = Buffer.alloc(Math.max(0, Math.min(end, node.size) - offset));
    let at = 0;
    for (const piece of slices(blocks, offset, result.length)) {
      result.set(piece, at);
      at += piece.length;
    }
    overlay(result, offset, writes);
    return result;
  }
}

/** The part of consecutive blocks that starts at file offset `offset`, ending where a block is short. */
function slices(blocks: readonly Buffer[], offset: number, length: number): Buffer[] {
  const out: Buffer[] = [];
  let skip = offset % BLOCK_SIZE;
  let left = length;
  for (const block of blocks) {
    const piece = block.subarray(skip, skip + left);
    if (piece.length > 0) out.push(piece);
    left -= piece.length;
    if (left === 0 || block.length < BLOCK_SIZE) break;
    skip = 0;
  }
  return out;
}
