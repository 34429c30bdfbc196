import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'node:util';
import createDebug from 'debug';
import { describe, expect, test, vi } from 'vitest';
import type { Prompter } from '../../../src/ssh/settings.js';
import {
  ecdsaKey,
  failure,
  PASSWORD,
  person,
  SshFixture,
  settings,
  userKey,
} from '../../support/ssh-fixture.js';
import { makeKey } from '../../support/ssh-test-server.js';

const rsaKey = makeKey('rsa');
const lockedKey = makeKey('ed25519', 'open sesame');

const ssh = new SshFixture();

describe('logging in', () => {
  test('a password of standard input is tried once and the answer named', async () => {
    const server = await ssh.serve();
    const message = await failure(ssh.login(server, { password: 'wrong' }), 'authentication');
    expect(message).toContain('tried password; the server accepts password');
    expect(message).not.toContain('wrong');
    expect(server.attempts).toEqual(['none', 'password']);
  });

  test('asking for the password until it is right', async () => {
    const server = await ssh.serve();
    const bob = person('a', 'b', PASSWORD);
    await ssh.login(server, {}, bob);
    expect(bob.questions).toEqual(Array(3).fill("bob@127.0.0.1's password: "));
    expect(bob.told).toEqual(Array(2).fill('Permission denied, please try again.'));
  });

  test('asking no more often than NumberOfPasswordPrompts', async () => {
    const server = await ssh.serve();
    const message = await failure(
      ssh.login(server, { numberOfPasswordPrompts: 2 }, person('a', 'b', 'c')),
      'authentication',
    );
    expect(message).toContain('password (2 times)');
  });

  test('nobody to ask: nothing is asked', async () => {
    const server = await ssh.serve();
    expect(await failure(ssh.login(server), 'authentication')).toContain(
      'there is nobody to ask for a password',
    );
  });

  test('batch mode asks nothing even on a terminal', async () => {
    const server = await ssh.serve();
    const bob = person(PASSWORD);
    await failure(ssh.login(server, { batchMode: true }, bob), 'authentication');
    expect(bob.questions).toEqual([]);
  });

  test('a broken-off prompt ends the attempt with its own error', async () => {
    const server = await ssh.serve();
    const bob: Prompter = { ...person('x'), secret: () => Promise.reject(new Error('interrupted')) };
    await expect(ssh.login(server, {}, bob)).rejects.toThrow('interrupted');
  });

  test('keyboard-interactive, its text cleaned of escape sequences', async () => {
    const server = await ssh.serve({ interactive: { question: '\x1b[2JCode: ', answer: '42' } });
    const bob = person('42');
    await ssh.login(server, {}, bob);
    expect(bob.questions).toEqual(['(bob@127.0.0.1) ?[2JCode: ']);
    expect(bob.told).toEqual(['Two factors', 'Look at your phone']);
  });

  test('keyboard-interactive that asks nothing is not tried again', async () => {
    const server = await ssh.serve({ interactive: null });
    await ssh.login(server, {}, person(PASSWORD));
    expect(server.attempts).toEqual(['none', 'keyboard-interactive', 'password']);
  });

  test('a password of standard input answers one hidden question', async () => {
    const interactive = { question: 'Password: ', answer: PASSWORD };
    const server = await ssh.serve({ password: undefined, interactive });
    await ssh.login(server, { password: PASSWORD });
    expect(server.attempts).toEqual(['none', 'keyboard-interactive']);
  });

  test.each([
    ['ed25519', userKey],
    ['rsa', rsaKey],
    ['ecdsa', ecdsaKey],
  ])('with an %s key file', async (_name, key) => {
    const server = await ssh.serve({ publicKeys: [key.blob] });
    await ssh.login(server, { identityFiles: [ssh.keyFile(key.private)] });
    expect(server.attempts.at(-1)).toBe('publickey');
  });

  test('with a default key of the home directory', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    ssh.trust(server.port);
    writeFileSync(join(ssh.home, '.ssh/id_ed25519'), userKey.private, { mode: 0o600 });
    await ssh.login(server);
  });

  test('an encrypted key is unlocked when the server would take it', async () => {
    const server = await ssh.serve({ publicKeys: [lockedKey.blob] });
    const bob = person('wrong', 'open sesame');
    const path = ssh.keyFile(lockedKey.private);
    await ssh.login(server, { identityFiles: [path] }, bob);
    expect(bob.questions).toEqual(Array(2).fill(`Enter passphrase for key '${path}': `));
    expect(bob.told).toEqual(['Bad passphrase.']);
  });

  test('an encrypted key that the server does not know is not asked about', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    const bob = person(PASSWORD);
    await ssh.login(server, { identityFiles: [ssh.keyFile(lockedKey.private)] }, bob);
    expect(bob.questions).toEqual(["bob@127.0.0.1's password: "]);
  });

  test('a key that stays locked lets the next method have its turn', async () => {
    const server = await ssh.serve({ publicKeys: [lockedKey.blob] });
    await ssh.login(server, { identityFiles: [ssh.keyFile(lockedKey.private)] }, person('', PASSWORD));
    expect(server.attempts.at(-1)).toBe('password');
  });

  test('an encrypted key and nobody to ask', async () => {
    const server = await ssh.serve({ publicKeys: [lockedKey.blob] });
    const message = await failure(
      ssh.login(server, { identityFiles: [ssh.keyFile(lockedKey.private)] }),
      'key-file',
    );
    expect(message).toContain('is encrypted and there is nobody to ask for its passphrase');
  });

  test('a key and then a password: two factors', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob], twoFactors: true });
    const bob = person(PASSWORD);
    await ssh.login(server, { identityFiles: [ssh.keyFile(userKey.private)] }, bob);
    expect(bob.questions).toHaveLength(1);
  });

  test.each([
    ['readable by others', userKey.private, 0o644, /can be read by others and is not used; run: chmod 600/],
    ['not a key', 'hello', 0o600, /cannot be understood/],
    ['cut off', userKey.private.slice(0, 200), 0o600, /cannot be understood/],
    ['too large', 'x'.repeat(70_000), 0o600, /is not a key file/],
  ])('a key file that is %s', async (_name, contents, mode, message) => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    const bob = person();
    expect(
      await failure(ssh.login(server, { identityFiles: [ssh.keyFile(contents, mode)] }, bob), 'key-file'),
    ).toMatch(message);
    // The sentence of the failure says it; twice would be once too often.
    expect(bob.told).toEqual([]);
  });

  test('a key file that cannot be used is warned of when the login goes well without it', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    const bob = person();
    await ssh.login(
      server,
      { identityFiles: [ssh.keyFile('hello', 0o600, 'bad'), ssh.keyFile(userKey.private)] },
      bob,
    );
    expect(bob.told.join()).toMatch(/cannot be understood/);
  });

  test('a key file that does not exist', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    expect(await failure(ssh.login(server, { identityFiles: ['~/nothing'] }), 'key-file')).toContain(
      `${join(ssh.home, 'nothing')} does not exist`,
    );
  });

  test('a key file that does not exist is worth a word before a question, and none when it was not needed', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob], password: PASSWORD });
    const bob = person();
    await ssh.login(server, { identityFiles: ['~/nothing', ssh.keyFile(userKey.private)] }, bob);
    expect(bob.told).toEqual([]);
    const asked = person(PASSWORD);
    await ssh.login(server, { identityFiles: ['~/nothing'] }, asked);
    expect(asked.told.join()).toContain(`${join(ssh.home, 'nothing')} does not exist`);
  });

  test("no key file at all: 'none'", async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob], password: PASSWORD });
    mkdirSync(join(ssh.home, '.ssh'), { recursive: true });
    ssh.keyFile(userKey.private, 0o600, '.ssh/id_ed25519');
    const message = await failure(ssh.login(server, { identityFiles: ['none'] }), 'authentication');
    expect(message).not.toContain('publickey (');
  });

  test('the banner reaches the person without escape sequences', async () => {
    const server = await ssh.serve({ banner: 'Welcome\r\n\x1b]0;evil\x07to the sea\n' });
    const bob = person();
    await ssh.login(server, { password: PASSWORD }, bob);
    expect(bob.told).toEqual(['Welcome\n?]0;evil?to the sea']);
  });
});

describe('an agent', () => {
  /** A real ssh-agent that holds `keys`. */
  async function startAgent(...keys: string[]): Promise<string> {
    const socket = join(ssh.home, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    ssh.onEnd(async () => {
      agent.kill();
      await once(agent, 'exit');
    });
    await vi.waitFor(() => expect(existsSync(socket)).toBe(true), { timeout: 5000 });
    for (const key of keys) {
      execFileSync('ssh-add', ['-q', ssh.keyFile(key)], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'pipe',
      });
    }
    rmSync(join(ssh.home, 'key'), { force: true });
    return socket;
  }

  test('found by SSH_AUTH_SOCK; its keys are offered until one fits', async () => {
    const server = await ssh.serve({ publicKeys: [rsaKey.blob] });
    const SSH_AUTH_SOCK = await startAgent(userKey.private, rsaKey.private);
    ssh.trust(server.port);
    const given = settings(server.port, { identityAgent: 'SSH_AUTH_SOCK' });
    await ssh.reach(given, person(), { SSH_AUTH_SOCK });
    expect(server.attempts.at(-1)).toBe('publickey');
  });

  test('its key is the first of two factors', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob], twoFactors: true });
    const bob = person(PASSWORD);
    await ssh.login(server, { identityAgent: await startAgent(userKey.private) }, bob);
    expect(bob.questions).toHaveLength(1);
  });

  test('IdentitiesOnly: its other keys are not offered', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    const identityAgent = await startAgent(userKey.private);
    await failure(
      ssh.login(server, {
        identityAgent,
        identitiesOnly: true,
        identityFiles: [ssh.keyFile(rsaKey.private)],
      }),
      'authentication',
    );
    await ssh.login(server, {
      identityAgent,
      identitiesOnly: true,
      identityFiles: [ssh.keyFile(userKey.public)],
    });
    ssh.keyFile(userKey.public, 0o600, 'elsewhere.pub');
    await ssh.login(server, { identityAgent, identitiesOnly: true, identityFiles: ['~/elsewhere'] });
  });

  test('a socket where nobody listens', async () => {
    const server = await ssh.serve({ publicKeys: [userKey.blob] });
    await ssh.login(server, { identityAgent: join(ssh.home, 'none'), password: PASSWORD });
  });
});

test('the debug log shows the login and no secret', async () => {
  const lines: string[] = [];
  const log = createDebug.log;
  createDebug.log = (...line: unknown[]) => void lines.push(format(...line));
  createDebug.enable('remora:*');
  try {
    const server = await ssh.serve({
      publicKeys: [lockedKey.blob],
      interactive: { question: 'Code: ', answer: '424242' },
    });
    const identityFiles = [ssh.keyFile(lockedKey.private)];
    const { signal } = new AbortController();
    for (const first of [
      await ssh.login(server, { identityFiles }, person('open sesame')),
      await ssh.login(server, { password: PASSWORD, preferredAuthentications: ['password'] }),
    ]) {
      const second = await first.again?.(signal);
      await second?.close();
    }
    await ssh.login(server, { preferredAuthentications: ['keyboard-interactive'] }, person('424242'));
  } finally {
    createDebug.disable();
    createDebug.log = log;
  }
  const text = lines.join('\n');
  expect(text).toMatch(/USERAUTH_REQUEST \(password\)/);
  for (const secret of ['open sesame', PASSWORD, '424242']) expect(text).not.toContain(secret);
});
