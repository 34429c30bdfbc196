import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import {
  contentOf,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

/** Whose opens always ask the server. */
const asking = () => openDirect({ openTtl: 0 });

describe('close-to-open', () => {
  it('asks for size and time with each open, in the same round trip', async () => {
    const world = await asking();
    await serverFile(world.disk, 'f', 'old');
    await contentOf(world, 'f');
    world.requests.length = 0;
    expect(await contentOf(world, 'f')).toBe('old');
    expect(world.requests).toEqual(['open', 'lstat', 'close']);
  });

  it('drops content when the time changed, though the size did not', async () => {
    const world = await asking();
    await serverFile(world.disk, 'f', 'old');
    await contentOf(world, 'f');
    await serverFile(world.disk, 'f', 'new', new Date('2020-01-01T00:00:01Z'));
    expect(await contentOf(world, 'f')).toBe('new');
  });

  it('drops content when the size changed, though the time did not', async () => {
    const world = await asking();
    await serverFile(world.disk, 'f', 'old');
    await contentOf(world, 'f');
    await serverFile(world.disk, 'f', 'longer');
    expect(await contentOf(world, 'f')).toBe('longer');
  });

  it('does not trust content seen within two seconds of its time', async () => {
    const world = await openDirect();
    const now = new Date(Math.floor(world.clock.now() / 1000) * 1000);
    await serverFile(world.disk, 'f', 'old', now);
    await contentOf(world, 'f');
    await serverFile(world.disk, 'f', 'new', now);
    expect(await contentOf(world, 'f')).toBe('new');
  });

  it('does not take a time that a program has set for the server’s clock', async () => {
    const world = await asking();
    const { fs, disk } = world;
    const { handle } = await fs.create(path('a'), O_WRONLY | O_EXCL, 0o644);
    await fs.write(handle, 0, Buffer.from('content'), NOT_PAGES);
    await fs.setattr({ path: path('a'), handle }, { atime: 1, mtime: 1 });
    await fs.flush(handle);
    await fs.release(handle);
    await serverFile(disk, 'f', 'old');
    await contentOf(world, 'f');
    world.requests.length = 0;
    await contentOf(world, 'f');
    expect(world.requests).toEqual(['open', 'lstat', 'close']);
  });

  it('tells the kernel to keep its pages only if nothing changed', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', 'old');
    const keeps = async () => {
      const { handle, keepCache } = await fs.open(path('f'), O_RDONLY);
      await fs.release(handle);
      return keepCache;
    };
    expect(await keeps()).toBe(false);
    expect(await keeps()).toBe(true);
    await serverFile(disk, 'f', 'longer');
    expect(await keeps()).toBe(false);
    expect(await keeps()).toBe(true);
  });

  it('tells the driver when the kernel’s attributes are out of date', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', 'old');
    await fs.lookup(path('f'));
    const stale = async () => {
      const { handle, staleAttributes } = await fs.open(path('f'), O_RDONLY);
      await fs.release(handle);
      return staleAttributes;
    };
    expect(await stale()).toBe(false);
    await serverFile(disk, 'f', 'longer');
    expect(await stale()).toBe(true);
  });

  it('keeps cached content valid through our own chmod and utimes', async () => {
    const world = await openDirect();
    await serverFile(world.disk, 'f', 'text');
    await contentOf(world, 'f');
    await world.fs.setattr({ path: path('f'), handle: null }, { mode: 0o600, mtime: 1_500_000_000 });
    world.requests.length = 0;
    expect(await contentOf(world, 'f')).toBe('text');
    expect(world.requests).not.toContain('read');
  });
});

describe('open files', () => {
  it('follow a rename, and the file that is renamed over keeps its own content', async () => {
    const { fs, disk } = await openDirect();
    const source = await fs.create(path('a'), O_RDWR, 0o644);
    await fs.write(source.handle, 0, Buffer.from('source'), NOT_PAGES);
    const target = await fs.create(path('b'), O_RDWR, 0o644);
    await fs.write(target.handle, 0, Buffer.from('target'), NOT_PAGES);
    await fs.rename(path('a'), path('b'), { noReplace: false });
    await fs.write(target.handle, 6, Buffer.from('+'), NOT_PAGES);
    await fs.write(source.handle, 6, Buffer.from('!'), NOT_PAGES);
    for (const { handle } of [source, target]) await fs.flush(handle);
    expect(await readFile(join(disk, 'b'), 'utf8')).toBe('source!');
    expect((await readAll(fs, target.handle)).toString()).toBe('target+');
    expect((await fs.getattr({ path: null, handle: target.handle })).attributes.nlink).toBe(0);
    for (const { handle } of [source, target]) await fs.release(handle);
  });

  it('go on after unlink, and a new file of that name is another', async () => {
    const { fs, disk } = await openDirect();
    const old = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(old.handle, 0, Buffer.from('old'), NOT_PAGES);
    await fs.unlink(path('f'));
    const fresh = await fs.create(path('f'), O_RDWR | O_CREAT | O_EXCL, 0o644);
    await fs.write(fresh.handle, 0, Buffer.from('fresh'), NOT_PAGES);
    await fs.write(old.handle, 3, Buffer.from('er'), NOT_PAGES);
    await fs.setattr({ path: null, handle: old.handle }, { size: 4 });
    expect((await readAll(fs, old.handle)).toString()).toBe('olde');
    for (const { handle } of [old, fresh]) await fs.flush(handle);
    expect(await readFile(join(disk, 'f'), 'utf8')).toBe('fresh');
    for (const { handle } of [old, fresh]) await fs.release(handle);
  });

  it('follow a rename of their directory', async () => {
    const { fs, disk } = await openDirect();
    await fs.mkdir(path('d'), 0o755);
    const { handle } = await fs.create(path('d/f'), O_RDWR, 0o644);
    await fs.rename(path('d'), path('e'), { noReplace: false });
    await fs.write(handle, 0, Buffer.from('x'), NOT_PAGES);
    expect((await fs.getattr({ path: path('e/f'), handle: null })).attributes.size).toBe(1);
    await fs.release(handle);
    expect(await readFile(join(disk, 'e/f'), 'utf8')).toBe('x');
  });

  it('are truncated and extended by handle, with what was written before and after in order', async () => {
    const { fs } = await openDirect();
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(handle, 0, Buffer.from('0123456789'), NOT_PAGES);
    await fs.setattr({ path: path('f'), handle }, { size: 4 });
    await fs.write(handle, 6, Buffer.from('x'), NOT_PAGES);
    expect((await readAll(fs, handle)).toString()).toBe('0123\0\0x');
    await fs.setattr({ path: path('f'), handle }, { size: 9 });
    await fs.flush(handle);
    expect((await readAll(fs, handle)).toString()).toBe('0123\0\0x\0\0');
    await fs.release(handle);
  });

  it('are emptied by O_TRUNC under another descriptor with unsent writes', async () => {
    const { fs, disk } = await openDirect();
    const writer = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(writer.handle, 0, Buffer.from('unsent'), NOT_PAGES);
    const other = await fs.open(path('f'), O_WRONLY | O_TRUNC);
    expect((await readAll(fs, writer.handle)).toString()).toBe('');
    await fs.write(other.handle, 0, Buffer.from('new'), NOT_PAGES);
    expect((await readAll(fs, writer.handle)).toString()).toBe('new');
    for (const { handle } of [writer, other]) {
      await fs.flush(handle);
      await fs.release(handle);
    }
    expect(await readFile(join(disk, 'f'), 'utf8')).toBe('new');
  });

  it('show in stat and listings the size that was written, sent or not', async () => {
    const { fs } = await openDirect();
    await fs.opendir(path('')).then(({ handle }) => fs.releasedir(handle));
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    await fs.write(handle, 0, Buffer.alloc(12_345), NOT_PAGES);
    const directory = (await fs.opendir(path(''))).handle;
    const { entries, describe: found } = await fs.readdir(directory, true);
    // Nothing is said of its attributes while it is written: the kernel asks if somebody wants them.
    expect(entries.map((entry) => [entry.name, found(entry)?.attributes?.size])).toEqual([['f', undefined]]);
    expect((await fs.lookup(path('f'))).attributes?.size).toBe(12_345);
    expect((await fs.getattr({ path: path('f'), handle: null })).attributes.size).toBe(12_345);
    await fs.releasedir(directory);
    await fs.release(handle);
  });

  it('do not cache an answer that crossed a write', async () => {
    const { fs, after } = await openDirect();
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(handle, 0, Buffer.from('old!'), NOT_PAGES);
    await fs.flush(handle);
    const answer = deferred<void>();
    after.set('read', () => answer.promise);
    const early = readAll(fs, handle);
    after.clear();
    await fs.write(handle, 0, Buffer.from('NEW'), NOT_PAGES);
    await fs.flush(handle);
    answer.resolve();
    await early;
    expect((await readAll(fs, handle)).toString()).toBe('NEW!');
    await fs.release(handle);
  });

  it('do not cache what the server had while a write was still unsent', async () => {
    const { fs } = await openDirect();
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(handle, 0, Buffer.from('old!'), NOT_PAGES);
    await fs.flush(handle);
    await fs.write(handle, 0, Buffer.from('NEW'), NOT_PAGES);
    expect((await readAll(fs, handle)).toString()).toBe('NEW!');
    await fs.flush(handle);
    expect((await readAll(fs, handle)).toString()).toBe('NEW!');
    await fs.release(handle);
  });
});

describe('creating', () => {
  it('gives a file the wanted mode, but never a file that was there already', async () => {
    const { fs, disk } = await openDirect();
    const created = await fs.create(path('new'), O_WRONLY, 0o666);
    expect(created.attributes.mode & 0o777).toBe(0o666);
    await writeFile(join(disk, 'there'), 'kept', { mode: 0o600 });
    const found = await fs.create(path('there'), O_WRONLY, 0o666);
    expect(found.attributes).toMatchObject({ size: 4 });
    expect((await stat(join(disk, 'there'))).mode & 0o777).toBe(0o600);
    await expect(fs.create(path('there'), O_WRONLY | O_EXCL, 0o666)).rejects.toMatchObject({
      code: 'EEXIST',
    });
    for (const { handle } of [created, found]) await fs.release(handle);
  });

  it('refuses what SFTP has not, with the right errno', async () => {
    const { fs } = await openDirect();
    await expect(fs.mknod(path('fifo'), 0o010644)).rejects.toMatchObject({ code: 'EPERM' });
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await expect(fs.fallocate(handle, 0, 0, 10)).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
    await fs.release(handle);
  });
});

describe('copying on the server', () => {
  it('moves bytes written a moment ago, and what was cached of the target is dropped', async () => {
    const { fs, requests, disk } = await openDirect();
    const from = await fs.create(path('from'), O_RDWR, 0o644);
    await fs.write(from.handle, 0, Buffer.from('0123456789'), NOT_PAGES);
    const to = await fs.create(path('to'), O_RDWR, 0o644);
    await fs.write(to.handle, 0, Buffer.from('abc'), NOT_PAGES);
    expect((await readAll(fs, to.handle)).toString()).toBe('abc');
    expect(await fs.copyFileRange(from.handle, 2, to.handle, 1, 100)).toBe(8);
    expect((await readAll(fs, to.handle)).toString()).toBe('a23456789');
    expect(requests).toContain('copyData');
    for (const { handle } of [from, to]) await fs.release(handle);
    expect(await readFile(join(disk, 'to'), 'utf8')).toBe('a23456789');
  });
});

describe('a file replaced behind the mount', () => {
  it('is seen by the next open, while the old one is still read', async () => {
    const world = await asking();
    const { fs, disk } = world;
    await serverFile(disk, 'f', 'old one');
    const { handle } = await fs.open(path('f'), O_RDONLY);
    await serverFile(disk, 'new', 'new', new Date('2021-01-01T00:00:00Z'));
    await rename(join(disk, 'new'), join(disk, 'f'));
    expect((await readAll(fs, handle, 0, 3)).toString()).toBe('old');
    expect(await contentOf(world, 'f')).toBe('new');
    await fs.release(handle);
  });
});
