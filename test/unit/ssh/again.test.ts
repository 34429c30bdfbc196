/** Further logins: no question, no message, one attempt, and only to the server that it was. */
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { describe, expect, test, vi } from 'vitest';
import type { Connection } from '../../../src/ssh/connection.js';
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
import { makeKey } from '../../support/ssh-test-server.js';

const lockedKey = makeKey('ed25519', 'open sesame');
/** In the old format, whose public half only the passphrase reveals. */
const pemKey = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'open sesame' },
}).privateKey;
const ssh = new SshFixture();

/** One more connection like `first`. */
async function again(first: Connection, signal = new AbortController().signal): Promise<Connection> {
  if (first.again === null) throw new Error('it cannot be repeated');
  const connection = await first.again(signal);
  ssh.onEnd(() => connection.close());
  return connection;
}

describe('what can be repeated', () => {
  test('a password that was typed', async () => {
    const server = await ssh.serve({ banner: 'Welcome\n' });
    const bob = person('wrong', PASSWORD);
    const first = await ssh.login(server, {}, bob);
    const heard = [...bob.told];
    server.attempts.length = 0;
    await again(first);
    expect(server.attempts).toEqual(['password']);
    expect(bob.questions).toHaveLength(2);
    expect(bob.told, 'the banner was heard once').toEqual(heard);
    expect(server.clients).toBe(2);
  });

  test('a key file, offered alone', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    const identityFiles = [ssh.keyFile(lockedKey.private, 0o600, 'other'), ssh.keyFile(userKey.private)];
    const first = await ssh.login(server, { identityFiles });
    server.attempts.length = 0;
    await again(first);
    expect(server.attempts).toEqual(['publickey-query', 'publickey']);
  });

  test.each([
    ['whose public half is in the file', lockedKey.private],
    ['whose public half is locked too', pemKey],
  ])('an unlocked key, without its passphrase: one %s', async (_, contents) => {
    const key = ssh2.utils.parseKey(contents, 'open sesame');
    if (key instanceof Error) throw key;
    const server = await ssh.serve({ publicKeys: [key.getPublicSSH()] });
    const bob = person('open sesame');
    const first = await ssh.login(server, { identityFiles: [ssh.keyFile(contents)] }, bob);
    await again(first);
    await again(first);
    expect(bob.questions).toHaveLength(1);
  });

  test('a key of the agent', async () => {
    const socket = join(ssh.home, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    ssh.onEnd(async () => {
      agent.kill();
      await once(agent, 'exit');
    });
    await vi.waitFor(() => expect(existsSync(socket)).toBe(true), { timeout: 5000 });
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    execFileSync('ssh-add', ['-q', ssh.keyFile(userKey.private)], { env, stdio: 'pipe' });
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    await again(await ssh.login(server, { identityAgent: socket }));
    expect(server.clients).toBe(2);
  });
});

describe('what cannot', () => {
  test('answers to questions of the server', async () => {
    const interactive = { question: 'Code: ', answer: '42' };
    const server = await ssh.serve({ interactive });
    expect((await ssh.login(server, {}, person('42'))).again).toBeNull();
    const given = await ssh.serve({ password: undefined, interactive });
    expect((await ssh.login(given, { password: '42' })).again).toBeNull();
  });

  test('several factors', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob], twoFactors: true });
    const identityFiles = [ssh.keyFile(userKey.private)];
    expect((await ssh.login(server, { identityFiles }, person(PASSWORD))).again).toBeNull();
  });

  test('a password that was good for one time: tried once and named', async () => {
    const server = await ssh.serve({ oneTime: true });
    const first = await ssh.login(server, { password: PASSWORD });
    server.attempts.length = 0;
    expect(await failure(again(first), 'authentication')).not.toContain(PASSWORD);
    expect(server.attempts).toEqual(['password']);
  });
});

test('another host key: the password is not shown to it', async () => {
  const server = await ssh.serve();
  const first = await ssh.login(server, { password: PASSWORD, strictHostKeyChecking: 'no' });
  await server.close();
  const impostor = await ssh.serve({ port: server.port, hostKeys: [otherHostKey.private] });
  // Even with that key in the file by now.
  ssh.trust(server.port, otherHostKey);
  const message = await failure(again(first), 'host-key-changed');
  expect(message).toMatch(/shows the key SHA256:\S+, and before it was SHA256:/);
  expect(impostor.attempts).toEqual([]);
});

test('a server with several host keys shows the same one again', async () => {
  const ecdsa = makeKey('ecdsa');
  const server = await ssh.serve({ hostKeys: [hostKey.private, ecdsa.private] });
  ssh.trust(server.port, ecdsa);
  await again(await ssh.reach(settings(server.port, { password: PASSWORD })));
});

test('by the address that the name stood for', async () => {
  const server = await ssh.serve();
  ssh.trust(server.port);
  const given = settings(server.port, {
    host: 'localhost',
    hostKeyAlias: `[127.0.0.1]:${server.port}`,
    password: PASSWORD,
  });
  const first = await ssh.reach(given);
  await again(first);
  await server.close();
  expect(await failure(again(first), 'refused'), 'named as it was typed').toContain('localhost');
});

test('aborted while the server thinks', async () => {
  const server = await ssh.serve();
  const first = await ssh.login(server, { password: PASSWORD });
  const stop = new AbortController();
  const second = again(first, stop.signal);
  stop.abort(new Error('the mount ends'));
  await expect(second).rejects.toThrow('the mount ends');
  await vi.waitFor(() => expect(server.clients).toBe(1));
});
