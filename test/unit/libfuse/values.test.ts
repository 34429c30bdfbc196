import { describe, expect, it } from 'vitest';
import { bytesOf, encodeText } from '../../../src/base/bytes.js';
import { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import { InodeNumbers, ROOT_INO } from '../../../src/libfuse/inodes.js';
import { type LibfuseOptions, libfuseArgument } from '../../../src/libfuse/options.js';
import { timeChanges } from '../../../src/libfuse/single-times.js';
import { idOf, isUtf8, openFlagsOf, pathOf, statOf, statvfsOf } from '../../../src/libfuse/values.js';
import { fileAttributes } from '../../support/fake-operations.js';

const path = (text: string) => encodeText(text);

describe('paths', () => {
  const never = () => {
    throw new Error('not needed');
  };

  it('are relative, and bytes', () => {
    expect(pathOf('/', never)).toBe('');
    expect(pathOf('/a/größe', never)).toBe(encodeText('a/größe'));
  });

  it('are taken from the bytes where the text may have lost some', () => {
    const bytes = bytesOf(Buffer.from([0x2f, 0x61, 0xff]));
    expect(pathOf('/a\uFFFD', () => bytes)).toBe('a\xff');
  });

  it('are text only when they are UTF-8', () => {
    expect(isUtf8(encodeText('日本'))).toBe(true);
    expect(isUtf8(bytesOf(Buffer.from([0xc3])))).toBe(false);
    expect(isUtf8(bytesOf(Buffer.from([0xed, 0xa0, 0x80])))).toBe(false);
  });
});

describe('attributes', () => {
  it('have times in milliseconds, none of them before 1970', () => {
    const stat = statOf({ ...fileAttributes, size: 1025, atime: -5, mtime: 1.5, ctime: 4e9 }, 7);
    expect(stat).toMatchObject({ ino: 7, size: 1025, blocks: 3, atime: 0, mtime: 1500, ctime: 4e12 });
  });

  it('leave an id alone that is -1', () => {
    expect([idOf(0xffff_ffff), idOf(0), idOf(1000)]).toEqual([undefined, 0, 1000]);
  });

  it.each([
    [1000, 2000, { atime: 1, mtime: 2 }],
    [1073, 2000, { mtime: 2 }],
    [1000, 1073, { atime: 1 }],
    [1073, 1073, { atime: 'now', mtime: 'now' }],
  ])('take times %d and %d for what they most likely are', (atime, mtime, changes) => {
    expect(timeChanges({ atime, mtime })).toEqual(changes);
  });
});

describe('statvfs', () => {
  const stats = {
    bsize: 4096,
    frsize: 4096,
    blocks: 0,
    bfree: 0,
    bavail: 0,
    files: 1,
    ffree: 1,
    namemax: 255,
  };

  it('fits into 32 bits by larger blocks', () => {
    const huge = {
      ...stats,
      blocks: 2 ** 36,
      bfree: 2 ** 35,
      bavail: 2 ** 34,
      files: 2 ** 40,
      ffree: 2 ** 39,
    };
    const out = statvfsOf(huge);
    expect(Math.max(out.blocks, out.files, out.ffree)).toBeLessThan(2 ** 32);
    expect(out.blocks * out.frsize).toBe(huge.blocks * huge.frsize);
    expect(out.bfree * out.frsize).toBe(huge.bfree * huge.frsize);
  });

  it('stays as it is where it fits', () => {
    expect(statvfsOf({ ...stats, blocks: 2 ** 32 - 1 })).toEqual({ ...stats, blocks: 2 ** 32 - 1 });
  });
});

describe('open flags', () => {
  const darwin = {
    O_CREAT: 0x200,
    O_EXCL: 0x800,
    O_TRUNC: 0x400,
    O_APPEND: 0x8,
    O_DSYNC: 0x400000,
    O_SYNC: 0x80,
  };

  it('of macOS are given the numbers of Linux', () => {
    expect(openFlagsOf(0x2 | 0x200 | 0x800, darwin)).toBe(O_RDWR | O_CREAT | O_EXCL);
    expect(openFlagsOf(0x1 | 0x8 | 0x80, darwin)).toBe(O_WRONLY | O_APPEND | O_SYNC);
  });

  it('that the filesystem does not know are dropped', () => {
    const O_LARGEFILE = 0o100000;
    expect(openFlagsOf(O_WRONLY | O_TRUNC | O_LARGEFILE)).toBe(O_WRONLY | O_TRUNC);
  });
});

describe('the -o list', () => {
  const options: LibfuseOptions = {
    mountpoint: '/m',
    fsname: 'u@h:a,b\\c',
    subtype: 'remora',
    attrTimeout: 0,
    entryTimeout: 2.5,
    allowRoot: false,
  };
  const listOf = (more: Partial<LibfuseOptions>, platform: NodeJS.Platform = 'linux', isRoot = false) =>
    libfuseArgument({ ...options, ...more }, { platform, isRoot });

  it('names what is asked for, with commas and backslashes escaped', () => {
    expect(listOf({ readOnly: true, allowOther: true, nosuid: false })).toBe(
      '-oro,suid,allow_other,fsname=u@h:a\\,b\\\\c,attr_timeout=0,entry_timeout=2.5,use_ino,subtype=remora,big_writes,atomic_o_trunc',
    );
  });

  it('keeps everybody but root out with allow_root', () => {
    const list = listOf({ allowOther: true, allowRoot: true }).slice(2).split(',');
    expect(list).toContain('allow_root');
    expect(list).not.toContain('allow_other');
  });

  it('lets root mount over a directory that is not empty: that was looked at before', () => {
    expect(listOf({}, 'linux', true)).toMatch(/,nonempty$/);
  });

  it('has words of its own on macOS, and none of Linux', () => {
    expect(listOf({}, 'darwin')).toMatch(/,volname=u@h:a\\,b\\\\c,noappledouble,noapplexattr$/);
    expect(listOf({}, 'darwin')).not.toMatch(/subtype|big_writes/);
  });

  it('is refused where fuse-native would cut it short', () => {
    expect(() => listOf({ fsname: 'x'.repeat(1000) })).toThrow(/too long/);
  });
});

describe('inode numbers', () => {
  it('stay with a name, follow renames, and are shared by links', () => {
    const inodes = new InodeNumbers();
    const [a, d, f] = [path('a'), path('d'), path('d/f')].map((each) => inodes.of(each));
    expect(new Set([ROOT_INO, a, d, f]).size).toBe(4);
    expect(inodes.of(path(''))).toBe(ROOT_INO);
    inodes.linked(path('a'), path('b'));
    expect(inodes.of(path('b'))).toBe(a);
    inodes.renamed(path('d'), path('e'));
    expect([inodes.of(path('e')), inodes.of(path('e/f'))]).toEqual([d, f]);
    expect([inodes.of(path('d')), inodes.of(path('d/f'))]).not.toContain(f);
  });

  it('are new ones for what is made after a removal or replaced', () => {
    const inodes = new InodeNumbers();
    const [a, b] = [inodes.of(path('a')), inodes.of(path('b'))];
    inodes.renamed(path('a'), path('b'));
    expect(inodes.of(path('b'))).toBe(a);
    inodes.removed(path('b'));
    expect([a, b]).not.toContain(inodes.of(path('b')));
  });

  it('survive a rename onto itself', () => {
    const inodes = new InodeNumbers();
    const a = inodes.of(path('a'));
    inodes.renamed(path('a'), path('a'));
    expect(inodes.of(path('a'))).toBe(a);
  });
});
