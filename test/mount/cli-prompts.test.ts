/** Questions on a terminal, passwords from standard input, and where secrets must not be seen. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mountsBelow } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { must } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('prompts');
  disk = await scope.makeDirectory('disk', undefined, 0o777);
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});
afterEach(async () => {
  await remora.discard();
});

const known = () =>
  `ssh_config=none,UserKnownHostsFile=${sshd.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;

function onTerminal(args: readonly string[], talk: readonly { expect: string; answer: string }[]) {
  return runOnTerminal([...remora.program, ...args], talk, { env: remora.environment });
}

describe('the host key question', () => {
  const args = async (file: string) => [
    `${sshd.user}@${sshd.host}:${disk}`,
    await remora.mountpoint(),
    ...['-p', String(sshd.port), '-i', sshd.keyFile],
    ...['-o', `ssh_config=none,UserKnownHostsFile=${file},GlobalKnownHostsFile=none`],
  ];

  it('yes mounts and remembers the key', async () => {
    const file = join(scope.directory, 'learned', 'known_hosts');
    const command = await args(file);
    const finished = await onTerminal(command, [{ expect: '(yes/no', answer: 'yes\n' }]);
    expect(finished.code, finished.stdout).toBe(0);
    expect(finished.stdout).toMatch(/can't be established\.\r?\nED25519 key fingerprint is SHA256:/);
    await (await remora.adopt(command[1] ?? '')).unmount();
    expect(await readFile(file, 'utf8')).toContain(`[${sshd.host}]:${sshd.port} ssh-ed25519 `);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = [command[0] ?? '', await remora.mountpoint(), ...command.slice(2)];
    expect((await onTerminal(again, [])).code, 'no question the second time').toBe(0);
    await (await remora.adopt(again[1] ?? '')).unmount();
  });

  it('the fingerprint is as good as yes', async () => {
    const print = (await must('ssh-keygen', ['-lf', sshd.knownHosts])).split(' ')[1] ?? '';
    const command = await args(join(scope.directory, 'by-fingerprint'));
    const finished = await onTerminal(command, [{ expect: '(yes/no', answer: `${print}\n` }]);
    expect(finished.code, finished.stdout).toBe(0);
    await (await remora.adopt(command[1] ?? '')).unmount();
  });

  it('no is 30 and remembers nothing', async () => {
    const file = join(scope.directory, 'not-learned');
    const finished = await onTerminal(await args(file), [{ expect: '(yes/no', answer: 'no\n' }]);
    expect(finished.code, finished.stdout).toBe(30);
    expect(await readFile(file, 'utf8').catch(() => '')).toBe('');
    expect(await mountsBelow(scope.directory)).toEqual([]);
  });

  it('Ctrl-C is 130 and leaves nothing', async () => {
    const finished = await onTerminal(await args(join(scope.directory, 'aborted')), [
      { expect: '(yes/no', answer: '\x03' },
    ]);
    expect(finished.code, finished.stdout).toBe(130);
    expect(await mountsBelow(scope.directory)).toEqual([]);
  });
});

describe('the passphrase of a key', () => {
  it('is asked for, not shown, and asked again when wrong', async () => {
    const locked = await Sshd.start(scope);
    await must('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'Open-Sesame-27', '-f', locked.keyFile]);
    const mountpoint = await remora.mountpoint();
    const args = [`${locked.user}@${locked.host}:${disk}`, mountpoint, ...(await remora.login(locked))];
    const finished = await onTerminal(args, [
      { expect: 'passphrase', answer: 'Wrong-One\n' },
      { expect: 'passphrase', answer: 'Open-Sesame-27\n' },
    ]);
    expect(finished.code, finished.stdout).toBe(0);
    expect(finished.stdout).not.toMatch(/Open-Sesame|Wrong-One/);
    await (await remora.adopt(mountpoint)).unmount();
  });
});

describe.runIf(isRoot)('passwords', () => {
  let user: SystemUser;
  beforeAll(async () => {
    user = await createUser(scope);
  });

  const command = async () => {
    const mountpoint = await remora.mountpoint();
    const source = `${user.name}@${sshd.host}:${disk}`;
    const args = [source, mountpoint, '-p', String(sshd.port), '-o', `${known()},IdentityAgent=none`];
    return { mountpoint, args };
  };

  it('on the terminal: hidden, asked again when wrong', async () => {
    const { mountpoint, args } = await command();
    const finished = await onTerminal(args, [
      { expect: 'assword:', answer: 'Not-The-One\n' },
      { expect: 'assword:', answer: `${user.password}\n` },
    ]);
    expect(finished.code, finished.stdout).toBe(0);
    expect(finished.stdout).not.toContain(user.password);
    expect(finished.stdout).not.toContain('Not-The-One');
    await (await remora.adopt(mountpoint)).unmount();
  });

  it('on the terminal: three wrong ones are 40', async () => {
    const { args } = await command();
    const wrong = { expect: 'assword:', answer: 'wrong\n' };
    const finished = await onTerminal(args, [wrong, wrong, wrong]);
    expect(finished.code, finished.stdout).toBe(40);
    expect(await mountsBelow(scope.directory)).toEqual([]);
  });

  it('on the terminal: Ctrl-C is 130 and the terminal echoes again', async () => {
    const { args } = await command();
    const finished = await onTerminal(args, [{ expect: 'assword:', answer: '\x03' }]);
    expect(finished.code, finished.stdout).toBe(130);
    expect(await mountsBelow(scope.directory)).toEqual([]);
  });

  it('from standard input: mounts, and is in no argument, environment or log', async () => {
    const { mountpoint, args } = await command();
    const finished = await remora.run([...args, '-o', 'password_stdin'], {
      input: `${user.password}\nnot for us\n`,
      env: { DEBUG: 'remora:*' },
    });
    expect(finished.code, finished.stderr).toBe(0);
    expect(finished.stderr).not.toContain(user.password);
    const mount = await remora.adopt(mountpoint);
    for (const file of ['cmdline', 'environ']) {
      expect(await readFile(`/proc/${mount.pid}/${file}`, 'latin1')).not.toContain(user.password);
    }
    const logs = join(remora.home, 'state', 'remora');
    for (const name of await readdir(logs).catch(() => [])) {
      expect((await stat(join(logs, name))).mode & 0o077).toBe(0);
      expect(await readFile(join(logs, name), 'latin1')).not.toContain(user.password);
    }
    await mount.unmount();
  });

  it('without a terminal there is no question: 40', async () => {
    const { args } = await command();
    const finished = await remora.run(args);
    expect(finished.code).toBe(40);
    expect(finished.stderr).toMatch(/^remora: [^\n]+\n$/);
  });
});
