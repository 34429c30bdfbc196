/**
 * What was written to a connection that is given up is not delivered when the network comes back. The other end
 * stops reading; what its kernel holds by the time of the end is all that it may ever read.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { abandon } from '../../../src/ssh/dial.js';
import { PASSWORD, SshFixture, settings } from '../../support/ssh-fixture.js';

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

/** A server on loopback; each connection is handed over before anything of it is read. */
async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    ends.push(() => void socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Bytes that the kernel holds for the TCP socket between these ports (proc(5), /proc/net/tcp). */
function queues(local: number | undefined, remote: number | undefined): { sent: number; received: number } {
  const port = (address: string | undefined) => Number.parseInt(address?.split(':')[1] ?? '', 16);
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const [, from, to, , held] = line.trim().split(/\s+/);
    if (port(from) !== local || port(to) !== remote) continue;
    const [sent = 0, received = 0] = (held ?? '').split(':').map((each) => Number.parseInt(each, 16));
    return { sent, received };
  }
  throw new Error(`no socket between the ports ${local} and ${remote}`);
}

/** Waits until nothing moves between `socket` and its other end; answers what that end's kernel holds then. */
async function stall(socket: { localPort?: number; remotePort?: number }): Promise<number> {
  const { localPort, remotePort } = socket;
  let before = -1;
  let same = 0;
  return vi.waitFor(
    () => {
      const { received } = queues(remotePort, localPort);
      same = received === before ? same + 1 : 0;
      before = received;
      expect(queues(localPort, remotePort).sent, 'more than the other end has room for').toBeGreaterThan(0);
      expect(same).toBeGreaterThan(3);
      return received;
    },
    { timeout: 10_000, interval: 50 },
  );
}

/** Reads `socket` to its end, and answers how much came. */
function drain(socket: Socket): Promise<number> {
  let bytes = 0;
  return new Promise((resolve) => {
    socket.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(bytes));
    socket.resume();
  });
}

describe('a socket', () => {
  async function pair(): Promise<{ socket: Socket; far: Socket }> {
    const accepted: Socket[] = [];
    const port = await listen((each) => void accepted.push(each));
    const socket = connect(port, '127.0.0.1');
    ends.push(() => void socket.destroy());
    const far = await vi.waitUntil(() => accepted[0]);
    await vi.waitUntil(() => !socket.connecting);
    return { socket, far };
  }

  test('with more to write than the other end takes', async () => {
    const { socket, far } = await pair();
    socket.write(Buffer.alloc(32 << 20));
    const { bytesWritten } = socket;
    await stall(socket);
    abandon(socket);
    expect(socket.destroyed).toBe(true);
    // The kernel tries now and then whether there is room again: some of it may have arrived since.
    expect(await drain(far)).toBeLessThan(bytesWritten);
  });

  test('of which everything was handed to the kernel', async () => {
    const { socket, far } = await pair();
    // Little by little, so that nothing waits in the process.
    while (socket.writableLength === 0) {
      socket.write(Buffer.alloc(64 << 10));
      await new Promise(setImmediate);
    }
    const { bytesWritten } = socket;
    await stall(socket);
    abandon(socket);
    expect(await drain(far)).toBeLessThan(bytesWritten);
  });

  test.each([
    ['is being ended', async () => {}],
    ['was ended', async (socket: Socket) => void (await vi.waitUntil(() => socket.writableFinished))],
  ])('that %s', async (_when, wait) => {
    const { socket } = await pair();
    const errors = vi.fn();
    socket.on('error', errors);
    socket.end('goodbye');
    await wait(socket);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    abandon(socket);
    await closed;
    expect(errors).not.toHaveBeenCalled();
    abandon(socket);
  });
});

describe('a connection', () => {
  const ssh = new SshFixture();

  test.each([
    ['that is lost', (connection: { probe(within: number): void }) => connection.probe(300)],
    ['whose goodbye is not answered', (connection: { close(): Promise<void> }) => connection.close()],
  ])('%s', async (_how, give) => {
    const server = await ssh.serve();
    let near: Socket | undefined;
    const port = await listen((socket) => {
      near = socket;
      const further = connect(server.port, '127.0.0.1');
      ends.push(() => void further.destroy());
      for (const each of [socket, further]) each.on('error', () => {});
      socket.pipe(further);
      further.pipe(socket);
    });
    ssh.trust(port);
    const connection = await ssh.reach(settings(port, { password: PASSWORD, serverAliveInterval: 0 }));
    const streams = await Promise.all(Array.from({ length: 8 }, () => connection.openSftp()));
    for (const stream of streams) stream.on('error', () => {});
    const ended = new Promise((resolve) => connection.onClose(resolve));
    if (near === undefined) throw new Error('not connected through the proxy');
    near.unpipe();
    near.pause();
    // Each channel takes 2 MiB that were not confirmed.
    for (const stream of streams) stream.write(Buffer.alloc(2 << 20));
    const arrived = await stall({ localPort: near.remotePort, remotePort: near.localPort });
    const read = near.readableLength;
    give(connection);
    await ended;
    expect(await drain(near)).toBe(arrived + read);
  });
});
