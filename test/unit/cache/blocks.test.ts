import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK_SIZE, BlockCache } from '../../../src/cache/blocks.js';
import { MemoryPool } from '../../../src/cache/pool.js';

/** Puts a block of `length` bytes of value `fill` into the cache, as a fetch does. */
function put(cache: BlockCache, file: number, index: number, length = BLOCK_SIZE, fill = 0): void {
  const block = cache.take();
  block.memory.fill(fill, 0, length);
  block.length = length;
  cache.set(file, index, block);
  block.release();
}

const present = (cache: BlockCache, file: number, indexes: readonly number[]) =>
  indexes.map((index) => cache.has(file, index));

describe('memory pool', () => {
  it('gives a piece again only when its last holder has let go', () => {
    const pool = new MemoryPool(1024 * 1024);
    const piece = pool.take();
    piece.retain();
    piece.release();
    expect(pool.take().memory).not.toBe(piece.memory);
    expect(pool.held).toBe(2);
    piece.release();
    expect(pool.held).toBe(1);
    expect(pool.take()).toBe(piece);
  });

  it('gives an empty piece, whatever it held before', () => {
    const pool = new MemoryPool(16);
    const piece = pool.take();
    piece.length = 7;
    expect(piece.data.length).toBe(7);
    piece.release();
    expect(pool.take().length).toBe(0);
  });

  it('refuses to take a piece back twice', () => {
    const piece = new MemoryPool(16).take();
    piece.release();
    expect(() => piece.release()).toThrow('released twice');
  });

  it('never gives two holders the same bytes', () => {
    const pool = new MemoryPool(300_000);
    const pieces = Array.from({ length: 10 }, () => pool.take());
    for (const [at, { memory }] of pieces.entries()) memory.fill(at);
    for (const [at, { memory }] of pieces.entries()) expect(memory.every((byte) => byte === at)).toBe(true);
  });
});

describe('block cache', () => {
  it('is bounded in bytes and drops the least recently used block', () => {
    const cache = new BlockCache(3 * BLOCK_SIZE);
    for (let index = 0; index < 3; index += 1) put(cache, 1, index);
    cache.get(1, 0)?.release();
    put(cache, 1, 3);
    expect(cache.bytes).toBe(3 * BLOCK_SIZE);
    expect(present(cache, 1, [0, 1])).toEqual([true, false]);
    expect(cache.lentBytes).toBe(0);
  });

  it('uses the memory of evicted blocks again', () => {
    const cache = new BlockCache(4 * BLOCK_SIZE);
    for (let index = 0; index < 1000; index += 1) put(cache, index % 3, index);
    expect([cache.bytes, cache.lentBytes]).toEqual([4 * BLOCK_SIZE, 0]);
  });

  it('leaves a block alone that is being read while it is evicted and dropped', () => {
    const cache = new BlockCache(BLOCK_SIZE);
    put(cache, 1, 0, BLOCK_SIZE, 7);
    const read = cache.get(1, 0);
    put(cache, 1, 1, BLOCK_SIZE, 8);
    cache.dropFile(1);
    put(cache, 2, 0, BLOCK_SIZE, 9);
    expect(read?.data.every((byte) => byte === 7)).toBe(true);
    expect(cache.lentBytes).toBe(BLOCK_SIZE);
    read?.release();
    expect(cache.lentBytes).toBe(0);
  });

  it('replaces a block that was fetched anew', () => {
    const cache = new BlockCache(4 * BLOCK_SIZE);
    put(cache, 1, 0, 10, 1);
    put(cache, 1, 0, 20, 2);
    const block = cache.get(1, 0);
    expect(block?.data).toEqual(Buffer.alloc(20, 2));
    block?.release();
    cache.clear();
    expect(cache.lentBytes).toBe(0);
  });

  it('drops ranges and whole files, and no other file', () => {
    const cache = new BlockCache(100 * BLOCK_SIZE);
    for (let index = 0; index < 10; index += 1) {
      put(cache, 1, index, 10);
      put(cache, 2, index, 10);
    }
    cache.drop(1, 3, 5);
    expect(present(cache, 1, [2, 3, 4, 5, 6])).toEqual([true, false, false, false, true]);
    cache.drop(1, 8, Number.MAX_SAFE_INTEGER);
    expect(present(cache, 1, [7, 9])).toEqual([true, false]);
    cache.dropFile(1);
    expect(cache.bytes).toBe(10 * BLOCK_SIZE);
    cache.dropFile(2);
    expect(cache.bytes).toBe(0);
    expect(cache.lentBytes).toBe(0);
  });

  it('holds what was put last and nothing twice, whatever comes and goes', () => {
    const step = fc.record({
      kind: fc.constantFrom('put', 'get', 'drop', 'dropFile'),
      file: fc.nat(2),
      index: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = new BlockCache(5 * BLOCK_SIZE);
        const last = new Map<string, number>();
        for (const [at, { kind, file, index }] of steps.entries()) {
          if (kind === 'put') {
            put(cache, file, index, 8, at);
            last.set(`${file}:${index}`, at);
          } else if (kind === 'get') {
            const block = cache.get(file, index);
            if (block !== undefined) expect(block.memory[0]).toBe(last.get(`${file}:${index}`));
            block?.release();
          } else if (kind === 'drop') cache.drop(file, 0, index);
          else cache.dropFile(file);
          expect(cache.bytes).toBeLessThanOrEqual(5 * BLOCK_SIZE);
          expect(cache.lentBytes).toBe(0);
        }
      }),
    );
  });
});
