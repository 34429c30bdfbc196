/**
 * File content in memory, in blocks of one size, the least recently used leaving first. Blocks belong to a
 * file number; when the content turns out to have changed, the owner drops the file's blocks. The last block
 * of a file is shorter than the others. A block that leaves the cache while somebody still reads it lives until
 * that holder lets go (see pool.ts), so the memory in use is the bound plus what is being read.
 */
import { LRUCache } from 'lru-cache';
import { MemoryPool, type Piece } from './pool.js';

/** Bytes in a block. */
export const BLOCK_SIZE = 32 * 1024;

interface Entry {
  readonly file: number;
  readonly index: number;
  readonly block: Piece;
}

export class BlockCache {
  readonly #pool = new MemoryPool(BLOCK_SIZE);
  /** Entries by themselves: what is looked up is in `#files`, this one knows their order of use. */
  readonly #order: LRUCache<Entry, Entry>;
  readonly #files = new Map<number, Map<number, Entry>>();
  readonly #maxBytes: number;
  #hits = 0;
  #misses = 0;

  /** `maxBytes` of content at most; at least one block. */
  constructor(maxBytes: number) {
    this.#maxBytes = Math.max(maxBytes, BLOCK_SIZE);
    this.#order = new LRUCache({
      maxSize: this.#maxBytes,
      sizeCalculation: () => BLOCK_SIZE,
      dispose: (entry) => {
        this.#unlist(entry);
        entry.block.release();
      },
    });
  }

  /** The bound of `bytes`. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Bytes of memory that the cached blocks take. */
  get bytes(): number {
    return this.#order.calculatedSize;
  }

  /** Bytes of memory that somebody else holds: blocks being filled, or gone from the cache while they are read. */
  get lentBytes(): number {
    return this.#pool.held * BLOCK_SIZE - this.bytes;
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /** Memory for one block, to be filled; the caller holds it. */
  take(): Piece {
    return this.#pool.take();
  }

  /** The block, held by the caller as well from now on. */
  get(file: number, index: number): Piece | undefined {
    const entry = this.#files.get(file)?.get(index);
    if (entry === undefined) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    this.#order.get(entry);
    return entry.block.retain();
  }

  /** The block of the file that came last, and its place; undefined when there is none. The caller does not hold it. */
  newest(file: number): { readonly index: number; readonly block: Piece } | undefined {
    return [...(this.#files.get(file)?.values() ?? [])].at(-1);
  }

  has(file: number, index: number): boolean {
    return this.#files.get(file)?.has(index) ?? false;
  }

  /** Keeps a filled block, of which the cache becomes a further holder. */
  set(file: number, index: number, block: Piece): void {
    let blocks = this.#files.get(file);
    const before = blocks?.get(index);
    if (before !== undefined) this.#order.delete(before);
    const entry: Entry = { file, index, block: block.retain() };
    // Disposing of the last block of a file takes its map away.
    blocks = this.#files.get(file);
    if (blocks === undefined) {
      blocks = new Map();
      this.#files.set(file, blocks);
    }
    blocks.set(index, entry);
    this.#order.set(entry, entry);
  }

  /** Drops the blocks from `first` to `last`, both included. */
  drop(file: number, first: number, last: number): void {
    const blocks = this.#files.get(file);
    if (blocks === undefined) return;
    if (last - first > blocks.size) {
      for (const entry of [...blocks.values()])
        if (entry.index >= first && entry.index <= last) this.#order.delete(entry);
      return;
    }
    for (let index = first; index <= last; index += 1) {
      const entry = blocks.get(index);
      if (entry !== undefined) this.#order.delete(entry);
    }
  }

  dropFile(file: number): void {
    this.drop(file, 0, Number.MAX_SAFE_INTEGER);
  }

  clear(): void {
    this.#order.clear();
  }

  #unlist({ file, index }: Entry): void {
    const blocks = this.#files.get(file);
    blocks?.delete(index);
    if (blocks?.size === 0) this.#files.delete(file);
  }
}
