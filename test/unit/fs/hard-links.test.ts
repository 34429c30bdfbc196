/** Names of one file, made here, of which others on the server take one or give it to another file. */
import { link, mkdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import type { FileSystem } from '../../../src/fs/filesystem.js';
import { HardLinks } from '../../../src/fs/links.js';
import {
  type DirectFileSystem,
  LONG_AGO,
  list,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
} from '../../support/direct-filesystem.js';
import { foundAt } from '../../support/watched.js';

/** `a`, and `b` as a further name of it, both long ago and looked at; watched or not. */
async function linked(isWatched: boolean): Promise<DirectFileSystem> {
  const direct = await openDirect();
  const { fs, disk, clock } = direct;
  await mkdir(join(disk, 'd'));
  await writeFile(join(disk, 'a'), 'content');
  await utimes(join(disk, 'a'), LONG_AGO, LONG_AGO);
  if (isWatched) {
    expect(fs.elsewhere.watched(path(''), 0)).toBe(true);
    clock.advance(1);
    fs.elsewhere.proved(clock.monotonic());
  }
  await list(direct, '');
  await fs.link(path('a'), path('b'));
  await list(direct, '');
  for (const name of ['a', 'b']) {
    expect(await linkCount(direct, name)).toBe(2);
    expect(await content(direct, name)).toBe('content');
  }
  return direct;
}

async function linkCount({ fs }: DirectFileSystem, name: string): Promise<number | undefined> {
  return (await fs.lookup(path(name))).attributes?.nlink;
}

/** Opens as the kernel does: it walks anew on ESTALE. */
async function opened({ fs }: DirectFileSystem, name: string, flags: number): Promise<number> {
  const open = async () => (await fs.open(path(name), flags)).handle;
  return open().catch((error) => {
    expect(error).toMatchObject({ code: 'ESTALE' });
    return fs.lookup(path(name)).then(open);
  });
}

async function content(direct: DirectFileSystem, name: string): Promise<string> {
  const { fs } = direct;
  const handle = await opened(direct, name, O_RDONLY);
  try {
    return (await readAll(fs, handle)).toString();
  } finally {
    await fs.release(handle);
  }
}

/** The change shows: it is told, or what was known has grown old. */
async function show({ fs, disk, clock }: DirectFileSystem, isWatched: boolean, ...names: string[]) {
  if (!isWatched) return clock.advance(60_000);
  for (const name of names) {
    fs.elsewhere.changed({
      directory: path(''),
      name: path(name),
      isDirectory: false,
      ofName: true,
      ofContent: false,
      found: await foundAt(join(disk, name)),
    });
  }
}

it('a further name that others make counts at once where it is watched', async () => {
  const direct = await linked(true);
  await link(join(direct.disk, 'a'), join(direct.disk, 'c'));
  await show(direct, true, 'c');
  for (const name of ['a', 'b', 'c'])
    await vi.waitFor(async () => expect(await linkCount(direct, name)).toBe(3));
});

describe.each([
  ['watched', true],
  ['not watched', false],
])('of three names, %s', (_, isWatched) => {
  const counts = (direct: DirectFileSystem) =>
    Promise.all(['a', 'b', 'c'].map((name) => linkCount(direct, name)));

  async function three(): Promise<DirectFileSystem> {
    const direct = await linked(isWatched);
    await direct.fs.link(path('a'), path('c'));
    await list(direct, '');
    expect(await counts(direct)).toEqual([3, 3, 3]);
    return direct;
  }

  it.each(['a', 'c'])('%s given to another file leaves two', async (given) => {
    const direct = await three();
    const { disk } = direct;
    await writeFile(join(disk, 'd', 'new'), 'other content');
    await rename(join(disk, 'd', 'new'), join(disk, given));
    await show(direct, isWatched, given);
    for (const name of ['a', 'b', 'c'])
      expect(await content(direct, name)).toBe(name === given ? 'other content' : 'content');
    const expected = given === 'a' ? [1, 2, 2] : [2, 2, 1];
    await vi.waitFor(async () => expect(await counts(direct)).toEqual(expected));
    await list(direct, '');
    expect(await counts(direct)).toEqual(expected);
  });

  it.each(['a', 'c'])('%s removed leaves two', async (gone) => {
    const direct = await three();
    await rm(join(direct.disk, gone));
    await show(direct, isWatched, gone);
    const expected = gone === 'a' ? [undefined, 2, 2] : [2, 2, undefined];
    await vi.waitFor(async () => expect(await counts(direct)).toEqual(expected));
    await list(direct, '');
    expect(await counts(direct)).toEqual(expected);
  });
});

it('a name of a symbolic link that is given to a file has one name', async () => {
  const direct = await linked(true);
  const { fs, disk } = direct;
  await symlink('a', join(disk, 'l'));
  await show(direct, true, 'l');
  await fs.lookup(path('l'));
  await fs.link(path('l'), path('m'));
  await rename(join(disk, 'a'), join(disk, 'd', 'a'));
  await writeFile(join(disk, 'd', 'new'), 'other content');
  await rename(join(disk, 'd', 'new'), join(disk, 'm'));
  await show(direct, true, 'm');
  expect(await linkCount(direct, 'm')).toBe(1);
  expect(await content(direct, 'm')).toBe('other content');
});

it('a listing tells the count of a file that was asked for meanwhile', async () => {
  const direct = await linked(false);
  const { disk, clock, before } = direct;
  await rename(join(disk, 'b'), join(disk, 'd', 'b'));
  await link(join(disk, 'a'), join(disk, 'd', 'c'));
  clock.advance(60_000);
  const asked = deferred<void>();
  before.set('opendir', async () => {
    clock.advance(1);
    await asked.promise;
  });
  const listing = list(direct, '');
  await linkCount(direct, 'a');
  asked.resolve();
  expect((await listing).sort()).toEqual(['a', 'd']);
  expect(await linkCount(direct, 'a')).toBe(3);
});

it('a server that shows 1 of every file does not part what we have linked', () => {
  const links = new HardLinks();
  const shown = { nlink: 2, size: 1, mtime: 1, uid: 0, gid: 0 };
  links.linked(path('a'), path('b'), shown);
  expect(links.observe(path('a'), { ...shown, nlink: 1 })).toBe(true);
  links.observe(path('other'), shown);
  expect(links.observe(path('a'), { ...shown, nlink: 1 })).toBe(false);
  expect(links.observe(path('third'), { ...shown, nlink: 1 })).toBe(true);
});

/** Another machine gives `b` to another file. */
async function replace({ disk }: DirectFileSystem, text: string): Promise<void> {
  await writeFile(join(disk, 'd', 'new'), text);
  await utimes(join(disk, 'd', 'new'), 1_500_000_000, 1_500_000_000);
  await rename(join(disk, 'd', 'new'), join(disk, 'b'));
}

describe.each([true, false])('watched: %s', (isWatched) => {
  it('one name removed: the other has one less', async () => {
    const direct = await linked(isWatched);
    await rm(join(direct.disk, 'b'));
    await show(direct, isWatched, 'b');
    expect(await linkCount(direct, 'b')).toBeUndefined();
    expect(await linkCount(direct, 'a')).toBe(1);
    expect((await list(direct, '')).sort()).toEqual(['a', 'd']);
    expect(await linkCount(direct, 'a')).toBe(1);
    expect(await content(direct, 'a')).toBe('content');
  });

  it.each([
    ['another size', 'other content'],
    ['the same size', 'CONTENT'],
  ])('one name given to another file, of %s: two files, each with one name', async (_what, text) => {
    const direct = await linked(isWatched);
    await replace(direct, text);
    await show(direct, isWatched, 'b');
    expect(await content(direct, 'b')).toBe(text);
    expect(await content(direct, 'a')).toBe('content');
    if (!isWatched) await list(direct, '');
    for (const name of ['a', 'b'])
      await vi.waitFor(async () => expect(await linkCount(direct, name)).toBe(1));
    await list(direct, '');
    for (const name of ['a', 'b']) expect(await linkCount(direct, name)).toBe(1);
    expect(await content(direct, 'a')).toBe('content');
    expect(await content(direct, 'b')).toBe(text);
  });

  it('one name given to another file: what is done to one does not show by the other', async () => {
    const direct = await linked(isWatched);
    const { fs, disk, clock } = direct;
    const { forgotten } = direct;
    await replace(direct, 'other content');
    await show(direct, isWatched, 'b');
    // The kernel may ask by the other name of what it takes for one file.
    for (const name of ['a', 'b']) await fs.getattr({ path: path(name), handle: null });
    expect(forgotten).toContain('entry b');
    expect((await fs.lookup(path('b'))).names).toBeUndefined();
    clock.advance(3000);
    const { handle } = await fs.open(path('b'), O_WRONLY);
    await fs.write(handle, 0, Buffer.from('BBB'), NOT_PAGES);
    await fs.release(handle);
    expect(await content(direct, 'a')).toBe('content');
    expect(await readFile(join(disk, 'a'), 'utf8')).toBe('content');
    expect(await content(direct, 'b')).toBe('BBBer content');
  });

  it.each([
    ['open', async (fs: FileSystem) => fs.release((await fs.open(path('a'), O_WRONLY | O_TRUNC)).handle)],
    ['truncate', (fs: FileSystem) => fs.setattr({ path: path('a'), handle: null }, { size: 0 })],
  ] as const)('one name given to another file: %s walks anew before it cuts', async (_what, cut) => {
    const direct = await linked(isWatched);
    await replace(direct, 'other content');
    direct.clock.advance(3000);
    await expect(cut(direct.fs)).rejects.toMatchObject({ code: 'ESTALE' });
    expect(await readFile(join(direct.disk, 'a'), 'utf8')).toBe('content');
    expect(await readFile(join(direct.disk, 'b'), 'utf8')).toBe('other content');
    await cut(direct.fs);
    expect(await readFile(join(direct.disk, 'a'), 'utf8')).toBe('');
    expect(await readFile(join(direct.disk, 'b'), 'utf8')).toBe('other content');
  });

  it('one name given to another file while the other is open', async () => {
    const direct = await linked(isWatched);
    const { fs } = direct;
    const { handle } = await fs.open(path('a'), O_RDONLY);
    await replace(direct, 'other content');
    await show(direct, isWatched, 'b');
    expect(await content(direct, 'b')).toBe('other content');
    expect((await readAll(fs, handle)).toString()).toBe('content');
    expect(await content(direct, 'a')).toBe('content');
    await fs.release(handle);
    expect(await content(direct, 'b')).toBe('other content');
  });
});
