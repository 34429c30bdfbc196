/**
 * durability=async: changes whose success is all but sure are answered before the server has confirmed them, go to it
 * in order, and if one fails after all, whoever asks hears of it and nothing goes on showing it.
 */
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import type { FsOptions } from '../../../src/fs/options.js';
import { ConnectionLostError, SftpStatusError } from '../../../src/sftp/errors.js';
import {
  contentOf,
  cutAfter,
  cutBefore,
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

const SSH_FX_PERMISSION_DENIED = 3;
const SSH_FX_NO_SPACE_ON_FILESYSTEM = 14;
const named = (name: string) => ({ path: path(name), handle: null });

/** A file system that posts, in whose root directory the server has let a file be made. */
async function posting(options: Partial<FsOptions> = {}): Promise<DirectFileSystem> {
  const direct = await openDirect({ posts: true, ...options });
  const { fs, requests } = direct;
  const { handle } = await fs.create(path('first'), O_WRONLY | O_EXCL, 0o644);
  await fs.lookup(path(''));
  await fs.release(handle);
  await fs.flushAll();
  const second = await fs.create(path('second'), O_WRONLY | O_EXCL, 0o644);
  await fs.release(second.handle);
  await fs.flushAll();
  requests.length = 0;
  return direct;
}

/** Makes a file as a program does that asks for the name first. */
async function put(fs: DirectFileSystem['fs'], name: string, content: string): Promise<void> {
  await fs.lookup(path(name));
  const { handle } = await fs.create(path(name), O_RDWR | O_EXCL, 0o644);
  if (content !== '') await fs.write(handle, 0, Buffer.from(content), NOT_PAGES);
  await fs.flush(handle).finally(() => fs.release(handle));
}

/** Makes a directory as a program does. */
async function make(fs: DirectFileSystem['fs'], name: string, mode = 0o755): Promise<void> {
  await fs.lookup(path(name));
  await fs.mkdir(path(name), mode);
}

/** Nothing of that kind is answered until the gate opens. */
function hold({ before }: DirectFileSystem, request: string): () => void {
  const gate = deferred<void>();
  before.set(request, () => gate.promise);
  return () => {
    before.delete(request);
    gate.resolve();
  };
}

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

describe('a file that the server does not know to be open', () => {
  /** `f` is open, of which the server has heard nothing; `other` may be given its name. */
  async function openLate(): Promise<DirectFileSystem & { readonly handle: number }> {
    const direct = await posting({ prefetch: false });
    const { fs, disk, requests } = direct;
    for (const name of ['f', 'other']) {
      await serverFile(disk, name, name);
      await fs.refresh(path(name));
      await fs.lookup(path(name));
      await contentOf(direct, name);
    }
    requests.length = 0;
    const { handle } = await fs.open(path('f'), O_RDONLY);
    expect(requests).toEqual([]);
    return { ...direct, handle };
  }

  it.each<[string, string, (fs: DirectFileSystem['fs']) => Promise<unknown>]>([
    ['removed', 'remove', (fs) => fs.unlink(path('f'))],
    ['replaced', 'posixRename', (fs) => fs.rename(path('other'), path('f'), { noReplace: false })],
    ['renamed', 'posixRename', (fs) => fs.rename(path('f'), path('g'), { noReplace: false })],
  ])('outlives that it is %s by a posted %s', async (_what, request, change) => {
    const { fs, handle, requests } = await openLate();
    await fs.lookup(path('g'));
    await change(fs);
    expect(fs.status().posted).toBe(1);
    expect((await fs.getattr({ path: null, handle })).attributes.size).toBe(1);
    expect(requests).toContain(request);
    await fs.flushAll();
    expect((await readAll(fs, handle)).toString()).toBe('f');
    await fs.release(handle);
  });

  it('is opened before the mode of its directory is changed', async () => {
    const direct = await posting({ prefetch: false });
    const { fs, disk, requests } = direct;
    await make(fs, 'd');
    await fs.flushAll();
    await serverFile(disk, 'd/f', 'f');
    await fs.refresh(path(''));
    await fs.lookup(path('d'));
    await fs.lookup(path('d/f'));
    await contentOf(direct, 'd/f');
    requests.length = 0;
    const { handle } = await fs.open(path('d/f'), O_RDONLY);
    await fs.setattr(named('d'), { mode: 0 });
    expect(fs.status().posted).toBe(1);
    await fs.flushAll();
    expect(requests.filter((name) => name === 'open' || name === 'setstat')).toEqual(['open', 'setstat']);
    await fs.release(handle);
  });

  it('is opened before what waits for other changes', async () => {
    const direct = await openLate();
    const { fs, handle } = direct;
    const go = hold(direct, 'setstat');
    await fs.setattr(named('other'), { mode: 0o600 });
    await fs.rename(path('other'), path('f'), { noReplace: false });
    expect((await fs.getattr({ path: null, handle })).attributes.size).toBe(1);
    go();
    await fs.flushAll();
    expect((await readAll(fs, handle)).toString()).toBe('f');
    expect(await contentOf(direct, 'f')).toBe('other');
    await fs.release(handle);
  });

  it('is none of which something is posted', async () => {
    const direct = await openLate();
    const { fs, handle, requests } = direct;
    const go = hold(direct, 'setstat');
    await fs.setattr(named('other'), { mtime: 1_000_000_000 });
    requests.length = 0;
    const opening = fs.open(path('other'), O_RDONLY);
    go();
    const opened = await opening;
    expect(requests).toContain('open');
    for (const each of [handle, opened.handle]) await fs.release(each);
  });
});

describe('the time of a posted file', () => {
  it('is the one that programs were told, whatever the server’s clock says', async () => {
    const { fs, disk, clock } = await posting();
    clock.advance(5000);
    await fs.lookup(path('a'));
    await fs.lookup(path(''));
    const { handle } = await fs.create(path('a'), O_RDWR | O_EXCL, 0o644);
    await fs.write(handle, 0, Buffer.from('content'), NOT_PAGES);
    const { mtime } = (await fs.getattr({ path: path('a'), handle })).attributes;
    await fs.flush(handle);
    await fs.release(handle);
    await fs.flushAll();
    expect((await stat(join(disk, 'a'))).mtimeMs / 1000).toBe(mtime);
    expect((await fs.lookup(path('a'))).attributes?.mtime).toBe(mtime);
  });

  it('is shown while it is still being set', async () => {
    const direct = await posting();
    const { fs, disk, clock, after } = direct;
    clock.advance(5000);
    await put(fs, 'a', 'content');
    const answered = deferred<void>();
    after.set('fsetstat', () => answered.promise);
    const told = (await fs.lookup(path('a'))).attributes?.mtime;
    await expect.poll(() => direct.requests).toContain('fsetstat');
    expect((await fs.lookup(path('a'))).attributes?.mtime).toBe(told);
    await fs.setattr(named('a'), { mode: 0o600 });
    after.clear();
    answered.resolve();
    await fs.flushAll();
    expect((await fs.lookup(path('a'))).attributes).toMatchObject({ mode: 0o100600, mtime: told });
    const there = await stat(join(disk, 'a'));
    expect([there.mtimeMs / 1000, there.mode & 0o777]).toEqual([told, 0o600]);
  });
});

describe('the owner of a posted file', () => {
  // Only then may it be given away.
  it.runIf(process.getuid?.() === 0)(
    'is the one that a program has set, whatever the server said before',
    async () => {
      const direct = await posting();
      const { fs, disk, after } = direct;
      await fs.lookup(path('a'));
      const answered = deferred<void>();
      after.set('open', () => answered.promise);
      const { handle } = await fs.create(path('a'), O_RDWR | O_EXCL, 0o644);
      expect(fs.status().posted).toBe(1);
      await fs.setattr(named('a'), { uid: 1234, gid: 2345 });
      after.clear();
      answered.resolve();
      await expect.poll(() => direct.requests).toContain('fsetstat');
      expect((await fs.lookup(path('a'))).attributes).toMatchObject({ uid: 1234, gid: 2345 });
      await fs.release(handle);
      await fs.flushAll();
      expect(await stat(join(disk, 'a'))).toMatchObject({ uid: 1234, gid: 2345 });
    },
  );

  it.runIf(process.getuid?.() === 0)('is not the one of a file that was linked', async () => {
    const { fs, disk } = await posting();
    await writeFile(join(disk, 'given'), '');
    await chown(join(disk, 'given'), 1234, 0);
    await fs.link(path('given'), path('b'));
    await fs.lookup(path('a'));
    const { handle, attributes } = await fs.create(path('a'), O_RDWR | O_EXCL, 0o644);
    expect(attributes.uid).toBe(0);
    await fs.release(handle);
    await fs.flushAll();
  });
});

describe('what is posted of a file with two names', () => {
  const T = 1_000_000_000;

  it.each(['first', 'other'])('by the name "%s" shows by both', async (name) => {
    const { fs } = await posting();
    await fs.link(path('first'), path('other'));
    for (const each of ['first', 'other']) await fs.lookup(path(each));
    await fs.setattr(named(name), { atime: T, mtime: T, mode: 0o600 });
    expect(fs.status().posted).toBe(1);
    for (const each of ['first', 'other'])
      expect((await fs.lookup(path(each))).attributes).toMatchObject({ mtime: T, mode: 0o100600 });
    await fs.flushAll();
  });

  it('is waited for by an open by the other one', async () => {
    const direct = await posting();
    const { fs } = direct;
    await fs.link(path('first'), path('other'));
    const go = hold(direct, 'setstat');
    await fs.setattr(named('first'), { atime: T, mtime: T });
    direct.requests.length = 0;
    const opening = fs.open(path('other'), O_RDONLY);
    await new Promise(setImmediate);
    expect(direct.requests).toEqual([]);
    go();
    const { handle } = await opening;
    expect((await fs.lookup(path('other'))).attributes?.mtime).toBe(T);
    await fs.release(handle);
    await fs.flushAll();
  });

  it('is taken back from both', async () => {
    const { fs, before } = await posting();
    await fs.link(path('first'), path('other'));
    before.set('setstat', () => {
      throw new SftpStatusError(SSH_FX_PERMISSION_DENIED, 'denied');
    });
    await fs.setattr(named('first'), { mode: 0o600 });
    await fs.flushAll();
    for (const each of ['other', 'first'])
      expect((await fs.lookup(path(each))).attributes?.mode).toBe(0o100644);
  });
});

describe('a posted change that fails', () => {
  const DENIED = () => {
    throw new SftpStatusError(SSH_FX_PERMISSION_DENIED, 'denied');
  };

  it('is told by the next fsync, once for each descriptor, and by name at the unmount', async () => {
    const { fs, before } = await posting();
    const { handle: other } = await fs.open(path('first'), O_RDWR);
    before.set('mkdir', DENIED);
    await make(fs, 'd');
    await expect(fs.fsync(other)).rejects.toMatchObject({ code: 'EACCES' });
    await fs.fsync(other);
    expect(fs.status().postedFailed).toBe(1);
    expect(await fs.flushAll()).toMatchObject([{ path: 'd', error: expect.stringContaining('mkdir') }]);
    fs.told();
    expect(fs.unsent()).toEqual([]);
    await fs.release(other);
  });

  it('is taken back: what programs see then is what the server has', async () => {
    const { fs, before, forgotten } = await posting();
    before.set('mkdir', DENIED);
    before.set('remove', DENIED);
    await make(fs, 'd');
    await fs.unlink(path('first'));
    await fs.flushAll();
    before.clear();
    expect((await fs.lookup(path('d'))).attributes).toBeNull();
    expect((await fs.lookup(path('first'))).attributes).not.toBeNull();
    expect(forgotten).toEqual(expect.arrayContaining(['entry d', 'entry first']));
  });

  it('that was to make a file loses what was written to it, and says so', async () => {
    const { fs, before } = await posting();
    before.set('open', DENIED);
    await put(fs, 'a', 'content');
    const unsent = await fs.flushAll();
    expect(unsent.map(({ path: name }) => name)).toContain('a');
    before.clear();
    expect((await fs.lookup(path('a'))).attributes).toBeNull();
  });

  it('since another machine has made the same name leaves that file as it is, and shows it', async () => {
    const direct = await posting();
    const { fs, disk } = direct;
    const go = hold(direct, 'open');
    await fs.lookup(path('a'));
    await writeFile(join(disk, 'a'), 'theirs');
    const { handle } = await fs.create(path('a'), O_RDWR | O_EXCL, 0o644);
    await fs.write(handle, 0, Buffer.from('ours and longer'), NOT_PAGES);
    go();
    await expect(fs.fsync(handle)).rejects.toMatchObject({ code: 'EEXIST' });
    await fs.release(handle);
    await fs.flushAll();
    expect(await readFile(join(disk, 'a'), 'utf8')).toBe('theirs');
    expect((await fs.lookup(path('a'))).attributes?.size).toBe(6);
  });

  it('is told as well when it is an attribute of a file that was closed', async () => {
    const { fs, before, disk } = await posting();
    before.set('fsetstat', DENIED);
    await fs.lookup(path('a'));
    const { handle } = await fs.create(path('a'), O_RDWR | O_EXCL, 0o600);
    await fs.setattr(named('a'), { mode: 0o640 });
    await fs.flush(handle);
    await fs.release(handle);
    expect(await fs.flushAll()).toMatchObject([{ path: 'a', bytes: 0 }]);
    before.clear();
    expect((await fs.lookup(path('a'))).attributes?.mode).toBe(0o100600);
    expect((await stat(join(disk, 'a'))).mode & 0o777).toBe(0o600);
  });

  it('makes the next ones wait for the server again', async () => {
    const direct = await posting();
    const { fs, before } = direct;
    before.set('mkdir', DENIED);
    await make(fs, 'd');
    await fs.flushAll();
    await expect(make(fs, 'e')).rejects.toMatchObject({ code: 'EACCES' });
  });
});

describe('data that the server has no room for', () => {
  const FULL = () => {
    throw new SftpStatusError(SSH_FX_NO_SPACE_ON_FILESYSTEM, 'full');
  };

  it('is given up: told with its size, by fsync once, and the file shows what the server has', async () => {
    const { fs, before } = await posting();
    const { handle: other } = await fs.open(path('first'), O_RDWR);
    before.set('write', FULL);
    await put(fs, 'a', 'content');
    await expect(fs.fsync(other)).rejects.toMatchObject({ code: 'ENOSPC' });
    await fs.fsync(other);
    expect(await fs.flushAll()).toMatchObject([{ path: 'a', bytes: 7, isLost: true }]);
    expect((await fs.lookup(path('a'))).attributes?.size).toBe(0);
    await fs.release(other);
  });

  it('makes the next close wait and tell, until the server has taken data again', async () => {
    const direct = await posting();
    const { fs, disk, before } = direct;
    before.set('write', FULL);
    await put(fs, 'a', 'content');
    await fs.flushAll();
    await expect(put(fs, 'b', 'content')).rejects.toMatchObject({ code: 'ENOSPC' });
    before.clear();
    await put(fs, 'c', 'content');
    expect(await readFile(join(disk, 'c'), 'utf8')).toBe('content');
    const go = hold(direct, 'write');
    await put(fs, 'd', 'content');
    expect(fs.status().posted).toBeGreaterThan(0);
    go();
    await fs.flushAll();
  });

  it('leaves the file alone that it was to replace, though the rename was answered', async () => {
    const direct = await posting();
    const { fs, disk, before } = direct;
    await put(fs, 'target', 'old');
    await fs.flushAll();
    const gate = deferred<void>();
    before.set('write', () => gate.promise.then(FULL));
    await put(fs, 'new', 'new content');
    await fs.rename(path('new'), path('target'), { noReplace: false });
    gate.resolve();
    const unsent = await fs.flushAll();
    expect(unsent).toContainEqual(expect.objectContaining({ path: 'new', isLost: true }));
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('old');
    before.clear();
    expect((await fs.lookup(path('target'))).attributes?.size).toBe(3);
    expect((await fs.lookup(path('new'))).attributes?.size).toBe(0);
  });

  it.each([
    ['is not in the way of a file that programs make by the same name', false, 'old', 'again', 1],
    ['is missed by nobody when the file has been replaced in its turn', true, 'again', null, 0],
  ])('%s', async (_what, isReplaced, target, rest, failures) => {
    const direct = await posting();
    const { fs, disk, before } = direct;
    await put(fs, 'target', 'old');
    await fs.flushAll();
    const gate = deferred<void>();
    const fail = [FULL];
    before.set('write', () => gate.promise.then(() => fail.pop()?.()));
    const rename = () => fs.rename(path('new'), path('target'), { noReplace: false });
    await put(fs, 'new', 'new content');
    await rename();
    await put(fs, 'new', 'again');
    if (isReplaced) await rename();
    gate.resolve();
    const lost = (await fs.flushAll()).filter(({ error }) => error.startsWith('rename'));
    expect(lost).toHaveLength(failures);
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe(target);
    expect(await readFile(join(disk, 'new'), 'utf8').catch(() => null)).toBe(rest);
    before.clear();
    expect((await fs.lookup(path('target'))).attributes?.size).toBe(target.length);
  });

  it('is told to a program that renames the file over another after it was lost, once', async () => {
    const { fs, disk, before } = await posting();
    await put(fs, 'target', 'old');
    await fs.flushAll();
    before.set('write', FULL);
    await put(fs, 'new', 'new content');
    await fs.flushAll();
    before.clear();
    const rename = () => fs.rename(path('new'), path('target'), { noReplace: false });
    await expect(rename()).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('old');
    await rename();
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('');
  });

  it('is forgotten when the file is written anew', async () => {
    const { fs, disk, before } = await posting();
    await put(fs, 'target', 'old');
    await fs.flushAll();
    before.set('write', FULL);
    await put(fs, 'new', 'new content');
    await fs.flushAll();
    before.clear();
    const { handle } = await fs.open(path('new'), O_WRONLY | O_TRUNC);
    await fs.write(handle, 0, Buffer.from('again'), NOT_PAGES);
    await fs.flush(handle);
    await fs.release(handle);
    await fs.rename(path('new'), path('target'), { noReplace: false });
    await fs.flushAll();
    expect(await readFile(join(disk, 'target'), 'utf8')).toBe('again');
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
