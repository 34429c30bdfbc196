/**
 * Set-ups that are broken in one way each, against real servers: the doctor's first cause is the right one, and what
 * it says to run mends it.
 */
import { chmod, chown, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { authorize, Dropbear } from '../support/dropbear.js';
import { Remora } from '../support/remora.js';
import { must, type RunOptions, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { makeKey, type Server, writeKnownHosts } from '../support/server.js';
import { freePort, Sshd, type SshdOptions } from '../support/sshd.js';
import { createUser, type SystemUser } from '../support/user.js';

interface Diagnosis {
  readonly code: number | null;
  readonly cause: Finding | null;
  readonly findings: readonly Finding[];
}

let scope: Scope;
let remora: Remora;
let user: SystemUser;
/** Takes the user's key with sshd's own strictness, and the user's password. */
let strict: Sshd;

beforeAll(async () => {
  scope = await Scope.open('doctor');
  remora = await Remora.create(scope);
  user = await createUser(scope);
  strict = await serve({ config: ['AuthorizedKeysFile .ssh/authorized_keys', 'StrictModes yes'] });
  await authorize(user, await readFile(`${strict.keyFile}.pub`, 'utf8'));
});
afterAll(async () => {
  await scope?.close();
});

function serve(options: SshdOptions = {}): Promise<Sshd> {
  return Sshd.start(scope, { user: user.name, ...options });
}

async function diagnose(args: readonly string[], options: RunOptions = {}): Promise<Diagnosis> {
  const finished = await remora.run(['doctor', '--json', ...args], options);
  if (finished.stdout === '') throw new Error(finished.stderr);
  return { code: finished.code, ...JSON.parse(finished.stdout) };
}

const at = (server: Server, directory = '') => `${server.user}@${server.host}:${directory}`;

/** Later values count. */
async function visit(
  server: Server,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Diagnosis> {
  return diagnose([at(server), ...(await remora.login(server)), ...args], options);
}

/** With the password on standard input, beside the key. */
const withPassword = (server: Server, password = user.password) =>
  visit(server, ['-o', 'password_stdin'], { input: `${password}\n` });

/** Logging in to `server` without its key, and without one of this machine's. */
const keyless = async (server: Server, ...args: readonly string[]) => {
  const known = `ssh_config=none,UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;
  return ['-p', String(server.port), '-o', known, ...args];
};

function expectCause(diagnosis: Diagnosis, id: string, remedy: RegExp | string): void {
  const { cause, code } = diagnosis;
  expect({ code, id: cause?.id, remedy: cause?.remedy }).toEqual({
    code: 1,
    id,
    remedy: typeof remedy === 'string' ? remedy : expect.stringMatching(remedy),
  });
}

/** A server on loopback that is no SSH server; answers its port. */
async function odd(talk: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer('odd server', async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

describe('a host that is as it should be', () => {
  it('is all well, from its name to its directory', async () => {
    const { code, cause, findings } = await visit(strict);
    expect({ code, cause }).toEqual({ code: 0, cause: null });
    expect(findings.filter(({ verdict }) => verdict === 'failure')).toEqual([]);
    const seen = new Map(findings.map(({ id, verdict }) => [id, verdict]));
    for (const id of ['tcp', 'banner', 'key-exchange', 'host-key', 'login', 'sftp', 'directory']) {
      expect([id, seen.get(id)]).toEqual([id, 'ok']);
    }
  });

  it('is read by a person, with or without Unicode', async () => {
    const args = ['doctor', at(strict), ...(await remora.login(strict))];
    const rich = await remora.run(args);
    expect(rich.stdout).toMatch(/^\S+: all is well/);
    expect(rich.stdout).toMatch(/^✓ login +\S+ is let in with the key ED25519 SHA256:/m);
    const plain = await remora.run(args, { env: { LC_ALL: 'C', LANG: 'C' } });
    expect(plain.stdout).toMatch(/^ok login /m);
    expect(plain.stdout).toMatch(/^[\n -~]*$/);
  });

  it('can be posted without names, addresses and keys', async () => {
    const { stdout } = await remora.run(['doctor', '--redact', at(strict), ...(await remora.login(strict))]);
    expect(stdout).toMatch(/user1@host1/);
    for (const secret of [user.name, '127.0.0.1', 'SHA256:', remora.home])
      expect(stdout).not.toContain(secret);
  });

  it('is left as it was', async () => {
    const known = join(remora.home, 'known');
    const { cause } = await visit(strict, [
      '-o',
      `UserKnownHostsFile=${known},StrictHostKeyChecking=accept-new`,
    ]);
    expect(cause).toBeNull();
    await expect(readFile(known)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('modes on the server', () => {
  const broken = [
    ['the home directory 775', '', 0o775, 0o755, '755'],
    ['~/.ssh 777', '.ssh', 0o777, 0o700, '700'],
    ['authorized_keys 666', '.ssh/authorized_keys', 0o666, 0o600, '600'],
  ] as const;
  it.each(broken)('%s', async (_, name, bad, good, mode) => {
    const path = join(user.home, name);
    // Debian's sshd bears a group that has nobody but the user.
    await chown(path, user.uid, 0);
    await chmod(path, bad);
    try {
      expectCause(await visit(strict), 'key-refused', /^ssh-copy-id -p \d+ -i /);
      const seen = await withPassword(strict);
      const remedy = `ssh -p ${strict.port} ${user.name}@127.0.0.1 chmod ${mode} ${path}`;
      expectCause(seen, 'server-permissions', remedy);
    } finally {
      await chmod(path, good);
    }
  });
});

describe('keys', () => {
  it('that others may read', async () => {
    const key = await makeKey(scope, 'exposed');
    await chmod(key, 0o644);
    const seen = await diagnose([at(strict), ...(await keyless(strict, '-i', key))]);
    expectCause(seen, 'key-permissions', `chmod 600 ${key}`);
  });

  it('that the server does not know', async () => {
    const key = await makeKey(scope, 'wrong');
    const seen = await diagnose([at(strict), ...(await keyless(strict, '-i', key))]);
    expectCause(
      seen,
      'key-refused',
      `ssh-copy-id -p ${strict.port} -i ${key}.pub ${at(strict).slice(0, -1)}`,
    );
    expect(seen.cause?.what).toContain(key);
    expect(seen.cause?.why).toMatch(/auth\.log.*secure.*ssh -p \d+ -vvv/);
  });

  it('that are not there', async () => {
    expectCause(await diagnose([at(strict), ...(await keyless(strict))]), 'no-key', 'ssh-keygen -t ed25519');
  });

  it('that were named and do not exist', async () => {
    const key = join(scope.directory, 'none-such');
    const seen = await diagnose([at(strict), ...(await keyless(strict, '-i', key))]);
    expectCause(seen, 'key-missing', `ssh-keygen -t ed25519 -f ${key}`);
  });

  it('that an agent does not hold', async () => {
    const socket = join(scope.directory, 'agent');
    const agent = start('ssh-agent', ['-D', '-a', socket], { env: scope.environment });
    scope.defer('agent', async () => void agent.kill());
    await until(
      'the agent',
      async () => (await run('ssh-add', ['-l'], { env: { SSH_AUTH_SOCK: socket } })).code === 1,
    );
    const env = { SSH_AUTH_SOCK: socket };
    expectCause(await diagnose([at(strict), ...(await keyless(strict))], { env }), 'agent-empty', 'ssh-add');
  });

  it('that are encrypted, with nobody to ask', async () => {
    const key = join(scope.directory, 'locked');
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret words', '-f', key]);
    await authorize(user, await readFile(`${key}.pub`, 'utf8'));
    const seen = await diagnose([at(strict), ...(await keyless(strict, '-i', key))]);
    expectCause(seen, 'key-locked', `ssh-add ${key}`);
  });

  it('beside the public half of another', async () => {
    const key = await makeKey(scope, 'mismatched');
    await copyFile(`${strict.keyFile}.pub`, `${key}.pub`);
    const seen = await diagnose([at(strict), ...(await keyless(strict, '-i', key))]);
    expectCause(seen, 'key-mismatch', `ssh-keygen -y -f ${key} > ${key}.pub`);
  });

  it('that are no keys', async () => {
    const key = join(scope.directory, 'garbage');
    await writeFile(key, 'not a key\n', { mode: 0o600 });
    const seen = await diagnose([at(strict), ...(await keyless(strict, '-i', key))]);
    expectCause(seen, 'key-unusable', `ssh-keygen -y -f ${key}`);
  });

  it('too many for the server', async () => {
    const server = await serve({ config: ['MaxAuthTries 2'] });
    const keys = await Promise.all([1, 2, 3, 4].map((n) => makeKey(scope, `many-${n}`)));
    const seen = await diagnose([
      at(server),
      ...(await keyless(server, ...keys.flatMap((key) => ['-i', key]))),
    ]);
    expectCause(seen, 'login', `-o IdentitiesOnly=yes -i ${keys[0]}`);
  });
});

it('sees as much through the ssh program', async () => {
  const program = ['-o', 'transport=openssh'];
  const well = await visit(strict, program);
  expect(well).toMatchObject({ code: 0, cause: null });
  expect(well.findings.find(({ id }) => id === 'login')?.what).toMatch(/is let in, through the ssh program/);
  const key = await makeKey(scope, 'unknown');
  const args = [at(strict), ...(await keyless(strict, '-i', key)), ...program];
  expectCause(await diagnose(args), 'key-refused', /^ssh-copy-id -p \d+ -i \S+unknown\.pub /);
  const guess = [at(strict), ...(await keyless(strict, '-o', 'password_stdin')), ...program];
  expectCause(await diagnose(guess, { input: 'wrong\n' }), 'password', /^on the server: sudo passwd /);
});

describe('accounts', () => {
  it('with another password', async () => {
    const args = [at(strict), ...(await keyless(strict, '-o', 'password_stdin'))];
    const seen = await diagnose(args, { input: 'wrong\n' });
    expectCause(seen, 'password', `on the server: sudo passwd ${user.name}`);
  });

  it('that may not log in (AllowUsers)', async () => {
    const server = await serve({ config: ['AllowUsers nobody'] });
    const seen = await withPassword(server);
    expectCause(seen, 'account', 'on the server: sudo journalctl -u ssh -n 50');
    expect(seen.cause?.why).toContain('AllowUsers');
  });

  it('that do not exist', async () => {
    const args = [`no-such-user@127.0.0.1`, ...(await remora.login(strict)), '-o', 'password_stdin'];
    expectCause(await diagnose(args, { input: 'any\n' }), 'account', /journalctl/);
  });

  it('that take a password only, with nobody to ask', async () => {
    const server = await serve({ config: ['PubkeyAuthentication no'] });
    expectCause(await visit(server), 'no-method', `ssh -p ${server.port} ${user.name}@127.0.0.1`);
  });
});

describe('host keys', () => {
  it('that have changed', async () => {
    const other = await makeKey(scope, 'other-host');
    const known = join(scope.directory, 'known-changed');
    await writeKnownHosts(known, '127.0.0.1', strict.port, await readFile(`${other}.pub`, 'utf8'));
    const seen = await visit(strict, ['-o', `UserKnownHostsFile=${known}`]);
    expectCause(seen, 'host-key', `ssh-keygen -f '${known}' -R '[127.0.0.1]:${strict.port}'`);
    expect(seen.cause?.what).toContain(`${known}:1`);
  });

  it.each(['yes', 'ask'])('that are unknown, with StrictHostKeyChecking=%s', async (checking) => {
    const seen = await visit(strict, ['-o', `UserKnownHostsFile=none,StrictHostKeyChecking=${checking}`]);
    expectCause(
      seen,
      'host-key',
      `ssh -p ${strict.port} -o StrictHostKeyChecking=ask ${user.name}@127.0.0.1`,
    );
  });

  it('that are revoked', async () => {
    const known = join(scope.directory, 'known-revoked');
    const [type, key] = (await readFile(`${strict.hostKey}.pub`, 'utf8')).split(' ');
    await writeFile(known, `@revoked * ${type} ${key}\n`);
    const seen = await visit(strict, ['-o', `UserKnownHostsFile=${known}`]);
    expectCause(seen, 'host-key', /ssh-keygen -A/);
    expect(seen.cause?.what).toContain('revoked');
  });
});

describe('the way to the server', () => {
  it('a name that does not resolve', async () => {
    expectCause(
      await diagnose(['no-such-host.invalid', '-F', 'none']),
      'name',
      /no-such-host\.invalid|resolv/,
    );
  });

  it('a mistake in the configuration', async () => {
    const config = join(scope.directory, 'bad_config');
    await writeFile(config, 'Host *\n  Porrt 22\n');
    const seen = await diagnose(['host', '-F', config]);
    expectCause(seen, 'configuration', `\${EDITOR:-vi} +2 ${config}`);
  });

  it('a port that is closed', async () => {
    const seen = await diagnose(['127.0.0.1', '-F', 'none', '-p', String(await freePort())]);
    expectCause(seen, 'tcp', 'on the server: sudo systemctl enable --now ssh');
  });

  it('a port that is filtered', async () => {
    // A listener that accepts nothing, with its queue full: the kernel drops what else comes.
    const script =
      'import socket,time;s=socket.socket();s.bind(("127.0.0.1",0));s.listen(0);print(s.getsockname()[1],flush=True);' +
      'c=[socket.socket() for _ in range(3)];[x.setblocking(False) or x.connect_ex(s.getsockname()) for x in c];time.sleep(60)';
    const child = start('python3', ['-c', script], { env: scope.environment });
    scope.defer('filtered port', async () => void child.kill('SIGKILL'));
    const port = await new Promise<string>((resolve) => {
      child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    });
    const seen = await diagnose(['127.0.0.1', '-F', 'none', '-p', port]);
    expectCause(seen, 'tcp', `on the server: sudo ufw allow ${port}/tcp`);
  });

  it('a web server', async () => {
    const port = await odd((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    const seen = await diagnose(['bob@127.0.0.1', '-F', 'none', '-p', String(port)]);
    expectCause(seen, 'banner', 'ssh -p 22 bob@127.0.0.1');
    expect(seen.cause?.why).toContain('a web server');
  });

  it('a server that is silent', async () => {
    const port = await odd(() => {});
    const seen = await diagnose(['bob@127.0.0.1', '-F', 'none', '-p', String(port)]);
    expectCause(seen, 'banner', `ssh -p ${port} -vvv bob@127.0.0.1`);
  });

  it('a server that hangs up at once', async () => {
    const port = await odd((socket) => socket.destroy());
    expectCause(await diagnose(['127.0.0.1', '-F', 'none', '-p', String(port)]), 'banner', /MaxStartups/);
  });

  it('a server with too many logins under way (MaxStartups)', async () => {
    const server = await serve({ config: ['MaxStartups 1', 'LoginGraceTime 60'] });
    const { connect } = await import('node:net');
    const first = connect(server.port, '127.0.0.1');
    scope.defer('waiting client', async () => void first.destroy());
    await new Promise((resolve) => first.once('data', resolve));
    expectCause(await visit(server), 'banner', /MaxStartups/);
    first.destroy();
  });

  it('no key exchange in common', async () => {
    const server = await serve({ config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'] });
    expectCause(await visit(server), 'key-exchange', '-o transport=openssh');
  });

  it('no cipher in common', async () => {
    const server = await serve({ config: ['Ciphers aes256-ctr'] });
    const seen = await visit(server, ['-o', 'Ciphers=aes128-ctr']);
    expectCause(seen, 'key-exchange', '-o Ciphers=+aes256-ctr');
  });
});

describe('SFTP', () => {
  it('that is not offered', async () => {
    const seen = await visit(await serve({ sftp: null }));
    expectCause(seen, 'sftp-subsystem', /Subsystem sftp internal-sftp/);
  });

  it('whose program is not there', async () => {
    const seen = await visit(await serve({ sftp: '/nowhere/sftp-server' }));
    expectCause(seen, 'sftp-program', /Subsystem sftp internal-sftp/);
  });

  it('that Dropbear has no program for', async () => {
    const dropbear = await Dropbear.start(scope, { user });
    const diagnosis = await visit(dropbear, ['-o', 'sftp_server=/nowhere/sftp-server']);
    expectCause(diagnosis, 'sftp-program', /apt install openssh-sftp-server/);
  });

  it('after a login script that prints', async () => {
    const script = join(scope.directory, 'chatty');
    await writeFile(script, '#!/bin/sh\necho Welcome to this machine\nexec cat\n', { mode: 0o755 });
    const seen = await visit(await serve({ sftp: script }));
    expectCause(seen, 'sftp-text', /~\/\.bashrc: case \$- in/);
    expect(seen.cause?.what).toContain('Welcome');
  });
});

describe('the directory', () => {
  const inside = async (directory: string) =>
    diagnose([at(strict, directory), ...(await remora.login(strict))]);
  const ssh = () => `ssh -p ${strict.port} ${user.name}@127.0.0.1`;

  it('that is missing', async () => {
    expectCause(await inside('/nowhere/at all'), 'directory', `${ssh()} mkdir '/nowhere/at all'`);
  });

  it('that is a file', async () => {
    expectCause(await inside('/etc/passwd'), 'directory', `${ssh()} ls -ld /etc/passwd`);
  });

  it('that is somebody else’s', async () => {
    const path = join(user.home, 'closed');
    await mkdir(path, { mode: 0o700 });
    await chown(path, 0, 0);
    expectCause(await inside(path), 'directory', `on the server: namei -l ${path}`);
    await rm(path, { recursive: true });
  });

  it('with a large file is read for its throughput', async () => {
    const path = join(user.home, 'large');
    await mkdir(path);
    await writeFile(join(path, 'file'), Buffer.alloc(5 * 1024 * 1024));
    const { cause, findings } = await inside(path);
    expect(cause).toBeNull();
    expect(findings.find(({ id }) => id === 'throughput')).toMatchObject({ verdict: 'ok' });
  });
});

it('a failed mount names the line of the doctor', async () => {
  const args = [at(strict, '/nowhere'), await remora.mountpoint(), ...(await remora.login(strict))];
  const { stderr } = await remora.run(args);
  expect(stderr).toContain(`(see: remora doctor ${at(strict, '/nowhere')}, directory)`);
});
