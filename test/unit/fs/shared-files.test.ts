/** One file by several names or descriptors, some of it written and not yet sent: there is only one truth. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_APPEND, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import type { Attributes } from '../../../src/fs/operations.js';
import {
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

const replacing = { noReplace: false };
const named = (name: string) => ({ path: path(name), handle: null });

async function close({ fs }: DirectFileSystem, ...handles: readonly number[]): Promise<void> {
  for (const handle of handles) {
    await fs.flush(handle);
    await fs.release(handle);
  }
}

describe('a link made to a file with unsent writes', () => {
  it('shows their size under both names, and an append goes behind them', async () => {
    const world = await openDirect();
    const { fs, disk } = world;
    const { handle } = await fs.create(path('a'), O_RDWR | O_APPEND, 0o644);
    await fs.write(handle, 0, Buffer.alloc(1000, 'A'), NOT_PAGES);
    expect((await fs.link(path('a'), path('b'))).attributes.size).toBe(1000);
    for (const name of ['a', 'b']) expect((await fs.getattr(named(name))).attributes.size).toBe(1000);
    await fs.write(handle, 1000, Buffer.alloc(10, 'B'), NOT_PAGES);
    for (const name of ['a', 'b']) expect((await fs.lookup(path(name))).attributes?.size).toBe(1010);
    await close(world, handle);
    expect(await readFile(join(disk, 'b'), 'utf8')).toBe('A'.repeat(1000) + 'B'.repeat(10));
  });
});

describe('a file with two names', () => {
  const T = 1_000_000_000;

  /** What a listing shows of a file in the mounted directory; undefined where the kernel has to ask. */
  async function listed({ fs }: DirectFileSystem, name: string): Promise<Attributes | null | undefined> {
    const { handle } = await fs.opendir(path(''));
    const { entries, describe: told } = await fs.readdir(handle, true);
    await fs.releasedir(handle);
    const entry = entries.find((each) => each.name === path(name));
    return entry && told(entry)?.attributes;
  }

  it.each(['nothing', 'something'])('shows by both what was set with %s written to it', async (written) => {
    const world = await openDirect();
    const { fs } = world;
    const { handle } = await fs.create(path('a'), O_RDWR, 0o644);
    await listed(world, 'a');
    await fs.link(path('a'), path('b'));
    if (written === 'something') await fs.write(handle, 0, Buffer.from('x'), NOT_PAGES);
    await fs.setattr(named('a'), { atime: T, mtime: T });
    await fs.setattr(named('b'), { mode: 0o600 });
    const shows = { mtime: T, mode: 0o100600, nlink: 2 };
    for (const name of ['a', 'b']) {
      expect((await listed(world, name)) ?? shows).toMatchObject(shows);
      expect((await fs.lookup(path(name))).attributes).toMatchObject(shows);
    }
    await close(world, handle);
    for (const name of ['b', 'a']) {
      expect((await fs.lookup(path(name))).attributes).toMatchObject(shows);
      expect(await listed(world, name)).toMatchObject(shows);
    }
  });

  it('shows by both that it was written to, once that is sent', async () => {
    const world = await openDirect();
    const { fs, disk } = world;
    await serverFile(disk, 'a', 'content');
    await fs.link(path('a'), path('b'));
    await fs.lookup(path('b'));
    const { handle } = await fs.open(path('a'), O_RDWR);
    // More than is kept waiting for a moment.
    await fs.write(handle, 0, Buffer.alloc(1024 * 1024), NOT_PAGES);
    await expect.poll(() => fs.status().dirtyBytes).toBe(0);
    const mtime = Math.floor((await stat(join(disk, 'a'))).mtimeMs / 1000);
    for (const name of ['b', 'a']) expect((await fs.lookup(path(name))).attributes?.mtime).toBe(mtime);
    await close(world, handle);
  });

  it('keeps what is known of it when one of them goes', async () => {
    const world = await openDirect();
    const { fs, requests } = world;
    await close(world, (await fs.create(path('a'), O_RDWR, 0o644)).handle);
    await fs.link(path('a'), path('b'));
    await fs.unlink(path('a'));
    requests.length = 0;
    expect((await fs.lookup(path('b'))).attributes).toMatchObject({ nlink: 1, mode: 0o100644 });
    expect(requests).toEqual([]);
  });
});

describe('a name that is left after the others went', () => {
  /** A file made as `a`, linked as `b`, renamed to `c`, opened by `b` and written to; then `c` is gone. */
  async function written(world: DirectFileSystem): Promise<number> {
    const { fs } = world;
    await close(world, (await fs.create(path('a'), O_WRONLY, 0o644)).handle);
    await fs.link(path('a'), path('b'));
    await fs.rename(path('a'), path('c'), replacing);
    const { handle } = await fs.open(path('b'), O_RDWR);
    await fs.write(handle, 0, Buffer.alloc(100, 'A'), NOT_PAGES);
    await fs.unlink(path('c'));
    return handle;
  }

  it('leads a second open to what the first wrote', async () => {
    const world = await openDirect();
    const first = await written(world);
    const { handle } = await world.fs.open(path('b'), O_RDWR);
    expect(await readAll(world.fs, handle)).toHaveLength(100);
    expect((await world.fs.getattr(named('b'))).attributes.size).toBe(100);
    await close(world, handle, first);
  });

  it.each([
    ['appends behind it', O_RDWR | O_APPEND, 'A'.repeat(100) + 'B'.repeat(50)],
    ['overwrites it', O_RDWR, 'B'.repeat(50) + 'A'.repeat(50)],
  ])('is one file for an open that %s', async (_how, flags, content) => {
    const world = await openDirect();
    const { fs, disk } = world;
    const first = await written(world);
    const { handle } = await fs.open(path('b'), flags);
    await fs.write(handle, 0, Buffer.alloc(50, 'B'), NOT_PAGES);
    await close(world, handle, first);
    expect(await readFile(join(disk, 'b'), 'utf8')).toBe(content);
  });
});

describe('a lookup that was asked before a write went out', () => {
  it('answers the size that was written, though it was confirmed meanwhile', async () => {
    const world = await openDirect();
    const { fs, after } = world;
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(handle, 0, Buffer.alloc(5000), NOT_PAGES);
    const held = deferred<void>();
    after.set('lstat', () => held.promise);
    const early = fs.lookup(path('f'));
    after.clear();
    await fs.flush(handle);
    held.resolve();
    expect((await early).attributes?.size).toBe(5000);
    await close(world, handle);
  });
});
