/** Names of one file, made here, of which others on the server take one or give it to another file. */
import { link, lstat, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { O_RDONLY } from '../../../src/base/mode.js';
import { HardLinks } from '../../../src/fs/links.js';
import {
  type DirectFileSystem,
  LONG_AGO,
  openDirect,
  path,
  readAll,
} from '../../support/direct-filesystem.js';

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
  await list(direct);
  await fs.link(path('a'), path('b'));
  await list(direct);
  for (const name of ['a', 'b']) {
    expect(await linkCount(direct, name)).toBe(2);
    expect(await content(direct, name)).toBe('content');
  }
  return direct;
}

async function list({ fs }: DirectFileSystem): Promise<readonly string[]> {
  const { handle } = await fs.opendir(path(''));
  const { entries } = await fs.readdir(handle, true);
  await fs.releasedir(handle);
  return entries.map(({ name }) => name as string).sort();
}

async function linkCount({ fs }: DirectFileSystem, name: string): Promise<number | undefined> {
  return (await fs.lookup(path(name))).attributes?.nlink;
}

async function content({ fs }: DirectFileSystem, name: string): Promise<string> {
  const { handle } = await fs.open(path(name), O_RDONLY);
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
    const stat = await lstat(join(disk, name)).catch(() => null);
    const seconds = (ms: number) => Math.floor(ms / 1000);
    fs.elsewhere.changed({
      directory: path(''),
      name: path(name),
      isDirectory: false,
      ofName: true,
      ofContent: false,
      found: stat && {
        permissions: stat.mode,
        size: stat.size,
        uid: stat.uid,
        gid: stat.gid,
        atime: seconds(stat.atimeMs),
        mtime: seconds(stat.mtimeMs),
        nlink: stat.nlink,
      },
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

it('a server that shows 1 of every file does not part what we have linked', async () => {
  const links = new HardLinks();
  const shown = { nlink: 2, size: 1, mtime: 1, uid: 0, gid: 0 };
  links.linked(path('a'), path('b'), shown);
  links.observe(path('a'), { ...shown, nlink: 1 });
  expect(links.areTwins(path('a'), path('b'))).toBe(true);
  links.observe(path('other'), shown);
  links.observe(path('a'), { ...shown, nlink: 1 });
  expect(links.areTwins(path('a'), path('b'))).toBe(false);
});

describe.each([true, false])('watched: %s', (isWatched) => {
  it('one name removed: the other has one less', async () => {
    const direct = await linked(isWatched);
    await rm(join(direct.disk, 'b'));
    await show(direct, isWatched, 'b');
    expect(await linkCount(direct, 'b')).toBeUndefined();
    expect(await linkCount(direct, 'a')).toBe(1);
    expect(await list(direct)).toEqual(['a', 'd']);
    expect(await linkCount(direct, 'a')).toBe(1);
    expect(await content(direct, 'a')).toBe('content');
  });

  it.each([
    ['another size', 'other content'],
    ['the same size', 'CONTENT'],
  ])('one name given to another file, of %s: two files, each with one name', async (_what, text) => {
    const direct = await linked(isWatched);
    await writeFile(join(direct.disk, 'd', 'new'), text);
    await utimes(join(direct.disk, 'd', 'new'), 1_500_000_000, 1_500_000_000);
    await rename(join(direct.disk, 'd', 'new'), join(direct.disk, 'b'));
    await show(direct, isWatched, 'b');
    expect(await content(direct, 'b')).toBe(text);
    expect(await content(direct, 'a')).toBe('content');
    if (!isWatched) await list(direct);
    for (const name of ['a', 'b'])
      await vi.waitFor(async () => expect(await linkCount(direct, name)).toBe(1));
    await list(direct);
    for (const name of ['a', 'b']) expect(await linkCount(direct, name)).toBe(1);
    expect(await content(direct, 'a')).toBe('content');
    expect(await content(direct, 'b')).toBe(text);
  });

  it('one name given to another file while the other is open', async () => {
    const direct = await linked(isWatched);
    const { fs, disk } = direct;
    const { handle } = await fs.open(path('a'), O_RDONLY);
    await writeFile(join(disk, 'd', 'new'), 'other content');
    await rename(join(disk, 'd', 'new'), join(disk, 'b'));
    await show(direct, isWatched, 'b');
    expect(await content(direct, 'b')).toBe('other content');
    expect((await readAll(fs, handle)).toString()).toBe('content');
    expect(await content(direct, 'a')).toBe('content');
    await fs.release(handle);
    expect(await content(direct, 'b')).toBe('other content');
  });
});
