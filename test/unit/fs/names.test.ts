import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import { list, NOT_PAGES, openDirect, path, readAll } from '../../support/direct-filesystem.js';

describe('attributes', () => {
  it('are trusted for their time and asked for again after it', async () => {
    const { fs, disk, clock, requests } = await openDirect({ statTtl: 1000 });
    await writeFile(join(disk, 'f'), 'x');
    await fs.lookup(path('f'));
    requests.length = 0;
    await fs.lookup(path('f'));
    expect(requests).toEqual([]);
    clock.advance(1001);
    await fs.lookup(path('f'));
    expect(requests).toEqual(['lstat']);
  });

  it('reach the kernel with what is left of their time', async () => {
    const { fs, disk, clock } = await openDirect({ statTtl: 1000, attrTtl: 5000, entryTtl: 300 });
    await writeFile(join(disk, 'f'), 'x');
    expect(await fs.lookup(path('f'))).toMatchObject({ attrTtl: 1000, entryTtl: 300 });
    clock.advance(600);
    expect(await fs.lookup(path('f'))).toMatchObject({ attrTtl: 400, entryTtl: 300 });
  });

  it('are asked for once by callers that ask together', async () => {
    const { fs, disk, requests } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    requests.length = 0;
    await Promise.all(Array.from({ length: 5 }, () => fs.lookup(path('f'))));
    expect(requests).toEqual(['lstat']);
  });

  it('are not cached when the answer crosses a change of ours', async () => {
    const { fs, disk, after } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    const answer = deferred<void>();
    after.set('lstat', () => answer.promise);
    const early = fs.lookup(path('f'));
    after.clear();
    await fs.rename(path('f'), path('g'), { noReplace: false });
    answer.resolve();
    expect((await early).attributes).not.toBeNull();
    expect((await fs.lookup(path('f'))).attributes).toBeNull();
  });

  it('set owner and time in pairs, keeping what was not asked for', async () => {
    const { fs, disk } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    const target = { path: path('f'), handle: null };
    await fs.setattr(target, { atime: 1000, mtime: 2000 });
    expect((await fs.setattr(target, { mtime: 3000 })).attributes).toMatchObject({
      atime: 1000,
      mtime: 3000,
    });
    expect((await fs.setattr(target, { atime: -5, mtime: 1e12 })).attributes).toMatchObject({
      atime: 0,
      mtime: 0xffff_ffff,
    });
  });

  it('cost no question when only the modification time is set: the access time is known', async () => {
    const { fs, disk, requests } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    const before = (await fs.lookup(path('f'))).attributes;
    requests.length = 0;
    const { attributes } = await fs.setattr({ path: path('f'), handle: null }, { mtime: 2000 });
    expect(attributes).toMatchObject({ atime: before?.atime, mtime: 2000 });
    expect(requests).toEqual(['setstat', 'lstat']);
  });

  it('take the local clock for UTIME_NOW', async () => {
    const { fs, disk, clock } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    const { attributes } = await fs.setattr({ path: path('f'), handle: null }, { mtime: 'now' });
    expect(attributes.mtime).toBe(Math.floor(clock.now() / 1000));
  });

  it('of a link are changed on the link, or not at all', async () => {
    const { fs, disk } = await openDirect();
    await writeFile(join(disk, 'target'), 'x');
    await symlink('target', join(disk, 'link'));
    const before = (await fs.lookup(path('target'))).attributes?.mtime;
    const { attributes } = await fs.setattr({ path: path('link'), handle: null }, { mtime: 5000 });
    expect(attributes.mtime).toBe(5000);
    const weak = await openDirect({}, {}, { extensions: new Set() });
    await writeFile(join(weak.disk, 'target'), 'x');
    await symlink('target', join(weak.disk, 'link'));
    const change = weak.fs.setattr({ path: path('link'), handle: null }, { mtime: 5000 });
    await expect(change).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
    expect((await weak.fs.lookup(path('target'))).attributes?.mtime).toBeGreaterThanOrEqual(before ?? 0);
  });
});

describe('names', () => {
  it('that do not exist are believed for their time, and never after we made them', async () => {
    const { fs, disk, clock, requests } = await openDirect({ negativeTtl: 1000 });
    expect((await fs.lookup(path('f'))).attributes).toBeNull();
    requests.length = 0;
    await writeFile(join(disk, 'f'), 'x');
    expect((await fs.lookup(path('f'))).attributes).toBeNull();
    expect(requests).toEqual([]);
    clock.advance(1001);
    expect((await fs.lookup(path('f'))).attributes).not.toBeNull();
    expect((await fs.lookup(path('g'))).attributes).toBeNull();
    await fs.mkdir(path('g'), 0o755);
    expect((await fs.lookup(path('g'))).attributes).not.toBeNull();
  });

  it('are answered from a fresh listing, there or not', async () => {
    const world = await openDirect();
    for (const name of ['a', 'b']) await writeFile(join(world.disk, name), name);
    await list(world, '');
    world.requests.length = 0;
    expect((await world.fs.lookup(path('a'))).attributes?.size).toBe(1);
    expect((await world.fs.lookup(path('zz'))).attributes).toBeNull();
    expect(world.requests).toEqual([]);
  });

  it('are not denied by an empty listing: a server leaves out what it may not look at', async () => {
    const world = await openDirect();
    expect(await list(world, '')).toEqual([]);
    await writeFile(join(world.disk, 'hidden'), 'x');
    expect((await world.fs.lookup(path('hidden'))).attributes?.size).toBe(1);
  });

  it('in a cached listing follow our own changes at once', async () => {
    const world = await openDirect();
    const { fs } = world;
    await writeFile(join(world.disk, 'a'), 'a');
    await list(world, '');
    world.requests.length = 0;
    await fs.mkdir(path('d'), 0o755);
    await fs.rename(path('a'), path('b'), { noReplace: false });
    await fs.symlink(path('l'), path('b'));
    expect((await list(world, '')).sort()).toEqual(['b', 'd', 'l']);
    await fs.unlink(path('l'));
    await fs.rmdir(path('d'));
    expect(await list(world, '')).toEqual(['b']);
    expect(world.requests).not.toContain('opendir');
  });

  it('below a renamed directory move with it', async () => {
    const world = await openDirect();
    const { fs, disk } = world;
    await mkdir(join(disk, 'd'));
    await writeFile(join(disk, 'd/f'), 'x');
    await fs.lookup(path('d/f'));
    await fs.rename(path('d'), path('e'), { noReplace: false });
    expect((await fs.lookup(path('d/f'))).attributes).toBeNull();
    expect((await fs.lookup(path('e/f'))).attributes?.size).toBe(1);
  });

  it('change at the cost of one round trip each', async () => {
    const { fs, disk, requests, after } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    await fs.lookup(path('f'));
    const calls: readonly [string, readonly string[], () => Promise<unknown>][] = [
      ['mkdir', ['mkdir', 'lstat'], () => fs.mkdir(path('d'), 0o755)],
      ['symlink', ['symlink', 'lstat'], () => fs.symlink(path('l'), path('f'))],
      ['hardlink', ['hardlink', 'lstat'], () => fs.link(path('f'), path('h'))],
      ['setstat', ['setstat', 'lstat'], () => fs.setattr({ path: path('f'), handle: null }, { mode: 0o600 })],
      [
        'open',
        ['open', 'lstat'],
        () => fs.create(path('n'), O_WRONLY, 0o644).then(({ handle }) => fs.release(handle)),
      ],
    ];
    for (const [held, expected, call] of calls) {
      let answer = () => {};
      const answered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      after.set(held, () => answered);
      requests.length = 0;
      const done = call();
      await expect.poll(() => requests).toEqual(expected);
      answer();
      await done;
      after.clear();
    }
  });

  it('are refused on a read-only mount', async () => {
    const { fs, disk, requests } = await openDirect({ readOnly: true });
    await writeFile(join(disk, 'f'), 'x');
    requests.length = 0;
    const refused = [
      fs.mkdir(path('d'), 0o755),
      fs.unlink(path('f')),
      fs.rename(path('f'), path('g'), { noReplace: false }),
      fs.symlink(path('l'), path('f')),
      fs.link(path('f'), path('g')),
      fs.create(path('g'), O_WRONLY, 0o644),
      fs.open(path('f'), O_RDWR),
      fs.setattr({ path: path('f'), handle: null }, { mode: 0o600 }),
    ];
    for (const call of refused) await expect(call).rejects.toMatchObject({ code: 'EROFS' });
    expect(requests).toEqual([]);
  });

  it('are not replaced with NOREPLACE', async () => {
    const { fs, disk } = await openDirect();
    for (const name of ['a', 'b']) await writeFile(join(disk, name), name);
    await expect(fs.rename(path('a'), path('b'), { noReplace: true })).rejects.toMatchObject({
      code: 'EEXIST',
    });
    await fs.rename(path('a'), path('c'), { noReplace: true });
    expect((await fs.lookup(path('c'))).attributes).not.toBeNull();
  });

  it('are replaced also by a server without posix-rename', async () => {
    const world = await openDirect({}, {}, { extensions: new Set() });
    for (const name of ['a', 'b']) await writeFile(join(world.disk, name), name);
    await world.fs.rename(path('a'), path('b'), { noReplace: false });
    const { handle } = await world.fs.open(path('b'), O_RDONLY);
    expect((await readAll(world.fs, handle)).toString()).toBe('a');
    await world.fs.release(handle);
    expect(await list(world, '')).toEqual(['b']);
  });
});

describe('a symlink that changed behind the mount', () => {
  it('is taken from the kernel, which would cache its target without end', async () => {
    const { fs, disk, clock, forgotten } = await openDirect();
    await symlink('one', join(disk, 'l'));
    await fs.lookup(path('l'));
    expect(await fs.readlink(path('l'))).toBe('one');
    await fs.setattr({ path: path('l'), handle: null }, { mtime: 1000 });
    clock.advance(30_000);
    forgotten.length = 0;
    await fs.setattr({ path: path('l'), handle: null }, { mtime: 2000 });
    expect(forgotten).toContain('data l');
  });
});

describe('hard links', () => {
  it('made here count, on both names', async () => {
    const { fs, disk } = await openDirect();
    await writeFile(join(disk, 'a'), 'x');
    expect((await fs.link(path('a'), path('b'))).attributes.nlink).toBe(2);
    expect((await fs.getattr({ path: path('a'), handle: null })).attributes.nlink).toBe(2);
    await fs.link(path('a'), path('c'));
    expect((await fs.getattr({ path: path('b'), handle: null })).attributes.nlink).toBe(3);
    await fs.unlink(path('a'));
    expect((await fs.getattr({ path: path('b'), handle: null })).attributes.nlink).toBe(2);
  });

  it('made elsewhere are counted by a listing, and a change drops what is cached of the others', async () => {
    const world = await openDirect();
    const { fs, disk, forgotten } = world;
    await writeFile(join(disk, 'a'), 'old!');
    await link(join(disk, 'a'), join(disk, 'b'));
    await list(world, '');
    expect((await fs.lookup(path('b'))).attributes?.nlink).toBe(2);
    const reader = await fs.open(path('b'), O_RDONLY);
    expect((await readAll(fs, reader.handle)).toString()).toBe('old!');
    const writer = await fs.open(path('a'), O_WRONLY);
    await fs.write(writer.handle, 0, Buffer.from('NEW'), NOT_PAGES);
    await fs.flush(writer.handle);
    expect(forgotten).toContain('data b');
    expect((await readAll(fs, reader.handle)).toString()).toBe('NEW!');
    for (const { handle } of [reader, writer]) await fs.release(handle);
  });

  it('keep an open file reachable by its other name', async () => {
    const { fs, disk } = await openDirect();
    await writeFile(join(disk, 'a'), 'x');
    await fs.link(path('a'), path('b'));
    const { handle } = await fs.open(path('a'), O_RDWR);
    await fs.write(handle, 1, Buffer.from('y'), NOT_PAGES);
    await fs.unlink(path('a'));
    expect((await fs.getattr({ path: path('b'), handle: null })).attributes.size).toBe(2);
    await fs.release(handle);
  });

  it('are EPERM where there are none', async () => {
    const { fs, disk } = await openDirect({ hardLinks: false });
    await writeFile(join(disk, 'a'), 'x');
    await expect(fs.link(path('a'), path('b'))).rejects.toMatchObject({ code: 'EPERM' });
  });
});
