/** Channels for file data on connections that the test plays, with the embedded server behind each channel. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { CHANNELS, DataChannels } from '../../../src/cli/data-channels.js';
import { prepareService, SftpSession } from '../../../src/demo/sftp-server.js';
import { SftpClient } from '../../../src/sftp/client.js';
import { duplexPair } from '../../support/duplex.js';
import { FakeClock, FakeConnection, settle } from '../../support/fake-connection.js';

const MINUTE = 60_000;

let root: string;
let clock: FakeClock;
let channels: DataChannels;
let first: FakeConnection;
let data: FakeConnection[];
/** Channels that a connection gives, by its place: 0 is the first connection. */
let allowed: number[];

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  root = await mkdtemp(join(tmpdir(), 'remora-channels-'));
  clock = new FakeClock();
  data = [];
  allowed = [];
});
afterEach(async () => {
  await channels.close();
  vi.useRealTimers();
  await rm(root, { recursive: true, force: true });
});

async function begin(maxConns: number): Promise<void> {
  const service = await prepareService({ root });
  const giving = (connection: FakeConnection, place: number) => {
    let given = 0;
    connection.open = async () => {
      if (given >= (allowed[place] ?? 100)) throw new Error('no more sessions');
      given++;
      const [near, far] = duplexPair();
      new SftpSession(far, service);
      connection.onClose(() => near.destroy());
      return near;
    };
    return connection;
  };
  first = giving(
    new FakeConnection(async () => {
      const connection = giving(new FakeConnection(), data.length + 1);
      data.push(connection);
      return connection;
    }),
    0,
  );
  channels = new DataChannels(first, {
    maxConns,
    clock,
    open: async (connection) => SftpClient.connect(await connection.openSftp()),
    report: (text) => expect.fail(text),
  });
}

const counted = (connections: number, count: number) =>
  vi.waitFor(() => expect(channels.counts).toEqual({ connections, channels: count }), { timeout: 3000 });

/** Lets time pass, with the looks at what is idle. */
async function pass(minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i++) {
    clock.advance(MINUTE);
    vi.advanceTimersByTime(MINUTE);
    await settle();
  }
}

describe('opening', () => {
  it('begins with one connection and its channels, and brings the rest when it is wanted', async () => {
    await begin(3);
    expect(channels.clients).toEqual([]);
    channels.start();
    await counted(1, CHANNELS / 2);
    channels.want();
    channels.want();
    await counted(2, CHANNELS);
    for (const client of channels.clients) expect(await client.realpath(ascii('.'))).toBe('/');
  });

  it('wanted before it was begun', async () => {
    await begin(4);
    channels.want();
    await counted(3, CHANNELS);
  });

  it('on the one connection where there is no other', async () => {
    await begin(1);
    channels.start();
    channels.want();
    await counted(0, CHANNELS);
  });

  it('one on each of many connections', async () => {
    await begin(8);
    channels.want();
    await counted(7, 7);
  });
});

describe('a server that refuses channels', () => {
  it('gives as many as it gives', async () => {
    allowed = [0, 2];
    await begin(2);
    channels.want();
    await counted(1, 2);
    clock.advance(MINUTE);
    channels.want();
    await settle();
    expect(channels.counts).toEqual({ connections: 1, channels: 2 });
  });

  it('none on the other connection: on the first, and the other is closed', async () => {
    allowed = [100, 0];
    await begin(2);
    channels.want();
    await vi.waitFor(() => expect(data[0]?.state).toBe('closed'));
    await counted(0, CHANNELS);
  });

  it('none at all', async () => {
    allowed = [0, 0];
    await begin(2);
    channels.want();
    await vi.waitFor(() => expect(data[0]?.state).toBe('closed'));
    await settle();
    expect(channels.clients).toEqual([]);
    expect(first.state).toBe('open');
  });
});

describe('a loss', () => {
  it('of the connection takes its channels away; data goes over the first until there is another', async () => {
    await begin(2);
    channels.start();
    channels.want();
    await counted(1, CHANNELS);
    const before = channels.clients;
    data[0]?.lose(new Error('cut'));
    await vi.waitFor(() => expect(channels.clients.some((client) => before.includes(client))).toBe(false));
    await counted(0, CHANNELS);
    clock.advance(MINUTE / 2);
    channels.want();
    await counted(1, 2 * CHANNELS);
    // What is in use on the first connection stays; the rest of it ends at the next look.
    const used = channels.clients[0];
    const handle = await used?.opendir(ascii('/'));
    await pass(1);
    expect(channels.counts.channels).toBe(CHANNELS + 1);
    expect(used?.state).toBe('open');
    if (handle) await used?.close(handle);
    await pass(1);
    expect(channels.counts.channels).toBe(CHANNELS);
  });

  it('of one channel leaves the others', async () => {
    await begin(2);
    channels.want();
    await counted(1, CHANNELS);
    channels.clients[0]?.end();
    await counted(1, CHANNELS - 1);
  });
});

describe('the end', () => {
  it('of demand: all is closed after minutes, but not what has an open file', async () => {
    await begin(2);
    channels.start();
    channels.want();
    await counted(1, CHANNELS);
    const used = channels.clients[2];
    const handle = await used?.opendir(ascii('/'));
    await pass(9);
    expect(channels.counts.channels).toBe(CHANNELS);
    await pass(2);
    expect(channels.clients).toEqual([used]);
    expect(data[0]?.state).toBe('open');
    if (handle) await used?.close(handle);
    await pass(1);
    expect(channels.counts).toEqual({ connections: 0, channels: 0 });
    expect(data[0]?.state).toBe('closed');
    channels.want();
    await counted(1, CHANNELS);
  });

  it('a connection that was never wanted is closed too', async () => {
    await begin(2);
    channels.start();
    await counted(1, CHANNELS);
    await pass(11);
    expect(channels.counts).toEqual({ connections: 0, channels: 0 });
  });

  it('of the mount: every channel ends, also one that is on its way', async () => {
    await begin(2);
    channels.want();
    await counted(1, CHANNELS);
    const clients = channels.clients;
    await channels.close();
    expect(clients.map(({ state }) => state)).toEqual(Array(CHANNELS).fill('closed'));
    expect(channels.clients).toEqual([]);
    expect([first.state, data[0]?.state]).toEqual(['open', 'closed']);
    channels.want();
    channels.start();
    await settle();
    expect(channels.counts).toEqual({ connections: 0, channels: 0 });
  });
});
