/** How long a channel waits for a server that owes it replies. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { SftpClient, type SftpHandle } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { deadlineOf, type Progress } from '../../../src/sftp/deadline.js';
import { ConnectionLostError } from '../../../src/sftp/errors.js';
import type { Reply } from '../../../src/sftp/replies.js';
import { encodeReply } from '../../../src/sftp/replies.js';
import { duplexPair } from '../../support/duplex.js';
import { PlayedServer } from '../../support/sftp.js';

const A = ascii('/a');
const HANDLE = 'h' as SftpHandle;
const FINE: Reply = { type: c.SSH_FXP_STATUS, code: c.SSH_FX_OK, message: ascii('') };

describe('the rule', () => {
  const at = (progress: Partial<Progress>) =>
    deadlineOf({ heardAt: 0, oldestSince: 0, isLong: false, isPassedOver: false, ...progress }, 60).at;

  it.each<[string, Partial<Progress>, number]>([
    ['silence', {}, 60],
    ['bytes that came later', { heardAt: 30 }, 90],
    ['a request that works on a whole file', { isLong: true }, 600],
    ['one passed over, though others are answered', { heardAt: 59, isPassedOver: true }, 60],
    ['one that became the oldest later', { heardAt: 59, oldestSince: 20, isPassedOver: true }, 80],
    ['a long one passed over', { heardAt: 590, isLong: true, isPassedOver: true }, 600],
    ['bytes that trickle for ever', { heardAt: 599 }, 600],
  ])('%s', (_name, progress, expected) => {
    expect(at(progress)).toBe(expected);
  });
});

describe('a channel', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function play() {
    const [near, far] = duplexPair();
    const server = new PlayedServer(far, [c.FSYNC]);
    const connecting = SftpClient.connect(near, { requestTimeout: 60_000 });
    await vi.advanceTimersByTimeAsync(0);
    const client = await connecting;
    return { client, server, near };
  }

  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => null,
      (error: unknown) => error,
    );
  const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

  it('is given up when nothing is answered: every waiter fails, the stream is destroyed', async () => {
    const { client, near } = await play();
    await pass(1000);
    const failures = Promise.all([failure(client.lstat(A)), failure(client.stat(A))]);
    await pass(59);
    expect(client.state).toBe('open');
    await pass(2);
    for (const error of await failures) {
      expect(error).toBeInstanceOf(ConnectionLostError);
      expect(error).toMatchObject({ message: 'the server has not answered a request for 60 s' });
    }
    expect(near.destroyed).toBe(true);
  });

  it('has no timer while nothing is in flight, and one however much is', async () => {
    const { client, server } = await play();
    expect(vi.getTimerCount()).toBe(0);
    const all = Array.from({ length: 100 }, () => client.remove(A));
    expect(vi.getTimerCount()).toBe(1);
    await pass(1);
    for (const { id } of server.requests) server.reply(id, FINE);
    await Promise.all(all);
    await pass(60);
    expect(vi.getTimerCount()).toBe(0);
    expect(client.state).toBe('open');
    client.end();
  });

  it('that brings a long reply slowly is not given up', async () => {
    const { client, server } = await play();
    const read = client.readInto(HANDLE, 0, [Buffer.alloc(8)]);
    await pass(1);
    const id = server.requests[0]?.id ?? -1;
    for (const byte of encodeReply(id, { type: c.SSH_FXP_DATA, data: Buffer.from('12345678') })) {
      await pass(25);
      server.stream.write(Buffer.from([byte]));
    }
    await pass(1);
    expect(await read).toBe(8);
    client.end();
  });

  it('that brings a reply byte by byte for ever is given up', async () => {
    const { client, server } = await play();
    const read = failure(client.readInto(HANDLE, 0, [Buffer.alloc(32_768)]));
    await pass(1);
    const id = server.requests[0]?.id ?? -1;
    const reply = encodeReply(id, { type: c.SSH_FXP_DATA, data: Buffer.alloc(32_768) });
    let seconds = 0;
    for (; client.state === 'open' && seconds < 2000; seconds += 50) {
      server.stream.write(reply.subarray(seconds / 50, seconds / 50 + 1));
      await pass(50);
    }
    expect(await read).toBeInstanceOf(ConnectionLostError);
    expect(seconds).toBeLessThanOrEqual(700);
  });

  it('that answers others and passes one over is given up', async () => {
    const { client, server } = await play();
    const forgotten = failure(client.lstat(A));
    for (let round = 0; round < 20 && client.state === 'open'; round += 1) {
      const other = failure(client.remove(A));
      await pass(1);
      const { id } = server.requests.at(-1) ?? { id: -1 };
      server.reply(id, FINE);
      await pass(9);
      await other;
    }
    expect(await forgotten).toMatchObject({
      message: expect.stringMatching(/^the server has left a request unanswered for (6\d|7\d) s$/),
    });
  });

  it('that answers out of order, each in time, is not given up', async () => {
    const { client, server } = await play();
    const answers: Promise<void>[] = [];
    for (let round = 0; round < 30; round += 1) {
      answers.push(client.remove(A), client.remove(A));
      await pass(1);
      const [older, newer] = server.requests.slice(-2).map(({ id }) => id) as [number, number];
      server.reply(newer, FINE);
      await pass(20);
      server.reply(older, FINE);
      await pass(20);
    }
    await Promise.all(answers);
    client.end();
  });

  it('waits longer for FSYNC', async () => {
    const { client, server } = await play();
    const synced = client.fsync(HANDLE);
    await pass(590);
    server.reply(server.requests[0]?.id ?? -1, FINE);
    await pass(1);
    await synced;
    client.end();
  });
});
