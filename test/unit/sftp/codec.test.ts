import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ByteString } from '../../../src/base/bytes.js';
import {
  EXTENSION_REVISIONS,
  SSH_FXP_EXTENDED,
  SSH_FXP_STATUS,
  SSH_FXP_WRITE,
} from '../../../src/sftp/constants.js';
import { ProtocolError } from '../../../src/sftp/errors.js';
import { decodeReply, encodeReply, sealData } from '../../../src/sftp/replies.js';
import { decodeRequest, encodeRequest } from '../../../src/sftp/requests.js';
import { PacketWriter } from '../../../src/sftp/writer.js';
import { bodyOf, truncations, wire } from '../../support/wire.js';
import { REPLIES } from './golden-replies.js';
import { ID, REQUESTS } from './golden-requests.js';

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
