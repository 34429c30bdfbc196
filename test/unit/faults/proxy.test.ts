/** The fault proxy with real sockets: each fault does what it says, and only that. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Direction, FaultProxy, RANDOM_SPLIT } from '../../support/faults/proxy.js';
import { until } from '../../support/run.js';

const HOST = '127.0.0.1';

let server: Server;
let proxy: FaultProxy;
const sockets: Socket[] = [];

/** The server sends back what it gets. */
beforeEach(async () => {
  server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address !== 'object') throw new Error('no port');
  proxy = await FaultProxy.start(address.port);
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.stop();
  server.close();
});

/** A client, what it has received, and how its connection ended. */
interface Client {
  readonly socket: Socket;
  received: Buffer;
  end: 'open' | 'ended' | string;
}

function dial(): Client {
  const socket = connect({ host: HOST, port: proxy.port, allowHalfOpen: true, noDelay: true });
  const client: Client = { socket, received: Buffer.alloc(0), end: 'open' };
  socket.on('data', (chunk: Buffer) => {
    client.received = Buffer.concat([client.received, chunk]);
  });
  socket.on('end', () => {
    client.end = 'ended';
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    client.end = error.code ?? error.message;
  });
  sockets.push(socket);
  return client;
}

const has = (client: Client, length: number) =>
  until(`${length} bytes`, async () => client.received.length >= length);

/** Sends something and waits for its echo. */
async function works(client: Client): Promise<void> {
  const before = client.received.length;
  client.socket.write('are you there?');
  await has(client, before + 14);
}

/** Long enough for loopback, where something must not happen. */
const moment = () => new Promise((resolve) => setTimeout(resolve, 100));

describe('fault proxy', () => {
  it.each([1, 7, 'random'] as const)('split %s keeps every byte and its place', async (size) => {
    const sent = randomBytes(20_000);
    const longest = size === 'random' ? RANDOM_SPLIT : size;
    proxy.split(size);
    const client = dial();
    const writes = vi.spyOn(Socket.prototype, 'write');
    client.socket.write(sent);
    await has(client, sent.length);
    const lengths = writes.mock.calls.map(([bytes]) => bytes.length);
    writes.mockRestore();
    expect(client.received.equals(sent)).toBe(true);
    // However the kernel puts the pieces together again: they were written one by one, to either side.
    const pieces = lengths.filter((length) => length <= longest);
    expect(pieces.length).toBeGreaterThanOrEqual((2 * sent.length) / longest);
  });

  it('pace delays and limits, and can be taken back while bytes are under way', async () => {
    const client = dial();
    await works(client);
    proxy.pace(50);
    const begun = performance.now();
    await works(client);
    expect(performance.now() - begun).toBeGreaterThan(98);
    proxy.pace(0, 8);
    client.socket.write(Buffer.alloc(100_000));
    await has(client, 29);
    expect(client.received.length).toBeLessThan(100_000);
    proxy.pace(0);
    await has(client, 100_028);
  });

  it.each<Direction>(['up', 'down'])(
    'corrupt %s changes one byte, the one that was named',
    async (direction) => {
      proxy.corrupt(direction, 70_000);
      const sent = randomBytes(100_000);
      const client = dial();
      client.socket.write(sent);
      await has(client, sent.length);
      const wrong = [...sent.keys()].filter((at) => sent[at] !== client.received[at]);
      expect(wrong).toEqual([70_000]);
      await works(client);
      expect(proxy.log.map(({ what }) => what)).toEqual([`corrupt ${direction}`]);
    },
  );

  it.each<Direction>(['up', 'down'])('reset %s after so many bytes, once', async (direction) => {
    proxy.resetAfter(direction, 50_000);
    const client = dial();
    client.socket.write(Buffer.alloc(40_000));
    await has(client, 40_000);
    client.socket.write(Buffer.alloc(40_000));
    await until('the reset', async () => client.end === 'ECONNRESET');
    expect(client.received.length).toBeLessThanOrEqual(50_000);
    await works(dial());
  });

  it.each<Direction>(['up', 'down'])(
    'stall %s: nothing arrives, nothing closes, then everything',
    async (direction) => {
      const client = dial();
      await works(client);
      proxy.stall([direction]);
      client.socket.write('held');
      const late = dial();
      late.socket.write('held too');
      await until('both to be held', async () => proxy.held(direction) === 'heldheld too'.length);
      expect([client, late].map(({ end, received }) => [end, received.length])).toEqual([
        ['open', 14],
        ['open', 0],
      ]);
      proxy.flow();
      await has(client, 18);
      await has(late, 8);
    },
  );

  it('what was held when its connection ended is never delivered', async () => {
    const client = dial();
    await works(client);
    const seen: Buffer[] = [];
    sockets.at(-1)?.on('data', (chunk: Buffer) => seen.push(chunk));
    proxy.stall(['up']);
    client.socket.write('too late');
    await until('it to be held', async () => proxy.held('up') === 'too late'.length);
    client.socket.resetAndDestroy();
    await until('the proxy to let go', async () => proxy.connections === 0);
    proxy.flow();
    await moment();
    expect(Buffer.concat(seen).toString()).not.toContain('too late');
  });

  it('half-close ends one direction only', async () => {
    const client = dial();
    await works(client);
    proxy.halfClose('down');
    await until('the end', async () => client.end === 'ended');
    const arrived = once(sockets.at(-1) as Socket, 'data');
    client.socket.write('still heard');
    expect(String((await arrived)[0])).toBe('still heard');
  });

  it('cut resets what there is', async () => {
    const clients = [dial(), dial()];
    for (const client of clients) await works(client);
    proxy.cut();
    await until('the resets', async () => clients.every(({ end }) => end === 'ECONNRESET'));
    await works(dial());
  });

  it('refuse: new connections are refused, old ones go on, and it ends', async () => {
    const old = dial();
    await works(old);
    await proxy.refuse(true);
    const refused = dial();
    await until('the refusal', async () => refused.end === 'ECONNREFUSED');
    await works(old);
    await proxy.refuse(false);
    await works(dial());
  });

  it('mute: new connections hear nothing, and are reset in the end', async () => {
    proxy.mute(true);
    const client = dial();
    client.socket.write('hello?');
    await moment();
    expect([client.end, client.received.length]).toEqual(['open', 0]);
    proxy.mute(false);
    await until('the reset', async () => client.end === 'ECONNRESET');
    await works(dial());
  });

  it('calm takes everything back', async () => {
    proxy.split(1);
    proxy.pace(200, 1);
    proxy.corrupt('up', 10);
    proxy.resetAfter('down', 10);
    proxy.stall();
    proxy.mute(true);
    await proxy.refuse(true);
    await proxy.calm();
    const client = dial();
    const sent = randomBytes(100_000);
    client.socket.write(sent);
    await has(client, sent.length);
    expect(client.received.equals(sent)).toBe(true);
  });
});
