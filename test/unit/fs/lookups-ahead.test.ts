/** Directories that are listed because programs ask for their names one by one. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import type { FsOptions } from '../../../src/fs/options.js';
import { type DirectFileSystem, openDirect, path } from '../../support/direct-filesystem.js';

/** Directories `00`, `01`… with so many files each. */
async function direct(
  directories: number,
  files: number,
  options: Partial<FsOptions> = {},
): Promise<DirectFileSystem & { readonly paths: readonly string[] }> {
  const world = await openDirect(options);
  const paths: string[] = [];
  for (let d = 0; d < directories; d += 1) {
    const directory = `${d}`.padStart(2, '0');
    await mkdir(join(world.disk, directory));
    for (let f = 0; f < files; f += 1) {
      const name = `${directory}/f${`${f}`.padStart(4, '0')}`;
      await writeFile(join(world.disk, name), 'x');
      paths.push(name);
    }
  }
  return { ...world, paths };
}

/** What the kernel asks for, to whom everything is new: each directory on the way once, then the name. */
async function look({ fs }: DirectFileSystem, names: readonly string[]): Promise<void> {
  let last = '';
  for (const name of names) {
    const [directory = ''] = name.split('/');
    if (directory !== last) await fs.lookup(path(directory));
    last = directory;
    expect((await fs.lookup(path(name))).attributes?.size).toBe(1);
  }
}

const count = (requests: readonly string[], name: string) => requests.filter((each) => each === name).length;

async function quiet({ fs }: DirectFileSystem): Promise<void> {
  await expect.poll(() => fs.status().inFlight).toBe(0);
}

describe('names asked for one by one', () => {
  it('in sorted order cost few questions, since directories to come are listed ahead', async () => {
    const world = await direct(30, 20);
    const { paths, requests } = world;
    // As git does; the first directory tells the others' order.
    for (let d = 0; d < 30; d += 1) {
      await look(world, paths.slice(d * 20, d * 20 + 20));
      await quiet(world);
    }
    expect(count(requests, 'lstat')).toBeLessThan(14);
    expect(count(requests, 'opendir')).toBe(31);
  });

  it('wait for the listing that is under way, once it takes no longer than an answer', async () => {
    const { fs, paths, requests, after } = await direct(1, 50);
    const opened = deferred<void>();
    const held = deferred<void>();
    after.set('opendir', () => opened.promise);
    after.set('readdir', () => held.promise);
    const early = paths.slice(0, 4).map((name) => fs.lookup(path(name)));
    for (const { attributes } of await Promise.all(early)) expect(attributes?.size).toBe(1);
    expect(count(requests, 'lstat')).toBe(4);
    opened.resolve();
    await expect.poll(() => requests.includes('readdir')).toBe(true);
    const late = paths.slice(4).map((name) => fs.lookup(path(name)));
    held.resolve();
    for (const { attributes } of await Promise.all(late)) expect(attributes?.size).toBe(1);
    expect(count(requests, 'lstat')).toBe(4);
    expect(count(requests, 'opendir')).toBe(1);
  });

  it('do not deny what another machine has made meanwhile', async () => {
    const world = await direct(1, 10);
    await look(world, world.paths);
    await quiet(world);
    await writeFile(join(world.disk, '00', 'new'), 'new');
    expect((await world.fs.lookup(path('00/new'))).attributes?.size).toBe(3);
  });

  it('that one directory after the other does not have are asked for ahead', async () => {
    const world = await direct(40, 1, { negativeTtl: 1000 });
    const { handle } = await world.fs.opendir(path(''));
    await world.fs.releasedir(handle);
    for (let d = 0; d < 40; d += 1) {
      const name = path(`${`${d}`.padStart(2, '0')}/.gitignore`);
      // Known before it is wanted, but for the first ones.
      const held = deferred<void>();
      if (d > 3) world.after.set('lstat', () => held.promise);
      expect((await world.fs.lookup(name)).attributes).toBeNull();
      world.after.delete('lstat');
      held.resolve();
      await quiet(world);
      world.clock.advance(50);
    }
    expect(count(world.requests, 'lstat')).toBeLessThanOrEqual(40);
  });

  it('are asked for singly in a directory that is too large, which is given up early', async () => {
    const world = await direct(1, 1500);
    await look(world, world.paths.slice(0, 10));
    await quiet(world);
    expect(count(world.requests, 'opendir')).toBe(1);
    expect(count(world.requests, 'lstat')).toBeGreaterThan(7);
    expect((await world.fs.lookup(path('00/none'))).attributes).toBeNull();
    await quiet(world);
  });

  it.each([{ statTtl: 0 }, { dirTtl: 0 }])(
    'are asked for singly where %o trusts nothing',
    async (options) => {
      const world = await direct(1, 10, options);
      await look(world, world.paths);
      await quiet(world);
      expect(count(world.requests, 'opendir')).toBe(0);
    },
  );

  it('that are missing one after the other wait for no listing, which may be empty', async () => {
    const { fs, disk, after, requests } = await direct(0, 0, { negativeTtl: 1000 });
    await mkdir(join(disk, 'empty'));
    const held = deferred<void>();
    after.set('readdir', () => held.promise);
    for (const name of ['a', 'b', 'c', 'd']) {
      expect((await fs.lookup(path(`empty/${name}`))).attributes).toBeNull();
    }
    expect(count(requests, 'opendir')).toBe(1);
    held.resolve();
    await expect.poll(() => fs.status().inFlight).toBe(0);
    for (const name of ['e', 'f']) expect((await fs.lookup(path(`empty/${name}`))).attributes).toBeNull();
    // It told nothing, and is not asked for again.
    expect(count(requests, 'opendir')).toBe(1);
  });

  it('cost no listing when one of them is asked for again and again', async () => {
    const world = await direct(1, 10, { statTtl: 1000 });
    for (let n = 0; n < 10; n += 1) {
      await world.fs.lookup(path('00/f0000'));
      world.clock.advance(1001);
    }
    expect(count(world.requests, 'opendir')).toBe(0);
  });

  it('of a listed directory that changed since are asked for singly', async () => {
    const world = await direct(1, 10);
    const { handle } = await world.fs.opendir(path('00'));
    await world.fs.releasedir(handle);
    world.requests.length = 0;
    for (const name of world.paths.slice(0, 4)) {
      await world.fs.setattr({ path: path(name), handle: null }, { size: 1 });
    }
    await quiet(world);
    expect(count(world.requests, 'opendir')).toBe(0);
  });
});
