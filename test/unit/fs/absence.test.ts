import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_CREAT, O_EXCL, O_WRONLY } from '../../../src/base/mode.js';
import { type DirectFileSystem, openDirect, path } from '../../support/direct-filesystem.js';

async function direct(): Promise<DirectFileSystem> {
  const each = await openDirect({ negativeTtl: 1000 });
  await writeFile(join(each.disk, 'there'), 'x');
  return each;
}

const count = (requests: readonly string[], name: string) => requests.filter((each) => each === name).length;

/** What a program does that makes a file: look whether it is there, make it, close it. */
async function make({ fs }: DirectFileSystem, name: string): Promise<void> {
  expect((await fs.lookup(path(name))).attributes).toBeNull();
  const { handle } = await fs.create(path(name), O_WRONLY | O_CREAT | O_EXCL, 0o644);
  await fs.flush(handle);
  await fs.release(handle);
}

async function settled({ fs }: DirectFileSystem): Promise<void> {
  await expect.poll(() => fs.status().inFlight).toBe(0);
}

describe('names that are missing', () => {
  it('are asked for one by one only twice', async () => {
    const world = await direct();
    for (const name of ['a', 'b']) expect((await world.fs.lookup(path(name))).attributes).toBeNull();
    await settled(world);
    world.requests.length = 0;
    for (let n = 0; n < 50; n += 1) expect((await world.fs.lookup(path(`no-${n}`))).attributes).toBeNull();
    expect((await world.fs.lookup(path('there'))).attributes?.size).toBe(1);
    expect(world.requests).toEqual([]);
  });

  it('cost no listing when one of them is asked for again and again', async () => {
    const world = await direct();
    for (let n = 0; n < 10; n += 1) {
      await world.fs.lookup(path('a'));
      world.clock.advance(300);
    }
    await world.fs.lookup(path('there'));
    world.clock.advance(10_000);
    await world.fs.lookup(path('b'));
    expect(count(world.requests, 'opendir')).toBeLessThanOrEqual(1);
  });

  it('are known while files are made, and the listing is renewed in time', async () => {
    const world = await direct();
    for (let n = 0; n < 3; n += 1) await make(world, `first-${n}`);
    await settled(world);
    world.requests.length = 0;
    for (let n = 0; n < 40; n += 1) {
      await make(world, `file-${n}`);
      world.clock.advance(50);
      await settled(world);
    }
    // Each file costs the LSTAT beside its OPEN, and none before it.
    expect(count(world.requests, 'lstat')).toBeLessThanOrEqual(42);
    expect(count(world.requests, 'opendir')).toBeLessThanOrEqual(5);
  });

  it('show up when another machine makes them, after their time at the latest', async () => {
    const world = await direct();
    for (const name of ['a', 'b', 'c']) await world.fs.lookup(path(name));
    await settled(world);
    await writeFile(join(world.disk, 'c'), 'new');
    world.clock.advance(1001);
    expect((await world.fs.lookup(path('c'))).attributes?.size).toBe(3);
  });
});

describe('a listing that crosses changes of ours', () => {
  it('is taken over, with what we made and removed meanwhile', async () => {
    const world = await direct();
    const { fs, disk, after } = world;
    for (const name of ['gone', 'kept']) await writeFile(join(disk, name), 'x');
    const held = deferred<void>();
    after.set('readdir', () => held.promise);
    const listing = fs.opendir(path(''));
    await make(world, 'made');
    await fs.unlink(path('gone'));
    held.resolve();
    const { handle } = await listing;
    const names = (await fs.readdir(handle, true)).entries.map(({ name }) => String(name));
    expect(names.sort()).toEqual(['kept', 'made', 'there']);
    world.requests.length = 0;
    expect((await fs.lookup(path('gone'))).attributes).toBeNull();
    expect((await fs.lookup(path('made'))).attributes?.size).toBe(0);
    expect((await fs.lookup(path('never'))).attributes).toBeNull();
    expect(world.requests).toEqual([]);
    await fs.releasedir(handle);
    await rm(join(disk, 'made'));
  });

  it('is not kept when something of ours is not known', async () => {
    const world = await direct();
    const { fs, disk, after, before } = world;
    await writeFile(join(disk, 'f'), 'x');
    const held = deferred<void>();
    after.set('readdir', () => held.promise);
    const listing = fs.opendir(path(''));
    before.set('remove', () => Promise.reject(new Error('nobody knows')));
    await expect(fs.unlink(path('f'))).rejects.toMatchObject({ code: 'EIO' });
    await rm(join(disk, 'f'));
    held.resolve();
    const { handle } = await listing;
    expect((await fs.lookup(path('f'))).attributes).toBeNull();
    await fs.releasedir(handle);
  });
});
