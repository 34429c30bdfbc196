import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.js';
import type { Path } from '../../../src/base/path.js';
import { BLOCK_SIZE, BlockCache } from '../../../src/cache/blocks.js';
import { Epochs } from '../../../src/cache/epochs.js';
import { TimedStore } from '../../../src/cache/timed.js';

const path = (text: string) => text as Path;

class ManualClock implements Clock {
  time = 1000;
  now() {
    return this.time;
  }
  monotonic() {
    return this.time;
  }
}

describe('epochs', () => {
  it('refuse an answer that was asked for before the path changed', () => {
    const epochs = new Epochs();
    const since = epochs.now();
    epochs.touch(path('a/b'));
    expect(epochs.isCurrent(path('a/b'), since)).toBe(false);
    expect(epochs.isCurrent(path('a/c'), since)).toBe(true);
    expect(epochs.isCurrent(path('a/b'), epochs.now())).toBe(true);
  });

  it('cover everything below a changed tree, and nothing beside it', () => {
    const epochs = new Epochs();
    const since = epochs.now();
    epochs.touchTree(path('dir'));
    expect(epochs.isCurrent(path('dir'), since)).toBe(false);
    expect(epochs.isCurrent(path('dir/deep/file'), since)).toBe(false);
    expect(epochs.isCurrent(path('dir2'), since)).toBe(true);
  });

  it('refuse old answers wholesale once their memory is full', () => {
    const epochs = new Epochs(10);
    const since = epochs.now();
    for (let at = 0; at < 20; at += 1) epochs.touch(path(`f${at}`));
    expect(epochs.isCurrent(path('f0'), since)).toBe(false);
    expect(epochs.isCurrent(path('other'), since)).toBe(false);
    expect(epochs.isCurrent(path('other'), epochs.now())).toBe(true);
  });
});

describe('timed store', () => {
  it('trusts an entry for its time and says how much is left', () => {
    const clock = new ManualClock();
    const store = new TimedStore<string>(10, clock);
    store.set(path('a'), 'x', 100);
    clock.time += 40;
    expect(store.get(path('a'))).toEqual({ value: 'x', ttl: 60, age: 40 });
    clock.time += 60;
    expect(store.get(path('a'))).toBeUndefined();
    expect(store.peek(path('a'))).toBe('x');
  });

  it('keeps nothing that has no lifetime', () => {
    const store = new TimedStore<string>(10, new ManualClock());
    store.set(path('a'), 'x', 100);
    store.set(path('a'), 'y', 0);
    expect(store.peek(path('a'))).toBeUndefined();
  });

  it('holds null as a value of its own', () => {
    const store = new TimedStore<string | null>(10, new ManualClock());
    store.set(path('a'), null, 100);
    expect(store.get(path('a'))?.value).toBeNull();
  });

  it('is bounded by weight', () => {
    const store = new TimedStore<string>(10, new ManualClock(), (value) => value.length);
    store.set(path('a'), 'xxxxxx', 100);
    store.set(path('b'), 'xxxxxx', 100);
    expect(store.get(path('a'))).toBeUndefined();
    expect(store.get(path('b'))?.value).toBe('xxxxxx');
  });
});

describe('block cache', () => {
  it('is bounded in bytes and drops the least recently used block', () => {
    const cache = new BlockCache(3 * BLOCK_SIZE);
    for (let index = 0; index < 3; index += 1) cache.setRun(1, index, Buffer.alloc(BLOCK_SIZE));
    cache.get(1, 0);
    cache.setRun(1, 3, Buffer.alloc(BLOCK_SIZE));
    expect(cache.bytes).toBe(3 * BLOCK_SIZE);
    expect(cache.has(1, 0)).toBe(true);
    expect(cache.has(1, 1)).toBe(false);
  });

  it('counts what it holds: the blocks of one answer leave together', () => {
    const cache = new BlockCache(4 * BLOCK_SIZE);
    cache.setRun(1, 0, Buffer.alloc(3 * BLOCK_SIZE + 5));
    cache.get(1, 0);
    expect(cache.get(1, 3)?.length).toBe(5);
    cache.setRun(1, 9, Buffer.alloc(BLOCK_SIZE));
    expect([0, 1, 2, 3, 9].map((index) => cache.has(1, index))).toEqual([false, false, false, false, true]);
    expect(cache.bytes).toBe(BLOCK_SIZE);
  });

  it('leaves a block that was fetched anew when its old answer goes', () => {
    const cache = new BlockCache(4 * BLOCK_SIZE);
    cache.setRun(1, 0, Buffer.alloc(2 * BLOCK_SIZE));
    cache.setRun(1, 1, Buffer.alloc(BLOCK_SIZE));
    cache.setRun(1, 5, Buffer.alloc(3 * BLOCK_SIZE));
    expect([0, 1, 5, 6, 7].map((index) => cache.has(1, index))).toEqual([false, true, true, true, true]);
  });

  it('drops ranges and whole files, and no other file', () => {
    const cache = new BlockCache(100 * BLOCK_SIZE);
    for (let index = 0; index < 10; index += 1) {
      cache.setRun(1, index, Buffer.alloc(10));
      cache.setRun(2, index, Buffer.alloc(10));
    }
    cache.drop(1, 3, 5);
    expect([2, 3, 4, 5, 6].map((index) => cache.has(1, index))).toEqual([true, false, false, false, true]);
    cache.drop(1, 8, Number.MAX_SAFE_INTEGER);
    expect(cache.has(1, 7)).toBe(true);
    expect(cache.has(1, 9)).toBe(false);
    cache.dropFile(1);
    expect(cache.bytes).toBe(100);
    cache.dropFile(2);
    expect(cache.bytes).toBe(0);
  });
});
