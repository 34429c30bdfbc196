/**
 * What a watch on the server is worth to the filesystem: how long what it vouches for is trusted, what its tales undo
 * here and in the kernel, and that our own changes, which it tells as well, undo nothing.
 */
import { appendFile, link, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_CREAT, O_RDONLY, O_WRONLY } from '../../../src/base/mode.js';
import { LONG_AGO, NOT_PAGES, openDirect, path, readAll } from '../../support/direct-filesystem.js';

import { SECOND, Watched } from '../../support/watched.js';

const MINUTE = 60 * SECOND;

describe('what a watch vouches for', () => {
  it('is trusted for ten minutes without a question, and no longer', async () => {
    const watched = await Watched.open();
    watched.pass(9 * MINUTE);
    expect(
      await watched.asked(async () => {
        expect(await watched.list('')).toEqual(['d', 'f', 'g']);
        expect(await watched.size('f')).toBe(7);
        expect(await watched.size('missing')).toBeNull();
      }),
    ).toEqual([]);
    watched.pass(2 * MINUTE);
    expect(await watched.asked(() => watched.size('f'))).toEqual(['lstat']);
  });

  it('is only as old as the plain lifetimes allow when the watch falls silent', async () => {
    const watched = await Watched.open();
    watched.pass(5 * MINUTE);
    const { fs, clock } = watched.direct;
    clock.advance(19 * SECOND);
    // What the kernel is told ends with it.
    expect(await fs.lookup(path('f'))).toMatchObject({ attrTtl: SECOND, entryTtl: SECOND });
    clock.advance(SECOND);
    expect(await watched.asked(() => watched.size('f'))).toEqual(['lstat']);
  });

  it('is opened without a question as long as the watch was heard of lately', async () => {
    const watched = await Watched.open();
    const { fs, clock } = watched.direct;
    const read = async () => {
      const { handle } = await fs.open(path('f'), O_RDONLY);
      expect((await readAll(fs, handle)).toString()).toBe('content');
      await fs.release(handle);
    };
    await read();
    watched.pass(MINUTE);
    expect(await watched.asked(read)).toEqual([]);
    clock.advance(4 * SECOND);
    expect(await watched.asked(read)).toContain('open');
  });

  it('is old at once when the watch is lost', async () => {
    const watched = await Watched.open();
    watched.pass(MINUTE);
    watched.direct.fs.elsewhere.lost();
    expect(await watched.asked(() => watched.size('f'))).toEqual(['lstat']);
    expect(await watched.asked(() => watched.list(''))).toContain('opendir');
  });

  it('is taken from the kernel when it is learned that it has changed, even if the watch was lost', async () => {
    const watched = await Watched.open();
    const { fs, disk, forgotten } = watched.direct;
    watched.pass(MINUTE);
    await watched.size('f');
    fs.elsewhere.lost();
    await appendFile(join(disk, 'f'), '!');
    await watched.list('');
    expect(forgotten).toContain('attributes f');
  });

  it('is nothing that was asked before the watch began, or is answered after', async () => {
    const { fs, disk, clock, after, requests } = await openDirect();
    await writeFile(join(disk, 'f'), 'x');
    const answer = deferred<void>();
    after.set('lstat', () => answer.promise);
    const early = fs.lookup(path('f'));
    clock.advance(1);
    fs.elsewhere.watched(path(''), 0);
    after.clear();
    clock.advance(1);
    answer.resolve();
    await early;
    for (let at = 0; at < 30; at += 5) {
      fs.elsewhere.proved(clock.monotonic());
      clock.advance(5 * SECOND);
    }
    fs.elsewhere.proved(clock.monotonic());
    requests.length = 0;
    await fs.lookup(path('f'));
    expect(requests).toEqual(['lstat']);
  });

  it('is also what was not there before it began, where nothing came or went since it was asked for', async () => {
    const watched = await Watched.open({ negativeTtl: SECOND });
    const { fs, clock } = watched.direct;
    fs.elsewhere.unwatched(path('d'));
    clock.advance(MINUTE);
    await watched.list('d');
    await watched.size('missing');
    clock.advance(3 * SECOND);
    // Times of change are kept in steps of two seconds by some: 'd' may have changed before 5 s, or 3 s, ago.
    watched.beginQuiet(5 * SECOND + 1, '', 'd');
    watched.pass(MINUTE);
    const know = async () => {
      expect(await watched.list('d')).toEqual(['x']);
      expect(await watched.size('missing')).toBeNull();
    };
    expect(await watched.asked(know)).toEqual([]);
    // What is in the files shows no directory.
    expect(await watched.asked(() => watched.size('d/x'))).toEqual(['lstat']);
    fs.elsewhere.lost();
    await know();
    clock.advance(3 * SECOND);
    watched.beginQuiet(5 * SECOND, '', 'd');
    watched.pass(MINUTE);
    expect(await watched.asked(know)).toContain('lstat');
  });

  it('is no directory that lies in one where names came and went meanwhile', async () => {
    const watched = await Watched.open();
    const { fs, clock } = watched.direct;
    fs.elsewhere.unwatched(path(''));
    clock.advance(MINUTE);
    await watched.list('d');
    clock.advance(SECOND);
    watched.beginQuiet(0, '');
    watched.beginQuiet(60 * MINUTE, 'd');
    watched.pass(MINUTE);
    expect(await watched.asked(() => watched.list('d'))).toContain('opendir');
  });

  it('is nothing below a directory that is not watched', async () => {
    const { fs } = await openDirect();
    expect(fs.elsewhere.watched(path('d'), 0)).toBe(false);
    expect(fs.elsewhere.watched(path(''), 0)).toBe(true);
    expect(fs.elsewhere.watched(path('d'), 0)).toBe(true);
    const dropped: string[] = [];
    fs.elsewhere.onDropped = (directory) => dropped.push(directory);
    fs.elsewhere.unwatched(path(''));
    expect(dropped).toEqual(['', 'd']);
  });

  it('is no directory that is not watched itself: what is made in it changes its time', async () => {
    const watched = await Watched.open();
    watched.direct.fs.elsewhere.unwatched(path('d'));
    watched.pass(MINUTE);
    expect(await watched.asked(() => watched.size('d'))).toEqual(['lstat']);
  });

  it('is no file with several names: the others may be anywhere', async () => {
    const watched = await Watched.open();
    await link(join(watched.direct.disk, 'g'), join(watched.direct.disk, 'd', 'g'));
    watched.direct.requests.length = 0;
    await watched.tell('', 'g', 'attributes');
    // A listing tells how many there are.
    await vi.waitFor(() => expect(watched.direct.requests).toContain('close'));
    await watched.size('g');
    watched.pass(MINUTE);
    expect(await watched.asked(() => watched.size('g'))).toEqual(['lstat']);
  });

  it('is nothing that we changed lately: our answers and its echoes may cross', async () => {
    const watched = await Watched.open();
    const { fs } = watched.direct;
    await fs.setattr({ path: path('f'), handle: null }, { mode: 0o600 });
    watched.pass(MINUTE);
    expect(await watched.asked(() => watched.size('f'))).toEqual(['lstat']);
    watched.pass(MINUTE);
    expect(await watched.asked(() => watched.size('f'))).toEqual([]);
  });

  it.each([{ statTtl: 0 }, { followSymlinks: true }])('is nothing with %j', async (options) => {
    const watched = await Watched.open(options);
    watched.pass(MINUTE);
    expect(await watched.asked(() => watched.size('f'))).not.toEqual([]);
  });

  it('is no absence where absence is not to be trusted', async () => {
    const watched = await Watched.open({ negativeTtl: 0 });
    expect(await watched.asked(() => watched.size('missing'))).toEqual(['lstat']);
  });
});

describe('a change of somebody else', () => {
  it('shows in the attributes and in the listing', async () => {
    const watched = await Watched.open();
    const { disk, forgotten } = watched.direct;
    await appendFile(join(disk, 'f'), ' and more');
    await writeFile(join(disk, 'new'), '');
    await watched.tell('', 'f', 'content');
    await watched.tell('', 'new', 'name');
    expect(forgotten).toEqual(expect.arrayContaining(['attributes f', 'absence new', 'attributes ']));
    expect(await watched.size('f')).toBe(16);
    expect(await watched.list('')).toEqual(['d', 'f', 'g', 'new']);
  });

  it('shows a name that was believed to be missing', async () => {
    const watched = await Watched.open();
    expect(await watched.size('new')).toBeNull();
    await writeFile(join(watched.direct.disk, 'new'), 'x');
    await watched.tell('', 'new', 'name');
    expect(await watched.size('new')).toBe(1);
  });

  it.each([true, false])('takes a name that is gone from the kernel (looked: %s)', async (looks) => {
    const watched = await Watched.open();
    const { disk, forgotten } = watched.direct;
    await rm(join(disk, 'f'));
    await watched.tell('', 'f', 'name', looks);
    await expect.poll(() => forgotten).toContain('entry f');
    expect(await watched.list('')).toEqual(['d', 'g']);
  });

  it('forgets what was below a directory that was replaced', async () => {
    const watched = await Watched.open();
    const { disk, fs } = watched.direct;
    expect(await watched.list('d')).toEqual(['x']);
    await rename(join(disk, 'd'), join(disk, 'e'));
    await mkdir(join(disk, 'd'));
    const dropped: string[] = [];
    fs.elsewhere.onDropped = (directory) => dropped.push(directory);
    await watched.tell('', 'd', 'name');
    expect(dropped).toEqual(['d']);
    expect(await watched.list('d')).toEqual([]);
  });

  it('shows in a file that is open', async () => {
    const watched = await Watched.open();
    const { fs, disk, forgotten } = watched.direct;
    const { handle } = await fs.open(path('f'), O_RDONLY);
    expect(`${await readAll(fs, handle)}`).toBe('content');
    await writeFile(join(disk, 'f'), 'something else');
    await watched.tell('', 'f', 'content');
    expect(forgotten).toContain('data f');
    await expect.poll(async () => `${await readAll(fs, handle)}`).toBe('something else');
    await fs.release(handle);
  });

  it('shows in a file that is open even if size and time stayed the same', async () => {
    const watched = await Watched.open();
    const { fs, disk } = watched.direct;
    const { handle } = await fs.open(path('f'), O_RDONLY);
    await readAll(fs, handle);
    await writeFile(join(disk, 'f'), 'CONTENT');
    await utimes(join(disk, 'f'), LONG_AGO, LONG_AGO);
    await watched.tell('', 'f', 'content');
    await expect.poll(async () => `${await readAll(fs, handle)}`).toBe('CONTENT');
    await fs.release(handle);
  });

  it('leaves an open file alone that another one replaced', async () => {
    const watched = await Watched.open();
    const { fs, disk, forgotten } = watched.direct;
    const { handle } = await fs.open(path('f'), O_RDONLY);
    await writeFile(join(disk, 'other'), 'another file');
    await rename(join(disk, 'other'), join(disk, 'f'));
    await watched.tell('', 'f', 'name');
    await expect.poll(() => forgotten).toContain('entry f');
    expect(`${await readAll(fs, handle)}`).toBe('content');
    expect(await watched.size('f')).toBe(12);
    await fs.release(handle);
  });

  it('gives a symbolic link its new target', async () => {
    const watched = await Watched.open();
    const { fs, disk, forgotten } = watched.direct;
    await symlink('f', join(disk, 'l'));
    await watched.tell('', 'l', 'name');
    await watched.list('');
    expect(await fs.readlink(path('l'))).toBe('f');
    await rm(join(disk, 'l'));
    await symlink('g', join(disk, 'l'));
    await watched.tell('', 'l', 'name');
    expect(forgotten).toContain('data l');
    expect(await fs.readlink(path('l'))).toBe('g');
  });

  it('voids an answer that is under way', async () => {
    const watched = await Watched.open();
    const { disk, after, fs } = watched.direct;
    await watched.tell('', 'f', 'attributes', false);
    await expect.poll(() => fs.status().inFlight).toBe(0);
    fs.elsewhere.lost();
    watched.direct.clock.advance(MINUTE);
    watched.begin('');
    const answer = deferred<void>();
    after.set('lstat', () => answer.promise);
    const early = watched.size('f');
    await expect.poll(() => watched.direct.requests.at(-1)).toBe('lstat');
    after.clear();
    await new Promise((resolve) => setImmediate(resolve));
    await appendFile(join(disk, 'f'), ' and more');
    await watched.tell('', 'f', 'content');
    answer.resolve();
    await early;
    expect(await watched.size('f')).toBe(16);
  });
});

describe('a change of our own', () => {
  it('undoes nothing when it is told', async () => {
    const watched = await Watched.open();
    const { fs, forgotten } = watched.direct;
    const { handle } = await fs.create(path('new'), O_WRONLY | O_CREAT, 0o644);
    await fs.write(handle, 0, Buffer.from('ours'), NOT_PAGES);
    // While it is written, and when it is.
    await watched.tell('', 'new', 'name');
    await fs.flush(handle);
    await watched.tell('', 'new', 'content');
    await fs.release(handle);
    await fs.mkdir(path('made'), 0o755);
    await watched.tell('', 'made', 'name');
    await fs.rename(path('g'), path('h'), { noReplace: false });
    await watched.tell('', 'g', 'name');
    await watched.tell('', 'h', 'name');
    await fs.unlink(path('f'));
    await watched.tell('', 'f', 'name');
    expect(forgotten).toEqual([]);
    expect(
      await watched.asked(async () => {
        expect(await watched.list('')).toEqual(['d', 'h', 'made', 'new']);
        for (const name of ['new', 'made', 'h']) expect(await watched.size(name)).not.toBeNull();
        for (const name of ['f', 'g']) expect(await watched.size(name)).toBeNull();
      }),
    ).toEqual([]);
  });

  it('does not hide what somebody else does to the same file right behind it', async () => {
    const watched = await Watched.open();
    const { fs, disk } = watched.direct;
    await fs.setattr({ path: path('f'), handle: null }, { mode: 0o600 });
    await appendFile(join(disk, 'f'), '!');
    await watched.tell('', 'f', 'content');
    expect(await watched.size('f')).toBe(8);
    await rm(join(disk, 'f'));
    await watched.tell('', 'f', 'name');
    await expect.poll(() => watched.size('f')).toBeNull();
  });
});

it('a file that we have just written, and somebody else removes, leaves the listing', async () => {
  const watched = await Watched.open();
  const { fs, disk } = watched.direct;
  const { handle } = await fs.open(path('f'), O_WRONLY);
  await fs.write(handle, 0, Buffer.from('C'), NOT_PAGES);
  await fs.release(handle);
  await expect.poll(() => fs.status().dirtyBytes).toBe(0);
  await rm(join(disk, 'f'));
  await watched.tell('', 'f', 'name');
  await expect.poll(() => watched.list('')).toEqual(['d', 'g']);
});

it('a directory whose mode somebody else changes is listed anew', async () => {
  const watched = await Watched.open();
  const { fs } = watched.direct;
  const itself = { name: null, isDirectory: true, ofName: false, ofContent: false, found: undefined };
  fs.elsewhere.changed({ directory: path(''), ...itself });
  expect(await watched.asked(() => watched.list(''))).toContain('opendir');
});

describe('looking every few seconds', () => {
  it('lists a directory anew when its time has changed, and only then', async () => {
    const { fs, disk, clock, requests } = await openDirect();
    await utimes(disk, LONG_AGO, LONG_AGO);
    const list = async () => {
      const { handle } = await fs.opendir(path(''));
      const { entries } = await fs.readdir(handle, true);
      await fs.releasedir(handle);
      return entries.length;
    };
    expect(await list()).toBe(0);
    requests.length = 0;
    await fs.elsewhere.poll(path(''));
    expect(requests).toEqual(['lstat']);
    await writeFile(join(disk, 'new'), '');
    clock.advance(5000);
    await fs.elsewhere.poll(path(''));
    requests.length = 0;
    expect(await list()).toBe(1);
    expect(requests).toEqual([]);
  });
});
