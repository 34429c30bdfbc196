/** Changes of names whose connection is lost before or after the server makes them, on the embedded server: each happens once. */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { O_EXCL, O_WRONLY } from '../../../src/base/mode.js';
import { ConnectionLostError } from '../../../src/sftp/errors.js';
import {
  cutAfter,
  cutBefore,
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  serverFile,
} from '../../support/direct-filesystem.js';

/** One change of names; `request` is its SFTP request. */
interface Change {
  readonly name: string;
  readonly request: string;
  run(direct: DirectFileSystem): Promise<unknown>;
  check(disk: string): void;
  /** The server does it, for whoever asked. */
  byHand(disk: string): void;
}

const CHANGES: readonly Change[] = [
  {
    name: 'mkdir',
    request: 'mkdir',
    byHand: (disk) => mkdirSync(join(disk, 'new')),
    run: ({ fs }) => fs.mkdir(path('new'), 0o755),
    check: (disk) => expect(statSync(join(disk, 'new')).isDirectory()).toBe(true),
  },
  {
    name: 'unlink',
    request: 'remove',
    byHand: (disk) => unlinkSync(join(disk, 'file')),
    run: ({ fs }) => fs.unlink(path('file')),
    check: (disk) => expect(existsSync(join(disk, 'file'))).toBe(false),
  },
  {
    name: 'rmdir',
    request: 'rmdir',
    byHand: (disk) => rmdirSync(join(disk, 'directory')),
    run: ({ fs }) => fs.rmdir(path('directory')),
    check: (disk) => expect(existsSync(join(disk, 'directory'))).toBe(false),
  },
  {
    name: 'rename onto another file',
    request: 'posixRename',
    byHand: (disk) => renameSync(join(disk, 'file'), join(disk, 'other')),
    run: ({ fs }) => fs.rename(path('file'), path('other'), { noReplace: false }),
    check: (disk) => {
      expect(existsSync(join(disk, 'file'))).toBe(false);
      expect(readFileSync(join(disk, 'other'), 'utf8')).toBe('file');
    },
  },
  {
    name: 'rename to a free name',
    request: 'rename',
    byHand: (disk) => renameSync(join(disk, 'file'), join(disk, 'free')),
    run: ({ fs }) => fs.rename(path('file'), path('free'), { noReplace: true }),
    check: (disk) => expect(readFileSync(join(disk, 'free'), 'utf8')).toBe('file'),
  },
  {
    name: 'symlink',
    request: 'symlink',
    byHand: (disk) => symlinkSync('file', join(disk, 'link')),
    run: ({ fs }) => fs.symlink(path('link'), ascii('file')),
    check: (disk) => expect(readFileSync(join(disk, 'link'), 'utf8')).toBe('file'),
  },
  {
    name: 'link',
    request: 'hardlink',
    byHand: (disk) => linkSync(join(disk, 'file'), join(disk, 'twin')),
    run: ({ fs }) => fs.link(path('file'), path('twin')),
    check: (disk) => expect(statSync(join(disk, 'twin')).nlink).toBe(2),
  },
  {
    name: 'exclusive create',
    request: 'open',
    byHand: (disk) => writeFileSync(join(disk, 'lock'), '', { mode: 0o600 }),
    run: async ({ fs }) => {
      const { handle } = await fs.create(path('lock'), O_WRONLY | O_EXCL, 0o600);
      await fs.write(handle, 0, Buffer.from('held'), NOT_PAGES);
      await fs.flush(handle);
      await fs.release(handle);
    },
    check: (disk) => {
      expect(readFileSync(join(disk, 'lock'), 'utf8')).toBe('held');
      expect(statSync(join(disk, 'lock')).mode & 0o777).toBe(0o600);
    },
  },
];

describe('a change of names whose connection is lost', () => {
  async function prepared(): Promise<DirectFileSystem> {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'file');
    await serverFile(direct.disk, 'other', 'other');
    await mkdir(join(direct.disk, 'directory'));
    return direct;
  }

  it.each(CHANGES)('$name happens once when the server had not seen it', async ({ request, run, check }) => {
    const direct = await prepared();
    cutBefore(direct, request);
    await run(direct);
    check(direct.disk);
    expect(direct.link.tries).toBe(1);
  });

  it.each(CHANGES)('$name is no error when the server does it behind our look for it', async (change) => {
    const direct = await prepared();
    const { before, link } = direct;
    before.set(change.request, async () => {
      link.cut();
      before.set(change.request, async () => {
        before.delete(change.request);
        change.byHand(direct.disk);
      });
      throw new ConnectionLostError('cut, and on its way');
    });
    await change.run(direct);
    change.check(direct.disk);
    expect(link.tries).toBe(1);
  });

  it.each(CHANGES)('$name is no error when the server had done it', async ({ request, run, check }) => {
    const direct = await prepared();
    cutAfter(direct, request);
    await run(direct);
    check(direct.disk);
    expect(direct.link.tries).toBe(1);
  });

  it('is a true error when the server had refused it', async () => {
    const direct = await prepared();
    cutAfter(direct, 'lstat');
    await expect(direct.fs.mkdir(path('file'), 0o755)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(direct.fs.rmdir(path('nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
