import { describe, expect, it } from 'vitest';
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import { DirentPacker } from '../../../src/fuse/protocol/dirents.js';
import { encodeInitOut } from '../../../src/fuse/protocol/init.js';
import * as encode from '../../../src/fuse/protocol/replies.js';
import { bytes, type Row } from '../../support/fuse-wire.js';

const ATTRIBUTES = {
  mode: 0o100644,
  size: 513,
  uid: 1,
  gid: 2,
  atime: -1,
  mtime: 2 ** 32,
  ctime: 1.5,
  nlink: 3,
};

const ATTR: readonly Row[] = [
  ['0900000000001000', 'ino 0x10_0000_0000_0009'],
  ['0102000000000000', 'size 513'],
  ['0200000000000000', 'blocks 2 of 512'],
  ['ffffffffffffffff', 'atime -1'],
  ['0000000001000000', 'mtime 2^32'],
  ['0100000000000000', 'ctime 1'],
  ['00000000', 'atimensec'],
  ['00000000', 'mtimensec'],
  ['0065cd1d', 'ctimensec 500000000'],
  ['a4810000', 'mode 0100644'],
  ['03000000', 'nlink 3'],
  ['01000000', 'uid 1'],
  ['02000000', 'gid 2'],
  ['00000000', 'rdev'],
  ['00000200', 'blksize 128 KiB'],
  ['00000000', 'flags'],
];
const INO = 0x10_0000_0000_0009;
const ENTRY: readonly Row[] = [
  ['0500000000000000', 'nodeid 5'],
  ['0000000000000000', 'generation'],
  ['0200000000000000', 'entry_valid 2 s'],
  ['0100000000000000', 'attr_valid 1 s'],
  ['0065cd1d', 'entry_valid_nsec 500 ms'],
  ['80b2e60e', 'attr_valid_nsec 250 ms'],
  ...ATTR,
];
const entry = { nodeid: 5, ino: INO, attributes: ATTRIBUTES, attrTtl: 1250, entryTtl: 2500 };

const GOLDEN: Readonly<Record<string, readonly [Buffer, readonly Row[]]>> = {
  'fuse_out_header of an error': [
    encode.outHeader(0x1_0000_0006, 2, 0),
    [
      ['10000000', 'len 16'],
      ['feffffff', 'error -ENOENT'],
      ['0600000001000000', 'unique'],
    ],
  ],
  fuse_entry_out: [encode.entryOut(entry), ENTRY],
  'fuse_entry_out of a name that is not there': [
    encode.negativeEntryOut(1500),
    [
      ['00'.repeat(16), 'nodeid 0, generation'],
      ['0100000000000000', 'entry_valid 1 s'],
      ['0000000000000000', 'attr_valid'],
      ['0065cd1d', 'entry_valid_nsec'],
      ['00'.repeat(92), 'attr_valid_nsec, attr'],
    ],
  ],
  fuse_attr_out: [
    encode.attrOut(INO, ATTRIBUTES, Number.POSITIVE_INFINITY),
    [
      ['ffffff7f00000000', 'attr_valid: for ever'],
      ['00000000', 'attr_valid_nsec'],
      ['00000000', 'dummy'],
      ...ATTR,
    ],
  ],
  fuse_open_out: [
    encode.openOut({ handle: 7, keepCache: true, directIo: true }),
    [
      ['0700000000000000', 'fh 7'],
      ['03000000', 'FOPEN_DIRECT_IO|FOPEN_KEEP_CACHE'],
      ['00000000', 'padding'],
    ],
  ],
  'fuse_open_out of a file that is only read': [
    encode.openOut({ handle: 7, keepCache: false, directIo: false, noFlush: true }),
    [
      ['0700000000000000', 'fh 7'],
      ['20000000', 'FOPEN_NOFLUSH'],
      ['00000000', 'padding'],
    ],
  ],
  'fuse_open_out of a directory': [
    encode.opendirOut(7, 'keep'),
    [
      ['0700000000000000', 'fh 7'],
      ['0a000000', 'FOPEN_KEEP_CACHE|FOPEN_CACHE_DIR'],
      ['00000000', 'padding'],
    ],
  ],
  fuse_write_out: [
    encode.writeOut(0xfffff000),
    [
      ['00f0ffff', 'size'],
      ['00000000', 'padding'],
    ],
  ],
  fuse_lseek_out: [encode.lseekOut(2 ** 32), [['0000000001000000', 'offset']]],
  fuse_statfs_out: [
    encode.statfsOut({
      bsize: 4096,
      frsize: 512,
      blocks: 2 ** 33,
      bfree: 2,
      bavail: 1,
      files: 4,
      ffree: 3,
      namemax: 255,
    }),
    [
      ['0000000002000000', 'blocks'],
      ['0200000000000000', 'bfree'],
      ['0100000000000000', 'bavail'],
      ['0400000000000000', 'files'],
      ['0300000000000000', 'ffree'],
      ['00100000', 'bsize 4096'],
      ['ff000000', 'namelen 255'],
      ['00020000', 'frsize 512'],
      ['00'.repeat(28), 'padding, spare'],
    ],
  ],
  fuse_init_out: [
    encodeInitOut({
      major: 7,
      minor: 31,
      maxReadahead: 131072,
      flags: 0x00c4f029,
      maxBackground: 64,
      congestionThreshold: 48,
      maxWrite: 1048576,
      timeGran: 1_000_000_000,
      maxPages: 256,
    }),
    [
      ['07000000', 'major'],
      ['1f000000', 'minor'],
      ['00000200', 'max_readahead'],
      ['29f0c400', 'flags'],
      ['4000', 'max_background'],
      ['3000', 'congestion_threshold'],
      ['00001000', 'max_write'],
      ['00ca9a3b', 'time_gran'],
      ['0001', 'max_pages'],
      ['0000', 'map_alignment'],
      ['00'.repeat(32), 'flags2, unused'],
    ],
  ],
  FUSE_NOTIFY_INVAL_ENTRY: [
    encode.invalEntry(5, 'a\xff' as ByteString),
    [
      ['23000000', 'len 35'],
      ['03000000', 'code'],
      ['0000000000000000', 'unique 0'],
      ['0500000000000000', 'parent 5'],
      ['02000000', 'namelen 2'],
      ['00000000', 'flags'],
      ['61ff00', 'name and NUL'],
    ],
  ],
  'FUSE_NOTIFY_INVAL_INODE of attributes alone': [
    encode.invalInode(5, false),
    [
      ['28000000', 'len 40'],
      ['02000000', 'code'],
      ['0000000000000000', 'unique 0'],
      ['0500000000000000', 'ino 5'],
      ['ffffffffffffffff', 'off -1'],
      ['0000000000000000', 'len'],
    ],
  ],
  'FUSE_NOTIFY_INVAL_INODE of pages too': [
    encode.invalInode(5, true),
    [
      ['28000000', 'len 40'],
      ['02000000', 'code'],
      ['0000000000000000', 'unique 0'],
      ['0500000000000000', 'ino 5'],
      ['0000000000000000', 'off 0'],
      ['0000000000000000', 'len 0: to the end'],
    ],
  ],
};

describe('replies', () => {
  it.each(Object.entries(GOLDEN))('%s', (_name, [made, rows]) => {
    expect(made.toString('hex')).toBe(bytes(...rows).toString('hex'));
  });
});

describe('directory entries', () => {
  const record = { name: ascii('abc'), ino: 9, mode: 0o040755, next: 3 };
  const DIRENT: readonly Row[] = [
    ['0900000000000000', 'ino 9'],
    ['0300000000000000', 'off 3'],
    ['03000000', 'namelen 3'],
    ['04000000', 'type DT_DIR'],
    ['616263 0000000000', 'name, padded to 8'],
  ];

  it('fuse_dirent', () => {
    const packer = new DirentPacker(4096, false);
    packer.add(record);
    expect(packer.finish().toString('hex')).toBe(bytes(...DIRENT).toString('hex'));
  });

  it('fuse_direntplus', () => {
    const packer = new DirentPacker(4096, true);
    packer.add({ ...record, entry });
    expect(packer.finish().toString('hex')).toBe(bytes(...ENTRY, ...DIRENT).toString('hex'));
  });

  it('a record fits only with its padding', () => {
    for (let size = 0; size < 32; size++)
      expect(new DirentPacker(size, false).fits(ascii('abc'))).toBe(false);
    expect(new DirentPacker(32, false).fits(ascii('abc'))).toBe(true);
    expect(new DirentPacker(159, true).fits(ascii('abc'))).toBe(false);
    expect(new DirentPacker(160, true).fits(ascii('abc'))).toBe(true);
  });
});
