import { describe, expect, it } from 'vitest';
import * as decode from '../../../src/fuse/protocol/requests.js';
import { WireReader } from '../../../src/fuse/protocol/wire.js';
import { bytes, type Row } from '../../support/fuse-wire.js';

interface Golden {
  readonly rows: readonly Row[];
  readonly read: (reader: WireReader) => unknown;
  readonly means: unknown;
}

const FH: Row = ['0700000000000000', 'fh 7'];
const OFFSET: Row = ['0010000001000000', 'offset 0x1_0000_1000'];
const NAME: Row = ['61ff00', 'name "a\\xff"'];

const GOLDEN: Readonly<Record<string, Golden>> = {
  fuse_in_header: {
    rows: [
      ['2a000000', 'len 42'],
      ['01000000', 'opcode LOOKUP'],
      ['0600000001000000', 'unique 0x1_0000_0006'],
      ['0900000000000000', 'nodeid 9'],
      ['e8030000', 'uid 1000'],
      ['e9030000', 'gid 1001'],
      ['39300000', 'pid 12345'],
      ['0000 0000', 'total_extlen, padding'],
    ],
    read: decode.readInHeader,
    means: { len: 42, opcode: 1, unique: 0x1_0000_0006, nodeid: 9, uid: 1000, gid: 1001, pid: 12345 },
  },
  'LOOKUP, UNLINK, RMDIR': { rows: [NAME], read: decode.readName, means: 'a\xff' },
  FORGET: { rows: [['0300000000000000', 'nlookup 3']], read: decode.readForgetIn, means: { nlookup: 3 } },
  BATCH_FORGET: {
    rows: [
      ['02000000', 'count 2'],
      ['00000000', 'dummy'],
      ['0500000000000000', 'nodeid 5'],
      ['0100000000000000', 'nlookup 1'],
      ['0600000000000000', 'nodeid 6'],
      ['0200000000000000', 'nlookup 2'],
    ],
    read: decode.readBatchForgetIn,
    means: [
      { nodeid: 5, nlookup: 1 },
      { nodeid: 6, nlookup: 2 },
    ],
  },
  'GETATTR by handle': {
    rows: [['01000000', 'FUSE_GETATTR_FH'], ['00000000', 'dummy'], FH],
    read: decode.readGetattrIn,
    means: { fh: 7 },
  },
  'GETATTR by path': {
    rows: [
      ['00000000', 'no flag'],
      ['00000000', 'dummy'],
      ['ffffffffffffffff', 'fh: garbage that must not be looked at'],
    ],
    read: decode.readGetattrIn,
    means: { fh: null },
  },
  'SETATTR of everything': {
    rows: [
      ['7f000000', 'valid MODE UID GID SIZE ATIME MTIME FH'],
      ['00000000', 'padding'],
      FH,
      ['0000000001000000', 'size 4 GiB'],
      ['0000000000000000', 'lock_owner'],
      ['ffffffffffffffff', 'atime -1'],
      ['0000000001000000', 'mtime 2^32'],
      ['0000000000000000', 'ctime'],
      ['0065cd1d', 'atimensec 500000000'],
      ['00000000', 'mtimensec'],
      ['00000000', 'ctimensec'],
      ['a4810000', 'mode 0100644'],
      ['00000000', 'unused4'],
      ['01000000', 'uid 1'],
      ['02000000', 'gid 2'],
      ['00000000', 'unused5'],
    ],
    read: decode.readSetattrIn,
    means: {
      fh: 7,
      changes: { mode: 0o100644, uid: 1, gid: 2, size: 2 ** 32, atime: -0.5, mtime: 2 ** 32 },
    },
  },
  'SETATTR of times to now': {
    rows: [
      ['b0010000', 'valid ATIME MTIME ATIME_NOW MTIME_NOW'],
      ['00000000', 'padding'],
      ['ffffffffffffffff', 'fh: garbage'],
      ['00'.repeat(72), 'size to unused5'],
    ],
    read: decode.readSetattrIn,
    means: { fh: null, changes: { atime: 'now', mtime: 'now' } },
  },
  SYMLINK: {
    rows: [NAME, ['2e2e2f6200', 'target "../b"']],
    read: decode.readSymlinkIn,
    means: { name: 'a\xff', target: '../b' },
  },
  MKNOD: {
    rows: [
      ['a4810000', 'mode 0100644'],
      ['00000000', 'rdev'],
      ['12000000', 'umask'],
      ['00000000', 'padding'],
      NAME,
    ],
    read: decode.readMknodIn,
    means: { mode: 0o100644, name: 'a\xff' },
  },
  MKDIR: {
    rows: [['ed010000', 'mode 0755'], ['12000000', 'umask'], NAME],
    read: decode.readMkdirIn,
    means: { mode: 0o755, name: 'a\xff' },
  },
  RENAME: {
    rows: [['0500000000000000', 'newdir 5'], NAME, ['6200', 'newname "b"']],
    read: decode.readRenameIn,
    means: { newdir: 5, flags: 0, oldname: 'a\xff', newname: 'b' },
  },
  RENAME2: {
    rows: [
      ['0500000000000000', 'newdir 5'],
      ['01000000', 'RENAME_NOREPLACE'],
      ['00000000', 'padding'],
      NAME,
      ['6200', 'newname "b"'],
    ],
    read: decode.readRename2In,
    means: { newdir: 5, flags: 1, oldname: 'a\xff', newname: 'b' },
  },
  LINK: {
    rows: [['0500000000000000', 'oldnodeid 5'], NAME],
    read: decode.readLinkIn,
    means: { oldnodeid: 5, newname: 'a\xff' },
  },
  'OPEN, OPENDIR': {
    rows: [
      ['01820000', 'flags O_WRONLY|O_TRUNC|O_LARGEFILE'],
      ['00000000', 'open_flags'],
    ],
    read: decode.readOpenIn,
    means: { flags: 0o101001 },
  },
  CREATE: {
    rows: [
      ['c1000000', 'flags O_WRONLY|O_CREAT|O_EXCL'],
      ['a4810000', 'mode 0100644'],
      ['12000000', 'umask'],
      ['00000000', 'open_flags'],
      NAME,
    ],
    read: decode.readCreateIn,
    means: { flags: 0o301, mode: 0o100644, name: 'a\xff' },
  },
  'READ, READDIR, READDIRPLUS': {
    rows: [
      FH,
      OFFSET,
      ['00001000', 'size 1 MiB'],
      ['00000000', 'read_flags'],
      ['0000000000000000', 'lock_owner'],
      ['00000000', 'flags'],
      ['00000000', 'padding'],
    ],
    read: decode.readReadIn,
    means: { fh: 7, offset: 0x1_0000_1000, size: 0x100000 },
  },
  WRITE: {
    rows: [
      FH,
      OFFSET,
      ['03000000', 'size 3'],
      ['01000000', 'FUSE_WRITE_CACHE'],
      ['0000000000000000', 'lock_owner'],
      ['00000000', 'flags'],
      ['00000000', 'padding'],
      ['78797a', 'data "xyz"'],
    ],
    read: decode.readWriteIn,
    means: { fh: 7, offset: 0x1_0000_1000, writeFlags: 1, data: Buffer.from('xyz') },
  },
  'RELEASE, RELEASEDIR': {
    rows: [FH, ['00000000', 'flags'], ['01000000', 'FUSE_RELEASE_FLUSH'], ['ffffffffffffffff', 'lock_owner']],
    read: decode.readReleaseIn,
    means: { fh: 7 },
  },
  FLUSH: {
    rows: [FH, ['00000000', 'unused'], ['00000000', 'padding'], ['ffffffffffffffff', 'lock_owner']],
    read: decode.readFlushIn,
    means: { fh: 7 },
  },
  'FSYNC, FSYNCDIR': {
    rows: [FH, ['01000000', 'FUSE_FSYNC_FDATASYNC'], ['00000000', 'padding']],
    read: decode.readFsyncIn,
    means: { fh: 7, fsyncFlags: 1 },
  },
  ACCESS: {
    rows: [
      ['06000000', 'mask R_OK|W_OK'],
      ['00000000', 'padding'],
    ],
    read: decode.readAccessIn,
    means: { mask: 6 },
  },
  INIT: {
    rows: [
      ['07000000', 'major 7'],
      ['1f000000', 'minor 31'],
      ['00000200', 'max_readahead 128 KiB'],
      ['fbffff03', 'flags'],
    ],
    read: decode.readInitIn,
    means: { major: 7, minor: 31, maxReadahead: 131072, flags: 0x03fffffb },
  },
  INTERRUPT: {
    rows: [['0600000000000000', 'unique 6']],
    read: decode.readInterruptIn,
    means: { unique: 6 },
  },
  FALLOCATE: {
    rows: [FH, OFFSET, ['0010000000000000', 'length 4096'], ['01000000', 'mode KEEP_SIZE'], ['00000000', '']],
    read: decode.readFallocateIn,
    means: { fh: 7, offset: 0x1_0000_1000, length: 4096, mode: 1 },
  },
  LSEEK: {
    rows: [FH, OFFSET, ['03000000', 'whence SEEK_DATA'], ['00000000', 'padding']],
    read: decode.readLseekIn,
    means: { fh: 7, offset: 0x1_0000_1000, whence: 3 },
  },
  COPY_FILE_RANGE: {
    rows: [
      FH,
      OFFSET,
      ['0900000000000000', 'nodeid_out 9'],
      ['0800000000000000', 'fh_out 8'],
      ['0000000000000000', 'off_out 0'],
      ['ffffffffffffff7f', 'len SSIZE_MAX: as much as there is'],
      ['0000000000000000', 'flags'],
    ],
    read: decode.readCopyFileRangeIn,
    means: {
      fhIn: 7,
      offIn: 0x1_0000_1000,
      fhOut: 8,
      offOut: 0,
      length: Number.MAX_SAFE_INTEGER,
      flags: 0,
    },
  },
};

describe.each(Object.entries(GOLDEN))('%s', (_name, { rows, read, means }) => {
  const whole = bytes(...rows);

  it('is decoded', () => {
    const reader = new WireReader(whole);
    expect(read(reader)).toEqual(means);
    expect(reader.failed).toBe(false);
  });

  it('is malformed wherever it is cut', () => {
    for (let length = 0; length < whole.length; length++) {
      const reader = new WireReader(whole.subarray(0, length));
      expect(() => read(reader)).not.toThrow();
      expect(reader.failed, `cut to ${length} bytes`).toBe(true);
    }
  });
});

describe('hostile lengths', () => {
  it('a WRITE that claims more data than it carries is malformed', () => {
    const whole = bytes(...(GOLDEN.WRITE?.rows ?? []));
    whole.writeUInt32LE(0xffffffff, 16);
    const reader = new WireReader(whole);
    expect(decode.readWriteIn(reader).data).toHaveLength(0);
    expect(reader.failed).toBe(true);
  });

  it('a BATCH_FORGET with a huge count ends where its bytes end', () => {
    const whole = bytes(...(GOLDEN.BATCH_FORGET?.rows ?? []));
    whole.writeUInt32LE(0xffffffff, 0);
    const reader = new WireReader(whole);
    expect(decode.readBatchForgetIn(reader)).toHaveLength(2);
    expect(reader.failed).toBe(true);
  });

  it('a place beyond 2^53 is the end of all files, not malformed', () => {
    const whole = bytes(...(GOLDEN.WRITE?.rows ?? []));
    whole.writeBigUInt64LE(2n ** 60n, 8);
    const reader = new WireReader(whole);
    expect(decode.readWriteIn(reader).offset).toBe(Number.MAX_SAFE_INTEGER);
    expect(reader.failed).toBe(false);
  });

  it('a handle beyond 2^53 is malformed, not rounded', () => {
    const reader = new WireReader(Buffer.from('ffffffffffffffff', 'hex'));
    expect(reader.u64()).toBe(0);
    expect(reader.failed).toBe(true);
  });
});
