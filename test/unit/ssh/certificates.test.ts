import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { beyondReason, type Credential, whyByKeys } from '../../../src/ssh/certificates.js';
import { loadIdentity } from '../../../src/ssh/key-files.js';
import type { ConnectSettings } from '../../../src/ssh/settings.js';
import { wireStrings } from '../../../src/ssh/wire.js';
import { SshFixture, settings } from '../../support/ssh-fixture.js';

const ssh = new SshFixture();
/** A public key on a token: no such thing is at hand, and none is needed to know it by its type. */
const TOKEN = 'sk-ssh-ed25519@openssh.com';
const tokenLine = `${TOKEN} ${wireStrings(TOKEN, Buffer.alloc(32, 1), 'ssh:').toString('base64')} me\n`;

const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args], { stdio: 'ignore' });
const inSsh = (name: string) => join(ssh.home, '.ssh', name);

/** A key in ~/.ssh, with a certificate beside it when `certified`. */
function makeKeyFile(name: string, certified: boolean, passphrase = ''): string {
  const path = inSsh(name);
  keygen('-t', 'ed25519', '-N', passphrase, '-f', path);
  if (certified) {
    const authority = join(ssh.home, `ca-${name}`);
    keygen('-t', 'ed25519', '-N', '', '-f', authority);
    keygen('-s', authority, '-I', 'me', '-n', 'me', `${path}.pub`);
  }
  return path;
}

function needs(changes: Partial<ConnectSettings> = {}): Promise<string | null> {
  return whyByKeys(settings(22, changes), { home: ssh.home, environment: {} });
}

beforeEach(() => mkdirSync(inSsh(''), { mode: 0o700 }));

describe('files', () => {
  test('no key at all, and plain keys', async () => {
    expect(await needs()).toBeNull();
    makeKeyFile('id_ed25519', false);
    expect(await needs()).toBeNull();
    expect(await needs({ identityFiles: ['~/.ssh/id_ed25519', '~/.ssh/missing'] })).toBeNull();
  });

  test.each(['', 'secret'])('a certificate beside a key that ssh tries by itself', async (passphrase) => {
    makeKeyFile('id_ed25519', true, passphrase);
    expect(await needs()).toBe(`${inSsh('id_ed25519-cert.pub')} is a certificate`);
  });

  test('a certificate beside a key that was asked for, and beside another one', async () => {
    makeKeyFile('mine', true);
    makeKeyFile('other', false);
    expect(await needs({ identityFiles: ['~/.ssh/mine'] })).toBe(
      `${inSsh('mine-cert.pub')} is a certificate`,
    );
    expect(await needs({ identityFiles: ['~/.ssh/other'] })).toBeNull();
    expect(await needs()).toBeNull();
  });

  test('CertificateFile', async () => {
    const key = makeKeyFile('mine', true);
    const certificateFiles = [`${key}-cert.pub`];
    expect(await needs({ certificateFiles })).toBe(`${key}-cert.pub is a certificate`);
    expect(await needs({ certificateFiles: ['~/.ssh/missing'] })).toBeNull();
  });

  test('a key on a token counts when it was asked for, or is the only one', async () => {
    writeFileSync(inSsh('id_ed25519_sk.pub'), tokenLine);
    const reason = `the key ${inSsh('id_ed25519_sk')} is on a security token`;
    expect(await needs()).toBe(reason);
    makeKeyFile('id_ed25519', false);
    expect(await needs()).toBeNull();
    expect(await needs({ identityFiles: ['~/.ssh/id_ed25519_sk', '~/.ssh/id_ed25519'] })).toBe(reason);
  });

  test('no key matters where none may be offered', async () => {
    makeKeyFile('id_ed25519', true);
    expect(await needs({ preferredAuthentications: ['password'] })).toBeNull();
  });

  test('the embedded transport names what it cannot use', async () => {
    const certificate = `${makeKeyFile('mine', true)}-cert.pub`;
    const token = inSsh('token');
    writeFileSync(token, tokenLine, { mode: 0o600 });
    for (const path of [certificate, token]) {
      const identity = await loadIdentity(path, false);
      expect(identity).toMatchObject({ kind: 'problem' });
      expect(identity).toHaveProperty('message', expect.stringContaining('transport=openssh'));
    }
  });
});

describe('an agent', () => {
  async function agentWith(...keys: string[]): Promise<string> {
    const socket = join(ssh.home, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    ssh.onEnd(async () => {
      agent.kill();
      await once(agent, 'exit');
    });
    await once(agent.stdout, 'data');
    for (const key of keys) {
      execFileSync('ssh-add', ['-q', key], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'ignore',
      });
    }
    return socket;
  }

  test('that holds a certificate', async () => {
    const key = makeKeyFile('mine', true);
    const identityAgent = await agentWith(key);
    expect(await needs({ identityAgent })).toBe('a key of the agent is a certificate');
    expect(await needs({ identityAgent, identitiesOnly: true })).toBeNull();
  });

  test('that holds plain keys, or none', async () => {
    const identityAgent = await agentWith();
    expect(await needs({ identityAgent })).toBeNull();
    const key = makeKeyFile('mine', true);
    rmSync(`${key}-cert.pub`);
    execFileSync('ssh-add', ['-q', key], {
      env: { ...process.env, SSH_AUTH_SOCK: identityAgent },
      stdio: 'ignore',
    });
    expect(await needs({ identityAgent })).toBeNull();
  });

  test.each<[string, Buffer]>([
    ['says nothing and goes', Buffer.alloc(0)],
    ['answers with a failure', Buffer.of(0, 0, 0, 1, 5)],
    ['promises more keys than it gives', Buffer.of(0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff)],
    ['gives half a key', Buffer.of(0, 0, 0, 10, 12, 0, 0, 0, 1, 0, 0, 1, 0, 1)],
    ['never ends its answer', Buffer.alloc(300 * 1024, 0xff)],
  ])('attack: that %s', async (_what, answer) => {
    const socket = join(ssh.home, 'rogue');
    const rogue = createServer((client) => {
      client.on('error', () => {});
      client.on('data', () => client.end(answer));
    });
    await once(rogue.listen(socket), 'listening');
    ssh.onEnd(async () => void rogue.close());
    expect(await needs({ identityAgent: socket })).toBeNull();
  });

  test('that is not there', async () => {
    expect(await needs({ identityAgent: join(ssh.home, 'gone') })).toBeNull();
  });
});

test('the reason, by the keys at hand', () => {
  const key = (name: string, beyond: Credential['beyond'], isNamed = false) => ({ name, beyond, isNamed });
  expect(beyondReason([])).toBeNull();
  expect(beyondReason([key('a', null)])).toBeNull();
  expect(beyondReason([key('a', null), key('b', 'certificate')])).toBe('b is a certificate');
  expect(beyondReason([key('a', 'security-key'), key('b', 'certificate')])).toBe('b is a certificate');
  expect(beyondReason([key('a', 'security-key')])).toBe('a is on a security token');
  expect(beyondReason([key('a', 'security-key'), key('b', null)])).toBeNull();
  expect(beyondReason([key('a', 'security-key', true), key('b', null, true)])).toBe(
    'a is on a security token',
  );
});
