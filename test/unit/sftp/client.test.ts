import { Duplex } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { ascii, type ByteString, bytesOf } from '../../../src/base/bytes.js';
import { SftpClient, type SftpHandle } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { ConnectionLostError, ProtocolError, SftpStatusError } from '../../../src/sftp/errors.js';
import { encodeVersion } from '../../../src/sftp/handshake.js';
import { PendingRequests, type Waiter } from '../../../src/sftp/pending.js';
import type { Reply } from '../../../src/sftp/replies.js';
import { ManualClock } from '../../support/direct-filesystem.js';
import { duplexPair } from '../../support/duplex.js';
import { PlayedServer, playServer } from '../../support/sftp.js';

const A = ascii('/a');
const HANDLE = 'h' as SftpHandle;
const FINE: Reply = { type: c.SSH_FXP_STATUS, code: c.SSH_FX_OK, message: ascii('') };
const refusal = (code: number): Reply => ({ type: c.SSH_FXP_STATUS, code, message: ascii('no') });

/** The error that `promise` must reject with. */
async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error,
  );
}

/** Waits until the server saw `count` requests. */
async function seen(server: PlayedServer, count: number): Promise<void> {
  await vi.waitFor(() => expect(server.requests).toHaveLength(count), { interval: 1 });
}

describe('pending requests', () => {
  const waiter: Waiter = { settle: () => {}, fail: () => {}, isLong: false };
  const sent = { name: 'LSTAT', at: 0, isProbe: false };

  it('ids wrap after 2^32 - 1 and stay unsigned', () => {
    const pending = new PendingRequests(0xffff_fffe);
    expect([pending.claimId(), pending.claimId(), pending.claimId()]).toEqual([0xffff_fffe, 0xffff_ffff, 0]);
  });

  it('an id in flight is not given again after a whole turn', () => {
    const pending = new PendingRequests(0xffff_ffff);
    pending.add(pending.claimId(), { waiter, sent });
    pending.add(0, { waiter, sent });
    pending.add(1, { waiter, sent });
    expect(pending.claimId()).toBe(2);
    expect(pending.size).toBe(3);
  });
});

describe('a session', () => {
  it('tells for how long it owes an answer, from the first request after a pause and from each byte', async () => {
    const clock = new ManualClock();
    const { client, server } = await playServer([], { clock });
    clock.advance(1000);
    expect(client.silence).toBe(0);
    const [first, second] = [client.lstat(A), client.stat(A)];
    clock.advance(70);
    expect(client.silence).toBe(70);
    await seen(server, 2);
    const [lstat, stat] = server.requests.map(({ id }) => id) as [number, number];
    server.reply(lstat, { type: c.SSH_FXP_ATTRS, attrs: {} });
    await first;
    clock.advance(5);
    expect(client.silence).toBe(5);
    server.reply(stat, { type: c.SSH_FXP_ATTRS, attrs: {} });
    await second;
    clock.advance(5);
    expect(client.silence).toBe(0);
    client.end();
  });

  it('writes requests in the order of the calls, before they return', async () => {
    const { client, server } = await playServer();
    const all = Promise.all([client.open(A, c.SSH_FXF_READ), client.lstat(A), client.stat(A)]);
    expect(client.inFlight).toBe(3);
    await seen(server, 3);
    expect(server.requests.map(({ request }) => request.type)).toEqual([
      c.SSH_FXP_OPEN,
      c.SSH_FXP_LSTAT,
      c.SSH_FXP_STAT,
    ]);
    const [open, lstat, stat] = server.requests.map(({ id }) => id) as [number, number, number];
    server.reply(stat, { type: c.SSH_FXP_ATTRS, attrs: { size: 3 } });
    server.reply(lstat, { type: c.SSH_FXP_ATTRS, attrs: { size: 2 } });
    server.reply(open, { type: c.SSH_FXP_HANDLE, handle: HANDLE });
    expect(await all).toEqual([HANDLE, { size: 2 }, { size: 3 }]);
    expect(client.inFlight).toBe(0);
    expect(client.openHandles).toBe(1);
    client.end();
  });

  it('without limits@openssh.com uses 32768 bytes, and refuses a larger write', async () => {
    const { client } = await playServer();
    expect(client.limits).toEqual({ maxPacket: 32768, maxRead: 32768, maxWrite: 32768, maxHandles: 0 });
    await expect(client.write(HANDLE, 0, Buffer.alloc(32769))).rejects.toThrow(RangeError);
    client.end();
  });

  it('an extension that was not announced is refused without asking', async () => {
    const { client, server } = await playServer([c.FSYNC]);
    expect(client.has(c.FSYNC)).toBe(true);
    expect(await failureOf(client.statvfs(A))).toMatchObject({ code: c.SSH_FX_OP_UNSUPPORTED });
    expect(server.requests).toEqual([]);
    client.end();
  });

  it('end of file is 0 for READ, null for READDIR, and no failure of copy-data', async () => {
    const { client, server } = await playServer([c.COPY_DATA]);
    const all = Promise.all([
      client.readInto(HANDLE, 0, [Buffer.alloc(10)]),
      client.readdir(HANDLE),
      client.copyData(HANDLE, 0, 5, 'i' as SftpHandle, 0),
    ]);
    await seen(server, 3);
    for (const { id } of server.requests) server.reply(id, refusal(c.SSH_FX_EOF));
    expect(await all).toEqual([0, null, undefined]);
    client.end();
  });

  it('a status error keeps the code and the words of the server, and has no stack', async () => {
    const { client, server } = await playServer();
    const failure = failureOf(client.lstat(A));
    await seen(server, 1);
    server.reply(server.requests[0]?.id ?? -1, refusal(c.SSH_FX_PERMISSION_DENIED));
    const error = await failure;
    expect(error).toBeInstanceOf(SftpStatusError);
    expect(error).toMatchObject({ code: 3, serverMessage: 'no' });
    expect((error as Error).stack).not.toContain('\n    at ');
    client.end();
  });
});

describe('a rogue server', () => {
  /** Makes one call, answers it with `reply`, and tells how the call and a second one in flight failed. */
  async function answer(call: (client: SftpClient) => Promise<unknown>, reply: Reply) {
    const { client, server } = await playServer();
    const failures = Promise.all([failureOf(call(client)), failureOf(client.stat(A))]);
    await seen(server, 2);
    server.reply(server.requests[0]?.id ?? -1, reply);
    const [first, second] = await failures;
    expect(client.state).toBe('closed');
    return { first, second };
  }

  it.each<[string, (client: SftpClient) => Promise<unknown>, Reply]>([
    ['OK for a handle', (client) => client.open(A, 1), FINE],
    ['a handle for attributes', (client) => client.lstat(A), { type: c.SSH_FXP_HANDLE, handle: HANDLE }],
    ['attributes for a status', (client) => client.remove(A), { type: c.SSH_FXP_ATTRS, attrs: {} }],
    [
      'more data than was asked for',
      (client) => client.readInto(HANDLE, 0, [Buffer.alloc(2)]),
      { type: c.SSH_FXP_DATA, data: Buffer.from('abc') },
    ],
    ['data for attributes', (client) => client.lstat(A), { type: c.SSH_FXP_DATA, data: Buffer.alloc(0) }],
  ])('that answers %s loses the connection', async (_name, call, reply) => {
    const { first, second } = await answer(call, reply);
    expect(first).toBeInstanceOf(ConnectionLostError);
    expect((first as Error).cause).toBeInstanceOf(ProtocolError);
    expect(second).toBe(first);
  });

  it.each([
    ['an id never used', (id: number) => [id + 1000]],
    ['the same id twice', (id: number) => [id, id]],
  ])('that answers %s loses the connection', async (_name, ids) => {
    const { client, server } = await playServer();
    const first = client.remove(A).catch((error: unknown) => error);
    const second = failureOf(client.remove(A));
    await seen(server, 2);
    for (const id of ids(server.requests[0]?.id ?? -1)) server.reply(id, FINE);
    expect(await second).toMatchObject({ cause: expect.any(ProtocolError) });
    await first;
    expect(client.state).toBe('closed');
  });

  it.each([
    ['a packet of zero bytes', Buffer.alloc(4)],
    ['a packet of four gigabytes', Buffer.from([0xff, 0xff, 0xff, 0xff, 1])],
    ['a packet that ends within its id', Buffer.from([0, 0, 0, 3, 101, 0, 0])],
    ['a request', Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3])],
  ])('that sends %s loses the connection', async (_name, bytes) => {
    const { client, server } = await playServer();
    const failure = failureOf(client.lstat(A));
    server.stream.write(bytes);
    expect(await failure).toMatchObject({ cause: expect.any(ProtocolError) });
  });

  it('that names entries to escape the directory has them dropped', async () => {
    const { client, server } = await playServer();
    const listed = client.readdir(HANDLE);
    await seen(server, 1);
    const names = ['.', '..', '', '../../etc/passwd', 'a/b', '/', 'nul\0', 'good', '\xff\xfe'];
    server.reply(server.requests[0]?.id ?? -1, {
      type: c.SSH_FXP_NAME,
      names: names.map((each) => ({
        filename: each as ByteString,
        longname: ascii(''),
        attributes: {},
      })),
    });
    expect((await listed)?.map(({ filename }) => filename)).toEqual(['good', '\xff\xfe']);
    client.end();
  });

  it('that lists nothing is taken to be at the end; one that sends no data is not', async () => {
    const { client, server } = await playServer();
    const listed = client.readdir(HANDLE);
    const read = failureOf(client.readInto(HANDLE, 0, [Buffer.alloc(5)]));
    await seen(server, 2);
    const [list, data] = server.requests.map(({ id }) => id) as [number, number];
    server.reply(list, { type: c.SSH_FXP_NAME, names: [] });
    server.reply(data, { type: c.SSH_FXP_DATA, data: Buffer.alloc(0) });
    expect(await listed).toBeNull();
    expect(await read).toMatchObject({ code: c.SSH_FX_FAILURE });
    expect(client.state).toBe('open');
    client.end();
  });

  const path = (...filenames: string[]) =>
    filenames.map((each) => ({ filename: each as ByteString, longname: ascii(''), attributes: {} }));
  it.each([
    ['no path', path()],
    ['two paths', path('a', 'b')],
    ['an empty path', path('')],
    ['a path with NUL', path('a\0b')],
    ['a path of 4096 bytes', path('x'.repeat(4096))],
  ])('that answers READLINK or REALPATH with %s fails that request alone', async (_name, names) => {
    const { client, server } = await playServer();
    const failures = Promise.all([failureOf(client.readlink(A)), failureOf(client.realpath(A))]);
    await seen(server, 2);
    for (const { id } of server.requests) server.reply(id, { type: c.SSH_FXP_NAME, names });
    for (const failure of await failures) expect(failure).toMatchObject({ code: c.SSH_FX_FAILURE });
    expect(client.state).toBe('open');
    client.end();
  });

  it('that lists names longer than Linux takes has them dropped', async () => {
    const { client, server } = await playServer();
    const listed = client.readdir(HANDLE);
    await seen(server, 1);
    server.reply(server.requests[0]?.id ?? -1, {
      type: c.SSH_FXP_NAME,
      names: path('x'.repeat(1025), 'y'.repeat(1024), 'z'.repeat(4096)),
    });
    expect((await listed)?.map(({ filename }) => filename[0])).toEqual(['y']);
    client.end();
  });
});

describe('a lost stream', () => {
  it.each([
    ['ends', (server: PlayedServer) => server.stream.end()],
    ['is destroyed', (server: PlayedServer) => server.stream.destroy()],
  ])('that %s fails every waiter once, and every later call', async (_name, lose) => {
    const { client, server } = await playServer();
    const told = vi.fn();
    client.onClose(told);
    const calls = [
      client.lstat(A),
      client.readInto(HANDLE, 0, [Buffer.alloc(1)]),
      client.write(HANDLE, 0, Buffer.from('x')),
    ];
    lose(server);
    const failures = await Promise.all(calls.map(failureOf));
    for (const failure of failures) expect(failure).toBeInstanceOf(ConnectionLostError);
    expect(await failureOf(client.stat(A))).toBe(failures[0]);
    expect(await failureOf(client.statvfs(A))).toBe(failures[0]);
    expect(client).toMatchObject({ state: 'closed', inFlight: 0 });
    expect(told).toHaveBeenCalledExactlyOnceWith(failures[0]);
    const late = vi.fn();
    client.onClose(late);
    expect(late).toHaveBeenCalledExactlyOnceWith(failures[0]);
  });

  it('keeps the error of the stream as the cause', async () => {
    const [near, far] = duplexPair();
    far.once('data', () => far.write(encodeVersion(new Map())));
    const client = await SftpClient.connect(near);
    const failure = failureOf(client.lstat(A));
    const cause = new Error('reset by peer');
    near.destroy(cause);
    expect(await failure).toMatchObject({ cause, message: expect.stringContaining('reset by peer') });
  });

  it('end() of a session that owes nothing ends the stream', async () => {
    const { client, server } = await playServer();
    const ended = new Promise((resolve) => server.stream.on('end', resolve));
    client.end();
    await ended;
  });

  it('end() fails who waits, and withdraws what has not left', async () => {
    const [near, far] = duplexPair();
    far.once('data', () => far.write(encodeVersion(new Map())));
    const client = await SftpClient.connect(near);
    const failure = failureOf(client.lstat(A));
    client.end();
    expect(await failure).toBeInstanceOf(ConnectionLostError);
    expect(near.destroyed).toBe(true);
  });
});

describe('connecting', () => {
  it('to a shell that prints a banner quotes its first line', async () => {
    const [near, far] = duplexPair();
    far.write('Welcome to example!\r\nLast login: never\r\n');
    expect(await failureOf(SftpClient.connect(near))).toMatchObject({
      name: 'ConnectionLostError',
      message: expect.stringContaining(
        'prints text at login, where SFTP packets must be: "Welcome to example!"',
      ),
    });
  });

  it.each([
    { title: 'that is closed to us before we have read', isGone: false },
    { title: 'that has gone before we could look', isGone: true },
  ])('to a shell that prints a banner on a channel $title quotes it', async ({ isGone }) => {
    const stream = new Duplex({
      read: () => {},
      write: (_chunk, _encoding, done) => done(new Error('the channel is closed')),
    });
    stream.push('Welcome to example!');
    stream.push(null);
    if (isGone) stream.destroy();
    expect(await failureOf(SftpClient.connect(stream))).toMatchObject({
      message: expect.stringContaining('"Welcome to example!"'),
    });
  });

  it('to a banner that comes byte by byte quotes its first line', async () => {
    const [near, far] = duplexPair(1);
    far.write('Hello\nx');
    expect(await failureOf(SftpClient.connect(near))).toMatchObject({
      message: expect.stringContaining('"Hello"'),
    });
  });

  it('to a banner without a line end, then the end, quotes it', async () => {
    const [near, far] = duplexPair();
    far.end('This account is not available');
    expect(await failureOf(SftpClient.connect(near))).toMatchObject({
      message: expect.stringContaining('"This account is not available"'),
    });
  });

  it('to a channel that closes asks whether there is an SFTP subsystem', async () => {
    const [near, far] = duplexPair();
    far.end();
    expect(await failureOf(SftpClient.connect(near))).toMatchObject({
      message: expect.stringContaining('subsystem'),
    });
  });

  it('to another protocol version fails', async () => {
    const [near, far] = duplexPair();
    far.write(Buffer.from([0, 0, 0, 5, 2, 0, 0, 0, 6]));
    expect(await failureOf(SftpClient.connect(near))).toMatchObject({
      message: expect.stringContaining('version 6'),
    });
  });

  it('works when VERSION comes byte by byte', async () => {
    const [near, far] = duplexPair(1);
    far.write(encodeVersion(new Map([['x', bytesOf(Buffer.from('1'))]])));
    const client = await SftpClient.connect(near);
    expect([...client.extensions]).toEqual([['x', '1']]);
    client.end();
  });

  it('to a server that refuses to tell its limits assumes 32768', async () => {
    const [near, far] = duplexPair();
    const server = new PlayedServer(far, [c.LIMITS]);
    const connecting = SftpClient.connect(near);
    await seen(server, 1);
    server.reply(server.requests[0]?.id ?? -1, refusal(c.SSH_FX_FAILURE));
    const client = await connecting;
    expect(client.limits.maxRead).toBe(32768);
    client.end();
  });
});
