/**
 * durability=async: changes whose success is all but sure are answered before the server has confirmed them, and go to it
 * in order.
 */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import { ConnectionLostError } from '../../../src/sftp/errors.js';
import {
  cutAfter,
  cutBefore,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
} from '../../support/direct-filesystem.js';

import { hold, make, named, posting, put } from '../../support/posting.js';

describe('what is posted', () => {
  it('is answered before the server has seen it, and is there when everything is flushed', async () => {
    const direct = await posting();
    const { fs, disk } = direct;
    const go = hold(direct, 'open');
    await put(fs, 'a', 'content');
    await make(fs, 'd', 0o700);
    await put(fs, 'd/b', 'more');
    await fs.lookup(path('l'));
    await fs.symlink(path('l'), path('a'));
    expect(fs.status().posted).toBeGreaterThan(3);
    go();
    expect(await fs.flushAll()).toEqual([]);
    expect(fs.status().posted).toBe(0);
    expect((await readdir(disk)).sort()).toEqual(['a', 'd', 'first', 'l', 'second']);
    expect(await readFile(join(disk, 'a'), 'utf8')).toBe('content');
    expect(await readFile(join(disk, 'd/b'), 'utf8')).toBe('more');
    expect((await stat(join(disk, 'd'))).mode & 0o777).toBe(0o700);
  });

  it('shows at once what it will be: attributes, listings, and names that are gone', async () => {
    const direct = await posting();
    const { fs } = direct;
    const go = hold(direct, 'open');
    await fs.lookup(path('a'));
    const { handle } = await fs.create(path('a'), O_RDWR | O_EXCL, 0o640);
    await fs.write(handle, 0, Buffer.from('12345'), NOT_PAGES);
    expect((await fs.getattr({ path: path('a'), handle })).attributes).toMatchObject({
      size: 5,
      mode: 0o100640,
    });
    await fs.setattr(named('a'), { mode: 0o600, mtime: 1_000_000_000 });
    expect((await fs.lookup(path('a'))).attributes).toMatchObject({ mode: 0o100600, mtime: 1_000_000_000 });
    await fs.unlink(path('first'));
    expect((await fs.lookup(path('first'))).attributes).toBeNull();
    go();
    await fs.flush(handle);
    await fs.release(handle);
    await fs.flushAll();
  });

  it('sets the attributes that programs set behind the data', async () => {
    const direct = await posting();
    const { fs, disk } = direct;
    await fs.lookup(path('a'));
    const { handle } = await fs.create(path('a'), O_WRONLY | O_EXCL, 0o600);
    await fs.write(handle, 0, Buffer.from('12345'), NOT_PAGES);
    await fs.setattr(named('a'), { mtime: 1_000_000_000, atime: 1_000_000_000 });
    await fs.setattr(named('a'), { mode: 0o604 });
    await fs.flush(handle);
    await fs.release(handle);
    await fs.flushAll();
    const there = await stat(join(disk, 'a'));
    expect(there.mtimeMs).toBe(1_000_000_000_000);
    expect(there.mode & 0o777).toBe(0o604);
    expect((await fs.lookup(path('a'))).attributes).toMatchObject({ mtime: 1_000_000_000, size: 5 });
  });

  it('shows what was set while the file was being closed', async () => {
    const direct = await posting();
    const { fs, disk, after } = direct;
    const answered = deferred<void>();
    after.set('fstat', () => answered.promise);
    await put(fs, 'a', 'content');
    await expect.poll(() => direct.requests).toContain('fstat');
    await fs.setattr(named('a'), { mode: 0o610 });
    after.delete('fstat');
    answered.resolve();
    await fs.flushAll();
    expect((await fs.lookup(path('a'))).attributes?.mode).toBe(0o100610);
    expect((await stat(join(disk, 'a'))).mode & 0o777).toBe(0o610);
  });

  it('does not rename a file over another before its data has arrived', async () => {
    const direct = await posting();
    const { fs, disk, requests } = direct;
    await put(fs, 'target', 'old');
    await fs.flushAll();
    requests.length = 0;
    const go = hold(direct, 'write');
    await put(fs, 'new', 'new content');
    await fs.rename(path('new'), path('target'), { noReplace: false });
    await expect.poll(() => requests).toContain('write');
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('old');
    expect(requests).not.toContain('posixRename');
    go();
    await fs.flushAll();
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('new content');
    expect((await fs.lookup(path('new'))).attributes).toBeNull();
  });

  it('keeps the order of what concerns one name, and of a directory and what is in it', async () => {
    const direct = await posting();
    const { fs, disk } = direct;
    const go = hold(direct, 'mkdir');
    await make(fs, 'd');
    for (const content of ['one', 'two', 'three']) {
      await put(fs, 'd/f', content);
      if (content !== 'three') await fs.unlink(path('d/f'));
    }
    await fs.lookup(path('e'));
    await fs.rename(path('d'), path('e'), { noReplace: false });
    go();
    expect(await fs.flushAll()).toEqual([]);
    expect(await readdir(join(disk, 'e'))).toEqual(['f']);
    expect(await readFile(join(disk, 'e/f'), 'utf8')).toBe('three');
  });

  it('is waited for by a listing and an open of what it concerns', async () => {
    const direct = await posting();
    const { fs } = direct;
    await make(fs, 'd');
    await put(fs, 'd/f', 'content');
    await fs.refresh(path(''));
    const { handle } = await fs.opendir(path('d'));
    const { entries } = await fs.readdir(handle, true);
    expect(entries.map(({ name }) => name)).toEqual(['f']);
    await fs.releasedir(handle);
    await put(fs, 'd/g', 'more');
    const opened = await fs.open(path('d/g'), O_RDONLY);
    expect((await readAll(fs, opened.handle)).toString()).toBe('more');
    await fs.release(opened.handle);
    await fs.flushAll();
  });

  it('is only what has been seen to work: not in a directory of another kind, not over a directory', async () => {
    const direct = await posting();
    const { fs, disk, requests } = direct;
    await mkdir(join(disk, 'other'), { mode: 0o711 });
    await fs.lookup(path('other'));
    await fs.lookup(path('other/f'));
    const go = hold(direct, 'open');
    let isMade = false;
    const making = fs.create(path('other/f'), O_WRONLY | O_EXCL, 0o644).then((made) => {
      isMade = true;
      return made;
    });
    await expect.poll(() => requests).toContain('open');
    expect(isMade).toBe(false);
    go();
    await fs.release((await making).handle);
    await writeFile(join(disk, 'taken'), 'x');
    await fs.refresh(path(''));
    await fs.lookup(path('taken'));
    await expect(fs.mkdir(path('taken'), 0o755)).rejects.toMatchObject({ code: 'EEXIST' });
    await fs.flushAll();
  });
});

describe('the bounds of what is posted', () => {
  it('are kept: beyond them programs wait', async () => {
    const direct = await posting();
    const { fs, disk } = direct;
    const go = hold(direct, 'mkdir');
    let made = 0;
    const all = (async () => {
      for (; made < 1010; made += 1) await make(fs, `d${made}`);
    })();
    await expect.poll(() => made, { timeout: 15_000 }).toBe(1000);
    expect(fs.status().posted).toBe(1000);
    go();
    await all;
    await fs.flushAll();
    expect(await readdir(disk)).toHaveLength(1012);
  });

  it('leave out a directory in which only its owner may remove a file', async () => {
    const direct = await posting();
    const { fs, disk, requests } = direct;
    await mkdir(join(disk, 'sticky'));
    await chmod(join(disk, 'sticky'), 0o1777);
    for (const name of ['a', 'b', 'c']) {
      await put(fs, `sticky/${name}`, name);
      await fs.flushAll();
    }
    requests.length = 0;
    for (const name of ['a', 'b']) await fs.unlink(path(`sticky/${name}`));
    expect(fs.status().posted).toBe(0);
    expect(await readdir(join(disk, 'sticky'))).toEqual(['c']);
  });

  it('are for the server only: with `sync` a close waits', async () => {
    const direct = await openDirect({ posts: true, syncWrites: true });
    const { fs, disk } = direct;
    for (const name of ['a', 'b', 'c']) {
      await fs.lookup(path(name));
      const { handle } = await fs.create(path(name), O_RDWR | O_EXCL, 0o644);
      await fs.write(handle, 0, Buffer.from(name), NOT_PAGES);
      await fs.flush(handle);
      expect(await readFile(join(disk, name), 'utf8')).toBe(name);
      await fs.release(handle);
    }
    await fs.flushAll();
  });
});

describe('a lost connection', () => {
  it('loses nothing where a file is replaced twice before its data has arrived', async () => {
    const { fs, disk, before, link } = await posting();
    await put(fs, 'target', 'old');
    await fs.flushAll();
    const gate = deferred<void>();
    before.set('write', async () => {
      await gate.promise;
      before.delete('write');
      link.cut();
      throw new ConnectionLostError('cut before it was sent');
    });
    for (const content of ['new content', 'again']) {
      await put(fs, 'new', content);
      await fs.rename(path('new'), path('target'), { noReplace: false });
    }
    gate.resolve();
    expect(await fs.flushAll()).toEqual([]);
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('again');
    expect(await readdir(disk)).not.toContain('new');
  });

  it.each([
    ['before a file is made', 'open', cutBefore],
    ['after it', 'open', cutAfter],
    ['before its data arrives', 'write', cutBefore],
    ['after that', 'write', cutAfter],
    ['before a directory is made', 'mkdir', cutBefore],
    ['after that', 'mkdir', cutAfter],
    ['before a rename', 'posixRename', cutBefore],
    ['after it', 'posixRename', cutAfter],
    ['before a removal', 'remove', cutBefore],
    ['after it', 'remove', cutAfter],
  ])('%s (%s) loses nothing of what was posted', async (_when, request, cut) => {
    const direct = await posting();
    const { fs, disk, link } = direct;
    cut(direct, request);
    await make(fs, 'd');
    await put(fs, 'd/tmp', 'content');
    await fs.rename(path('d/tmp'), path('d/f'), { noReplace: false });
    await put(fs, 'a', 'other');
    await fs.unlink(path('first'));
    expect(await fs.flushAll()).toEqual([]);
    expect(link.tries).toBe(1);
    expect((await readdir(disk)).sort()).toEqual(['a', 'd', 'second']);
    expect(await readFile(join(disk, 'd/f'), 'utf8')).toBe('content');
    expect(await readFile(join(disk, 'a'), 'utf8')).toBe('other');
    expect(await readdir(join(disk, 'd'))).toEqual(['f']);
  });
});
