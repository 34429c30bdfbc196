import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HostKeys } from '../../../src/ssh/host-keys.js';
import { fingerprint, formatKnownHost, matchesHosts, parseKnownHosts } from '../../../src/ssh/known-hosts.js';
import type { ConnectSettings } from '../../../src/ssh/settings.js';
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
    expect(bob.questions[0]).toBe(
      `The authenticity of host '[127.0.0.1]:${server.port} ([127.0.0.1]:${server.port})' can't be established.\n` +
        `ED25519 key fingerprint is ${fingerprint(hostKey.blob)}.\n` +
        'This key is not known by any other names.\n' +
        'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
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

describe('the address of the server', () => {
  const NAME = 'bay.example.com';
  const ADDRESS = '192.0.2.7';
  const PUBLIC = hostKey.blob;
  const written = () => (existsSync(ssh.knownHosts) ? readFileSync(ssh.knownHosts, 'utf8') : '');

  /** Shows the key to settings with CheckHostIP and known_hosts of `lines`. */
  async function show(
    lines: readonly string[],
    changes: Partial<ConnectSettings> = {},
    who = person(),
    address = ADDRESS,
  ): Promise<void> {
    mkdirSync(join(ssh.home, '.ssh'));
    writeFileSync(ssh.knownHosts, lines.join(''));
    const given = settings(22, { host: NAME, checkHostIp: true, ...changes });
    const keys = await HostKeys.load(given, { home: ssh.home, environment: {} });
    await keys.verify(PUBLIC, address, who);
  }

  test('an unknown host is added with it', async () => {
    await show([], { strictHostKeyChecking: 'accept-new' });
    expect(written()).toBe(formatKnownHost(`${NAME},${ADDRESS}`, PUBLIC));
  });

  test('each on a line of its own where names are hidden', async () => {
    await show([], { strictHostKeyChecking: 'accept-new', hashKnownHosts: true, port: 2222 });
    const entries = parseKnownHosts(written(), 'f');
    expect(written()).not.toContain('example');
    expect(entries.map(({ hosts }) => matchesHosts(hosts, `[${NAME}]:2222`))).toEqual([true, false]);
    expect(entries.map(({ hosts }) => matchesHosts(hosts, `[${ADDRESS}]:2222`))).toEqual([false, true]);
  });

  test('it is added to a host that is known', async () => {
    const bob = person();
    await show([formatKnownHost(NAME, PUBLIC)], {}, bob);
    expect(written()).toBe(formatKnownHost(NAME, PUBLIC) + formatKnownHost(ADDRESS, PUBLIC));
    expect(bob.told).toEqual([`Permanently added '${ADDRESS}' (ED25519) to ${ssh.knownHosts}.`]);
  });

  test.each<[string, Partial<ConnectSettings>, string]>([
    ['without CheckHostIP', { checkHostIp: false }, ADDRESS],
    ['of this machine', {}, '127.0.0.1'],
    ['of this machine too', {}, '::1'],
    ['that is not known', {}, NAME],
    ['behind a proxy', { route: { hops: [], proxy: { kind: 'command', command: 'nc' } } }, ADDRESS],
  ])('nothing is added for one %s', async (_name, changes, address) => {
    await show([formatKnownHost(NAME, PUBLIC)], changes, person(), address);
    expect(written()).toBe(formatKnownHost(NAME, PUBLIC));
  });

  test.each(['yes', 'accept-new', 'ask'] as const)('another key of it is refused, with %s', async (mode) => {
    const lines = [formatKnownHost(NAME, PUBLIC), formatKnownHost(ADDRESS, otherHostKey.blob)];
    const message = await failure(show(lines, { strictHostKeyChecking: mode }), 'host-key-changed');
    expect(message).toContain(`${ssh.knownHosts}:2`);
    expect(message).toContain(`ssh-keygen -f '${ssh.knownHosts}' -R '${ADDRESS}'`);
  });

  test('another key of it, and a person who goes on', async () => {
    const lines = [formatKnownHost(NAME, PUBLIC), formatKnownHost(ADDRESS, otherHostKey.blob)];
    const bob = person('yes');
    await show(lines, { strictHostKeyChecking: 'ask' }, bob);
    expect(bob.questions).toHaveLength(1);
    expect(written()).toBe(lines.join(''));
  });

  test('a person is not asked about an unknown host for nothing', async () => {
    const lines = [formatKnownHost(ADDRESS, otherHostKey.blob)];
    await failure(show(lines, { strictHostKeyChecking: 'accept-new' }), 'host-key-changed');
    expect(written()).toBe(lines.join(''));
  });
});

describe('a host that only a certificate makes known', () => {
  const authority = () => `@cert-authority 127.0.0.1,[127.0.0.1]:* ${otherHostKey.public}\n`;

  test.each(['yes', 'accept-new', 'ask'] as const)('is for the ssh program, with %s', async (mode) => {
    const server = await ssh.serve();
    mkdirSync(join(ssh.home, '.ssh'));
    writeFileSync(ssh.knownHosts, authority());
    const bob = person('yes', PASSWORD);
    const given = settings(server.port, { strictHostKeyChecking: mode });
    const message = await failure(ssh.reach(given, bob), 'host-certificate');
    expect(message).toContain('transport=openssh');
    expect(message).toContain(`${ssh.knownHosts}:1`);
    expect(bob.questions).toEqual([]);
    expect(readFileSync(ssh.knownHosts, 'utf8')).toBe(authority());
  });

  test('unless its key is known without the port', async () => {
    const server = await ssh.serve();
    mkdirSync(join(ssh.home, '.ssh'));
    writeFileSync(ssh.knownHosts, authority() + formatKnownHost('127.0.0.1', hostKey.blob));
    await ssh.reach(settings(server.port, { password: PASSWORD }));
  });
});
