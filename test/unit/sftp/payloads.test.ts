import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { linkCountOf, readAttributes, writeAttributes } from '../../../src/sftp/attributes.js';
import { ProtocolError } from '../../../src/sftp/errors.js';
import {
  decodeLimits,
  decodeStatVfs,
  decodeUsersGroups,
  encodeLimits,
  encodeStatVfs,
  encodeUsersGroups,
} from '../../../src/sftp/extensions.js';
import { PacketReader } from '../../../src/sftp/reader.js';
import { decodeRequest } from '../../../src/sftp/requests.js';
import { PacketWriter } from '../../../src/sftp/writer.js';
import { truncations, wire } from '../../support/wire.js';

describe('attributes', () => {
  const decode = (...rows: string[]) => readAttributes(new PacketReader(wire(...rows)));

  it('extended pairs are skipped', () => {
    const reader = new PacketReader(
      wire(
        '80 00 00 04  EXTENDED | PERMISSIONS',
        '00 00 01 ff',
        '00 00 00 01  pairs',
        '00 00 00 01',
        '"a"',
        '00 00 00 01',
        '"b"',
      ),
    );
    expect(readAttributes(reader)).toEqual({ permissions: 0o777 });
    expect(reader.remaining).toBe(0);
  });

  it('four billion extended pairs end at the end of the packet', () => {
    expect(() => decode('80 00 00 00  EXTENDED', 'ff ff ff ff  pairs')).toThrow(ProtocolError);
  });

  it('a size over 2^53 - 1 becomes that', () => {
    expect(decode('00 00 00 01  SIZE', 'ff ff ff ff ff ff ff ff').size).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('times outside of 1970 to 2106 become the nearest that fit, and fractions are cut', () => {
    const packet = writeAttributes(new PacketWriter(0), { atime: -5, mtime: 2 ** 33 }).finish();
    expect(readAttributes(new PacketReader(packet.subarray(5)))).toEqual({ atime: 0, mtime: 0xffffffff });
    const cut = writeAttributes(new PacketWriter(0), { atime: 1.9, mtime: 2.1 }).finish();
    expect(readAttributes(new PacketReader(cut.subarray(5)))).toEqual({ atime: 1, mtime: 2 });
  });

  it('half of a pair is refused', () => {
    expect(() => writeAttributes(new PacketWriter(0), { uid: 1 })).toThrow(RangeError);
    expect(() => writeAttributes(new PacketWriter(0), { mtime: 1 })).toThrow(RangeError);
  });

  it.each([
    ['-rw-r--r--    1 root     root          775 Sep 22 04:45 .bashrc', 1],
    ['drwxr-x---   14 root     root         4096 Oct 16 22:59 d', 14],
    ['lrwxrwxrwx+   2 a        b               3 Jan  1  1999 l', 2],
    ['-rw-r--r--  1000000 u g 1 Jan 1 1999 many', 1000000],
    ['drwxr-xr-x    ? root     root         4096 Oct 16 22:59 d', null],
    ['drwxr-xr-x    0 root     root         4096 Oct 16 22:59 d', null],
    ['-rw-r--r-- file', null],
    ['12-05-20 01:00AM  5 dos.txt', null],
    ['', null],
  ])('the link count of %j is %s', (line, count) => {
    expect(linkCountOf(ascii(line))).toBe(count);
  });
});

describe('extension payloads', () => {
  const stats = {
    bsize: 4096,
    frsize: 512,
    blocks: 1,
    bfree: 2,
    bavail: 3,
    files: 4,
    ffree: 5,
    favail: 6,
    fsid: 0xfedcba9876543210n,
    flag: 1,
    namemax: 255,
  };
  const limits = { maxPacket: 262144, maxRead: 261120, maxWrite: 261120, maxHandles: 19995 };
  const names = { users: [ascii('root'), ascii('')], groups: [ascii('adm')] };
  const cases = [
    {
      name: 'statvfs',
      decode: (data: Buffer): unknown => decodeStatVfs(data),
      value: stats,
      encoded: encodeStatVfs(stats),
      bytes: wire(
        '00 00 00 00 00 00 10 00  f_bsize',
        '00 00 00 00 00 00 02 00  f_frsize',
        '00 00 00 00 00 00 00 01  f_blocks',
        '00 00 00 00 00 00 00 02  f_bfree',
        '00 00 00 00 00 00 00 03  f_bavail',
        '00 00 00 00 00 00 00 04  f_files',
        '00 00 00 00 00 00 00 05  f_ffree',
        '00 00 00 00 00 00 00 06  f_favail',
        'fe dc ba 98 76 54 32 10  f_fsid',
        '00 00 00 00 00 00 00 01  f_flag, ST_RDONLY',
        '00 00 00 00 00 00 00 ff  f_namemax',
      ),
    },
    {
      name: 'limits',
      decode: (data: Buffer): unknown => decodeLimits(data),
      value: limits,
      encoded: encodeLimits(limits),
      bytes: wire(
        '00 00 00 00 00 04 00 00  max-packet-length',
        '00 00 00 00 00 03 fc 00  max-read-length',
        '00 00 00 00 00 03 fc 00  max-write-length',
        '00 00 00 00 00 00 4e 1b  max-open-handles',
      ),
    },
    {
      name: 'users-groups-by-id',
      decode: (data: Buffer): unknown => decodeUsersGroups(data),
      value: names,
      encoded: encodeUsersGroups(names),
      bytes: wire(
        '00 00 00 0c  bytes of user names',
        '00 00 00 04  length',
        '"root"',
        '00 00 00 00  an unknown user',
        '00 00 00 07  bytes of group names',
        '00 00 00 03  length',
        '"adm"',
      ),
    },
  ];

  it.each(cases)('$name goes both ways', ({ decode, value, encoded, bytes }) => {
    expect(encoded.toString('hex')).toBe(bytes.toString('hex'));
    expect(decode(bytes)).toEqual(value);
  });

  it.each(cases)('$name is refused when cut short anywhere', ({ decode, bytes }) => {
    for (const cut of truncations(bytes)) expect(() => decode(cut)).toThrow(ProtocolError);
  });

  it('a list of ids that is not whole ids is refused', () => {
    const body = wire(
      'c8  EXTENDED',
      '00 00 00 01  id',
      '00 00 00 1e  length',
      '"users-groups-by-id@openssh.com"',
      '00 00 00 03  bytes of uids',
      '00 00 00',
      '00 00 00 00  bytes of gids',
    );
    expect(() => decodeRequest(body)).toThrow(ProtocolError);
  });
});
