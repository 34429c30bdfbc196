/** The ways in that an OpenSSH server offers, each over both transports: keys of each kind, agent, passwords, cages. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { endProcesses } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

const PASSPHRASE = 'Open-Sesame-31';

let scope: Scope;
let remora: Remora;
let user: SystemUser;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  if (!isRoot) return;
  scope = await Scope.open('openssh-family');
  user = await createUser(scope);
  disk = await scope.makeDirectory('disk', undefined, 0o777);
  await writeFile(join(disk, 'hello'), 'from the server\n');
  sshd = await Sshd.start(scope, {
    user: user.name,
    config: [
      `AuthorizedKeysFile ${join(scope.directory, 'authorized')}`,
      // Only a user of its own may have a password, and PAM is what most servers ask.
      'UsePAM yes',
      'KbdInteractiveAuthentication yes',
      'PasswordAuthentication no',
    ],
  });
  remora = await Remora.create(scope);
});
afterEach(async () => {
  await remora?.discard();
});
afterAll(async () => {
  await scope?.close();
});

const options = (transport: string, server = sshd) =>
  `transport=${transport},ssh_config=none,UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;

async function command(transport: string, server: Sshd = sshd, directory = disk) {
  const mountpoint = await remora.mountpoint();
  const source = `${user.name}@${server.host}:${directory}`;
  return {
    mountpoint,
    args: [source, mountpoint, '-p', String(server.port), '-o', options(transport, server)],
  };
}

async function serves(mountpoint: string): Promise<void> {
  const mounted = await remora.adopt(mountpoint);
  expect(await readFile(join(mountpoint, 'hello'), 'utf8')).toBe('from the server\n');
  await writeFile(join(mountpoint, 'reply'), 'from here\n');
  await mounted.unmount();
  expect(await readFile(join(disk, 'reply'), 'utf8')).toBe('from here\n');
}

/** A key of this kind, which the server accepts. */
async function key(name: string, kind: readonly string[], passphrase = ''): Promise<string> {
  const file = join(scope.directory, name);
  await must('ssh-keygen', ['-q', ...kind, '-N', passphrase, '-f', file]);
  await writeFile(join(scope.directory, 'authorized'), await readFile(`${file}.pub`), { mode: 0o644 });
  return file;
}

const KINDS = [
  { kind: 'ed25519', words: ['-t', 'ed25519'] },
  { kind: 'ecdsa', words: ['-t', 'ecdsa', '-b', '384'] },
  { kind: 'rsa', words: ['-t', 'rsa', '-b', '2048'] },
  { kind: 'rsa-pem', words: ['-t', 'rsa', '-b', '2048', '-m', 'PEM'] },
] as const;

describe.runIf(isRoot).each(['ssh2', 'openssh'])('over %s', (transport) => {
  it.each(KINDS)('a key of kind $kind', async ({ kind, words }) => {
    const file = await key(`${transport}-${kind}`, words);
    const { mountpoint, args } = await command(transport);
    const finished = await remora.run([...args, '-i', file, '-o', 'IdentitiesOnly=yes']);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    await serves(mountpoint);
  });

  it.each(KINDS)('a key of kind $kind with a passphrase', async ({ kind, words }) => {
    const file = await key(`${transport}-locked-${kind}`, words, PASSPHRASE);
    const { mountpoint, args } = await command(transport);
    const talk = [{ expect: 'passphrase', answer: `${PASSPHRASE}\n` }];
    const all = [...remora.program, ...args, '-i', file, '-o', 'IdentitiesOnly=yes'];
    const finished = await runOnTerminal(all, talk, { env: remora.environment });
    expect(finished.code, finished.stdout).toBe(0);
    expect(finished.stdout).not.toContain(PASSPHRASE);
    await serves(mountpoint);
  });

  it('a key that only the agent can use', async () => {
    const file = await key(`${transport}-agent`, KINDS[0].words, PASSPHRASE);
    const socket = join(scope.directory, `${transport}.agent`);
    const started = await must('ssh-agent', ['-s', '-a', socket]);
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
    scope.defer('agent', () => endProcesses([pid]));
    const askpass = await answers(`${transport}-adds`, PASSPHRASE);
    const env = { SSH_AUTH_SOCK: socket, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' };
    expect((await run('ssh-add', [file], { env: { ...scope.environment, ...env } })).code).toBe(0);
    const { mountpoint, args } = await command(transport);
    const finished = await remora.run(args, { env: { SSH_AUTH_SOCK: socket } });
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    await serves(mountpoint);
  });

  it('keyboard-interactive, as PAM asks', async () => {
    const { mountpoint, args } = await command(transport);
    const talk = [
      { expect: 'assword:', answer: 'Not-The-One\n' },
      { expect: 'assword:', answer: `${user.password}\n` },
    ];
    const all = [...remora.program, ...args, '-o', 'IdentityFile=none,IdentityAgent=none'];
    const finished = await runOnTerminal(all, talk, { env: remora.environment });
    expect(finished.code, finished.stdout).toBe(0);
    expect(finished.stdout).not.toContain(user.password);
    await serves(mountpoint);
  });

  it('a password, asked for by the program of SSH_ASKPASS where there is no terminal', async () => {
    const simple = await Sshd.start(scope, { user: user.name });
    const { mountpoint, args } = await command(transport, simple);
    const env = { SSH_ASKPASS: await answers(`${transport}-asks`, user.password), DISPLAY: ':7' };
    const finished = await remora.run([...args, '-o', 'IdentityFile=none,IdentityAgent=none'], { env });
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(await readFile(`${env.SSH_ASKPASS}.asked`, 'utf8')).toMatch(/^.*assword.*$/m);
    await serves(mountpoint);
    const silent = { ...env, SSH_ASKPASS: await answers(`${transport}-refuses`, null) };
    const refused = await remora.run([...(await command(transport, simple)).args], { env: silent });
    expect(refused.code, refused.stderr).not.toBe(0);
    expect(refused.stderr).toMatch(/^remora: [^\n]+\n$/);
  });

  it('a login that has internal-sftp alone, by ForceCommand', async () => {
    const server = await Sshd.start(scope, { user: user.name, config: ['ForceCommand internal-sftp'] });
    const { mountpoint, args } = await command(transport, server);
    const finished = await remora.run([...args, '-i', server.keyFile]);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    await serves(mountpoint);
  });

  it('a login in a chroot', async () => {
    // sshd wants the way there to be writable by root alone, which temporary directories are not.
    const cage = await mkdtemp('/run/remora-test-cage-');
    scope.defer('chroot', () => rm(cage, { recursive: true }));
    await chmod(cage, 0o755);
    await mkdir(join(cage, 'share'));
    await chmod(join(cage, 'share'), 0o777);
    const config = ['ForceCommand internal-sftp', `ChrootDirectory ${cage}`];
    const server = await Sshd.start(scope, { user: user.name, config });
    const { mountpoint, args } = await command(transport, server, '/share');
    const finished = await remora.run([...args, '-i', server.keyFile]);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    const mounted = await remora.adopt(mountpoint);
    await writeFile(join(mountpoint, 'reply'), 'x'.repeat(300_000));
    await mounted.unmount();
    expect(await readFile(join(cage, 'share', 'reply'), 'utf8')).toBe('x'.repeat(300_000));
  });
});

/** A program for SSH_ASKPASS that notes what it is asked and answers `text`, or refuses. */
async function answers(name: string, text: string | null): Promise<string> {
  const file = join(scope.directory, name);
  const end = text === null ? 'exit 1' : `echo '${text}'`;
  await writeFile(file, `#!/bin/sh\necho "$1" >> '${file}.asked'\n${end}\n`, { mode: 0o755 });
  return file;
}
