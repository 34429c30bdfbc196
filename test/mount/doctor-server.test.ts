/** What is wrong on the server once somebody is let in: modes, SFTP, the directory. */
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { at, expectCause, Practice, pasted } from '../support/doctor.js';
import { Dropbear } from '../support/dropbear.js';
import { must } from '../support/run.js';

let practice: Practice;
/** Logs in to the strict server as `visit` does. */
let login: string;

beforeAll(async () => {
  practice = await Practice.open('doctor-server');
  const { strict, user } = practice;
  const words = [`IdentityFile=${strict.keyFile}`, `UserKnownHostsFile=${strict.knownHosts}`];
  login = `${pasted(strict, words)} ${user.name}@127.0.0.1`;
});
afterAll(async () => {
  await practice?.close();
});

describe('a host that is as it should be', () => {
  it('is all well, from its name to its directory', async () => {
    const { code, cause, findings } = await practice.visit(practice.strict);
    expect({ code, cause }).toEqual({ code: 0, cause: null });
    expect(findings.filter(({ verdict }) => verdict === 'failure')).toEqual([]);
    const seen = new Map(findings.map(({ id, verdict }) => [id, verdict]));
    const ids = ['transport', 'tcp', 'banner', 'key-exchange', 'host-key', 'login', 'sftp', 'directory'];
    for (const id of ids) expect([id, seen.get(id)]).toEqual([id, 'ok']);
  });

  it('is read by a person, with or without Unicode', async () => {
    const { remora, strict } = practice;
    const args = ['doctor', at(strict), ...(await remora.login(strict))];
    const rich = await remora.run(args);
    expect(rich.stdout).toMatch(/^\S+: all is well/);
    expect(rich.stdout).toMatch(/^✓ login +\S+ is let in with the key ED25519 SHA256:/m);
    const plain = await remora.run(args, { env: { LC_ALL: 'C', LANG: 'C' } });
    expect(plain.stdout).toMatch(/^ok login /m);
    expect(plain.stdout).toMatch(/^[\n -~]*$/);
  });

  it('can be posted without names, addresses and keys', async () => {
    const { remora, strict } = practice;
    const { stdout } = await remora.run(['doctor', '--redact', at(strict), ...(await remora.login(strict))]);
    expect(stdout).toMatch(/user\d@host\d/);
    practice.expectRedacted(stdout);
  });

  it('is left as it was', async () => {
    const file = join(practice.remora.home, 'known');
    const accepting = ['-o', `UserKnownHostsFile=${file},StrictHostKeyChecking=accept-new`];
    for (const transport of ['ssh2', 'openssh']) {
      const seen = await practice.visit(practice.strict, [...accepting, '-o', `transport=${transport}`]);
      expect(seen.cause).toBeNull();
    }
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('modes on the server', () => {
  const broken = [
    ['the home directory 775', '', 0o775, 0o755, '755'],
    ['~/.ssh 777', '.ssh', 0o777, 0o700, '700'],
    ['authorized_keys 666', '.ssh/authorized_keys', 0o666, 0o600, '600'],
  ] as const;
  it.each(broken)('%s', async (_, name, bad, good, mode) => {
    const { strict, user } = practice;
    const path = join(user.home, name);
    // Debian's sshd bears a group that has nobody but the user.
    await chown(path, user.uid, 0);
    await chmod(path, bad);
    try {
      expectCause(await practice.visit(strict), 'key-refused', /^ssh-copy-id -p \d+ .* -i /);
      expectCause(
        await practice.withPassword(strict),
        'server-permissions',
        `${login} 'chmod ${mode} ${path}'`,
      );
    } finally {
      await chmod(path, good);
    }
  });
});

describe.each(['ssh2', 'openssh'])('SFTP, through %s', (transport) => {
  const by = ['-o', `transport=${transport}`];

  it('that is not offered', async () => {
    const seen = await practice.visit(await practice.serve({ sftp: null }), by);
    expectCause(seen, 'sftp-subsystem', /Subsystem sftp internal-sftp/);
  });

  it('whose program is not there', async () => {
    const seen = await practice.visit(await practice.serve({ sftp: '/nowhere/sftp-server' }), by);
    expectCause(seen, 'sftp-program', /Subsystem sftp internal-sftp/);
  });

  it('that Dropbear has no program for', async () => {
    const dropbear = await Dropbear.start(practice.scope, { user: practice.user });
    const seen = await practice.visit(dropbear, [...by, '-o', 'sftp_server=/nowhere/sftp-server']);
    expectCause(seen, 'sftp-program', /apt install openssh-sftp-server/);
  });

  it('after a login script that prints', async () => {
    const script = join(practice.scope.directory, `chatty-${transport}`);
    await writeFile(script, '#!/bin/sh\necho Welcome to this machine\nexec cat\n', { mode: 0o755 });
    const seen = await practice.visit(await practice.serve({ sftp: script }), by);
    expectCause(seen, 'sftp-text', /~\/\.bashrc: case \$- in/);
    expect(seen.cause?.what).toContain('Welcome');
  });
});

describe('the directory', () => {
  const inside = async (directory: string) => {
    const { remora, strict } = practice;
    return practice.diagnose([at(strict, directory), ...(await remora.login(strict))]);
  };

  it('that is missing: the command that is told makes it', async () => {
    const path = `${practice.user.home}/new one/it's here`;
    const seen = await inside(path);
    expectCause(seen, 'directory', / 'mkdir -p /);
    await must('sh', ['-c', seen.cause?.remedy ?? '']);
    expect((await inside(path)).cause).toBeNull();
  });

  it('that is a file', async () => {
    expectCause(await inside('/etc/passwd'), 'directory', `${login} 'ls -ld /etc/passwd'`);
  });

  it('that is somebody else’s', async () => {
    const path = join(practice.user.home, 'closed');
    await mkdir(path, { mode: 0o700 });
    await chown(path, 0, 0);
    expectCause(await inside(path), 'directory', `on the server: namei -l ${path}`);
    await rm(path, { recursive: true });
  });

  it('with a large file is read for its throughput', async () => {
    const path = join(practice.user.home, 'large');
    await mkdir(path);
    await writeFile(join(path, 'file'), Buffer.alloc(5 * 1024 * 1024));
    const { cause, findings } = await inside(path);
    expect(cause).toBeNull();
    expect(findings.find(({ id }) => id === 'throughput')).toMatchObject({ verdict: 'ok' });
  });
});

it('a failed mount names the line of the doctor', async () => {
  const { remora, strict } = practice;
  const args = [at(strict, '/no where'), await remora.mountpoint(), ...(await remora.login(strict))];
  const { stderr } = await remora.run(args);
  expect(stderr).toContain(`(see: remora doctor '${at(strict, '/no where')}', directory)`);
});
