/**
 * File content in fixed blocks, one LRU for the whole mount, bounded in bytes. A file is known by a number
 * that its owner gives it; when the content turns out to have changed, the owner drops the file's blocks.
 * The last block of a file is shorter than the others.
 *
 * Blocks are views of the answers they came in. Since a view keeps the whole answer alive, the blocks of one
 * answer leave together when one of them is evicted: what the cache counts is what it holds.
 */
import { LRUCache } from 'lru-cache';

/** Bytes in a block. */
export const BLOCK_SIZE = 32 * 1024;

interface Block {
  readonly file: number;
  readonly index: number;
  readonly data: Buffer;
  /** Keys of the blocks that came in the same answer. */
  readonly siblings: readonly string[];
}

const keyOf = (file: number, index: number): string => `${file}:${index}`;

export class BlockCache {
  readonly #blocks: LRUCache<string, Block>;
  readonly #byFile = new Map<number, Set<number>>();
  /** Evicted blocks whose siblings have to go as well; LRUCache may not be changed while it evicts. */
  #orphaned: Block[] = [];
  #hits = 0;
  #misses = 0;

  /** `maxBytes` of content at most; at least one block. */
  constructor(maxBytes: number) {
    this.#blocks = new LRUCache({
      maxSize: Math.max(maxBytes, BLOCK_SIZE),
      sizeCalculation: (block) => Math.max(1, block.data.length),
      dispose: (block, _key, reason) => {
        if (reason !== 'set') this.#unlist(block);
        if (reason === 'evict') this.#orphaned.push(block);
      },
    });
  }

  get bytes(): number {
    return this.#blocks.calculatedSize;
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  get(file: number, index: number): Buffer | undefined {
    const block = this.#blocks.get(keyOf(file, index));
    if (block === undefined) this.#misses += 1;
    else this.#hits += 1;
    return block?.data;
  }

  has(file: number, index: number): boolean {
    return this.#blocks.has(keyOf(file, index));
  }

  /** Takes an answer that starts with block `first`; all of its blocks but the last of the file are whole. */
  setRun(file: number, first: number, run: Buffer): void {
    const count = Math.ceil(run.length / BLOCK_SIZE);
    const siblings = Array.from({ length: count }, (_, at) => keyOf(file, first + at));
    let indexes = this.#byFile.get(file);
    if (indexes === undefined) {
      indexes = new Set();
      this.#byFile.set(file, indexes);
    }
    for (const [at, key] of siblings.entries()) {
      const index = first + at;
      const data = run.subarray(at * BLOCK_SIZE, (at + 1) * BLOCK_SIZE);
      this.#blocks.set(key, { file, index, data, siblings });
      indexes.add(index);
    }
    for (let orphan = this.#orphaned.pop(); orphan !== undefined; orphan = this.#orphaned.pop()) {
      // A sibling may have been fetched anew since, in an answer of its own.
      for (const key of orphan.siblings) {
        if (this.#blocks.peek(key)?.siblings === orphan.siblings) this.#blocks.delete(key);
      }
    }
  }

  /** Drops the blocks from `first` to `last`, both included. */
  drop(file: number, first: number, last: number): void {
    const indexes = this.#byFile.get(file);
    if (indexes === undefined) return;
    if (last - first > indexes.size) {
      for (const index of [...indexes])
        if (index >= first && index <= last) this.#blocks.delete(keyOf(file, index));
    } else {
      for (let index = first; index <= last; index += 1) this.#blocks.delete(keyOf(file, index));
    }
  }

  dropFile(file: number): void {
    this.drop(file, 0, Number.MAX_SAFE_INTEGER);
  }

  clear(): void {
    this.#blocks.clear();
  }

  #unlist(block: Block): void {
    const indexes = this.#byFile.get(block.file);
    indexes?.delete(block.index);
    if (indexes?.size === 0) this.#byFile.delete(block.file);
  }
}
