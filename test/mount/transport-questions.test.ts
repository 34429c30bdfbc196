/** What the ssh program asks, on a terminal. */
import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { endProcesses, mountsBelow, sshPrograms } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { must, until } from '../support/run.js';
import { makeKey } from '../support/server.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

const world = new MountFixture('transport-questions');

describe("ssh's questions", () => {
  const ask = (args: readonly string[], talk: readonly { expect: string; answer: string }[]) =>
    runOnTerminal([...world.remora.program, ...args], talk, {
      env: { ...world.remora.environment, TMPDIR: temporary },
    });
  let temporary: string;
  let user: SystemUser;

  beforeAll(async () => {
    temporary = await world.scope.makeDirectory('tmp');
    if (isRoot) user = await createUser(world.scope);
  });
  afterEach(async () => {
    await world.remora.discard();
    expect(await readdir(temporary), 'what ssh asks through is gone').toEqual([]);
  });

  const base = async (known: string, ...options: string[]) => [
    await world.remora.mountpoint(),
    ...['-p', String(world.sshd.port)],
    ...['-o', `ssh_config=none,UserKnownHostsFile=${known},GlobalKnownHostsFile=none,IdentityAgent=none`],
    ...['-o', ['transport=openssh', ...options].join(',')],
  ];

  it('the host key: yes mounts and remembers it, no does not', async () => {
    const known = join(world.scope.directory, 'learned');
    const source = `${world.sshd.user}@${world.sshd.host}:${world.disk}`;
    const refused = await ask(
      [source, ...(await base(known)), '-i', world.sshd.keyFile],
      [{ expect: '(yes/no', answer: 'no\n' }],
    );
    expect(refused.code, refused.stdout).toBe(30);
    expect(refused.stdout).toContain('SHA256:');
    const args = [source, ...(await base(known)), '-i', world.sshd.keyFile];
    const finished = await ask(args, [{ expect: '(yes/no', answer: 'yes\n' }]);
    expect(finished.code, finished.stdout).toBe(0);
    expect(await readFile(known, 'utf8')).toContain('ssh-ed25519');
    const { directory } = await world.remora.adopt(args[1] ?? '');
    expect(await readFile(join(directory, 'hello'), 'utf8')).toBe('from the server\n');
  });

  it('a passphrase, which serves for the data and for the next login as well', async () => {
    const keyFile = await makeKey(world.scope, 'locked');
    const authorized = join(world.sshd.keyFile, '..', 'authorized_keys');
    await appendFile(authorized, await readFile(`${keyFile}.pub`));
    await must('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', '-f', keyFile]);
    const args = [
      `${world.sshd.user}@${world.sshd.host}:${world.disk}`,
      ...(await base(world.sshd.knownHosts, 'IdentitiesOnly=yes')),
      '-i',
      keyFile,
    ];
    const finished = await ask(args, [
      { expect: 'Enter passphrase for', answer: 'wrong\n' },
      { expect: 'Enter passphrase for', answer: 'open sesame\n' },
    ]);
    expect(finished.code, finished.stdout).toBe(0);
    const mounted = await world.remora.adopt(args[1] ?? '');
    const ssh = await until('ssh for the data', async () => {
      const found = await sshPrograms(mounted.pid);
      return found.length > 1 && found;
    });
    expect(JSON.stringify(ssh)).not.toContain('sesame');
    await endProcesses(
      ssh.map(({ pid }) => pid),
      'SIGKILL',
    );
    expect(await readFile(join(mounted.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mounted.unmount();
  });

  it('Ctrl-C is 130 and leaves nothing', async () => {
    const known = join(world.scope.directory, 'interrupted');
    const args = [
      `${world.sshd.user}@${world.sshd.host}:${world.disk}`,
      ...(await base(known)),
      '-i',
      world.sshd.keyFile,
    ];
    const finished = await ask(args, [{ expect: '(yes/no', answer: '\x03' }]);
    expect(finished.code, finished.stdout).toBe(130);
    expect(await mountsBelow(world.scope.directory)).toEqual([]);
  });

  describe.skipIf(!isRoot)('a password', () => {
    it('at the terminal, after a wrong one', async () => {
      const args = [
        `${user.name}@${world.sshd.host}:${world.disk}`,
        ...(await base(world.sshd.knownHosts, 'PubkeyAuthentication=no')),
      ];
      const finished = await ask(args, [
        { expect: "'s password: ", answer: 'wrong\n' },
        { expect: "'s password: ", answer: `${user.password}\n` },
      ]);
      expect(finished.code, finished.stdout).toBe(0);
      expect(finished.stdout).not.toContain(user.password);
      const mounted = await world.remora.adopt(args[1] ?? '');
      await mounted.unmount();
    });

    it('another one when the mount is connected again', async () => {
      const changing = await createUser(world.scope);
      const source = `${changing.name}@${world.sshd.host}:${world.disk}`;
      const args = [source, ...(await base(world.sshd.knownHosts, 'PubkeyAuthentication=no'))];
      const finished = await ask(args, [{ expect: "'s password: ", answer: `${changing.password}\n` }]);
      expect(finished.code, finished.stdout).toBe(0);
      const mounted = await world.remora.adopt(args[1] ?? '');
      await must('sh', ['-c', `echo '${changing.name}:another-one' | chpasswd`]);
      const killed = (await sshPrograms(mounted.pid)).map(({ pid }) => pid);
      await endProcesses(killed, 'SIGKILL');
      await until('the mount to want a person', async () => {
        return (await mounted.status()).link.needsPerson;
      });
      await until('the same login to be planned again', async () => {
        const { retryAt } = (await mounted.status()).link;
        return retryAt !== null && retryAt > Date.now() + 120_000;
      });
      const again = await ask(
        ['reconnect', mounted.directory],
        [{ expect: "'s password: ", answer: 'another-one\n' }],
      );
      expect(again.code, again.stdout).toBe(0);
      expect(await readFile(join(mounted.directory, 'hello'), 'utf8')).toBe('from the server\n');
      await mounted.unmount();
    });

    it('from standard input', async () => {
      const args = [
        `${user.name}@${world.sshd.host}:${world.disk}`,
        ...(await base(world.sshd.knownHosts, 'PubkeyAuthentication=no')),
      ];
      const login = (password: string) =>
        world.remora.run([...args, '-o', 'password_stdin'], { input: `${password}\n` });
      const refused = await login('wrong');
      expect(refused.code, refused.stderr).toBe(40);
      const finished = await login(user.password);
      expect(finished.code, finished.stderr).toBe(0);
      await (await world.remora.adopt(args[1] ?? '')).unmount();
    });
  });
});
