/**
 * Servers that lie in well-formed answers: names, attributes, data and links that cannot be. What is harmless is cut
 * to what can be told, and what is not ends in an errno.
 */
import { describe, expect, it } from 'vitest';
import { S_IFMT, S_IFREG, S_IFSOCK } from '../../../src/base/mode.js';
import type { Path } from '../../../src/base/path.js';
import * as c from '../../../src/sftp/constants.js';
import { MAX_U64, rogue, when } from '../../support/rogue.js';
import { attrs, type Claim, data, names, status, statvfs } from '../../support/rogue-packets.js';
import {
  type Asked,
  CONTENT,
  listNames,
  type Misdeed,
  readThrough,
  type Script,
} from '../../support/rogue-server.js';

const path = (text: string) => text as Path;

describe('names', () => {
  it('that would leave the directory, or that Linux cannot hold, are dropped', async () => {
    const wrong = ['', '.', '..', '/', '/etc/passwd', '../up', 'a/b', 'nul\0', 'x'.repeat(4096)];
    let page = 0;
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_READDIR, ({ id }) =>
        page++ === 0 ? names(id, [...wrong, 'good']) : status(id, 1),
      ),
    });
    expect(await listNames(fs, '')).toEqual(['good']);
  });

  it('that are the same for ever are EIO, after two million of them', async () => {
    const list = Array.from({ length: 5000 }, () => 'same');
    let sent = 0;
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_READDIR, ({ id }) => {
        sent += list.length;
        return names(id, list);
      }),
    });
    await expect(listNames(fs, '')).rejects.toMatchObject({ code: 'EIO' });
    // 512 MiB at 256 bytes and the name for each, and what was on its way by then.
    expect(sent).toBeGreaterThan(2_000_000);
    expect(sent).toBeLessThan(2_400_000);
  }, 60_000);

  it('of which none can be used, page after page, are EIO', async () => {
    let pages = 0;
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_READDIR, ({ id }) => {
        pages += 1;
        return names(id, ['..', 'a/b']);
      }),
    });
    await expect(listNames(fs, '')).rejects.toMatchObject({ code: 'EIO' });
    expect(pages).toBeLessThan(1100);
  });
});

describe('attributes', () => {
  async function claim(what: Claim) {
    const { fs } = await rogue({ answer: when(c.SSH_FXP_LSTAT, ({ id }) => attrs(id, what)) });
    return (await fs.lookup(path('f'))).attributes;
  }

  it.each([2n ** 63n, MAX_U64])('a size of %d is the largest that can be told exactly', async (size) => {
    expect((await claim({ size }))?.size).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('times reach to 2106', async () => {
    expect(await claim({ time: 0xffff_ffff })).toMatchObject({ mtime: 0xffff_ffff, atime: 0xffff_ffff });
  });

  it.each([
    [0, S_IFREG],
    [0o644, S_IFREG],
    [0o170777, S_IFSOCK],
    [0o150000, S_IFSOCK],
    [0xffff_ffff, S_IFSOCK],
    [0o060666, 0o060000],
  ])('mode %o shows type %o', async (mode, type) => {
    expect(((await claim({ mode }))?.mode ?? 0) & S_IFMT).toBe(type);
  });

  it('a file of 2^64 bytes is read as far as it goes', async () => {
    const { fs } = await rogue({
      answer: ({ id, request }) =>
        request.type === c.SSH_FXP_LSTAT || request.type === c.SSH_FXP_FSTAT
          ? attrs(id, { size: MAX_U64 })
          : 'honest',
    });
    expect((await readThrough(fs, 'f')).equals(CONTENT)).toBe(true);
    const { handle: fd } = await fs.open(path('f'), 0);
    const { parts, release } = await fs.read(fd, Number.MAX_SAFE_INTEGER - 10_000, 131_072);
    expect(Buffer.concat(parts)).toHaveLength(0);
    release();
    await fs.release(fd);
  });

  it.each<[string, bigint[], object]>([
    ['nothing but zeros', Array<bigint>(11).fill(0n), { bsize: 4096, frsize: 4096, blocks: 0, namemax: 255 }],
    ['nothing but 2^64 - 1', Array<bigint>(11).fill(MAX_U64), { bsize: 4096, frsize: 4096, namemax: 255 }],
    [
      'more free than there is',
      [512n, 512n, 10n, 20n, 30n, 5n, 9n, 9n, 1n, 0n, 200n],
      { bsize: 512, blocks: 10, bfree: 10, bavail: 10, files: 5, ffree: 5, namemax: 200 },
    ],
  ])('statvfs with %s can be counted with', async (_name, fields, expected) => {
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_EXTENDED, ({ id }) => statvfs(id, fields)),
      extensions: new Set([c.STATVFS]),
    });
    expect(await fs.statfs()).toMatchObject(expected);
  });
});

describe('data', () => {
  const reading = (misdeed: (asked: Asked & { offset: number; len: number }) => Misdeed): Script => ({
    answer: (asked) =>
      asked.request.type === c.SSH_FXP_READ
        ? misdeed({ ...asked, offset: asked.request.offset, len: asked.request.len })
        : 'honest',
  });

  it('in pieces shorter than asked for is put together', async () => {
    const { fs } = await rogue(
      reading(({ id, offset, len }) =>
        data(id, CONTENT.subarray(offset, offset + Math.min(len, 1 + (offset % 7000)))),
      ),
    );
    expect((await readThrough(fs, 'f')).equals(CONTENT)).toBe(true);
  });

  it('longer than asked for ends the connection, and reaches nobody', async () => {
    const { fs, client } = await rogue(reading(({ id, len }) => data(id, Buffer.alloc(len + 1))));
    await expect(readThrough(fs, 'f')).rejects.toMatchObject({ code: 'EHOSTDOWN' });
    expect(client.state).toBe('closed');
  });

  it('of no bytes, and no end of the file, is EIO and not a shorter file', async () => {
    let asked = 0;
    const { fs } = await rogue(
      reading(({ id, offset }) => {
        asked += 1;
        return offset < 32_768 ? 'honest' : data(id, Buffer.alloc(0));
      }),
    );
    await expect(readThrough(fs, 'f')).rejects.toMatchObject({ code: 'EIO' });
    expect(asked).toBeLessThan(20);
  });

  it('that ends in the middle ends the file there', async () => {
    const end = 65_536;
    const { fs } = await rogue(
      reading(({ id, offset, len }) =>
        offset >= end
          ? status(id, c.SSH_FX_EOF)
          : data(id, CONTENT.subarray(offset, Math.min(offset + len, end))),
      ),
    );
    expect((await readThrough(fs, 'f')).equals(CONTENT.subarray(0, end))).toBe(true);
  });
});

describe('links', () => {
  const pointing = (...targets: string[]): Script => ({
    answer: ({ id, request }) => {
      if (request.type === c.SSH_FXP_REALPATH) return status(id, c.SSH_FX_FAILURE);
      return request.type === c.SSH_FXP_READLINK ? names(id, targets) : 'honest';
    },
  });

  it.each<[string, string[], string]>([
    ['no target', [], 'EIO'],
    ['two targets', ['a', 'b'], 'EIO'],
    ['an empty target', [''], 'EIO'],
    ['a target with NUL', ['f\0/../../etc'], 'EIO'],
    ['a target of 200 KiB', ['x/'.repeat(102_400)], 'EIO'],
    ['a target that climbs out', ['../../etc/passwd'], 'EXDEV'],
  ])('with %s are refused, and the connection stays', async (_name, targets, code) => {
    const { fs, client } = await rogue(pointing(...targets));
    await expect(fs.readlink(path('l'))).rejects.toMatchObject({ code });
    expect(client.state).toBe('open');
  });

  it('with a target of a mebibyte end the connection', async () => {
    const { fs, client } = await rogue(pointing('x'.repeat(1 << 20)));
    await expect(fs.readlink(path('l'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
    expect(client.state).toBe('closed');
  });

  it('that lead out are named once in the log', async () => {
    const { fs, reported } = await rogue({ ...pointing('../x') });
    for (const _ of [1, 2]) await expect(fs.readlink(path('l'))).rejects.toMatchObject({ code: 'EXDEV' });
    expect(reported).toEqual([expect.stringMatching(/^l: .*contain_symlinks=none/)]);
  });
});
