/** Lanes on connections that the test plays, with the embedded server behind each channel. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { LANES, Lanes } from '../../../src/cli/lanes.js';
import { prepareService, SftpSession } from '../../../src/demo/sftp-server.js';
import { SftpClient } from '../../../src/sftp/client.js';
import { duplexPair } from '../../support/duplex.js';
import { FakeClock, FakeConnection, settle } from '../../support/fake-connection.js';

const MINUTE = 60_000;

let root: string;
let clock: FakeClock;
let lanes: Lanes;
let first: FakeConnection;
let data: FakeConnection[];
/** Channels that a connection gives, by its place: 0 is the first connection. */
let allowed: number[];

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  root = await mkdtemp(join(tmpdir(), 'remora-lanes-'));
  clock = new FakeClock();
  data = [];
  allowed = [];
});
afterEach(async () => {
  await lanes.close();
  vi.useRealTimers();
  await rm(root, { recursive: true, force: true });
});

async function begin(maxConns: number): Promise<void> {
  const service = await prepareService({ root });
  const channels = (connection: FakeConnection, place: number) => {
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
  first = channels(
    new FakeConnection(async () => {
      const connection = channels(new FakeConnection(), data.length + 1);
      data.push(connection);
      return connection;
    }),
    0,
  );
  lanes = new Lanes(first, {
    maxConns,
    clock,
    open: async (connection) => SftpClient.connect(await connection.openSftp()),
    report: (text) => expect.fail(text),
  });
}

const counted = (connections: number, count: number) =>
  vi.waitFor(() => expect(lanes.counts).toEqual({ connections, lanes: count }), { timeout: 3000 });

/** Lets time pass, with the looks at what is idle. */
async function pass(minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i++) {
    clock.advance(MINUTE);
    vi.advanceTimersByTime(MINUTE);
    await settle();
  }
}

describe('opening', () => {
  it('begins with one connection and its lanes, and brings the rest when it is wanted', async () => {
    await begin(3);
    expect(lanes.clients).toEqual([]);
    lanes.start();
    await counted(1, LANES / 2);
    lanes.want();
    lanes.want();
    await counted(2, LANES);
    for (const client of lanes.clients) expect(await client.realpath(ascii('.'))).toBe('/');
  });

  it('wanted before it was begun', async () => {
    await begin(4);
    lanes.want();
    await counted(3, LANES);
  });

  it('on the one connection where there is no other', async () => {
    await begin(1);
    lanes.start();
    lanes.want();
    await counted(0, LANES);
  });

  it('one on each of many connections', async () => {
    await begin(8);
    lanes.want();
    await counted(7, 7);
  });
});

describe('a server that refuses channels', () => {
  it('gives as many as it gives', async () => {
    allowed = [0, 2];
    await begin(2);
    lanes.want();
    await counted(1, 2);
    clock.advance(MINUTE);
    lanes.want();
    await settle();
    expect(lanes.counts).toEqual({ connections: 1, lanes: 2 });
  });

  it('none on the other connection: on the first, and the other is closed', async () => {
    allowed = [100, 0];
    await begin(2);
    lanes.want();
    await vi.waitFor(() => expect(data[0]?.state).toBe('closed'));
    await counted(0, LANES);
  });

  it('none at all', async () => {
    allowed = [0, 0];
    await begin(2);
    lanes.want();
    await vi.waitFor(() => expect(data[0]?.state).toBe('closed'));
    await settle();
    expect(lanes.clients).toEqual([]);
    expect(first.state).toBe('open');
  });
});

describe('a loss', () => {
  it('of the connection takes its lanes away; data goes over the first until there is another', async () => {
    await begin(2);
    lanes.start();
    lanes.want();
    await counted(1, LANES);
    const before = lanes.clients;
    data[0]?.lose(new Error('cut'));
    await vi.waitFor(() => expect(lanes.clients.some((client) => before.includes(client))).toBe(false));
    await counted(0, LANES);
    clock.advance(MINUTE / 2);
    lanes.want();
    await counted(1, 2 * LANES);
    // What is in use on the first connection stays; the rest of it ends at the next look.
    const used = lanes.clients[0];
    const handle = await used?.opendir(ascii('/'));
    await pass(1);
    expect(lanes.counts.lanes).toBe(LANES + 1);
    expect(used?.state).toBe('open');
    if (handle) await used?.close(handle);
    await pass(1);
    expect(lanes.counts.lanes).toBe(LANES);
  });

  it('of one lane leaves the others', async () => {
    await begin(2);
    lanes.want();
    await counted(1, LANES);
    lanes.clients[0]?.end();
    await counted(1, LANES - 1);
  });
});

describe('the end', () => {
  it('of demand: all is closed after minutes, but not what has an open file', async () => {
    await begin(2);
    lanes.start();
    lanes.want();
    await counted(1, LANES);
    const used = lanes.clients[2];
    const handle = await used?.opendir(ascii('/'));
    await pass(9);
    expect(lanes.counts.lanes).toBe(LANES);
    await pass(2);
    expect(lanes.clients).toEqual([used]);
    expect(data[0]?.state).toBe('open');
    if (handle) await used?.close(handle);
    await pass(1);
    expect(lanes.counts).toEqual({ connections: 0, lanes: 0 });
    expect(data[0]?.state).toBe('closed');
    lanes.want();
    await counted(1, LANES);
  });

  it('a connection that was never wanted is closed too', async () => {
    await begin(2);
    lanes.start();
    await counted(1, LANES);
    await pass(11);
    expect(lanes.counts).toEqual({ connections: 0, lanes: 0 });
  });

  it('of the mount: every lane ends, also one that is on its way', async () => {
    await begin(2);
    lanes.want();
    await counted(1, LANES);
    const clients = lanes.clients;
    await lanes.close();
    expect(clients.map(({ state }) => state)).toEqual(Array(LANES).fill('closed'));
    expect(lanes.clients).toEqual([]);
    expect([first.state, data[0]?.state]).toEqual(['open', 'closed']);
    lanes.want();
    lanes.start();
    await settle();
    expect(lanes.counts).toEqual({ connections: 0, lanes: 0 });
  });
});
