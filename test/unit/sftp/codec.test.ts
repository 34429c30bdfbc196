import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import { linkCountOf, readAttributes, writeAttributes } from '../../../src/sftp/attributes.js';
import {
  EXTENSION_REVISIONS,
  SSH_FXP_EXTENDED,
  SSH_FXP_STATUS,
  SSH_FXP_WRITE,
} from '../../../src/sftp/constants.js';
import { ProtocolError } from '../../../src/sftp/errors.js';
import {
  decodeLimits,
  decodeStatVfs,
  decodeUsersGroups,
  encodeLimits,
  encodeStatVfs,
  encodeUsersGroups,
} from '../../../src/sftp/extensions.js';
import { FrameSplitter } from '../../../src/sftp/frames.js';
import {
  decodeInit,
  decodeVersion,
  encodeInit,
  encodeVersion,
  judgeGreeting,
} from '../../../src/sftp/handshake.js';
import { PacketReader } from '../../../src/sftp/reader.js';
import { decodeReply, encodeReply, sealData } from '../../../src/sftp/replies.js';
import { decodeRequest, encodeRequest } from '../../../src/sftp/requests.js';
import { PacketWriter } from '../../../src/sftp/writer.js';
import { bodyOf, wire } from '../../support/wire.js';
import { REPLIES } from './golden-replies.js';
import { ID, REQUESTS } from './golden-requests.js';

/** Every proper beginning of a packet's body, the empty one too. */
function truncations(body: Buffer): Buffer[] {
  return Array.from({ length: body.length }, (_, length) => body.subarray(0, length));
}

describe('requests', () => {
  it.each(REQUESTS)('$name is encoded to its bytes', ({ request, bytes }) => {
    const data = request.type === SSH_FXP_WRITE ? request.data : Buffer.alloc(0);
    const sent = Buffer.concat([encodeRequest(ID, request), data]);
    expect(sent.toString('hex')).toBe(bytes.toString('hex'));
  });

  it.each(REQUESTS)('$name is decoded from its bytes', ({ request, bytes }) => {
    expect(decodeRequest(bodyOf(bytes))).toEqual({ id: ID, request });
  });

  it.each(REQUESTS)('$name is refused when cut short anywhere', ({ bytes }) => {
    for (const cut of truncations(bodyOf(bytes))) expect(() => decodeRequest(cut)).toThrow(ProtocolError);
  });

  it('golden requests cover every extension', () => {
    const covered = REQUESTS.flatMap(({ request }) =>
      request.type === SSH_FXP_EXTENDED ? [request.extension] : [],
    );
    expect(new Set(covered)).toEqual(new Set(EXTENSION_REVISIONS.keys()));
  });

  it('a type or an extension that nobody knows is told as such, with its id', () => {
    expect(decodeRequest(wire('63  type', '00 00 00 09  id'))).toEqual({
      id: 9,
      request: { type: 'unknown', number: 0x63 },
    });
    const body = wire(
      'c8  type',
      '00 00 00 09  id',
      '00 00 00 01  length',
      '"x"',
      '00 00 00 00  its own data',
    );
    expect(decodeRequest(body).request).toMatchObject({ extension: 'unknown', name: 'x' });
  });

  it('a handle longer than 256 bytes is refused', () => {
    const writer = new PacketWriter(4).uint32(1).string('h'.repeat(257) as ByteString);
    expect(() => decodeRequest(bodyOf(writer.finish()))).toThrow(ProtocolError);
  });
});

describe('replies', () => {
  it.each(REPLIES)('$name is encoded to its bytes', ({ reply, bytes }) => {
    expect(encodeReply(ID, reply).toString('hex')).toBe(bytes.toString('hex'));
  });

  it.each(REPLIES)('$name is decoded from its bytes', ({ reply, bytes }) => {
    expect(decodeReply(bodyOf(bytes))).toEqual({ id: ID, reply });
  });

  it.each(REPLIES)('$name is refused when cut short anywhere', ({ reply, bytes }) => {
    for (const cut of truncations(bodyOf(bytes))) {
      // A STATUS may lack its message, or the language after it: some servers send no more.
      if (reply.type === SSH_FXP_STATUS && [9, bytes.length - 8].includes(cut.length)) continue;
      expect(() => decodeReply(cut), `${cut.length} bytes`).toThrow(ProtocolError);
    }
  });

  it('a STATUS of the code alone is accepted', () => {
    expect(decodeReply(wire('65  STATUS', '00 00 00 01  id', '00 00 00 04  FAILURE')).reply).toEqual({
      type: SSH_FXP_STATUS,
      code: 4,
      message: '',
    });
  });

  it('DATA sealed in place equals DATA encoded', () => {
    const buffer = Buffer.alloc(100);
    buffer.write('hello', 13);
    expect(sealData(buffer, ID, 5)).toEqual(encodeReply(ID, { type: 103, data: Buffer.from('hello') }));
  });

  it('a NAME that promises four billion entries allocates nothing for them', () => {
    const body = wire('68  NAME', '00 00 00 01  id', 'ff ff ff ff  count', '00 00 00 00');
    expect(() => decodeReply(body)).toThrow(/names in a short packet/);
  });

  it('a string that claims more than the packet holds is refused', () => {
    expect(() => decodeReply(wire('67  DATA', '00 00 00 01  id', 'ff ff ff ff  length'))).toThrow(
      ProtocolError,
    );
  });

  it('an unknown reply type is refused', () => {
    expect(() => decodeReply(wire('6a  type', '00 00 00 01  id'))).toThrow(ProtocolError);
  });

  it('random bytes are decoded or refused, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom(101, 102, 103, 104, 105, 201),
        (tail, type) => {
          const body = Buffer.from([type, 0, 0, 0, 1, ...tail]);
          try {
            decodeReply(body);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
    );
  });
});

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

describe('the greeting', () => {
  it('INIT', () => {
    const bytes = wire('00 00 00 05  length', '01  SSH_FXP_INIT', '00 00 00 03  version');
    expect(encodeInit()).toEqual(bytes);
    expect(decodeInit(bodyOf(bytes))).toBe(3);
    for (const cut of truncations(bodyOf(bytes))) expect(() => decodeInit(cut)).toThrow(ProtocolError);
  });

  it('VERSION', () => {
    const bytes = wire(
      '00 00 00 1f  length',
      '02  SSH_FXP_VERSION',
      '00 00 00 03  version',
      '00 00 00 11  length',
      '"fsync@openssh.com"',
      '00 00 00 01  length',
      '"1"',
    );
    const extensions = new Map([['fsync@openssh.com', '1']]);
    expect(encodeVersion(extensions)).toEqual(bytes);
    expect(decodeVersion(bodyOf(bytes))).toEqual(extensions);
    for (const cut of truncations(bodyOf(bytes))) {
      // Without any extension it is whole.
      if (cut.length !== 5) expect(() => decodeVersion(cut), `${cut.length} bytes`).toThrow(ProtocolError);
    }
  });

  it.each([2, 4, 6])('version %i is refused', (version) => {
    expect(() => decodeVersion(Buffer.from([2, 0, 0, 0, version]))).toThrow(`version ${version}`);
  });

  it.each([
    ['\0\0\x01\x05', false, { kind: 'packets' }],
    ['', true, { kind: 'packets' }],
    ['Wel', false, { kind: 'text' }],
    ['Welcome\r\nagain', false, { kind: 'banner', line: 'Welcome' }],
    ['Welcome', true, { kind: 'banner', line: 'Welcome' }],
    ['hi\0\0\0', false, { kind: 'banner', line: 'hi' }],
    ['\n\nHello\n', false, { kind: 'banner', line: 'Hello' }],
    ['\x1b[1mHi\n', false, { kind: 'banner', line: '\\x1b[1mHi' }],
    ['Gr\xc3\xbc\xc3\x9fe\n', false, { kind: 'banner', line: 'Grüße' }],
    ['x'.repeat(300), false, { kind: 'banner', line: 'x'.repeat(200) }],
  ])('%j (ended: %s) is judged', (start, ended, judged) => {
    expect(judgeGreeting(ascii(start), ended)).toEqual(judged);
  });
});

describe('the frame splitter', () => {
  const packets = [Buffer.from([1]), Buffer.from('second packet'), Buffer.alloc(3000, 7)];
  const stream = Buffer.concat(
    packets.flatMap((packet) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(packet.length);
      return [length, packet];
    }),
  );

  /** The packets of a stream that comes in `chunks`. */
  function split(...chunks: readonly Buffer[]): Buffer[] {
    const found: Buffer[] = [];
    const splitter = new FrameSplitter((packet) => found.push(packet));
    for (const chunk of chunks) splitter.push(chunk);
    return found;
  }

  it('finds packets split at every byte', () => {
    for (let at = 0; at <= stream.length; at++) {
      const found = split(stream.subarray(0, at), stream.subarray(at));
      if (!Buffer.concat(found).equals(Buffer.concat(packets))) expect.fail(`split at ${at}`);
      expect(found.map((packet) => packet.length)).toEqual([1, 13, 3000]);
    }
  });

  it('finds packets that come byte by byte', () => {
    expect(split(...[...stream].map((byte) => Buffer.from([byte])))).toEqual(packets);
  });

  it('copies nothing of a packet that came whole', () => {
    expect(split(stream)[0]?.buffer).toBe(stream.buffer);
  });

  it('length zero is refused', () => {
    expect(() => split(Buffer.alloc(4))).toThrow(ProtocolError);
  });

  it('a length over the bound is refused at once, one at the bound is not', () => {
    const bounded = () => new FrameSplitter(() => expect.fail('a packet'), { maxLength: 10 });
    expect(() => bounded().push(Buffer.from([0, 0, 0, 11]))).toThrow(ProtocolError);
    bounded().push(Buffer.from([0, 0, 0, 10]));
    expect(() => split(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toThrow(ProtocolError);
  });

  it('diverts what follows a head, wherever the stream is split, and asks once for each packet', () => {
    const heads: string[] = [];
    for (let at = 0; at <= stream.length; at++) {
      const order: string[] = [];
      const splitter = new FrameSplitter((packet) => order.push(`a packet of ${packet.length}`), {
        divert: (head, rest) => {
          heads.push(`${head.toString('latin1')}+${rest}`);
          if (head[0] !== 's'.charCodeAt(0)) return null;
          const pieces: Buffer[] = [];
          return {
            write: (piece) => pieces.push(Buffer.from(piece)),
            end: () => order.push(Buffer.concat(pieces).toString()),
          };
        },
      });
      splitter.push(stream.subarray(0, at));
      splitter.push(stream.subarray(at));
      expect(order).toEqual(['a packet of 1', 'cket', 'a packet of 3000']);
    }
    expect(new Set(heads)).toEqual(new Set(['second pa+4', `${'\x07'.repeat(9)}+2991`]));
    expect(heads).toHaveLength(2 * (stream.length + 1));
  });
});
