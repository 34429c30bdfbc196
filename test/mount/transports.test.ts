/** Mounts over the ssh program, and when it is chosen. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { programPath } from '../support/packages.js';
import { endProcesses, sshPrograms } from '../support/processes.js';
import { must, until } from '../support/run.js';
import { makeKey } from '../support/server.js';
import { Sshd } from '../support/sshd.js';

const world = new MountFixture('transports');

const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');

describe('the ssh program', () => {
  it('copies 64 MiB there and back, and leaves no process', async () => {
    const mounted = await world.mount({ options: ['transport=openssh'] });
    const ssh = await sshPrograms(mounted.pid);
    expect(ssh.length).toBeGreaterThan(0);
    expect(ssh[0]?.line).toContain(' -s -- 127.0.0.1 sftp');
    const data = randomBytes(64 * 2 ** 20);
    await writeFile(join(mounted.directory, 'big'), data);
    expect(digest(await readFile(join(world.disk, 'big')))).toBe(digest(data));
    await mounted.unmount();
    const again = await world.mount({ options: ['transport=openssh'] });
    expect(digest(await readFile(join(again.directory, 'big')))).toBe(digest(data));
    const pids = (await sshPrograms(again.pid)).map(({ pid }) => pid);
    await again.unmount();
    for (const pid of pids) await expect(stat(`/proc/${pid}`)).rejects.toThrow('ENOENT');
  });

  it('recovers when ssh is killed in the middle of a copy', async () => {
    const mounted = await world.mount({ options: ['transport=openssh'] });
    const data = randomBytes(48 * 2 ** 20);
    const copy = writeFile(join(mounted.directory, 'copied'), data);
    await until('some of the file', async () => {
      const arrived = await stat(join(world.disk, 'copied')).catch(() => null);
      return arrived !== null && arrived.size > 2 ** 20;
    });
    await endProcesses(
      (await sshPrograms(mounted.pid)).map(({ pid }) => pid),
      'SIGKILL',
    );
    await copy;
    expect(digest(await readFile(join(mounted.directory, 'copied')))).toBe(digest(data));
    await mounted.unmount();
    expect(digest(await readFile(join(world.disk, 'copied')))).toBe(digest(data));
  });

  it('ssh_command names another program, whose words no shell reads', async () => {
    const wrapper = join(world.scope.directory, 'my ssh');
    const seen = join(world.scope.directory, 'seen');
    await writeFile(wrapper, `#!/bin/sh\nprintf '%s\\n' "$1" > '${seen}'\nshift\nexec ssh "$@"\n`, {
      mode: 0o755,
    });
    const words = `${wrapper.replaceAll(' ', '\\ ')} $(touch\\ x)`.replaceAll('\\', '\\\\');
    const mounted = await world.mount({ options: [`ssh_command=${words}`] });
    expect(await readFile(seen, 'utf8')).toBe('$(touch x)\n');
    await mounted.unmount();
  });

  it('sftp_server as a command', async () => {
    const server = await programPath('sftp-server');
    const mounted = await world.mount({
      options: ['transport=openssh', `sftp_server=${server} -e`],
    });
    expect(await readFile(join(mounted.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mounted.unmount();
  });
});

/** What `-v` says, and the mount that came of it. */
async function chosen(server: Sshd, ...options: string[]) {
  const mountpoint = await world.remora.mountpoint();
  const args = [...(await world.remora.login(server)), ...options.flatMap((option) => ['-o', option]), '-v'];
  const finished = await world.remora.run([
    `${server.user}@${server.host}:${world.disk}`,
    mountpoint,
    ...args,
  ]);
  expect(finished.code, finished.stderr).toBe(0);
  const [, reason = ''] = /using the ssh program, since (.*)/.exec(finished.stderr) ?? [];
  const mounted = await world.remora.adopt(mountpoint);
  expect(await readFile(join(mountpoint, 'hello'), 'utf8')).toBe('from the server\n');
  const ssh = await sshPrograms(mounted.pid);
  expect(ssh.length > 0).toBe(reason !== '');
  await mounted.unmount();
  return reason;
}

describe('auto', () => {
  it('is the built-in transport where that will do', async () => {
    expect(await chosen(world.sshd)).toBe('');
  });

  it('a user certificate', async () => {
    const authority = await makeKey(world.scope, 'user-ca');
    const server = await Sshd.start(world.scope, {
      config: [`TrustedUserCAKeys ${authority}.pub`, 'AuthorizedKeysFile none', 'PasswordAuthentication no'],
    });
    await must('ssh-keygen', ['-q', '-s', authority, '-I', 'me', '-n', server.user, `${server.keyFile}.pub`]);
    expect(await chosen(server)).toBe(`${server.keyFile}-cert.pub is a certificate`);
  });

  it('a host certificate', async () => {
    const authority = await makeKey(world.scope, 'host-ca');
    const hostKey = await makeKey(world.scope, 'certified-host-key');
    await must('ssh-keygen', ['-q', '-s', authority, '-I', 'h', '-h', '-n', '127.0.0.1', `${hostKey}.pub`]);
    const server = await Sshd.start(world.scope, {
      config: [`HostKey ${hostKey}`, `HostCertificate ${hostKey}-cert.pub`],
    });
    const known = join(world.scope.directory, 'authorities');
    await writeFile(known, `@cert-authority * ${await readFile(`${authority}.pub`, 'utf8')}`);
    expect(await chosen(server, `UserKnownHostsFile=${known}`)).toBe('the host is known by a certificate');
  });

  it('a server with nothing but post-quantum key exchange', async () => {
    const server = await Sshd.start(world.scope, {
      config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'],
    });
    expect(await chosen(server)).toBe('the server offers no algorithm that the built-in transport knows');
  });

  it('ControlMaster, whose connection is shared', async () => {
    const path = join(world.scope.directory, 'control');
    const options = ['ControlMaster=auto', `ControlPath=${path}`, 'ControlPersist=60'];
    const logins = () => world.sshd.log.split('Accepted publickey').length;
    const before = logins();
    try {
      expect(await chosen(world.sshd, ...options)).toBe('ControlMaster is auto');
      expect(await chosen(world.sshd, ...options)).toBe('ControlMaster is auto');
      expect(logins() - before).toBe(1);
    } finally {
      await must('ssh', ['-F', 'none', '-o', `ControlPath=${path}`, '-O', 'exit', '127.0.0.1']);
    }
  });

  it('only ssh2 where that is asked for', async () => {
    expect(
      await chosen(
        world.sshd,
        'transport=ssh2',
        'ControlMaster=auto',
        `ControlPath=${join(world.scope.directory, 'c')}`,
      ),
    ).toBe('');
  });
});
