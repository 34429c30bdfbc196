/** Open directories: what a listing says of its entries when they are read, and what a server may do to it. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { O_WRONLY } from '../../../src/base/mode.js';
import { fsOptions } from '../../../src/cli/wiring.js';
import { completeOptions, parseOptions } from '../../../src/config/parse.js';
import { FileSystem } from '../../../src/fs/filesystem.js';
import type { SftpName } from '../../../src/sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../../../src/sftp/client.js';
import {
  ManualClock,
  NOT_PAGES,
  nobody,
  openDirect,
  path,
  serverFile,
  unrecovered,
} from '../../support/direct-filesystem.js';

/** What a reader gets who asks for attributes as well: the size, null for a removed name, undefined if unknown. */
async function sizes(fs: FileSystem, handle: number, restart = true) {
  const listing = await fs.readdir(handle, restart);
  const found = listing.entries.map((entry) => {
    const about = listing.describe(entry);
    return [entry.name as string, about?.attributes === null ? null : about?.attributes.size] as const;
  });
  return new Map(found);
}

const names = async (fs: FileSystem, handle: number, restart = true) =>
  [...(await sizes(fs, handle, restart)).keys()].sort();

describe('an entry that changes after opendir', () => {
  it('is described as it is when it is read: removed, or with its new size', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'removed', 'x');
    await serverFile(disk, 'written', '');
    await serverFile(disk, 'same', 'same');
    const directory = (await fs.opendir(path(''))).handle;
    await fs.unlink(path('removed'));
    const { handle } = await fs.open(path('written'), O_WRONLY);
    await fs.write(handle, 0, Buffer.from('hello'), NOT_PAGES);
    await fs.flush(handle);
    await fs.release(handle);
    expect(await sizes(fs, directory)).toEqual(
      new Map([
        ['removed', null],
        ['written', 5],
        ['same', 4],
      ]),
    );
    await fs.releasedir(directory);
  });

  it('is not described while what was written to it is on its way', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', '');
    const directory = (await fs.opendir(path(''))).handle;
    const { handle } = await fs.open(path('f'), O_WRONLY);
    await fs.write(handle, 0, Buffer.from('hello'), NOT_PAGES);
    expect((await sizes(fs, directory)).get('f')).toBeUndefined();
    await fs.release(handle);
    await fs.releasedir(directory);
  });

  it('is described again only by what a fresh look at it brought, when its attributes have run out', async () => {
    const { fs, disk, clock } = await openDirect();
    await serverFile(disk, 'f', 'x');
    const directory = (await fs.opendir(path(''))).handle;
    clock.advance(60_000);
    expect(await sizes(fs, directory)).toEqual(new Map([['f', undefined]]));
    await fs.lookup(path('f'));
    expect(await sizes(fs, directory, false)).toEqual(new Map([['f', 1]]));
    await fs.releasedir(directory);
  });

  it('and its name are there for whoever rewinds, made after the directory was opened', async () => {
    const { fs } = await openDirect();
    const directory = (await fs.opendir(path(''))).handle;
    await fs.mkdir(path('made'), 0o755);
    expect(await names(fs, directory)).toEqual([]);
    expect(await names(fs, directory)).toEqual(['made']);
    await fs.releasedir(directory);
  });
});

describe('an open directory', () => {
  it('keeps the snapshot that its reader walks through, whatever comes and goes', async () => {
    const { fs, disk } = await openDirect();
    for (const name of ['a', 'b', 'c']) await writeFile(join(disk, name), '');
    const directory = (await fs.opendir(path(''))).handle;
    const first = await names(fs, directory);
    await fs.unlink(path('b'));
    expect(await names(fs, directory, false)).toEqual(first);
    await fs.releasedir(directory);
  });

  it('follows a rename of itself and of a directory above it', async () => {
    const { fs, disk, clock } = await openDirect();
    await mkdir(join(disk, 'top/inner'), { recursive: true });
    await serverFile(disk, 'top/inner/f', 'four');
    const directory = (await fs.opendir(path('top/inner'))).handle;
    await fs.rename(path('top/inner'), path('top/moved'), { noReplace: false });
    expect(await sizes(fs, directory)).toEqual(new Map([['f', 4]]));
    await fs.rename(path('top'), path('above'), { noReplace: false });
    await serverFile(disk, 'above/moved/g', '');
    clock.advance(60_000);
    expect(await sizes(fs, directory)).toEqual(
      new Map([
        ['f', 4],
        ['g', 0],
      ]),
    );
    await fs.releasedir(directory);
  });

  it('is empty once it was removed, though another directory has its name', async () => {
    const { fs } = await openDirect();
    await fs.mkdir(path('d'), 0o755);
    const directory = (await fs.opendir(path('d'))).handle;
    await fs.rmdir(path('d'));
    await fs.mkdir(path('d'), 0o755);
    await fs.mkdir(path('d/inside'), 0o755);
    expect(await names(fs, directory)).toEqual([]);
    expect(await names(fs, directory)).toEqual([]);
    await fs.releasedir(directory);
  });

  it('is empty once another was renamed over it', async () => {
    const { fs } = await openDirect();
    for (const name of ['old', 'new', 'new/inside']) await fs.mkdir(path(name), 0o755);
    const [replaced, source] = [
      (await fs.opendir(path('old'))).handle,
      (await fs.opendir(path('new'))).handle,
    ];
    for (const directory of [replaced, source]) await names(fs, directory);
    await fs.rename(path('new'), path('old'), { noReplace: false });
    expect(await names(fs, replaced)).toEqual([]);
    expect(await names(fs, source)).toEqual(['inside']);
    for (const directory of [replaced, source]) await fs.releasedir(directory);
  });

  it('that another machine renamed is an error when it is read again, not another directory', async () => {
    const { fs, disk, clock } = await openDirect();
    await mkdir(join(disk, 'd'));
    const directory = (await fs.opendir(path('d'))).handle;
    await names(fs, directory);
    await rename(join(disk, 'd'), join(disk, 'e'));
    clock.advance(60_000);
    await expect(fs.readdir(directory, true)).rejects.toMatchObject({ code: 'ENOENT' });
    await fs.releasedir(directory);
  });
});

describe('a directory of our own making', () => {
  it('is known to be empty, and its names to be missing, without a question', async () => {
    const { fs, requests } = await openDirect();
    await fs.mkdir(path('d'), 0o755);
    requests.length = 0;
    expect((await fs.lookup(path('d/f'))).attributes).toBeNull();
    const directory = (await fs.opendir(path('d'))).handle;
    expect(await names(fs, directory)).toEqual([]);
    expect(requests).toEqual([]);
    await fs.releasedir(directory);
  });

  it('is listed by the server once its mode was changed, which may forbid it', async () => {
    const { fs, requests } = await openDirect();
    await fs.mkdir(path('d'), 0o755);
    await fs.setattr({ path: path('d'), handle: null }, { mode: 0o000 });
    await fs.opendir(path('d')).then(({ handle }) => fs.releasedir(handle));
    expect(requests).toContain('opendir');
  });
});

describe('a server that never ends a listing', () => {
  /** A mount whose every directory goes on for ever in pages of `length` times one name. */
  function endless(length: number) {
    const entry: SftpName = {
      filename: ascii('x'),
      longname: ascii(''),
      attributes: { permissions: 0o100644 },
    };
    const page = Array.from({ length }, () => entry);
    const asked = { pages: 0, closed: 0 };
    const client: Partial<SftpClient> = {
      limits: { maxPacket: 262_144, maxRead: 32_768, maxWrite: 32_768, maxHandles: 0 },
      has: () => false,
      onClose: () => undefined,
      opendir: async () => ({}) as SftpHandle,
      readdir: async () => {
        asked.pages += 1;
        return page;
      },
      close: async () => {
        asked.closed += 1;
      },
    };
    const fs = new FileSystem({
      client: unrecovered(client as SftpClient, new ManualClock()),
      root: ascii('/'),
      options: fsOptions(completeOptions(parseOptions([]).given)),
      identity: nobody,
    });
    return { fs, asked };
  }

  it.each([
    ['one name over and over', 100_000],
    ['pages whose every name had to be dropped', 0],
  ])('with %s gets EIO after a bounded number of pages, and nothing of it is kept', async (_what, length) => {
    const { fs, asked } = endless(length);
    await expect(fs.opendir(path(''))).rejects.toMatchObject({ code: 'EIO' });
    expect(asked.pages).toBeLessThan(2_000_000 / Math.max(1, length) + 40);
    expect(asked.closed).toBe(1);
    expect(fs.status()).toMatchObject({ cachedListings: 0, openDirectories: 0 });
  });
});
