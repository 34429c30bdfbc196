/** durability=async: what programs see of files whose changes are still on their way. */
import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDONLY, O_RDWR } from '../../../src/base/mode.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import {
  contentOf,
  type DirectFileSystem,
  NOT_PAGES,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

import { hold, make, named, posting, put } from '../../support/posting.js';

const SSH_FX_PERMISSION_DENIED = 3;
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
