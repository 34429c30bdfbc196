import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../../src/base/bytes.js';
import { BLOCK_SIZE } from '../../../../src/cache/blocks.js';
import { pathOf } from '../../../../src/cache/disk/directory.js';
import { DiskCache, type DiskSettings } from '../../../../src/cache/disk/disk-cache.js';
import { blockLength, type CachedFile, type FileState, fileId } from '../../../../src/cache/disk/entry.js';
import { MemoryPool } from '../../../../src/cache/pool.js';
import { ManualClock } from '../../../support/direct-filesystem.js';

const STATE: FileState = { size: 5, mtime: 1000, uid: 1, gid: 2, mode: 0o100644 };

let directory: string;
let clock: ManualClock;
let reports: string[];
let pool: MemoryPool;
const caches: DiskCache[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-disk-'));
  clock = new ManualClock();
  reports = [];
  pool = new MemoryPool(BLOCK_SIZE);
});
afterEach(async () => {
  for (const cache of caches.splice(0)) await cache.close();
  await rm(directory, { recursive: true });
  expect(pool.held, 'memory that somebody holds').toBe(0);
});

function openCache(settings: Partial<DiskSettings> = {}): DiskCache {
  const cache = new DiskCache({
    directory,
    server: 'me@nas',
    limit: 64 * 2 ** 20,
    pendingLimit: 8 * 2 ** 20,
    clock,
    report: (text) => reports.push(text),
    ...settings,
  });
  caches.push(cache);
  return cache;
}

const file = (path: string, state: Partial<FileState> = {}): CachedFile => ({
  path: ascii(path),
  state: { ...STATE, ...state },
});

/** Gives the cache a block of a file, all of one byte. */
function keep(cache: DiskCache, which: CachedFile, index: number, fill: string): void {
  const piece = pool.take();
  piece.length = blockLength(which.state.size, index);
  piece.memory.fill(fill);
  cache.keep(which, index, piece);
  piece.release();
}

/** The first letters of blocks from `first` on; null when they are not all there. */
async function load(cache: DiskCache, which: CachedFile, first = 0, count = 1): Promise<string | null> {
  const targets = Array.from({ length: count }, () => Buffer.alloc(BLOCK_SIZE, '?'));
  if (!(await cache.load(which, first, targets))) return null;
  for (const [at, target] of targets.entries()) {
    const length = blockLength(which.state.size, first + at);
    const data = target.subarray(0, length);
    expect(data.equals(Buffer.alloc(length, data.subarray(0, 1)))).toBe(true);
    expect(target.subarray(length).every((byte) => byte === 63)).toBe(true);
  }
  return targets.map((target) => target.toString('latin1', 0, 1)).join('');
}

/** What was kept, as another mount finds it. */
async function again(cache: DiskCache, settings: Partial<DiskSettings> = {}): Promise<DiskCache> {
  await cache.close();
  return openCache(settings);
}

const placeOf = (path: string, stretch = 0) =>
  join(directory, pathOf({ file: fileId('me@nas', ascii(path)), stretch }));

describe('content on disk', () => {
  it('survives the mount, for files of this size, time, owner and mode alone', async () => {
    const cache = openCache();
    keep(cache, file('/a'), 0, 'a');
    const next = await again(cache);
    expect(await load(next, file('/a'))).toBe('a');
    const others = [{ size: 6 }, { mtime: 1001 }, { uid: 2 }, { gid: 3 }, { mode: 0o100600 }];
    for (const state of others) expect(await load(next, file('/a', state))).toBe(null);
    expect(await load(next, file('/b'))).toBe(null);
    expect(await load(openCache({ server: 'you@nas' }), file('/a'))).toBe(null);
    await vi.waitFor(() =>
      expect(next.status()).toMatchObject({ state: 'on', bytes: 4096, hits: 1, misses: 6 }),
    );
    expect(reports).toEqual([]);
  });

  it('can be read by nobody else', async () => {
    const cache = openCache();
    keep(cache, file('/a'), 0, 'a');
    await cache.close();
    expect((await stat(placeOf('/a'))).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(placeOf('/a')))).mode & 0o777).toBe(0o700);
  });

  it('is kept in stretches, of which those that are not complete grow', async () => {
    const large = file('/large', { size: 10 * BLOCK_SIZE - 3 });
    const first = openCache();
    for (const index of [2, 3, 8]) keep(first, large, index, String(index));
    const second = await again(first);
    expect(await load(second, large, 2, 2)).toBe('23');
    expect(await load(second, large, 2, 3)).toBe(null);
    for (const index of [4, 5, 6, 7, 9]) keep(second, large, index, String(index));
    const third = await again(second);
    expect(await load(third, large, 2, 8)).toBe('23456789');
    expect(await load(third, large, 1, 2)).toBe(null);
    expect(third.status()).toMatchObject({ hits: 8, misses: 2 });
  });

  it('is written once a stretch is complete, or after a moment', async () => {
    const cache = openCache();
    const large = file('/large', { size: 2 * BLOCK_SIZE });
    keep(cache, large, 0, 'x');
    await vi.waitFor(() => stat(placeOf('/large')), { timeout: 5000 });
    keep(cache, large, 1, 'y');
    await vi.waitUntil(async () => (await load(cache, large, 0, 2)) === 'xy', { timeout: 5000 });
    expect(pool.held).toBe(0);
  });

  it('of an earlier state is replaced', async () => {
    const cache = openCache();
    keep(cache, file('/a', { size: 2 * BLOCK_SIZE }), 0, 'a');
    keep(cache, file('/a', { size: 2 * BLOCK_SIZE, mtime: 2000 }), 1, 'b');
    const next = await again(cache);
    expect(await load(next, file('/a', { size: 2 * BLOCK_SIZE }))).toBe(null);
    expect(await load(next, file('/a', { size: 2 * BLOCK_SIZE, mtime: 2000 }), 1)).toBe('b');
    expect(await load(next, file('/a', { size: 2 * BLOCK_SIZE, mtime: 2000 }), 0)).toBe(null);
  });

  it('does not come from blocks that are shorter than the file says', async () => {
    const cache = openCache();
    const piece = pool.take();
    piece.length = 3;
    cache.keep(file('/a'), 0, piece);
    piece.release();
    expect(await load(await again(cache), file('/a'))).toBe(null);
  });
});

describe('what is not believed', () => {
  it('is what was damaged: it is discarded, and said once', async () => {
    const cache = openCache();
    for (const path of ['/a', '/b']) keep(cache, file(path), 0, 'x');
    await cache.close();
    for (const path of ['/a', '/b']) {
      const bytes = await readFile(placeOf(path));
      bytes[bytes.length - 1] = 0;
      await writeFile(placeOf(path), bytes);
    }
    const next = openCache();
    for (const path of ['/a', '/b']) expect(await load(next, file(path))).toBe(null);
    for (const path of ['/a', '/b']) await expect(stat(placeOf(path))).rejects.toThrow('ENOENT');
    expect(reports).toEqual([
      `cache_dir ${directory}: an entry is damaged, and discarded: a block is damaged`,
    ]);
    expect(next.status().state).toBe('on');
  });

  it('is what lies in the place of another, and what a crash left empty', async () => {
    const cache = openCache();
    keep(cache, file('/a'), 0, 'x');
    await cache.close();
    const bytes = await readFile(placeOf('/a'));
    const next = openCache();
    await mkdir(dirname(placeOf('/b')), { recursive: true });
    for (const wrong of [bytes, Buffer.alloc(0), Buffer.alloc(bytes.length)]) {
      await writeFile(placeOf('/b'), wrong);
      expect(await load(next, file('/b'))).toBe(null);
    }
  });

  it('is a file whose name was given to another, at once and after a remount', async () => {
    const cache = openCache();
    const large = file('/a', { size: 20 * BLOCK_SIZE });
    for (let index = 0; index < 20; index += 1) keep(cache, large, index, 'x');
    keep(cache, file('/b'), 0, 'b');
    const next = await again(cache);
    next.forget(large.path);
    expect(await load(next, large, 8, 2)).toBe(null);
    const last = await again(next);
    expect(await load(last, large, 0, 2)).toBe(null);
    expect(await load(last, large, 18, 2)).toBe(null);
    expect(await load(last, file('/b'))).toBe('b');
  });

  it('is a tree that was refreshed, until it is read anew', async () => {
    const cache = openCache();
    for (const path of ['/d/a', '/d/b', '/dd']) keep(cache, file(path), 0, 'x');
    const next = await again(cache);
    next.doubt(ascii('/d'));
    expect(await load(next, file('/d/a'))).toBe(null);
    expect(await load(next, file('/dd'))).toBe('x');
    clock.advance(1);
    keep(next, file('/d/a'), 0, 'y');
    await vi.waitUntil(async () => (await load(next, file('/d/a'))) === 'y');
    expect(await load(next, file('/d/b'))).toBe(null);
    next.doubt(ascii('/'));
    expect(await load(next, file('/dd'))).toBe(null);
  });

  it('is an old half of a stretch, when the tree was refreshed in between', async () => {
    const large = file('/a', { size: 3 * BLOCK_SIZE });
    const cache = openCache();
    keep(cache, large, 0, 'x');
    const next = await again(cache);
    next.doubt(ascii('/'));
    clock.advance(1);
    keep(next, large, 1, 'y');
    const last = await again(next);
    expect(await load(last, large, 1)).toBe('y');
    expect(await load(last, large, 0)).toBe(null);
  });
});

describe('bounds', () => {
  it('keeps what was of use last', async () => {
    const limit = 100 * 4096;
    let cache = openCache({ limit });
    for (let at = 0; at < 80; at += 1) keep(cache, file(`/${at}`), 0, 'x');
    cache = await again(cache, { limit });
    clock.advance(3_600_000);
    for (let at = 0; at < 10; at += 1) expect(await load(cache, file(`/${at}`))).toBe('x');
    // That they were of use is noted behind the answer.
    await vi.waitUntil(async () => (await stat(placeOf('/9'))).mtimeMs > clock.now() - 1000);
    for (let at = 80; at < 120; at += 1) keep(cache, file(`/${at}`), 0, 'y');
    cache = await again(cache, { limit });
    await vi.waitUntil(() => cache.status().bytes > 0);
    expect(cache.status().bytes).toBeLessThanOrEqual(limit);
    for (let at = 0; at < 10; at += 1) expect(await load(cache, file(`/${at}`)), `/${at}`).toBe('x');
    const rest = await Promise.all(Array.from({ length: 70 }, (_, at) => load(cache, file(`/${at + 10}`))));
    expect(rest.filter((each) => each !== null).length).toBeLessThan(60);
  });

  it('makes room at the start, when the limit has become lower', async () => {
    const cache = openCache();
    for (let at = 0; at < 50; at += 1) keep(cache, file(`/${at}`), 0, 'x');
    const next = await again(cache, { limit: 20 * 4096 });
    await vi.waitUntil(() => next.status().bytes === 18 * 4096);
  });

  it('does not give everything up for one large file', async () => {
    const cache = openCache({ limit: 10 * BLOCK_SIZE });
    const large = file('/large', { size: 6 * BLOCK_SIZE });
    keep(cache, large, 0, 'x');
    expect(await load(await again(cache), large)).toBe(null);
  });

  it('lets go of what comes faster than it can be written', async () => {
    const cache = openCache({ pendingLimit: 4 * BLOCK_SIZE });
    for (let at = 0; at < 100; at += 1) keep(cache, file(`/${at}`), 0, 'x');
    expect(pool.held).toBe(4);
    await cache.close();
    expect(pool.held).toBe(0);
  });
});

describe('several mounts', () => {
  it('read and write the same files without ever seeing anything but whole ones', async () => {
    const versions = [file('/a', { size: 70_000, mtime: 1 }), file('/a', { size: 70_000, mtime: 2 })];
    const mounts = [openCache(), openCache(), openCache()];
    const hits = [0, 0];
    const visit = async (mount: DiskCache, round: number) => {
      const version = Math.floor(round / 3) % 2;
      for (let index = 0; index < 3; index += 1) keep(mount, versions[version]!, index, 'ab'[version]!);
      for (const [which, wanted] of versions.entries()) {
        const found = await load(mount, wanted, 0, 3);
        if (found === null) continue;
        hits[which]! += 1;
        expect(found).toBe('ab'[which]!.repeat(3));
      }
      if (round % 20 === 10) mount.forget(ascii('/a'));
    };
    for (let round = 0; round < 100 || (Math.min(...hits) === 0 && round < 5000); round += 1) {
      await Promise.all(mounts.map((mount, at) => visit(mount, round + at)));
      await nextTurn();
    }
    expect(Math.min(...hits)).toBeGreaterThan(0);
    expect(reports).toEqual([]);
    await Promise.all(mounts.map((mount) => mount.close()));
    const names = await readdir(directory, { recursive: true });
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('a disk that', () => {
  it('fails is not used any more, and that is said once', async () => {
    const cache = openCache();
    keep(cache, file('/a'), 0, 'a');
    const next = await again(cache);
    await rm(dirname(placeOf('/a')), { recursive: true });
    await writeFile(dirname(placeOf('/a')), 'no directory');
    expect(await load(next, file('/a'))).toBe(null);
    expect(next.status().state).toBe('off');
    keep(next, file('/b'), 0, 'b');
    expect(await load(next, file('/b'))).toBe(null);
    expect(reports).toEqual([expect.stringMatching(/^cache_dir .*: it is not used any more: ENOTDIR: /)]);
  });

  it('was emptied while it was used goes on', async () => {
    const cache = openCache();
    keep(cache, file('/a'), 0, 'a');
    const next = await again(cache);
    for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
    expect(await load(next, file('/a'))).toBe(null);
    keep(next, file('/a'), 0, 'a');
    await vi.waitUntil(async () => (await load(next, file('/a'))) === 'a');
    expect(reports).toEqual([]);
  });

  it('does not answer holds nobody up, and is left alone for a while', async () => {
    const cache = openCache();
    keep(cache, file('/a'), 0, 'a');
    keep(cache, file('/b'), 0, 'b');
    const next = await again(cache);
    await rm(placeOf('/a'));
    // Opening one end waits for the other.
    await once(spawn('mkfifo', [placeOf('/a')]), 'exit');
    const late = async () => {
      clock.advance(1);
      const began = performance.now();
      expect(await load(next, file('/a'))).toBe(null);
      return performance.now() - began;
    };
    expect(await late()).toBeGreaterThan(90);
    expect(await load(next, file('/b')), 'after one that was late').toBe('b');
    expect((await Promise.all([late(), late(), late()])).length, 'those at a time count once').toBe(3);
    const other = await open(placeOf('/a'), 'r+');
    await vi.waitUntil(async () => (await load(next, file('/b'))) === 'b');
    await other.close();
    for (let tries = 0; tries < 3; tries += 1) await late();
    const reader = await open(placeOf('/a'), 'r+');
    clock.advance(4000);
    expect(await load(next, file('/b')), 'after three').toBe(null);
    clock.advance(1000);
    await vi.waitUntil(async () => (await load(next, file('/b'))) === 'b');
    await reader.close();
  });
});
