import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { ProtocolError } from '../../../src/sftp/errors.js';
import { FrameSplitter } from '../../../src/sftp/frames.js';
import {
  decodeInit,
  decodeVersion,
  encodeInit,
  encodeVersion,
  judgeGreeting,
} from '../../../src/sftp/handshake.js';
import { bodyOf, truncations, wire } from '../../support/wire.js';

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
