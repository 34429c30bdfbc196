/** `remora refresh`: what of a tree is forgotten, what is kept, and that nobody is asked for it. */
import { mkdir, readFile, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY, O_RDWR } from '../../../src/base/mode.js';
import type { FileSystem } from '../../../src/fs/filesystem.js';
import { openDirect, path, readAll, serverFile } from '../../support/direct-filesystem.js';

/** Trusted for an hour: whatever is seen anew was forgotten. */
const HOUR = 3_600_000;
const direct = () =>
  openDirect({
    dirTtl: HOUR,
    statTtl: HOUR,
    linkTtl: HOUR,
    negativeTtl: HOUR,
    attrTtl: HOUR,
    entryTtl: HOUR,
  });

const text = async (fs: FileSystem, handle: number) => String(await readAll(fs, handle));

describe('a refresh', () => {
  it('shows attributes, listings, links and new names of a tree at once', async () => {
    const { fs, disk, requests, forgotten } = await direct();
    await mkdir(join(disk, 'd'));
    await serverFile(disk, 'd/grows', 'short');
    await symlink('grows', join(disk, 'd/link'));
    const names = async () => {
      const { handle } = await fs.opendir(path('d'));
      const { entries } = await fs.readdir(handle, true);
      await fs.releasedir(handle);
      return entries.map(({ name }) => String(name)).sort();
    };
    const seen = async () => [
      (await fs.lookup(path('d/grows'))).attributes?.size,
      (await fs.lookup(path('d/new'))).attributes?.size,
      String(await fs.readlink(path('d/link'))),
      await names(),
    ];
    const before = [5, undefined, 'grows', ['grows', 'link']];
    // A listing that shows a link for the first time has its target asked for anew.
    await seen();
    expect(await seen()).toEqual(before);

    await serverFile(disk, 'd/grows', 'longer');
    await serverFile(disk, 'd/new', 'new');
    await unlink(join(disk, 'd/link'));
    await symlink('new', join(disk, 'd/link'));
    expect(await seen(), 'trusted until now').toEqual(before);
    requests.length = 0;
    await fs.refresh(path('d'));
    expect(requests, 'the server is not asked for it').toEqual([]);
    expect(forgotten).toContain('tree d');
    expect(await seen()).toEqual([6, 3, 'new', ['grows', 'link', 'new']]);
  });

  it('of one file, or of the root, reaches it; and costs the rest nothing', async () => {
    const { fs, disk, requests } = await direct();
    for (const name of ['a', 'b']) await serverFile(disk, name, name);
    for (const name of ['', 'a', 'b']) await fs.lookup(path(name));
    await fs.refresh(path('a'));
    requests.length = 0;
    await fs.lookup(path('b'));
    expect(requests).toEqual([]);
    await serverFile(disk, 'a', 'longer');
    expect((await fs.lookup(path('a'))).attributes?.size).toBe(6);
    for (const name of ['a', 'b']) await serverFile(disk, name, 'longer still');
    await fs.refresh(path(''));
    for (const name of ['a', 'b']) expect((await fs.lookup(path(name))).attributes?.size).toBe(12);
  });

  it('drops data that size and time could not tell from the old, of open files and of closed ones', async () => {
    const { fs, disk } = await direct();
    for (const name of ['open', 'closed']) await serverFile(disk, name, 'old');
    const { handle } = await fs.open(path('open'), O_RDONLY);
    expect(await text(fs, handle)).toBe('old');
    const closed = (await fs.open(path('closed'), O_RDONLY)).handle;
    expect(await text(fs, closed)).toBe('old');
    await fs.release(closed);
    for (const name of ['open', 'closed']) await serverFile(disk, name, 'new');
    expect(await text(fs, handle)).toBe('old');
    await fs.refresh(path(''));
    expect(await text(fs, handle)).toBe('new');
    const again = await fs.open(path('closed'), O_RDONLY);
    expect(again.keepCache).toBe(false);
    expect(await text(fs, again.handle)).toBe('new');
    for (const each of [handle, again.handle]) await fs.release(each);
  });

  it('keeps what was written and is not sent', async () => {
    const { fs, disk } = await direct();
    await writeFile(join(disk, 'f'), 'old text');
    const { handle } = await fs.open(path('f'), O_RDWR);
    await fs.write(handle, 0, Buffer.from('NEW'), { fromPageCache: false });
    await fs.refresh(path(''));
    expect(fs.unsent()).toMatchObject([{ path: 'f', bytes: 3 }]);
    expect(await text(fs, handle)).toBe('NEW text');
    await fs.flush(handle);
    await fs.release(handle);
    expect(await readFile(join(disk, 'f'), 'utf8')).toBe('NEW text');
  });
});

describe('what is told of a mount', () => {
  it('counts hits, names open handles, and says since when data waits', async () => {
    const { fs, disk, clock, before } = await direct();
    await serverFile(disk, 'f', 'text');
    for (let times = 0; times < 3; times += 1) await fs.lookup(path('f'));
    expect(fs.status()).toMatchObject({ attributeHits: 2, attributeMisses: 1, dirtyAge: null, queued: 0 });
    const { handle } = await fs.open(path('f'), O_RDWR);
    const listing = await fs.opendir(path(''));
    const sent = deferred<void>();
    before.set('write', () => sent.promise);
    await fs.write(handle, 0, Buffer.from('new'), { fromPageCache: false });
    clock.advance(3000);
    const flushed = fs.flush(handle);
    clock.advance(2000);
    expect(fs.handles()).toEqual([
      { path: 'f', access: 'read and write', unsent: 3 },
      { path: '', access: 'list', unsent: 0 },
    ]);
    expect(fs.status().dirtyAge).toBeGreaterThanOrEqual(2000);
    sent.resolve();
    await flushed;
    expect(fs.status().dirtyAge).toBe(null);
    await fs.release(handle);
    await fs.releasedir(listing.handle);
    expect(fs.handles()).toEqual([]);
  });
});
