/** What the kernel is told when we learn that it may hold something else, and what it may keep of a directory. */
import { appendFile, mkdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY, O_WRONLY } from '../../../src/base/mode.js';
import {
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

const LATER = new Date('2021-01-01T00:00:00Z');
/** Longer than listings are trusted here, and shorter than attributes. */
const LIST_AGAIN = 2000;
const named = (name: string) => ({ path: path(name), handle: null });

const direct = (options = {}) =>
  openDirect({ dirTtl: 1000, statTtl: 20_000, attrTtl: 20_000, entryTtl: 20_000, ...options });

/** Reads a directory as `ls` does; answers whether the kernel may keep its pages of it. */
async function list({ fs }: DirectFileSystem, directory = ''): Promise<boolean> {
  const { handle, keepCache } = await fs.opendir(path(directory));
  await fs.readdir(handle, true);
  await fs.releasedir(handle);
  return keepCache;
}

/** Reads it again, when the listing has run out and attributes have not; answers what the kernel was told. */
async function listAgain(world: DirectFileSystem, directory = ''): Promise<readonly string[]> {
  world.clock.advance(LIST_AGAIN);
  world.forgotten.length = 0;
  await list(world, directory);
  return [...world.forgotten].sort();
}

describe('a listing that shows a change of another machine', () => {
  it('has the kernel forget the attributes of what changed, and nothing else', async () => {
    const world = await direct();
    for (const name of ['grown', 'touched', 'same']) await serverFile(world.disk, name, name);
    await list(world);
    await serverFile(world.disk, 'grown', 'grown more');
    await utimes(join(world.disk, 'touched'), LATER, LATER);
    expect(await listAgain(world)).toEqual(['attributes grown', 'attributes touched']);
    expect(await listAgain(world)).toEqual([]);
  });

  it('finds what only a lookup had told before', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await world.fs.lookup(path('f'));
    await serverFile(world.disk, 'f', 'longer');
    expect(await listAgain(world)).toEqual(['attributes f']);
  });

  it('has it forget names that vanished, and what became another type', async () => {
    const world = await direct();
    for (const name of ['gone', 'turned', 'same']) await serverFile(world.disk, name, name);
    await list(world);
    for (const name of ['gone', 'turned']) await unlink(join(world.disk, name));
    await mkdir(join(world.disk, 'turned'));
    await writeFile(join(world.disk, 'appeared'), '');
    expect(await listAgain(world)).toEqual(['entry gone', 'entry turned']);
  });

  it('tells nothing of an access time, which reading changes', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await list(world);
    await utimes(join(world.disk, 'f'), LATER, new Date('2020-01-01T00:00:00Z'));
    expect(await listAgain(world)).toEqual([]);
  });

  it('tells nothing that the kernel does not trust any more', async () => {
    const world = await direct({ statTtl: 1000 });
    await serverFile(world.disk, 'f', 'x');
    await list(world);
    await serverFile(world.disk, 'f', 'longer');
    expect(await listAgain(world)).toEqual([]);
  });

  it('tells of every name while the kernel may hold what had no room here', async () => {
    const world = await direct({ maxCachedNames: 3 });
    for (const directory of ['a', 'b']) {
      await mkdir(join(world.disk, directory));
      for (const name of ['1', '2', '3']) await serverFile(world.disk, join(directory, name), name);
    }
    await list(world, 'a');
    await list(world, 'b');
    await serverFile(world.disk, 'a/1', 'longer');
    expect(await listAgain(world, 'a')).toContain('attributes a/1');
  });

  it('takes the name of an open file from it, which is read on', async () => {
    const world = await direct();
    const { fs, disk } = world;
    await serverFile(disk, 'f', 'text');
    const { handle } = await fs.open(path('f'), O_RDONLY);
    await list(world);
    await unlink(join(disk, 'f'));
    expect(await listAgain(world)).toEqual(['entry f']);
    await serverFile(disk, 'f', 'another');
    expect((await readAll(fs, handle)).toString()).toBe('text');
    expect((await fs.getattr({ path: null, handle })).attributes).toMatchObject({ size: 4, nlink: 0 });
    await fs.release(handle);
  });

  it('does not go back behind what was learned while it was under way', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    const held = deferred<void>();
    world.after.set('readdir', () => held.promise);
    const listing = list(world);
    await expect.poll(() => world.requests).toContain('readdir');
    world.after.clear();
    await serverFile(world.disk, 'f', 'longer');
    world.clock.advance(10);
    await world.fs.lookup(path('f'));
    held.resolve();
    await listing;
    expect((await world.fs.lookup(path('f'))).attributes?.size).toBe(6);
  });
});

describe('an answer about one name', () => {
  it('that differs from what is trusted is passed on', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await world.fs.lookup(path('f'));
    await serverFile(world.disk, 'f', 'longer');
    const { handle } = await world.fs.open(path('f'), O_RDONLY);
    expect(world.forgotten).toEqual(['attributes f']);
    await world.fs.release(handle);
  });

  it('that the name is gone takes it from the kernel', async () => {
    const world = await direct({ statTtl: 1000 });
    await serverFile(world.disk, 'f', 'x');
    await world.fs.lookup(path('f'));
    await unlink(join(world.disk, 'f'));
    world.clock.advance(LIST_AGAIN);
    await expect(world.fs.getattr(named('f'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(world.forgotten).toEqual(['entry f']);
  });

  it('is given no lifetime when it crossed a change of ours', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    const held = deferred<void>();
    world.after.set('lstat', () => held.promise);
    const early = world.fs.lookup(path('f'));
    world.after.clear();
    await world.fs.unlink(path('f'));
    held.resolve();
    expect((await early).attrTtl).toBe(0);
  });

  it('about one of several hard links has the others asked for again', async () => {
    const world = await direct();
    await serverFile(world.disk, 'a', 'x');
    await world.fs.link(path('a'), path('b'));
    await appendFile(join(world.disk, 'a'), 'more');
    const { handle } = await world.fs.open(path('a'), O_RDONLY);
    expect((await world.fs.lookup(path('b'))).attributes?.size).toBe(5);
    await world.fs.release(handle);
  });

  it('about a link that leads elsewhere takes its target from the kernel', async () => {
    const world = await direct();
    await symlink('one', join(world.disk, 'l'));
    await world.fs.lookup(path('l'));
    expect(await world.fs.readlink(path('l'))).toBe('one');
    await rm(join(world.disk, 'l'));
    await symlink('three', join(world.disk, 'l'));
    world.clock.advance(30_000);
    world.forgotten.length = 0;
    await world.fs.lookup(path('l'));
    expect(world.forgotten).toEqual(['data l']);
    expect(await world.fs.readlink(path('l'))).toBe('three');
  });

  it('about a link that was seen within the second of its change takes its target from the kernel', async () => {
    const world = await direct();
    await symlink('one', join(world.disk, 'l'));
    await world.fs.lookup(path('l'));
    expect(await world.fs.readlink(path('l'))).toBe('one');
    await rm(join(world.disk, 'l'));
    await symlink('two', join(world.disk, 'l'));
    for (const told of [['data l'], []]) {
      world.clock.advance(30_000);
      world.forgotten.length = 0;
      await world.fs.lookup(path('l'));
      expect(world.forgotten).toEqual(told);
      expect(await world.fs.readlink(path('l'))).toBe('two');
    }
  });

  it('of another type does not inherit the link count', async () => {
    const world = await direct({ statTtl: 1000 });
    await mkdir(join(world.disk, 'd/sub'), { recursive: true });
    await list(world);
    expect((await world.fs.lookup(path('d'))).attributes?.nlink).toBe(3);
    await rm(join(world.disk, 'd'), { recursive: true });
    await writeFile(join(world.disk, 'd'), '');
    world.clock.advance(2000);
    expect((await world.fs.lookup(path('d'))).attributes?.nlink).toBe(1);
  });
});

describe('an open of what is no file any more', () => {
  it.each<[string, string, (place: string) => Promise<unknown>]>([
    ['a directory', 'EISDIR', (place) => mkdir(place)],
    ['a link, which is not gone through', 'ESTALE', (place) => symlink('target', place)],
  ])('finds %s', async (_what, code, make) => {
    const world = await direct();
    await serverFile(world.disk, 'target', 'another file');
    await serverFile(world.disk, 'f', 'x');
    await world.fs.lookup(path('f'));
    await unlink(join(world.disk, 'f'));
    await make(join(world.disk, 'f'));
    await expect(world.fs.open(path('f'), O_RDONLY)).rejects.toMatchObject({ code });
    expect(world.forgotten).toContain('entry f');
    expect(world.fs.status().openFiles).toBe(0);
  });
});

describe('a change of ours', () => {
  it('is nothing that the kernel would have to be told', async () => {
    const world = await direct();
    const { fs } = world;
    await serverFile(world.disk, 'old', 'x');
    await list(world);
    world.forgotten.length = 0;
    await fs.mkdir(path('d'), 0o755);
    await fs.symlink(path('l'), path('old'));
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    await fs.write(handle, 0, Buffer.from('data'), NOT_PAGES);
    await fs.flush(handle);
    await fs.release(handle);
    await fs.setattr(named('f'), { mode: 0o600 });
    await fs.rename(path('f'), path('d/g'), { noReplace: false });
    await fs.unlink(path('old'));
    await fs.getattr(named('d/g'));
    await list(world);
    await list(world, 'd');
    expect(world.forgotten).toEqual([]);
    // Within the second in which it was made, somebody else might have changed it.
    expect(await listAgain(world)).toEqual(['data l']);
    expect(await listAgain(world, 'd')).toEqual([]);
  });

  it('that fails since the name is there takes its absence from the kernel', async () => {
    const world = await direct();
    await world.fs.lookup(path('d'));
    await mkdir(join(world.disk, 'd'));
    await expect(world.fs.mkdir(path('d'), 0o755)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(world.forgotten).toEqual(['absence d']);
  });

  it('such as a rename that fails since something is in the way takes its absence from the kernel', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await world.fs.lookup(path('f'));
    await world.fs.lookup(path('d'));
    await mkdir(join(world.disk, 'd'));
    const rename = () => world.fs.rename(path('f'), path('d'), { noReplace: false });
    await expect(rename()).rejects.toMatchObject({ code: 'EISDIR' });
    expect(world.forgotten).toEqual(['absence d']);
    await world.fs.lookup(path('d'));
    await expect(rename()).rejects.toMatchObject({ code: 'EISDIR' });
    expect(world.forgotten).toEqual(['absence d']);
  });

  it.each([
    ['a truncation', (world: DirectFileSystem) => world.fs.setattr(named('f'), { size: 0 })],
    ['a link', (world: DirectFileSystem) => world.fs.link(path('f'), path('g'))],
    ['an unlink', (world: DirectFileSystem) => world.fs.unlink(path('f'))],
    ['a rename', (world: DirectFileSystem) => world.fs.rename(path('f'), path('g'), { noReplace: false })],
  ])('such as %s that fails since the name is gone takes the name from the kernel', async (_what, change) => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await world.fs.lookup(path('f'));
    await unlink(join(world.disk, 'f'));
    await expect(change(world)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(world.forgotten).toContain('entry f');
  });
});

describe('the kernel may keep its pages of a directory', () => {
  it('while the listing is trusted, and when a new one is the same', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    expect(await list(world)).toBe(false);
    expect(await list(world)).toBe(true);
    await serverFile(world.disk, 'f', 'longer');
    world.clock.advance(LIST_AGAIN);
    expect(await list(world)).toBe(true);
  });

  it.each<[string, (world: DirectFileSystem) => Promise<unknown>]>([
    ['appeared', ({ disk }) => writeFile(join(disk, 'new'), '')],
    ['vanished', ({ disk }) => unlink(join(disk, 'f'))],
    ['was renamed', ({ disk }) => rename(join(disk, 'f'), join(disk, 'g'))],
    [
      'became a directory',
      async ({ disk }) => {
        await unlink(join(disk, 'f'));
        await mkdir(join(disk, 'f'));
      },
    ],
  ])('not when a name %s on the server', async (_what, change) => {
    const world = await direct();
    for (const name of ['e', 'f']) await serverFile(world.disk, name, 'x');
    await list(world);
    await change(world);
    world.clock.advance(LIST_AGAIN);
    expect(await list(world)).toBe(false);
    expect(await list(world)).toBe(true);
  });

  it.each<[string, (world: DirectFileSystem) => Promise<unknown>]>([
    ['made', ({ fs }) => fs.mkdir(path('new'), 0o755)],
    ['removed', ({ fs }) => fs.unlink(path('f'))],
    ['renamed', ({ fs }) => fs.rename(path('f'), path('g'), { noReplace: false })],
  ])('not when we %s a name', async (_what, change) => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await list(world);
    await change(world);
    expect(await list(world)).toBe(false);
  });

  it('not when two readers go through two snapshots of it', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    const early = await world.fs.opendir(path(''));
    await writeFile(join(world.disk, 'new'), '');
    world.clock.advance(LIST_AGAIN);
    expect(await list(world)).toBe(false);
    await world.fs.readdir(early.handle, false);
    expect(await list(world)).toBe(false);
    await world.fs.releasedir(early.handle);
  });

  it('not when what it was given last crossed a change of ours', async () => {
    const world = await direct();
    await serverFile(world.disk, 'f', 'x');
    await list(world);
    world.clock.advance(LIST_AGAIN);
    const held = deferred<void>();
    world.after.set('readdir', () => held.promise);
    const crossing = list(world);
    await expect.poll(() => world.requests.filter((name) => name === 'readdir').length).toBe(4);
    await world.fs.mkdir(path('d'), 0o755);
    world.after.clear();
    held.resolve();
    expect(await crossing).toBe(false);
    await world.fs.rmdir(path('d'));
    expect(await list(world)).toBe(false);
  });
});
