/** The installed ssh2 is as we use it; and one that differs is found out, or done without. */
import ssh2, { type Client, type ClientChannel } from 'ssh2';
import { describe, expect, test, vi } from 'vitest';
import {
  askForAnswer,
  ChannelInternals,
  checkClient,
  cipherOf,
  readingOf,
  serverSoftwareOf,
} from '../../../src/ssh/ssh2-internals.js';
import { PASSWORD, SshFixture } from '../../support/ssh-fixture.js';

const ssh = new SshFixture();

async function logIn(): Promise<Client> {
  const { port } = await ssh.serve();
  const client = new ssh2.Client();
  const ready = new Promise<void>((resolve, reject) => {
    client.on('ready', () => resolve());
    client.on('error', reject);
  });
  client.connect({ host: '127.0.0.1', port, username: 'bob', password: PASSWORD, hostVerifier: () => true });
  checkClient(client);
  await ready;
  ssh.onEnd(async () => void client.end());
  return client;
}

/** `object` with some of its properties replaced. */
function altered<T extends object>(object: T, changes: object): T {
  return Object.assign(Object.create(object), changes);
}

describe('the installed ssh2', () => {
  test('has what we use of a connection', async () => {
    const client = await logIn();
    expect(serverSoftwareOf(client)).toMatch(/^ssh2js/);
    expect(readingOf(client)).toEqual({ exchangesKeys: false, insidePacket: false });
    expect(cipherOf(client)?.allocPacket(100).length).toBeGreaterThan(105);
  });

  test('answers a keepalive in the order of its requests', async () => {
    const client = await logIn();
    const waiting = Reflect.get(client, '_callbacks') as unknown[];
    const answered = vi.fn();
    askForAnswer(client);
    client.forwardIn('127.0.0.1', 0, answered);
    askForAnswer(client);
    expect(waiting).toHaveLength(3);
    await vi.waitUntil(() => waiting.length === 0);
    expect(answered).toHaveBeenCalledTimes(1);
  });

  test('exchanges keys as we see it', async () => {
    const client = await logIn();
    const handshake = new Promise((resolve) => client.once('handshake', resolve));
    (Reflect.get(client, '_protocol') as { rekey(): void }).rekey();
    expect(readingOf(client)?.exchangesKeys).toBe(true);
    await handshake;
    expect(readingOf(client)?.exchangesKeys).toBe(false);
  });

  test('has what we use of a channel', async () => {
    const client = await logIn();
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      client.subsys('sftp', (error, opened) => (error ? reject(error) : resolve(opened)));
    });
    const internals = new ChannelInternals(channel);
    const window = internals.receiveWindow ?? 0;
    expect(window).toBe(2 << 20);
    internals.widen(1000);
    expect(internals.receiveWindow).toBe(window + 1000);
    internals.mute();
    expect(internals.receiveWindow).toBeNull();
  });
});

describe('another ssh2', () => {
  test('is refused where we need what it lacks', async () => {
    const client = await logIn();
    const sentence = /^the installed ssh2 library is not one that Remora knows \(its .* differs\)/;
    for (const changes of [{ _protocol: undefined }, { _protocol: {} }, { _callbacks: new Map() }]) {
      expect(() => checkClient(altered(client, changes))).toThrow(sentence);
    }
    const channel = { incoming: { window: 1 }, outgoing: { id: 0, state: 'open' }, _client: client };
    for (const changes of [{ incoming: {} }, { outgoing: { id: 0 } }, { _client: {} }]) {
      const other = altered(channel, changes) as unknown as ClientChannel;
      expect(() => new ChannelInternals(other)).toThrow(sentence);
    }
  });

  test('is done without where that only costs time', async () => {
    const client = await logIn();
    for (const changes of [{ _protocol: undefined }, { _protocol: {} }]) {
      expect(readingOf(altered(client, changes))).toBeNull();
      expect(cipherOf(altered(client, changes))).toBeNull();
    }
    expect(readingOf(altered(client, { _protocol: { _kexinit: undefined, _decipher: {} } }))).toBeNull();
    expect(serverSoftwareOf(altered(client, { _remoteVer: 7 }))).toBe('');
  });
});
