/** First logins in the place of a connection that was lost: who is asked, what is shown, and which server is trusted. */
import dns from 'node:dns';
import { rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import type { Connection } from '../../../src/ssh/connection.js';
import { needsPerson } from '../../../src/ssh/errors.js';
import { fingerprint, formatKnownHost } from '../../../src/ssh/known-hosts.js';
import type { ConnectSettings, Prompter } from '../../../src/ssh/settings.js';
import {
  ecdsaKey,
  failure,
  hostKey,
  otherHostKey,
  PASSWORD,
  person,
  SshFixture,
  settings,
  userKey,
} from '../../support/ssh-fixture.js';
import { makeKey, type TestServer, type TestServerOptions } from '../../support/ssh-test-server.js';

const lockedKey = makeKey('ed25519', 'open sesame');
const ssh = new SshFixture();

async function reconnect(
  lost: Connection,
  who: Prompter | null = null,
  signal = new AbortController().signal,
): Promise<Connection> {
  if (lost.reconnect === null) throw new Error('it is no first connection');
  const connection = await lost.reconnect(signal, who);
  ssh.onEnd(() => connection.close());
  return connection;
}

/** Another server in the place of `server`. */
async function replace(server: TestServer, options: Partial<TestServerOptions>): Promise<TestServer> {
  await server.close();
  return ssh.serve({ ...options, port: server.port });
}

describe('without a person', () => {
  test('what was accepted is offered alone, again and again', async () => {
    const server = await ssh.serve();
    const bob = person(PASSWORD);
    let connection = await ssh.login(server, {}, bob);
    for (let round = 0; round < 3; round++) {
      server.attempts.length = 0;
      server.cut();
      connection = await reconnect(connection);
      expect(server.attempts).toEqual(['password']);
    }
    (await connection.openSftp()).destroy();
    const second = await connection.again?.(new AbortController().signal);
    expect(second?.reconnect).toBeNull();
    await second?.close();
    expect(bob.questions).toHaveLength(1);
  });

  test('a key that was unlocked', async () => {
    const server = await ssh.serve({ publicKeys: [lockedKey.blob] });
    const bob = person('open sesame');
    const first = await ssh.login(server, { identityFiles: [ssh.keyFile(lockedKey.private)] }, bob);
    await reconnect(await reconnect(first));
    expect(bob.questions).toHaveLength(1);
  });

  test('what needs nobody is tried where that is not accepted any more, in the same connection', async () => {
    const before = await ssh.serve();
    const identityFiles = [ssh.keyFile(userKey.private)];
    const first = await ssh.login(before, { identityFiles }, person(PASSWORD));
    const server = await replace(before, { password: 'changed', publicKeys: [userKey.blob] });
    const second = await reconnect(first);
    expect(server.attempts).toEqual(['password', 'publickey-query', 'publickey']);
    expect(server.clients).toBe(1);
    server.attempts.length = 0;
    await reconnect(second);
    expect(server.attempts).toEqual(['publickey-query', 'publickey']);
  });

  test.each([
    ['a key and then the password of standard input', { publicKeys: [userKey.blob], twoFactors: true }],
    ['an answer', { password: undefined, interactive: { question: 'Password: ', answer: PASSWORD } }],
  ])('what cannot be repeated, but is at hand: %s', async (_what, options) => {
    const server = await ssh.serve(options);
    const identityFiles = [ssh.keyFile(userKey.private)];
    const first = await ssh.login(server, { identityFiles, password: PASSWORD });
    expect(first.again).toBeNull();
    await reconnect(first);
  });

  test('a password that is refused is offered one time only', async () => {
    const before = await ssh.serve();
    const first = await ssh.login(before, { password: PASSWORD });
    const server = await replace(before, {
      password: 'changed',
      interactive: { question: 'Password: ', answer: 'changed' },
    });
    expect(await failure(reconnect(first), 'authentication')).not.toContain(PASSWORD);
    expect(server.attempts).toEqual(['password']);
  });

  test('a key that is refused is offered one time only', async () => {
    const before = await ssh.serve({ publicKeys: [userKey.blob] });
    const first = await ssh.login(before, { identityFiles: [ssh.keyFile(userKey.private)] });
    const server = await replace(before, { publicKeys: [] });
    await expect(reconnect(first)).rejects.toMatchObject({ kind: 'authentication', isRepeat: true });
    expect(server.attempts).toEqual(['publickey-query', 'none']);
  });

  test('a second factor that is new', async () => {
    const before = await ssh.serve({ publicKeys: [userKey.blob] });
    const first = await ssh.login(before, { identityFiles: [ssh.keyFile(userKey.private)] });
    await replace(before, { publicKeys: [userKey.blob], twoFactors: true });
    await expect(reconnect(first)).rejects.toMatchObject({ kind: 'authentication', isRepeat: false });
    const bob = person(PASSWORD);
    const second = await reconnect(first, bob);
    expect(bob.questions).toHaveLength(1);
    expect(second.again).toBeNull();
  });
});

test('with a person, who is asked where it takes one', async () => {
  const server = await ssh.serve({ password: undefined, interactive: { question: 'Code: ', answer: '42' } });
  const first = await ssh.login(server, {}, person('42'));
  const message = await failure(reconnect(first), 'authentication');
  expect(message).toContain('there is nobody to ask');
  const bob = person('41', '42');
  await reconnect(first, bob);
  expect(bob.questions).toHaveLength(2);
});

describe('the host key', () => {
  const given: Partial<ConnectSettings> = { password: PASSWORD, strictHostKeyChecking: 'accept-new' };

  test.each(['yes', 'ask', 'accept-new', 'no', 'off'] as const)('changed, with %s', async (mode) => {
    const before = await ssh.serve();
    const first = await ssh.login(before, { password: PASSWORD, strictHostKeyChecking: mode });
    const server = await replace(before, { hostKeys: [otherHostKey.private] });
    await failure(reconnect(first), 'host-key-changed');
    // Also when the files know nothing any more.
    rmSync(ssh.knownHosts);
    const message = await failure(reconnect(first), 'host-key-changed');
    expect(message).toContain(
      `${fingerprint(otherHostKey.blob)}, and before it was ${fingerprint(hostKey.blob)}`,
    );
    expect(server.attempts).toEqual([]);
  });

  test('changed, and known_hosts vouches for the new one', async () => {
    const before = await ssh.serve();
    const first = await ssh.login(before, given);
    const server = await replace(before, { hostKeys: [otherHostKey.private] });
    await failure(reconnect(first), 'host-key-changed');
    ssh.trust(server.port, otherHostKey);
    const second = await reconnect(first);
    await replace(server, {});
    await failure(reconnect(second), 'host-key-changed');
  });

  test('of another type by now, of a server that has several', async () => {
    const before = await ssh.serve();
    const first = await ssh.login(before, given);
    const server = await replace(before, { hostKeys: [otherHostKey.private, ecdsaKey.private] });
    ssh.trust(server.port, ecdsaKey);
    await reconnect(first);
  });

  test('the same, though the files have forgotten it or expect another one', async () => {
    const server = await ssh.serve();
    const first = await ssh.login(server, given);
    rmSync(ssh.knownHosts);
    const second = await reconnect(first);
    ssh.trust(server.port, ecdsaKey);
    await reconnect(second);
  });

  test('the same, and revoked by now', async () => {
    const server = await ssh.serve();
    const first = await ssh.login(server, given);
    writeFileSync(ssh.knownHosts, `@revoked ${formatKnownHost('*', hostKey.blob)}`);
    server.attempts.length = 0;
    await failure(reconnect(first), 'host-key-revoked');
    expect(server.attempts).toEqual([]);
  });

  test('changed and not known: a person decides', async () => {
    const before = await ssh.serve();
    const first = await ssh.login(before, { password: PASSWORD, strictHostKeyChecking: 'ask' });
    await replace(before, { hostKeys: [otherHostKey.private] });
    rmSync(ssh.knownHosts);
    await failure(reconnect(first, person('no')), 'host-key-unknown');
    const bob = person('yes');
    const second = await reconnect(first, bob);
    expect(bob.told[0]).toBe(`Warning: until now the server had another key, ${fingerprint(hostKey.blob)}.`);
    expect(bob.questions[0]).toContain(`ED25519 key fingerprint is ${fingerprint(otherHostKey.blob)}.`);
    await reconnect(second);
  });
});

test('the name is looked up again', async () => {
  const server = await ssh.serve();
  ssh.trust(server.port);
  const hostKeyAlias = `[127.0.0.1]:${server.port}`;
  const first = await ssh.reach(
    settings(server.port, { host: 'localhost', hostKeyAlias, password: PASSWORD }),
  );
  const lookup = vi.spyOn(dns, 'lookup');
  try {
    await reconnect(first);
    expect(lookup.mock.calls.map(([name]) => name)).toEqual(['localhost']);
  } finally {
    lookup.mockRestore();
  }
});

test('a server that is away can be tried again', async () => {
  const before = await ssh.serve();
  const first = await ssh.login(before, { password: PASSWORD });
  await before.close();
  expect(needsPerson('refused')).toBe(false);
  await failure(reconnect(first), 'refused');
  await ssh.serve({ port: before.port });
  await reconnect(first);
});

test('within the time for connecting', async () => {
  const server = await ssh.serve();
  const first = await ssh.login(server, { password: PASSWORD, connectTimeout: 0.3 });
  const another = reconnect(first);
  await vi.waitUntil(() => server.clients === 2, { interval: 1 });
  server.freeze();
  await failure(another, 'timeout');
});

test.each([
  ['before it begins', (_server: TestServer) => true],
  ['while the server thinks', (server: TestServer) => server.clients === 2],
])('aborted %s', async (_when, isTime) => {
  const server = await ssh.serve();
  const first = await ssh.login(server, { password: PASSWORD });
  const stop = new AbortController();
  const attempt = reconnect(first, null, stop.signal);
  const rejected = expect(attempt).rejects.toThrow(/^the mount ends$/);
  await vi.waitUntil(() => isTime(server), { interval: 1 });
  stop.abort(new Error('the mount ends'));
  await rejected;
  await vi.waitFor(() => expect(server.clients).toBe(1));
});
