/**
 * An open or lookup that crosses a change of ours on its way: whatever the order in which the server answers, what was
 * changed stays changed. Answers come one by one, and all in one chunk as from a socket under load.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import type { FileSystem } from '../../../src/fs/filesystem.js';
import { NOT_PAGES, openDirect, path, readAll, serverFile } from '../../support/direct-filesystem.js';

const named = (name: string) => ({ path: path(name), handle: null });

const append = (fs: FileSystem, handle: number, offset: number, text: string) =>
  fs.write(handle, offset, Buffer.from(text), NOT_PAGES);

describe.each([
  ['one by one', false],
  ['in one chunk', true],
])('with answers %s', (_how, coalesced) => {
  const direct = (options = {}) => openDirect(options, {}, { coalesced });

  describe('a listing under way', () => {
    it('does not serve one that begins after a change it crossed', async () => {
      const { fs, disk, requests, after } = await direct();
      await serverFile(disk, 'f', 'x');
      const held = deferred<void>();
      after.set('readdir', () => held.promise);
      const first = fs.opendir(path(''));
      await expect.poll(() => requests).toContain('readdir');
      after.clear();
      await fs.mkdir(path('made'), 0o755);
      // What was done to it is forgotten again, so the listing cannot be mended.
      await expect(fs.mkdir(path('made'), 0o755)).rejects.toMatchObject({ code: 'EEXIST' });
      const second = fs.opendir(path(''));
      held.resolve();
      await first;
      const { handle } = await second;
      expect((await fs.readdir(handle, true)).entries.map(({ name }) => name)).toContain('made');
    });
  });

  describe('an open that crosses', () => {
    it('an unlink does not bring the name back', async () => {
      const { fs, disk } = await direct();
      await serverFile(disk, 'f', 'x');
      const [{ handle }] = await Promise.all([fs.open(path('f'), O_RDONLY), fs.unlink(path('f'))]);
      expect((await fs.lookup(path('f'))).attributes).toBeNull();
      await fs.release(handle);
    });

    it('a chmod does not bring the old mode back', async () => {
      const { fs, disk } = await direct();
      await serverFile(disk, 'f', 'x');
      const [{ handle }] = await Promise.all([
        fs.open(path('f'), O_RDONLY),
        fs.setattr(named('f'), { mode: 0o600 }),
      ]);
      expect((await fs.getattr(named('f'))).attributes.mode & 0o777).toBe(0o600);
      await fs.release(handle);
    });

    it('a truncate by name knows the new size', async () => {
      const { fs, disk } = await direct();
      await serverFile(disk, 'f', 'AAAA');
      const [{ handle }] = await Promise.all([
        fs.open(path('f'), O_RDONLY),
        fs.setattr(named('f'), { size: 8 }),
      ]);
      expect((await stat(join(disk, 'f'))).size).toBe(8);
      expect((await readAll(fs, handle)).toString()).toBe('AAAA\0\0\0\0');
      await fs.release(handle);
    });

    it('the sending of what was written before it knows that as well', async () => {
      const { fs, after } = await direct();
      const { handle } = await fs.create(path('log'), O_RDWR | O_APPEND, 0o644);
      await append(fs, handle, 0, 'one\n');
      const held = deferred<void>();
      after.set('lstat', () => held.promise);
      const opening = fs.open(path('log'), O_RDWR | O_APPEND);
      after.clear();
      await fs.flush(handle);
      held.resolve();
      const other = await opening;
      await append(fs, other.handle, 4, 'two\n');
      expect((await readAll(fs, handle)).toString()).toBe('one\ntwo\n');
      for (const each of [handle, other.handle]) {
        await fs.flush(each);
        await fs.release(each);
      }
    });

    it.each([
      ['a flush', {}, (fs: FileSystem, handle: number) => fs.flush(handle)],
      ['the flush of the whole mount', {}, (fs: FileSystem) => fs.flushAll()],
      ['a write that waits for the server', { syncWrites: true }, async () => undefined],
    ])('an append and %s does not move the end of the file back', async (_what, options, flush) => {
      const { fs, disk } = await direct(options);
      await serverFile(disk, 'log', 'AAAA');
      const writer = await fs.open(path('log'), O_WRONLY | O_APPEND);
      const opening = fs.open(path('log'), O_RDONLY);
      await append(fs, writer.handle, 4, 'one');
      await flush(fs, writer.handle);
      const reader = await opening;
      await append(fs, writer.handle, 7, 'two');
      expect((await readAll(fs, reader.handle)).toString()).toBe('AAAAonetwo');
      await fs.flush(writer.handle);
      for (const { handle } of [writer, reader]) await fs.release(handle);
      expect(await readFile(join(disk, 'log'), 'utf8')).toBe('AAAAonetwo');
    });

    it('an append and its flush, told late of the old size, does not move the end of the file back', async () => {
      const { fs, disk, after } = await direct();
      await serverFile(disk, 'log', 'AAAA');
      const writer = await fs.open(path('log'), O_WRONLY | O_APPEND);
      const late = deferred<void>();
      after.set('lstat', () => late.promise);
      const opening = fs.open(path('log'), O_RDONLY);
      await append(fs, writer.handle, 4, 'one');
      await fs.flush(writer.handle);
      after.clear();
      late.resolve();
      const reader = await opening;
      await append(fs, writer.handle, 7, 'two');
      await fs.flush(writer.handle);
      for (const { handle } of [writer, reader]) await fs.release(handle);
      expect(await readFile(join(disk, 'log'), 'utf8')).toBe('AAAAonetwo');
    });
  });

  describe('a lookup that crosses', () => {
    it('the creation of a file does not make it missing', async () => {
      const { fs } = await direct();
      const [, { handle }] = await Promise.all([
        fs.lookup(path('f')),
        fs.create(path('f'), O_RDWR | O_CREAT | O_EXCL, 0o644),
      ]);
      expect((await fs.lookup(path('f'))).attributes).not.toBeNull();
      await fs.release(handle);
    });

    it('a removed directory does not bring it back, nor does a listing', async () => {
      const { fs, disk, after } = await direct();
      await mkdir(join(disk, 'd'));
      const held = deferred<void>();
      after.set('readdir', () => held.promise);
      const listing = fs.opendir(path(''));
      await fs.lookup(path('d'));
      await fs.rmdir(path('d'));
      after.clear();
      held.resolve();
      await fs.releasedir((await listing).handle);
      const { handle } = await fs.opendir(path(''));
      expect((await fs.readdir(handle, true)).entries).toEqual([]);
      await fs.releasedir(handle);
    });

    it('an unlink does not bring the name back, nor does a listing', async () => {
      const { fs, disk } = await direct();
      await serverFile(disk, 'f', 'x');
      await Promise.all([
        fs.opendir(path('')).then(({ handle }) => fs.releasedir(handle)),
        fs.unlink(path('f')),
        fs.lookup(path('f')),
      ]);
      expect((await fs.lookup(path('f'))).attributes).toBeNull();
    });
  });
});
