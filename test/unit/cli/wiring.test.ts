import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { driverOf } from '../../../src/cli/drivers.js';
import { formatBytes, formatDuration, formatTable, formatUnsent } from '../../../src/cli/format.js';
import { readPassword } from '../../../src/cli/mount.js';
import { requestedPath } from '../../../src/cli/remote-root.js';
import { fsOptions, identityOf, kernelMount, type People } from '../../../src/cli/wiring.js';
import { completeOptions, parseOptions } from '../../../src/config/parse.js';

const options = (text: string) => completeOptions(parseOptions([text]).given);

describe('options for each layer', () => {
  it('turns seconds into milliseconds', () => {
    const fs = fsOptions(options('dcache_timeout=5,dcache_link_timeout=7,attr_timeout=0.5,ro'));
    expect(fs).toMatchObject({ statTtl: 5000, dirTtl: 5000, linkTtl: 7000, attrTtl: 500, readOnly: true });
  });

  it('takes the built-in driver where the kernel is Linux, unless told otherwise', () => {
    expect(driverOf(options(''), 'linux')).toBe('direct');
    expect(driverOf(options(''), 'darwin')).toBe('libfuse');
    expect(driverOf(options('driver=libfuse'), 'linux')).toBe('libfuse');
    expect(() => options('driver=fuse')).toThrow(/auto, direct, libfuse|auto.*direct.*libfuse/);
  });

  it('lets the kernel trust as long as the filesystem, unless told otherwise', () => {
    expect(fsOptions(options(''))).toMatchObject({ attrTtl: 20_000, entryTtl: 20_000 });
    expect(fsOptions(options('dcache_stat_timeout=7'))).toMatchObject({ attrTtl: 7000, entryTtl: 7000 });
    expect(fsOptions(options('attr_timeout=0,entry_timeout=3'))).toMatchObject({
      attrTtl: 0,
      entryTtl: 3000,
    });
  });

  it('trusts nothing without the directory cache', () => {
    expect(fsOptions(options('dir_cache=no'))).toMatchObject({
      statTtl: 0,
      dirTtl: 0,
      linkTtl: 0,
      negativeTtl: 0,
    });
  });

  it('mounts without suid and devices, under the name that was typed', () => {
    expect(kernelMount(options(''), 'me@host:', '/mnt')).toMatchObject({
      mountpoint: '/mnt',
      fsname: 'me@host:',
      subtype: 'remora',
      nosuid: true,
      nodev: true,
      noexec: false,
      readOnly: false,
    });
    expect(kernelMount(options('fsname=x,suid,dev,noexec'), 'h:', '/m')).toMatchObject({
      fsname: 'x',
      nosuid: false,
      nodev: false,
      noexec: true,
    });
  });
});

describe('owners', () => {
  const local = { uid: 501, gid: 20 };
  const login = { uid: 1000, gid: 100 };
  const nothing = { users: null, groups: null };
  const identity = (text: string, people: Partial<People> = {}) =>
    identityOf(options(text), { local, login, tables: nothing, names: null, ...people });
  const shown = ({ users, groups }: ReturnType<typeof identity>, uid: number, gid: number) => [
    users.toLocal(uid),
    groups.toLocal(gid),
  ];

  it('are as the server has them, the login’s one’s own, or everybody the same', () => {
    expect(shown(identity(''), 1000, 100)).toEqual([1000, 100]);
    expect(shown(identity('idmap=user'), 1000, 100)).toEqual([501, 20]);
    expect(shown(identity('idmap=user', { login: null }), 1000, 100)).toEqual([1000, 100]);
    expect(shown(identity('idmap=user,uid=7'), 1000, 100)).toEqual([7, 20]);
    const tables = { users: [[1000, 5]], groups: null } as const;
    expect(shown(identity('idmap=file', { tables }), 1000, 100)).toEqual([5, 100]);
  });

  it('are given what they create on a shared mount, where the login is root and nothing is fixed', () => {
    const root = { login: { uid: 0, gid: 0 } };
    expect(identity('allow_other', root).givesAway).toBe(true);
    expect(identity('allow_root', root).givesAway).toBe(false);
    expect(identity('allow_other,uid=7', root).givesAway).toBe(false);
    expect(identity('allow_other').givesAway).toBe(false);
    expect(identity('allow_other', { login: null }).givesAway).toBe(false);
  });
});

describe('the path that the server is asked for', () => {
  it.each([
    ['', null, '.'],
    ['dir', null, 'dir'],
    ['/', null, '/'],
    ['', '/sub', './sub'],
    ['dir', 'a/b', 'dir/a/b'],
  ])('%j with subdir %j is %s', (directory, subdir, path) => {
    expect(requestedPath(ascii(directory), subdir === null ? null : ascii(subdir))).toBe(path);
  });
});

describe('a password on standard input', () => {
  it.each([
    [['secret\n'], 'secret'],
    [['sec', 'ret\nmore\n'], 'secret'],
    [['secret\r\n'], 'secret'],
    [['no newline'], 'no newline'],
    [[' spaces kept \n'], ' spaces kept '],
  ])('%j', async (chunks, password) => {
    expect(await readPassword(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))).toBe(password);
  });

  it.each([[[]], [['\n']], [['x'.repeat(9000)]]])('refuses none and too much', async (chunks) => {
    await expect(readPassword(Readable.from(chunks))).rejects.toMatchObject({ exit: 'usage' });
  });
});

describe('formats', () => {
  it.each([
    [0, '0s'],
    [59_999, '59s'],
    [60_000, '1m 00s'],
    [7_260_000, '2h 01m'],
    [273_600_000, '3d 04h'],
    [-5, '0s'],
  ])('%d ms is %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [32 * 1024 * 1024, '32.0 MiB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('aligns columns', () => {
    expect(
      formatTable([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
    ).toBe('a    bb\nccc  d\n');
    expect(formatTable([])).toBe('');
    const unsent = { path: 'x', bytes: 2048, error: 'EIO', isLost: true };
    expect(formatUnsent([unsent])).toBe('  x: 2.0 KiB (EIO)\n');
  });
});
