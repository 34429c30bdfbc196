/** The network that the bench plays: the rule of the link, and the proxy with real sockets. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type ProxyRequest, startProxy } from '../../../bench/proxy.js';
import { Link } from '../../support/faults/link.js';

const HOST = '127.0.0.1';

describe('Link', () => {
  it('delays without limiting how much is under way', () => {
    const link = new Link(25, null);
    expect(link.arrival(1, 100)).toBe(125);
    expect(link.arrival(2 ** 30, 100)).toBe(125);
  });

  it('sends one thing after the other where bandwidth is limited', () => {
    const link = new Link(10, 8); // 8 Mbit/s are 1000 bytes a millisecond
    expect(link.arrival(5000, 0)).toBe(15);
    expect(link.arrival(5000, 0)).toBe(20);
    expect(link.arrival(1000, 100)).toBe(111);
  });

  it('never lets later bytes arrive earlier', () => {
    const link = new Link(5, 1);
    let last = 0;
    for (let now = 0; now < 50; now++) {
      const at = link.arrival((now * 7919) % 4096, now);
      expect(at).toBeGreaterThanOrEqual(last);
      last = at;
    }
  });

  it('lets at least bandwidth times delay be under way', () => {
    expect(new Link(1000, 10_000).buffer).toBeGreaterThanOrEqual((10_000 / 8) * 1e6);
    expect(new Link(25, null).buffer).toBeGreaterThan(0);
  });
});

describe('proxy', () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  /** A connection through a proxy to a server that treats its end as `serve` says. */
  async function throughProxy(serve: (socket: Socket) => void, request: Omit<ProxyRequest, 'target'>) {
    const behind = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    behind.listen(0, HOST);
    await once(behind, 'listening');
    const address = behind.address();
    if (address === null || typeof address !== 'object') throw new Error('no port');
    const proxy = await startProxy({ target: address.port, ...request });
    servers.push(behind, proxy.server);
    const client = connect({ host: HOST, port: proxy.port, allowHalfOpen: true });
    sockets.push(client);
    return client;
  }

  async function everything(socket: Socket): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  it.each([
    ['without delay', { delay: 0, bandwidth: null }],
    ['with delay', { delay: 7, bandwidth: null }],
    ['with delay and limited bandwidth', { delay: 3, bandwidth: 400 }],
  ])('keeps every byte and its place, %s', async (_, request) => {
    const sent = randomBytes(3 * 2 ** 20);
    const client = await throughProxy((socket) => socket.pipe(socket), request);
    const received = everything(client);
    for (let at = 0; at < sent.length; at += 77_777) client.write(sent.subarray(at, at + 77_777));
    client.end();
    expect((await received).equals(sent)).toBe(true);
  });

  it('delivers the last bytes of a side that has already closed', async () => {
    const sent = randomBytes(200_000);
    const client = await throughProxy((socket) => socket.end(sent), { delay: 20, bandwidth: null });
    client.end();
    expect((await everything(client)).equals(sent)).toBe(true);
  });

  it('passes a reset on', async () => {
    const client = await throughProxy((socket) => socket.resetAndDestroy(), { delay: 5, bandwidth: null });
    const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) => {
      client.on('error', (...args) => resolve(args));
    });
    expect(error.code).toBe('ECONNRESET');
  });

  it('holds the sender back when nobody reads', async () => {
    const far: Socket[] = [];
    const client = await throughProxy(
      (socket) => {
        far.push(socket);
        socket.pause();
      },
      { delay: 1, bandwidth: null },
    );
    await once(client, 'connect');
    const piece = Buffer.alloc(2 ** 20);
    const limit = 512;
    let pieces = 0;
    // A second without progress is back-pressure; a proxy that took everything would reach the limit.
    while (pieces < limit) {
      pieces++;
      if (client.write(piece)) continue;
      const drained = once(client, 'drain').then(() => true);
      const stuck = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 1000));
      if (!(await Promise.race([drained, stuck]))) break;
    }
    expect(pieces).toBeLessThan(limit);
    far[0]?.resume();
    await once(client, 'drain');
  });
});
