/** READ and WRITE: data goes between the stream and the caller's memory, and nowhere else. */
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { SftpClient, type SftpHandle } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { ConnectionLostError, ProtocolError, SftpStatusError } from '../../../src/sftp/errors.js';
import { encodeVersion } from '../../../src/sftp/handshake.js';
import { encodeReply, type Reply } from '../../../src/sftp/replies.js';
import { decodeRequest } from '../../../src/sftp/requests.js';
import { duplexPair } from '../../support/duplex.js';
import { playServer } from '../../support/sftp.js';
import { wire } from '../../support/wire.js';

const HANDLE = 'h' as SftpHandle;
const FINE: Reply = { type: c.SSH_FXP_STATUS, code: c.SSH_FX_OK, message: ascii('') };
const UNTOUCHED = 0xee;

/** A stream that the test feeds byte by byte as it likes, and that keeps what is written to it. */
class Fed extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}

async function feed(): Promise<{ stream: Fed; client: SftpClient }> {
  const stream = new Fed();
  const connecting = SftpClient.connect(stream);
  stream.push(encodeVersion(new Map()));
  return { stream, client: await connecting };
}

/** The id of the last request on `stream`. */
function lastId(stream: Fed): number {
  const last = stream.written.at(-1) ?? Buffer.alloc(0);
  return decodeRequest(last.subarray(4)).id;
}

function targetsOf(sizes: readonly number[]): Buffer[] {
  return sizes.map((size) => Buffer.alloc(size, UNTOUCHED));
}

/** A DATA packet that says whatever it is told to of its length and its data's. */
function dataPacket(id: number, length: number, claimed: number, data: Buffer): Buffer {
  const packet = Buffer.alloc(13 + data.length);
  packet.writeUInt32BE(length, 0);
  packet.writeUInt8(c.SSH_FXP_DATA, 4);
  packet.writeUInt32BE(id, 5);
  packet.writeUInt32BE(claimed, 9);
  data.copy(packet, 13);
  return packet;
}

const honest = (id: number, data: Buffer) => dataPacket(id, 9 + data.length, data.length, data);

describe('reading into memory', () => {
  const data = Buffer.from('abcdefg');

  it('fills the targets in order, wherever the reply and the targets are split', async () => {
    const { stream, client } = await feed();
    for (let first = 0; first <= data.length; first++) {
      for (let second = first; second <= data.length; second++) {
        const sizes = [first, second - first, data.length - second];
        for (let cut = 0; cut <= 13 + data.length; cut++) {
          const targets = targetsOf(sizes);
          const reading = client.readInto(HANDLE, 0, targets);
          const packet = honest(lastId(stream), data);
          stream.push(packet.subarray(0, cut));
          stream.push(packet.subarray(cut));
          expect(await reading).toBe(data.length);
          if (!Buffer.concat(targets).equals(data)) expect.fail(`targets ${sizes}, cut at ${cut}`);
        }
      }
    }
    client.end();
  });

  it('whatever the sizes of targets, replies and chunks', async () => {
    const sizes = fc.array(fc.nat(5000), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        sizes,
        fc.integer({ min: 1, max: 700 }),
        fc.nat(20),
        async (one, two, chunk, short) => {
          const { stream, client } = await feed();
          const reads = [one, two].map((each) => {
            const targets = targetsOf(each);
            const whole = each.reduce((total, size) => total + size, 0);
            // No data at all is an answer only where none was asked for.
            const answer = Buffer.alloc(Math.max(Math.min(1, whole), whole - short), 'answer');
            const got = client.readInto(HANDLE, 0, targets);
            return { targets, whole, answer, got, packet: honest(lastId(stream), answer) };
          });
          // Answered in the other order, with another reply in between.
          const stat = client.fstat(HANDLE);
          const attrs = encodeReply(lastId(stream), { type: c.SSH_FXP_ATTRS, attrs: { size: 5 } });
          const bytes = Buffer.concat([reads[1]?.packet ?? attrs, attrs, reads[0]?.packet ?? attrs]);
          for (let at = 0; at < bytes.length; at += chunk) stream.push(bytes.subarray(at, at + chunk));
          for (const { targets, whole, answer, got } of reads) {
            expect(await got).toBe(answer.length);
            const rest = Buffer.alloc(whole - answer.length, UNTOUCHED);
            expect(Buffer.concat(targets).equals(Buffer.concat([answer, rest]))).toBe(true);
          }
          expect(await stat).toEqual({ size: 5 });
          client.end();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('asks for all that the targets hold, and refuses more than the limit', async () => {
    const { client, server } = await playServer();
    const reading = client.readInto(HANDLE, 7, [Buffer.alloc(1000), Buffer.alloc(31768)]);
    await expect(client.readInto(HANDLE, 0, [Buffer.alloc(1000), Buffer.alloc(31769)])).rejects.toThrow(
      RangeError,
    );
    await vi.waitFor(() => expect(server.requests).toHaveLength(1));
    expect(server.requests[0]?.request).toMatchObject({ type: c.SSH_FXP_READ, offset: 7, len: 32768 });
    server.reply(server.requests[0]?.id ?? -1, { type: c.SSH_FXP_DATA, data: Buffer.alloc(3, 1) });
    expect(await reading).toBe(3);
    client.end();
  });

  it('a refusal rejects, and leaves the targets alone', async () => {
    const { stream, client } = await feed();
    const [target = data] = targetsOf([4]);
    const reading = client.readInto(HANDLE, 0, [target]);
    stream.push(encodeReply(lastId(stream), { ...FINE, code: c.SSH_FX_PERMISSION_DENIED }));
    await expect(reading).rejects.toBeInstanceOf(SftpStatusError);
    expect(target).toEqual(Buffer.alloc(4, UNTOUCHED));
    expect(client).toMatchObject({ state: 'open', inFlight: 0 });
    client.end();
  });

  it('bytes of the packet behind the data are ignored', async () => {
    const { stream, client } = await feed();
    const targets = targetsOf([4]);
    const reading = client.readInto(HANDLE, 0, targets);
    stream.push(dataPacket(lastId(stream), 9 + 7, 3, data));
    expect(await reading).toBe(3);
    expect(targets[0]).toEqual(Buffer.from([0x61, 0x62, 0x63, UNTOUCHED]));
    client.end();
  });
});

describe('a rogue server', () => {
  const long = Buffer.alloc(100, 'x');

  it.each<[string, (id: number) => Buffer]>([
    ['more data than was asked for', (id) => honest(id, long)],
    [
      'more data than was asked for, of which it sends only the claim',
      (id) => honest(id, long).subarray(0, 13),
    ],
    ['data that is longer than its packet', (id) => dataPacket(id, 9 + 3, 4, long)],
    ['data of four gigabytes', (id) => dataPacket(id, 9 + 4, 0xffff_ffff, long)],
    [
      'a DATA packet that ends within its length',
      (id) =>
        honest(id, long)
          .subarray(0, 4 + 7)
          .fill(7, 3, 4),
    ],
    ['data for a request that is not in flight', (id) => honest(id + 1000, long.subarray(0, 4))],
    ['OK', (id) => encodeReply(id, FINE)],
  ])('that answers a READ with %s loses the connection and changes nothing', async (_name, reply) => {
    const { stream, client } = await feed();
    const targets = targetsOf([3, 1]);
    const failure = client.readInto(HANDLE, 0, targets).catch((error: unknown) => error);
    stream.push(reply(lastId(stream)));
    expect(await failure).toMatchObject({ cause: expect.any(ProtocolError) });
    expect(Buffer.concat(targets)).toEqual(Buffer.alloc(4, UNTOUCHED));
    expect(client).toMatchObject({ state: 'closed', inFlight: 0 });
  });

  it.each<[string, (id: number) => Buffer]>([
    ['at once', (id) => honest(id, long.subarray(0, 4))],
    ['behind another reply', (id) => Buffer.concat([encodeReply(id, FINE), honest(id, long.subarray(0, 4))])],
  ])('that answers a WRITE with data %s loses the connection', async (_name, reply) => {
    const { stream, client } = await feed();
    const lstat = client.lstat(ascii('/')).catch((error: unknown) => error);
    const writing = client.write(HANDLE, 0, Buffer.alloc(0)).catch((error: unknown) => error);
    stream.push(reply(1));
    expect(await lstat).toMatchObject({ cause: expect.any(ProtocolError) });
    await writing;
  });

  it('that sends data twice does not get the second into the targets', async () => {
    const { stream, client } = await feed();
    const targets = targetsOf([4]);
    const reading = client.readInto(HANDLE, 0, targets);
    const id = lastId(stream);
    stream.push(Buffer.concat([honest(id, Buffer.from('good')), honest(id, Buffer.from('evil'))]));
    expect(await reading).toBe(4);
    expect(targets[0]).toEqual(Buffer.from('good'));
    expect(client.state).toBe('closed');
  });
});

describe('a connection that is lost in the middle of data', () => {
  it.each<[string, (stream: Fed, client: SftpClient) => void]>([
    ['ends', (stream) => stream.push(null)],
    ['fails', (stream) => stream.destroy(new Error('reset'))],
    ['is closed by us', (_stream, client) => client.end()],
  ])('because it %s rejects, and touches the targets no more', async (_name, lose) => {
    const { stream, client } = await feed();
    const [target = Buffer.alloc(0)] = targetsOf([8]);
    const failure = client.readInto(HANDLE, 0, [target]).catch((error: unknown) => error);
    const packet = honest(lastId(stream), Buffer.from('12345678'));
    stream.push(packet.subarray(0, 13 + 4));
    await vi.waitFor(() => expect(target.subarray(0, 4).toString()).toBe('1234'));
    expect(client.inFlight).toBe(1);
    lose(stream, client);
    expect(await failure).toBeInstanceOf(ConnectionLostError);
    target.fill(UNTOUCHED);
    if (!stream.destroyed && !stream.readableEnded) stream.emit('data', packet.subarray(13 + 4));
    expect(target).toEqual(Buffer.alloc(8, UNTOUCHED));
    expect(client.inFlight).toBe(0);
  });
});

describe('writing', () => {
  it('sends the data as it lies, behind the bytes in front of it', async () => {
    const { stream, client } = await feed();
    stream.written.length = 0;
    const data = Buffer.from('xyz');
    const writing = client.write(HANDLE, 3, data);
    expect(stream.written).toHaveLength(2);
    expect(stream.written[0]).toEqual(
      wire('00 00 00 19', '06', '00 00 00 00', '00 00 00 01', '68', '00 00 00 00 00 00 00 03', '00 00 00 03'),
    );
    expect(stream.written[1]).toBe(data);
    stream.push(encodeReply(0, FINE));
    await writing;
    client.end();
  });

  it('of more than the stream takes at once stays whole, and in order with other requests', async () => {
    const [near, far] = duplexPair(1000);
    const received: Buffer[] = [];
    far.once('data', () => {
      far.write(encodeVersion(new Map()));
      far.on('data', (chunk: Buffer) => received.push(chunk));
    });
    const client = await SftpClient.connect(near);
    far.pause();
    const blocks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(32768, index));
    const calls = blocks.flatMap((block, index) => [
      client.write(HANDLE, index * block.length, block),
      client.fstat(HANDLE),
    ]);
    for (const call of calls) call.catch(() => {});
    far.resume();
    const head = 4 + 1 + 4 + 4 + 1 + 8 + 4;
    const stat = 4 + 1 + 4 + 4 + 1;
    const total = 40 * (head + 32768 + stat);
    await vi.waitFor(() => expect(received.reduce((sum, { length }) => sum + length, 0)).toBe(total));
    const stream = Buffer.concat(received);
    for (const [index, block] of blocks.entries()) {
      const at = index * (head + 32768 + stat);
      const written = decodeRequest(stream.subarray(at + 4, at + head + 32768));
      expect(written).toMatchObject({ id: 2 * index, request: { type: c.SSH_FXP_WRITE } });
      expect(stream.subarray(at + head, at + head + 32768).equals(block)).toBe(true);
      const asked = decodeRequest(stream.subarray(at + head + 32768 + 4, at + head + 32768 + stat));
      expect(asked).toMatchObject({ id: 2 * index + 1, request: { type: c.SSH_FXP_FSTAT } });
    }
    client.end();
    await Promise.allSettled(calls);
  });
});
