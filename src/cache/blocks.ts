/**
 * File content in fixed blocks, one LRU for the whole mount, bounded in bytes. A file is known by a number
 * that its owner gives it; when the content turns out to have changed, the owner drops the file's blocks.
 * The last block of a file is shorter than the others.
 */
import { LRUCache } from 'lru-cache';

/** Bytes in a block. */
export const BLOCK_SIZE = 32 * 1024;

interface Block {
  readonly file: number;
  readonly index: number;
  readonly data: Buffer;
}

const keyOf = (file: number, index: number): string => `${file}:${index}`;

export class BlockCache {
  readonly #blocks: LRUCache<string, Block>;
  readonly #byFile = new Map<number, Set<number>>();
  #hits = 0;
  #misses = 0;

  /** `maxBytes` of content at most; at least one block. */
  constructor(maxBytes: number) {
    this.#blocks = new LRUCache({
      maxSize: Math.max(maxBytes, BLOCK_SIZE),
      sizeCalculation: (block) => Math.max(1, block.data.length),
      dispose: (block, _key, reason) => {
        if (reason !== 'set') this.#unlist(block);
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

  set(file: number, index: number, data: Buffer): void {
    let indexes = this.#byFile.get(file);
    if (indexes === undefined) {
      indexes = new Set();
      this.#byFile.set(file, indexes);
    }
    indexes.add(index);
    this.#blocks.set(keyOf(file, index), { file, index, data });
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
