import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fingerprint, formatKnownHost } from '../../../src/ssh/known-hosts.js';
import {
  ecdsaKey,
  failure,
  hostKey,
  otherHostKey,
  PASSWORD,
  person,
  SshFixture,
  settings,
} from '../../support/ssh-fixture.js';

const ssh = new SshFixture();

describe('host keys', () => {
  test('unknown, and nobody to ask', async () => {
    const server = await ssh.serve();
    const given = settings(server.port, { strictHostKeyChecking: 'ask', password: PASSWORD });
    const message = await failure(ssh.reach(given), 'host-key-unknown');
    expect(message).toContain(fingerprint(hostKey.blob));
    expect(message).toContain(`ssh -p ${server.port} 127.0.0.1`);
    expect(existsSync(ssh.knownHosts)).toBe(false);
  });

  test.each([
    ['yes', ['yes']],
    ['the fingerprint', [fingerprint(hostKey.blob)]],
    ['nonsense first', ['what?', 'yes']],
  ])('unknown, and the person answers %s', async (_name, answers) => {
    const server = await ssh.serve();
    const bob = person(...answers);
    await ssh.reach(settings(server.port, { strictHostKeyChecking: 'ask', password: PASSWORD }), bob);
    expect(bob.told[0]).toBe(
      `The authenticity of host '[127.0.0.1]:${server.port} ([127.0.0.1]:${server.port})' can't be established.\n` +
        `ED25519 key fingerprint is ${fingerprint(hostKey.blob)}.\n` +
        'This key is not known by any other names.',
    );
    expect(readFileSync(ssh.knownHosts, 'utf8')).toBe(
      formatKnownHost(`[127.0.0.1]:${server.port}`, hostKey.blob),
    );
    expect(statSync(ssh.knownHosts).mode & 0o777).toBe(0o600);
    expect(statSync(join(ssh.home, '.ssh')).mode & 0o777).toBe(0o700);
    await ssh.reach(settings(server.port, { password: PASSWORD }));
  });

  test.each([['no'], ['SHA256:somethingelse']])('unknown, and the person answers %s', async (answer) => {
    const server = await ssh.serve();
    const bob = person(answer, 'no');
    const given = settings(server.port, { strictHostKeyChecking: 'ask', password: PASSWORD });
    await failure(ssh.reach(given, bob), 'host-key-unknown');
    expect(existsSync(ssh.knownHosts)).toBe(false);
  });

  test('accept-new adds to a file that lacks its last newline', async () => {
    const server = await ssh.serve();
    mkdirSync(join(ssh.home, '.ssh'));
    writeFileSync(ssh.knownHosts, '# mine');
    await ssh.reach(settings(server.port, { strictHostKeyChecking: 'accept-new', password: PASSWORD }));
    expect(readFileSync(ssh.knownHosts, 'utf8')).toBe(
      `# mine\n${formatKnownHost(`[127.0.0.1]:${server.port}`, hostKey.blob)}`,
    );
  });

  test.each(['accept-new', 'no', 'ask'] as const)('a changed key is refused, with %s too', async (mode) => {
    const server = await ssh.serve();
    ssh.trust(server.port, otherHostKey);
    const bob = person('yes', PASSWORD);
    const message = await failure(
      ssh.reach(settings(server.port, { strictHostKeyChecking: mode }), bob),
      'host-key-changed',
    );
    expect(message).toContain(`${ssh.knownHosts}:1`);
    expect(message).toContain(`ssh-keygen -f '${ssh.knownHosts}' -R '[127.0.0.1]:${server.port}'`);
    expect(bob.questions).toEqual([]);
    expect(server.attempts).toEqual([]);
  });

  test('a revoked key', async () => {
    const server = await ssh.serve();
    mkdirSync(join(ssh.home, '.ssh'));
    writeFileSync(ssh.knownHosts, `@revoked ${formatKnownHost('*', hostKey.blob)}`);
    await failure(ssh.reach(settings(server.port, { strictHostKeyChecking: 'no' })), 'host-key-revoked');
  });

  test('a server with several keys is asked for the one that is known', async () => {
    const server = await ssh.serve({ hostKeys: [hostKey.private, ecdsaKey.private] });
    ssh.trust(server.port, ecdsaKey);
    await ssh.reach(settings(server.port, { password: PASSWORD }));
  });

  test('a key known for the host on port 22 is good for another port', async () => {
    const server = await ssh.serve();
    ssh.trust(22);
    await ssh.reach(settings(server.port, { password: PASSWORD }));
  });

  test('HostKeyAlias', async () => {
    const server = await ssh.serve();
    mkdirSync(join(ssh.home, '.ssh'));
    writeFileSync(ssh.knownHosts, formatKnownHost('bay', hostKey.blob));
    await ssh.reach(settings(server.port, { password: PASSWORD, hostKeyAlias: 'Bay' }));
  });

  test('rekeying with the same key goes on', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD });
    const stream = await connection.openSftp();
    server.rekey();
    for (let round = 0; round < 20; round++) {
      stream.write('still here');
      await once(stream, 'data');
    }
  });
});
