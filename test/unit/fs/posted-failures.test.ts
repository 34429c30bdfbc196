/** durability=async: posted changes that fail after all: whoever asks hears of it, and nothing goes on showing them. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import { NOT_PAGES, path } from '../../support/direct-filesystem.js';

import { hold, make, named, posting, put } from '../../support/posting.js';

const SSH_FX_PERMISSION_DENIED = 3;
const SSH_FX_NO_SPACE_ON_FILESYSTEM = 14;
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
