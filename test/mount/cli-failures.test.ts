/**
 * Every way a mount can fail, against a real sshd: its own exit code, one sentence on standard error, and
 * nothing mounted afterwards.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mountsBelow } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { type Finished, must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { makeKey, writeKnownHosts } from '../support/server.js';
import { freePort, Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;
let login: readonly string[];

beforeAll(async () => {
  scope = await Scope.open('failures');
  disk = await scope.makeDirectory('disk');
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
  login = await remora.login(sshd);
});
afterAll(async () => {
  await scope?.close();
});
afterEach(async () => {
  await remora.discard();
});

/** The failure has this code and one clear sentence; answers the sentence. */
async function refused(finished: Finished, code: number): Promise<string> {
  expect(finished.stdout).toBe('');
  expect({ code: finished.code, stderr: finished.stderr }).toMatchObject({ code });
  expect(finished.stderr).toMatch(/^remora: [^\n]+\n$/);
  expect(finished.stderr).not.toMatch(/\bat \S+:\d+|Error:|undefined|\[object/);
  expect(await mountsBelow(scope.directory)).toEqual([]);
  return finished.stderr;
}

const source = (directory = disk) => `${sshd.user}@${sshd.host}:${directory}`;

async function mounting(...args: readonly string[]): Promise<Finished> {
  return remora.run([source(), await remora.mountpoint(), ...args]);
}

/** A server on loopback that is no SSH server. */
async function odd(talk: (socket: import('node:net').Socket) => void): Promise<number> {
  const server: TcpServer = createServer((socket) => {
    socket.on('error', () => {});
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

describe('wrong usage is 2', () => {
  it.each([
    ['nothing at all', []],
    ['one operand', ['host:']],
    ['three operands', ['host:', '/a', '/b']],
    ['an unknown flag', ['host:', '/a', '--frobnicate']],
    ['a source without a colon', ['host', '/a']],
    ['an empty host', [':/x', '/a']],
    ['a host that begins with a dash', ['--', '-oProxyCommand=id:/x', '/a']],
    ['a port out of range', ['host:', '/a', '-p', '70000']],
    ['a bad umask', ['host:', '/a', '-o', 'umask=9']],
  ])('%s', async (_, args) => {
    await refused(await remora.run(args), 2);
  });

  it('an unknown option names the nearest known one', async () => {
    const said = await refused(await mounting(...login, '-o', 'idmpa=user'), 2);
    expect(said).toContain('idmpa');
    expect(said).toMatch(/idmap/);
  });
});

it('help and version go to standard output and are 0', async () => {
  for (const flag of ['--help', '-h', '--version', '-V']) {
    const finished = await remora.run([flag]);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(finished.stdout).not.toBe('');
  }
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
  expect((await remora.run(['--version'])).stdout).toContain(version);
});

describe('the mount point', () => {
  it('that does not exist is 10', async () => {
    const said = await refused(await remora.run([source(), join(scope.directory, 'missing'), ...login]), 10);
    expect(said).toContain('missing');
  });

  it('that is a file is 11', async () => {
    const file = join(scope.directory, 'file');
    await writeFile(file, '');
    await refused(await remora.run([source(), file, ...login]), 11);
    await refused(await remora.run([source(), join(file, 'below'), ...login]), 11);
  });

  it('that is not empty is 12', async () => {
    const mountpoint = await remora.mountpoint();
    await writeFile(join(mountpoint, 'in-the-way'), '');
    await refused(await remora.run([source(), mountpoint, ...login]), 12);
  });

  it.runIf(isRoot)('that a plain user may not write is 14', async () => {
    const user = await createUser(scope);
    const theirs = await Remora.create(scope, user);
    const rootly = await scope.makeDirectory('rootly');
    await refused(await theirs.run([source(), rootly, ...(await theirs.login(sshd))]), 14);
  });
});

describe('the host', () => {
  it('that does not resolve is 20', async () => {
    const said = await refused(await remora.run(['no-such-host.invalid:', await remora.mountpoint()]), 20);
    expect(said).toContain('no-such-host.invalid');
  });

  it('that refuses is 21', async () => {
    const port = await freePort();
    const said = await refused(await mounting('-p', String(port)), 21);
    expect(said).toContain(String(port));
  });

  it.runIf(isRoot)('that cannot be reached is 22', async () => {
    const [node, main] = remora.program;
    const mountpoint = await remora.mountpoint();
    // In a network namespace of its own, loopback is down and nothing has a route.
    const args = ['-n', node, main, source(), mountpoint, ...login];
    await refused(await run('unshare', args, { env: remora.environment }), 22);
  });

  it('that never answers is 23, after ConnectTimeout', async () => {
    const port = await odd(() => {});
    const begun = performance.now();
    await refused(await mounting('-p', String(port), '-o', 'ConnectTimeout=1'), 23);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('that is not at standard input is 25', async () => {
    expect(await refused(await mounting('-o', 'passive,ssh_config=none'), 25)).toContain('takes a pipe');
  });

  it('that hangs up at once is 24 or 25', async () => {
    const port = await odd((socket) => socket.end());
    const finished = await mounting('-p', String(port));
    expect([24, 25]).toContain(finished.code);
    await refused(finished, finished.code ?? 0);
  });

  it('that speaks something else is 25', async () => {
    const port = await odd((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(200)));
    await refused(await mounting('-p', String(port)), 25);
  });
});

describe('the host key', () => {
  const trusting = (known: string, mode: string) => [
    '-p',
    String(sshd.port),
    '-i',
    sshd.keyFile,
    '-o',
    `UserKnownHostsFile=${known},GlobalKnownHostsFile=none,StrictHostKeyChecking=${mode}`,
  ];

  it.each(['yes', 'ask'])('that is not known is 30 (StrictHostKeyChecking=%s)', async (mode) => {
    const known = join(scope.directory, `unknown-${mode}`);
    const said = await refused(await mounting(...trusting(known, mode)), 30);
    expect(said).toMatch(/SHA256:/);
    expect(await readFile(known, 'utf8').catch(() => '')).toBe('');
  });

  it.each(['yes', 'ask', 'accept-new', 'no'])(
    'that changed is 31 (StrictHostKeyChecking=%s)',
    async (mode) => {
      const other = await readFile(`${await makeKey(scope, `other-${mode}`)}.pub`, 'utf8');
      const known = await writeKnownHosts(
        join(scope.directory, `changed-${mode}`),
        sshd.host,
        sshd.port,
        other,
      );
      const before = await readFile(known, 'utf8');
      const said = await refused(await mounting(...trusting(known, mode)), 31);
      expect(said).toContain(`${known}:1`);
      expect(said).toContain('ssh-keygen');
      expect(await readFile(known, 'utf8')).toBe(before);
    },
  );

  it('that is revoked is 32', async () => {
    const known = join(scope.directory, 'revoked');
    await writeFile(known, `@revoked ${await readFile(sshd.knownHosts, 'utf8')}`);
    await refused(await mounting(...trusting(known, 'accept-new')), 32);
  });
});

describe('authentication', () => {
  it('with a key that the server does not know is 40', async () => {
    const stranger = await makeKey(scope, 'stranger');
    const args = login.map((arg) => (arg === sshd.keyFile ? stranger : arg));
    await refused(await mounting(...args), 40);
  });

  it.runIf(isRoot)('with a wrong password is 40, and the password is told nowhere', async () => {
    const user = await createUser(scope);
    const known = login.slice(-2);
    const mountpoint = await remora.mountpoint();
    const finished = await remora.run(
      [
        `${user.name}@${sshd.host}:`,
        mountpoint,
        '-p',
        String(sshd.port),
        ...known,
        '-o',
        'password_stdin',
        '-v',
      ],
      { input: 'Wrong-Pass-314\n', env: { DEBUG: 'remora:*' } },
    );
    expect(finished.code).toBe(40);
    expect(finished.stderr).not.toContain('Wrong-Pass-314');
    expect(await mountsBelow(scope.directory)).toEqual([]);
  });

  it('with an empty password from standard input is 2', async () => {
    await refused(
      await remora.run([source(), await remora.mountpoint(), ...login, '-o', 'password_stdin'], {
        input: '',
      }),
      2,
    );
  });

  it('with a key file that is missing, open to others, or no key, is 41', async () => {
    const withKey = (file: string) => mounting(...login.map((arg) => (arg === sshd.keyFile ? file : arg)));
    const missing = join(scope.directory, 'no-key');
    expect(await refused(await withKey(missing), 41)).toContain(missing);
    const open = await makeKey(scope, 'open-key');
    await chmod(open, 0o644);
    expect(await refused(await withKey(open), 41)).toContain('chmod');
    const garbage = join(scope.directory, 'garbage-key');
    await writeFile(garbage, 'this is no key\n', { mode: 0o600 });
    expect(await refused(await withKey(garbage), 41)).toContain(garbage);
  });

  it('with an encrypted key and nobody to ask is 41', async () => {
    const locked = await Sshd.start(scope);
    await must('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'passphrase', '-f', locked.keyFile]);
    const args = [`${locked.user}@${locked.host}:${disk}`, await remora.mountpoint()];
    expect(await refused(await remora.run([...args, ...(await remora.login(locked))]), 41)).toContain(
      'encrypted',
    );
  });
});

describe('the server', () => {
  it('without an SFTP subsystem is 50', async () => {
    const plain = await Sshd.start(scope, { sftp: null });
    const args = await remora.login(plain);
    await refused(await remora.run([source(), await remora.mountpoint(), ...args]), 50);
  });

  it('whose SFTP program does not exist is refused and says so', async () => {
    const broken = await Sshd.start(scope, { sftp: '/does/not/exist/sftp-server' });
    const args = await remora.login(broken);
    const finished = await remora.run([source(), await remora.mountpoint(), ...args]);
    expect([24, 25, 50]).toContain(finished.code);
    await refused(finished, finished.code ?? 0);
  });

  it('whose shell prints text at login says what it printed', async () => {
    const chatty = await Sshd.start(scope, { config: ['ForceCommand echo Welcome to the machine'] });
    const args = await remora.login(chatty);
    const finished = await remora.run([source(), await remora.mountpoint(), ...args]);
    const said = await refused(finished, finished.code ?? 0);
    expect([24, 25, 50]).toContain(finished.code);
    expect(said).toContain('Welcome to the machine');
  });
});

describe('the remote directory', () => {
  const remote = async (directory: string) =>
    remora.run([source(directory), await remora.mountpoint(), ...login]);

  it('that does not exist is 51', async () => {
    expect(await refused(await remote(join(disk, 'missing')), 51)).toContain('missing');
  });

  it('that does not exist is not connected to again', async () => {
    const options = [...login, '-f', '-o', 'max_conns=1'];
    const finished = await remora.run([source(join(disk, 'missing')), await remora.mountpoint(), ...options]);
    expect(await refused(finished, 51)).not.toContain('reconnecting');
  });

  it('that is a file is 52', async () => {
    await writeFile(join(disk, 'file'), '');
    await refused(await remote(join(disk, 'file')), 52);
  });

  it.runIf(isRoot)('that may not be read is 53', async () => {
    const user: SystemUser = await createUser(scope);
    await mkdir(join(disk, 'private'), { mode: 0o700 });
    const args = [`${user.name}@${sshd.host}:${join(disk, 'private')}`, await remora.mountpoint(), ...login];
    await refused(await remora.run(args), 53);
  });
});

/** Runs the command as `user` where /dev/fuse is something else: `prepare` is a shell script. */
async function withDevice(prepare: string, user: SystemUser | null): Promise<Finished> {
  const actor = user ? await Remora.create(scope, user) : remora;
  const [node, main] = actor.program;
  const become = user
    ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--no-new-privs']
    : [];
  const args = [source(), await actor.mountpoint(), ...(await actor.login(sshd))];
  const script = `${prepare}\nexec "$@"`;
  const device = join(scope.directory, `device-${Math.random().toString(36).slice(2)}`);
  await writeFile(device, '');
  return run('unshare', ['-m', 'sh', '-ec', script, 'sh', ...become, node, main, ...args], {
    env: { ...actor.environment, DEVICE: device },
  });
}

describe.runIf(isRoot)('this machine', () => {
  it('without /dev/fuse is 60', async () => {
    // A /dev with the rest of it.
    const prepare = [
      'rm "$DEVICE"; mkdir "$DEVICE"; mount -t tmpfs none "$DEVICE"',
      'for name in null zero urandom tty; do : > "$DEVICE/$name"; mount --bind "/dev/$name" "$DEVICE/$name"; done',
      'mount --rbind "$DEVICE" /dev',
    ].join('\n');
    expect(await refused(await withDevice(prepare, null), 60)).toContain('/dev/fuse');
  });

  it('whose /dev/fuse a plain user may not open is 61', async () => {
    const user = await createUser(scope);
    const prepare =
      'rm "$DEVICE"; mknod "$DEVICE" c 10 229; chmod 600 "$DEVICE"; mount --bind "$DEVICE" /dev/fuse';
    expect(await refused(await withDevice(prepare, user), 61)).toContain('/dev/fuse');
  });

  it('without fusermount3 is 62 for a plain user', async () => {
    const user = await createUser(scope);
    const prepare =
      'for name in fusermount3 fusermount; do program=$(command -v $name) && mount --bind /dev/null "$program"; done';
    expect(await refused(await withDevice(prepare, user), 62)).toContain('fuse3');
  });

  it('where root has no CAP_SYS_ADMIN is 63, with allow_other as well', async () => {
    const become = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-all'];
    const [node, main] = remora.program;
    const args = [source(), await remora.mountpoint(), ...login, '-o', 'allow_other'];
    const script = 'mount --bind /dev/null /etc/fuse.conf; exec "$@"';
    const finished = await run('unshare', ['-m', 'sh', '-ec', script, 'sh', ...become, node, main, ...args], {
      env: remora.environment,
    });
    expect(await refused(finished, 63)).toMatch(/fusermount3 may not mount here: .*CAP_SYS_ADMIN/);
  });

  it('mounts for a user with CAP_SYS_ADMIN as for root, others let in, without fusermount3', async () => {
    const user = await createUser(scope);
    const actor = await Remora.create(scope, user);
    const mountpoint = await actor.mountpoint();
    const become = `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups --inh-caps=+sys_admin --ambient-caps=+sys_admin`;
    const script = `for file in /etc/fuse.conf "$(command -v fusermount3)"; do mount --bind /dev/null "$file"; done
      ${become} "$@"; shift 3; ls "$1"; ${become} "$NODE" "$MAIN" list; ${become} "$NODE" "$MAIN" unmount "$1"`;
    const [node, main] = actor.program;
    const args = [source(), mountpoint, ...(await actor.login(sshd)), '-o', 'allow_other'];
    const { stdout, stderr } = await run('unshare', ['-m', 'sh', '-ec', script, 'sh', node, main, ...args], {
      env: { ...actor.environment, NODE: node, MAIN: main },
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/ serving .* direct {2,}\d+\n/);
  });
});

describe('unmount', () => {
  it('of what is not mounted is 70', async () => {
    const directory = await remora.mountpoint();
    await refused(await remora.run(['unmount', directory]), 70);
    await refused(await remora.run(['unmount', join(directory, 'missing')]), 70);
    await refused(await remora.run(['unmount', '--force', directory]), 70);
    await refused(await remora.run(['unmount', '/']), 70);
  });
});
