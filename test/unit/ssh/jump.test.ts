/** Through another SSH server: asked and checked one after the other, lost and closed together. */
import { expect, test, vi } from 'vitest';
import { formatKnownHost, knownHostName } from '../../../src/ssh/known-hosts.js';
import type { ConnectSettings } from '../../../src/ssh/settings.js';
import {
  failure,
  hostKey,
  otherHostKey,
  PASSWORD,
  person,
  SshFixture,
  settings,
  userKey,
} from '../../support/ssh-fixture.js';
import type { TestServer } from '../../support/ssh-test-server.js';

const ssh = new SshFixture();
const never = new AbortController().signal;

interface World {
  readonly hop: TestServer;
  readonly server: TestServer;
  readonly way: ConnectSettings;
}

/** A server and a hop with keys of their own, both in known_hosts. */
async function world(changes: Partial<ConnectSettings> = {}, forwards = true): Promise<World> {
  const hop = await ssh.serve({ hostKeys: [otherHostKey.private], forwards });
  const server = await ssh.serve();
  const lines = [
    formatKnownHost(knownHostName('127.0.0.1', hop.port), otherHostKey.blob),
    formatKnownHost(knownHostName('127.0.0.1', server.port), hostKey.blob),
  ];
  const known = ssh.keyFile(lines.join(''), 0o600, 'known_hosts');
  const common = { password: PASSWORD, userKnownHostsFiles: [known], ...changes };
  const first = settings(hop.port, { ...common, user: 'jumper' });
  const way = settings(server.port, { ...common, route: { hops: [first], proxy: null } });
  return { hop, server, way };
}

test('works as without, and closing it closes the way', async () => {
  const { hop, server, way } = await world();
  const connection = await ssh.reach(way);
  const stream = await connection.openSftp();
  const sent = Buffer.alloc(3 << 20, 'abc');
  const echoed: Buffer[] = [];
  stream.on('data', (data: Buffer) => void echoed.push(Buffer.from(data)));
  stream.write(sent);
  await vi.waitUntil(() => Buffer.concat(echoed).length === sent.length, { timeout: 10_000 });
  expect(Buffer.concat(echoed).equals(sent)).toBe(true);
  await connection.close();
  await vi.waitUntil(() => hop.clients === 0 && server.clients === 0);
});

test('questions name the host that asks', async () => {
  const { way } = await world({ password: null });
  const me = person(PASSWORD, PASSWORD);
  await ssh.reach(way, me);
  expect(me.questions).toHaveLength(2);
  expect(me.questions[0]).toContain('jumper@127.0.0.1');
  expect(me.questions[1]).toContain('bob@127.0.0.1');
});

test('a hop whose key is another one is not gone through', async () => {
  const { hop, server, way } = await world();
  const wrong = formatKnownHost(knownHostName('127.0.0.1', hop.port), userKey.blob);
  const known = ssh.keyFile(wrong, 0o600, 'wrong');
  const hops = way.route.hops.map((each) => ({ ...each, userKnownHostsFiles: [known] }));
  const text = await failure(ssh.reach({ ...way, route: { hops, proxy: null } }), 'host-key-changed');
  expect(text).toContain(`port ${hop.port}`);
  expect(server.attempts).toEqual([]);
});

test('a hop that forwards nothing, and one that cannot reach the server, say so', async () => {
  const closed = await world({}, false);
  expect(await failure(ssh.reach(closed.way), 'refused')).toContain('AllowTcpForwarding');
  const { hop, server, way } = await world();
  await server.close();
  const text = await failure(ssh.reach(way), 'unreachable');
  expect(text).toContain(`127.0.0.1 port ${hop.port} cannot reach 127.0.0.1 port ${server.port}`);
  await vi.waitUntil(() => hop.clients === 0);
});

test('a further connection and a new one go the whole way', async () => {
  const { hop, server, way } = await world();
  const connection = await ssh.reach(way);
  const further = await connection.again?.(never);
  expect([hop.clients, server.clients]).toEqual([2, 2]);
  await further?.close();
  hop.cut();
  await new Promise((resolve) => connection.onClose(resolve));
  await vi.waitUntil(() => hop.clients === 0 && server.clients === 0);
  const next = await connection.reconnect?.(never, null);
  if (next === undefined) throw new Error('no way to reconnect');
  ssh.onEnd(() => next.close());
  await next.openSftp();
  expect([hop.clients, server.clients]).toEqual([1, 1]);
});

test('a hop that falls silent ends it, and nothing waits', async () => {
  const { hop, way } = await world({ serverAliveInterval: 0 });
  const connection = await ssh.reach(way);
  const stream = await connection.openSftp();
  const broken = new Promise((resolve) => stream.once('error', resolve));
  const ended = new Promise((resolve) => connection.onClose(resolve));
  hop.freeze();
  stream.write(Buffer.alloc(8 << 20));
  connection.probe(200);
  expect(await ended).toMatchObject({ kind: 'lost' });
  await broken;
});
