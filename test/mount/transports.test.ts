import { createHash, randomBytes } from 'node:crypto';
import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../support/packages.js';
import { descendants, endProcesses, mountsBelow } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { type Finished, must, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { makeKey } from '../support/server.js';
import { accepts, freePort, Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('transports');
  disk = await scope.makeDirectory('disk', undefined, 0o777);
  await writeFile(join(disk, 'hello'), 'from the server\n');
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});
afterEach(async () => {
  await remora.discard();
});

/** Command lines of the ssh processes below the daemon. */
async function programs(pid: number): Promise<readonly { readonly pid: number; readonly line: string }[]> {
  const below = await Promise.all(
    (await descendants(pid)).map(async (each) => ({
      pid: each,
      line: (await readFile(`/proc/${each}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' '),
    })),
  );
  return below.filter(({ line }) => /^(\S*\/)?ssh /.test(line));
}

const BY_PROGRAM = { options: ['transport=openssh'] };

const named = ({ host, port, user, knownHosts }: Sshd) => ({ host, port, user, knownHosts });

const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');

describe('the ssh program', () => {
  it('copies 64 MiB there and back, and leaves no process', async () => {
    const mounted = await remora.mount(sshd, disk, { options: ['transport=openssh'] });
    const ssh = await programs(mounted.pid);
    expect(ssh.length).toBeGreaterThan(0);
    expect(ssh[0]?.line).toContain(' -s -- 127.0.0.1 sftp');
    const data = randomBytes(64 * 2 ** 20);
    await writeFile(join(mounted.directory, 'big'), data);
    expect(digest(await readFile(join(disk, 'big')))).toBe(digest(data));
    await mounted.unmount();
    const again = await remora.mount(sshd, disk, { options: ['transport=openssh'] });
    expect(digest(await readFile(join(again.directory, 'big')))).toBe(digest(data));
    const pids = (await programs(again.pid)).map(({ pid }) => pid);
    await again.unmount();
    for (const pid of pids) await expect(stat(`/proc/${pid}`)).rejects.toThrow('ENOENT');
  });

  it('recovers when ssh is killed in the middle of a copy', async () => {
    const mounted = await remora.mount(sshd, disk, { options: ['transport=openssh'] });
    const data = randomBytes(48 * 2 ** 20);
    const copy = writeFile(join(mounted.directory, 'copied'), data);
    await until('some of the file', async () => {
      const arrived = await stat(join(disk, 'copied')).catch(() => null);
      return arrived !== null && arrived.size > 2 ** 20;
    });
    await endProcesses(
      (await programs(mounted.pid)).map(({ pid }) => pid),
      'SIGKILL',
    );
    await copy;
    expect(digest(await readFile(join(mounted.directory, 'copied')))).toBe(digest(data));
    await mounted.unmount();
    expect(digest(await readFile(join(disk, 'copied')))).toBe(digest(data));
  });

  it('ssh_command names another program, whose words no shell reads', async () => {
    const wrapper = join(scope.directory, 'my ssh');
    const seen = join(scope.directory, 'seen');
    await writeFile(wrapper, `#!/bin/sh\nprintf '%s\\n' "$1" > '${seen}'\nshift\nexec ssh "$@"\n`, {
      mode: 0o755,
    });
    const words = `${wrapper.replaceAll(' ', '\\ ')} $(touch\\ x)`.replaceAll('\\', '\\\\');
    const mounted = await remora.mount(sshd, disk, { options: [`ssh_command=${words}`] });
    expect(await readFile(seen, 'utf8')).toBe('$(touch x)\n');
    await mounted.unmount();
  });

  it('sftp_server as a command', async () => {
    const server = await programPath('sftp-server');
    const mounted = await remora.mount(sshd, disk, {
      options: ['transport=openssh', `sftp_server=${server} -e`],
    });
    expect(await readFile(join(mounted.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mounted.unmount();
  });
});

describe('why it does not connect, in one sentence', () => {
  const attempt = async (
    options: readonly string[],
    { port = sshd.port, keyFile = sshd.keyFile, knownHosts = sshd.knownHosts } = {},
  ): Promise<Finished> => {
    const known = `ssh_config=none,UserKnownHostsFile=${knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;
    const args = [
      '-p',
      String(port),
      '-i',
      keyFile,
      '-o',
      known,
      '-o',
      'transport=openssh,IdentityAgent=none',
    ];
    const others = options.flatMap((option) => ['-o', option]);
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const finished = await remora.run([source, await remora.mountpoint(), ...args, ...others]);
    expect(finished.stderr.split('\n'), finished.stderr).toHaveLength(2);
    expect(await mountsBelow(scope.directory)).toEqual([]);
    return finished;
  };

  it('a changed host key', async () => {
    const other = await makeKey(scope, 'other-host-key');
    const known = join(scope.directory, 'changed');
    const [type, key] = (await readFile(`${other}.pub`, 'utf8')).split(' ');
    await writeFile(known, `[${sshd.host}]:${sshd.port} ${type} ${key}\n`);
    const finished = await attempt([], { knownHosts: known });
    expect(finished.code).toBe(31);
    expect(finished.stderr).toMatch(
      /^remora: the host key of 127\.0\.0\.1 port \d+ is another than the known one \(\S+changed:1\): .*ssh-keygen -f '\S+' -R '\S+' forgets the old key \(see: remora doctor .*, host-key\)\n$/,
    );
  });

  it('a key that the server does not know', async () => {
    const finished = await attempt([], { keyFile: await makeKey(scope, 'stranger') });
    expect(finished.code, finished.stderr).toBe(40);
    expect(finished.stderr).toMatch(
      /^remora: permission denied: \S+ may not log in to 127\.0\.0\.1 port \d+; the server accepts publickey, password; there is nobody to ask for a password \(see: remora doctor .*, login\)\n$/,
    );
  });

  it('a key that others can read, or that is not there', async () => {
    const exposed = join(scope.directory, 'exposed');
    await writeFile(exposed, await readFile(sshd.keyFile), { mode: 0o644 });
    const finished = await attempt([], { keyFile: exposed });
    expect(finished.code, finished.stderr).toBe(41);
    expect(finished.stderr).toContain(`run: chmod 600 '${exposed}'`);
    const missing = await attempt([], { keyFile: `${exposed}-missing` });
    expect(missing.code, missing.stderr).toBe(41);
    expect(missing.stderr).toContain(`the key file ${exposed}-missing does not exist`);
  });

  it('keys that OpenSSH cannot read: which, and what makes them readable', async () => {
    const putty = join(scope.directory, 'key.ppk');
    await must('puttygen', ['-q', '-t', 'ed25519', '-o', putty, '--new-passphrase', '/dev/null']);
    const dropbear = join(scope.directory, 'dropbear');
    await must('dropbearkey', ['-t', 'ed25519', '-f', dropbear]);
    for (const [keyFile, command] of [
      [putty, ['puttygen', putty, '-O', 'private-openssh', '-o', putty.replace('.ppk', '.openssh')]],
      [dropbear, ['dropbearconvert', 'dropbear', 'openssh', dropbear, `${dropbear}.openssh`]],
    ] as const) {
      const finished = await attempt([], { keyFile });
      expect(finished.code).toBe(41);
      expect(finished.stderr).toContain(`the key ${keyFile} is in `);
      expect(finished.stderr.replaceAll("'", '')).toContain(`convert it: ${command.join(' ')} (see`);
      const [program, ...args] = command;
      await must(program, args);
      const converted = command.at(-1) ?? '';
      const authorized = join(sshd.keyFile, '..', 'authorized_keys');
      await appendFile(authorized, await must('ssh-keygen', ['-y', '-f', converted]));
      await (await remora.mount({ ...named(sshd), keyFile: converted }, disk, BY_PROGRAM)).unmount();
    }
  });

  it('a key of PuTTY leaves the choice to the built-in transport', async () => {
    const putty = join(scope.directory, 'chosen.ppk');
    await must('puttygen', ['-q', '-t', 'ed25519', '-o', putty, '--new-passphrase', '/dev/null']);
    const authorized = join(sshd.keyFile, '..', 'authorized_keys');
    await appendFile(authorized, await must('puttygen', ['-L', putty]));
    const control = ['ControlMaster=auto', `ControlPath=${join(scope.directory, 'unused')}`];
    const options = ['IdentitiesOnly=yes', ...control];
    await (await remora.mount({ ...named(sshd), keyFile: putty }, disk, { options })).unmount();
  });

  it('a closed port', async () => {
    const finished = await attempt([], { port: await freePort() });
    expect(finished.code, finished.stderr).toBe(21);
    expect(finished.stderr).toContain('Connection refused');
  });

  it('as the built-in transport fails: with the same exit codes', async () => {
    const odd = async (command: string) => {
      const port = await freePort();
      const listen = `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`;
      const child = start(await programPath('socat'), [listen, command], {});
      scope.defer('socat', () => endProcesses([child.pid ?? 0]));
      await until('socat', () => accepts(port));
      return port;
    };
    const revoked = join(scope.directory, 'revoked');
    await writeFile(revoked, `@revoked ${await readFile(sshd.knownHosts, 'utf8')}`);
    const other = await makeKey(scope, 'known-by-nobody');
    const ways = [
      [40, [], { keyFile: other }],
      [32, [], { knownHosts: revoked }],
      [25, [], { port: await odd('EXEC:true') }],
      [25, [], { port: await odd('EXEC:echo hello') }],
      [23, ['ConnectTimeout=1'], { port: await odd('EXEC:sleep 60') }],
      [26, ['ProxyCommand=sh -c "echo no way >&2; exit 3"'], {}],
      [25, ['KexAlgorithms=diffie-hellman-group1-sha1'], {}],
      [50, ['sftp_server=nope'], {}],
    ] as const;
    for (const [code, options, changes] of ways) {
      const both = ['ssh2', 'openssh'].map((each) => attempt([`transport=${each}`, ...options], changes));
      const said = (await Promise.all(both)).map((finished) => `${finished.code} ${finished.stderr}`);
      expect(said).toEqual(said.map(() => expect.stringMatching(`^${code} `)));
    }
  });

  it.each([
    ['an unknown host key', 'UserKnownHostsFile=none', 30, /is not known/],
    ['no such name', 'HostName=nowhere.invalid', 20, /Could not resolve hostname nowhere.invalid/],
    ['no such subsystem', 'sftp_server=nope', 50, /gives us no SFTP/],
    ['no such server program', 'sftp_server=/no/such', 50, /exit code 127/],
    ['no such ssh', 'ssh_command=/no/ssh', 22, /cannot run '\/no\/ssh'/],
  ])('%s', async (_, option, code, text) => {
    const finished = await attempt([option]);
    expect(finished.stderr).toMatch(text);
    expect(finished.code).toBe(code);
  });
});

/** What `-v` says, and the mount that came of it. */
async function chosen(server: Sshd, ...options: string[]) {
  const mountpoint = await remora.mountpoint();
  const args = [...(await remora.login(server)), ...options.flatMap((option) => ['-o', option]), '-v'];
  const finished = await remora.run([`${server.user}@${server.host}:${disk}`, mountpoint, ...args]);
  expect(finished.code, finished.stderr).toBe(0);
  const [, reason = ''] = /using the ssh program, since (.*)/.exec(finished.stderr) ?? [];
  const mounted = await remora.adopt(mountpoint);
  expect(await readFile(join(mountpoint, 'hello'), 'utf8')).toBe('from the server\n');
  const ssh = await programs(mounted.pid);
  expect(ssh.length > 0).toBe(reason !== '');
  await mounted.unmount();
  return reason;
}

describe('auto', () => {
  it('is the built-in transport where that will do', async () => {
    expect(await chosen(sshd)).toBe('');
  });

  it('a user certificate', async () => {
    const authority = await makeKey(scope, 'user-ca');
    const server = await Sshd.start(scope, {
      config: [`TrustedUserCAKeys ${authority}.pub`, 'AuthorizedKeysFile none', 'PasswordAuthentication no'],
    });
    await must('ssh-keygen', ['-q', '-s', authority, '-I', 'me', '-n', server.user, `${server.keyFile}.pub`]);
    expect(await chosen(server)).toBe(`${server.keyFile}-cert.pub is a certificate`);
  });

  it('a host certificate', async () => {
    const authority = await makeKey(scope, 'host-ca');
    const hostKey = await makeKey(scope, 'certified-host-key');
    await must('ssh-keygen', ['-q', '-s', authority, '-I', 'h', '-h', '-n', '127.0.0.1', `${hostKey}.pub`]);
    const server = await Sshd.start(scope, {
      config: [`HostKey ${hostKey}`, `HostCertificate ${hostKey}-cert.pub`],
    });
    const known = join(scope.directory, 'authorities');
    await writeFile(known, `@cert-authority * ${await readFile(`${authority}.pub`, 'utf8')}`);
    expect(await chosen(server, `UserKnownHostsFile=${known}`)).toBe('the host is known by a certificate');
  });

  it('a server with nothing but post-quantum key exchange', async () => {
    const server = await Sshd.start(scope, { config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'] });
    expect(await chosen(server)).toBe('the server offers no algorithm that the built-in transport knows');
  });

  it('ControlMaster, whose connection is shared', async () => {
    const path = join(scope.directory, 'control');
    const options = ['ControlMaster=auto', `ControlPath=${path}`, 'ControlPersist=60'];
    const logins = () => sshd.log.split('Accepted publickey').length;
    const before = logins();
    try {
      expect(await chosen(sshd, ...options)).toBe('ControlMaster is auto');
      expect(await chosen(sshd, ...options)).toBe('ControlMaster is auto');
      expect(logins() - before).toBe(1);
    } finally {
      await must('ssh', ['-F', 'none', '-o', `ControlPath=${path}`, '-O', 'exit', '127.0.0.1']);
    }
  });

  it('only ssh2 where that is asked for', async () => {
    expect(
      await chosen(sshd, 'transport=ssh2', 'ControlMaster=auto', `ControlPath=${join(scope.directory, 'c')}`),
    ).toBe('');
  });
});

describe("ssh's questions", () => {
  const ask = (args: readonly string[], talk: readonly { expect: string; answer: string }[]) =>
    runOnTerminal([...remora.program, ...args], talk, { env: { ...remora.environment, TMPDIR: temporary } });
  let temporary: string;
  let user: SystemUser;

  beforeAll(async () => {
    temporary = await scope.makeDirectory('tmp');
    if (isRoot) user = await createUser(scope);
  });
  afterEach(async () => {
    await remora.discard();
    expect(await readdir(temporary), 'what ssh asks through is gone').toEqual([]);
  });

  const base = async (known: string, ...options: string[]) => [
    await remora.mountpoint(),
    ...['-p', String(sshd.port)],
    ...['-o', `ssh_config=none,UserKnownHostsFile=${known},GlobalKnownHostsFile=none,IdentityAgent=none`],
    ...['-o', ['transport=openssh', ...options].join(',')],
  ];

  it('the host key: yes mounts and remembers it, no does not', async () => {
    const known = join(scope.directory, 'learned');
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const refused = await ask(
      [source, ...(await base(known)), '-i', sshd.keyFile],
      [{ expect: '(yes/no', answer: 'no\n' }],
    );
    expect(refused.code, refused.stdout).toBe(30);
    expect(refused.stdout).toContain('SHA256:');
    const args = [source, ...(await base(known)), '-i', sshd.keyFile];
    const finished = await ask(args, [{ expect: '(yes/no', answer: 'yes\n' }]);
    expect(finished.code, finished.stdout).toBe(0);
    expect(await readFile(known, 'utf8')).toContain('ssh-ed25519');
    const { directory } = await remora.adopt(args[1] ?? '');
    expect(await readFile(join(directory, 'hello'), 'utf8')).toBe('from the server\n');
  });

  it('a passphrase, which serves for the data and for the next login as well', async () => {
    const keyFile = await makeKey(scope, 'locked');
    const authorized = join(sshd.keyFile, '..', 'authorized_keys');
    await appendFile(authorized, await readFile(`${keyFile}.pub`));
    await must('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', '-f', keyFile]);
    const args = [
      `${sshd.user}@${sshd.host}:${disk}`,
      ...(await base(sshd.knownHosts, 'IdentitiesOnly=yes')),
      '-i',
      keyFile,
    ];
    const finished = await ask(args, [
      { expect: 'Enter passphrase for', answer: 'wrong\n' },
      { expect: 'Enter passphrase for', answer: 'open sesame\n' },
    ]);
    expect(finished.code, finished.stdout).toBe(0);
    const mounted = await remora.adopt(args[1] ?? '');
    const ssh = await until('ssh for the data', async () => {
      const found = await programs(mounted.pid);
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
    const known = join(scope.directory, 'interrupted');
    const args = [`${sshd.user}@${sshd.host}:${disk}`, ...(await base(known)), '-i', sshd.keyFile];
    const finished = await ask(args, [{ expect: '(yes/no', answer: '\x03' }]);
    expect(finished.code, finished.stdout).toBe(130);
    expect(await mountsBelow(scope.directory)).toEqual([]);
  });

  describe.skipIf(!isRoot)('a password', () => {
    it('at the terminal, after a wrong one', async () => {
      const args = [
        `${user.name}@${sshd.host}:${disk}`,
        ...(await base(sshd.knownHosts, 'PubkeyAuthentication=no')),
      ];
      const finished = await ask(args, [
        { expect: "'s password: ", answer: 'wrong\n' },
        { expect: "'s password: ", answer: `${user.password}\n` },
      ]);
      expect(finished.code, finished.stdout).toBe(0);
      expect(finished.stdout).not.toContain(user.password);
      const mounted = await remora.adopt(args[1] ?? '');
      await mounted.unmount();
    });

    it('another one when the mount is connected again', async () => {
      const changing = await createUser(scope);
      const source = `${changing.name}@${sshd.host}:${disk}`;
      const args = [source, ...(await base(sshd.knownHosts, 'PubkeyAuthentication=no'))];
      const finished = await ask(args, [{ expect: "'s password: ", answer: `${changing.password}\n` }]);
      expect(finished.code, finished.stdout).toBe(0);
      const mounted = await remora.adopt(args[1] ?? '');
      await must('sh', ['-c', `echo '${changing.name}:another-one' | chpasswd`]);
      const killed = (await programs(mounted.pid)).map(({ pid }) => pid);
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
        `${user.name}@${sshd.host}:${disk}`,
        ...(await base(sshd.knownHosts, 'PubkeyAuthentication=no')),
      ];
      const login = (password: string) =>
        remora.run([...args, '-o', 'password_stdin'], { input: `${password}\n` });
      const refused = await login('wrong');
      expect(refused.code, refused.stderr).toBe(40);
      const finished = await login(user.password);
      expect(finished.code, finished.stderr).toBe(0);
      await (await remora.adopt(args[1] ?? '')).unmount();
    });
  });
});

describe('SFTP without SSH', () => {
  it('directport mounts, and comes back when the server does', async () => {
    const port = await freePort();
    const server = await programPath('sftp-server');
    const serve = async () => {
      const child = start(
        await programPath('socat'),
        [`TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`, `EXEC:${server}`],
        {},
      );
      await until('socat', () => accepts(port));
      return child.pid ?? 0;
    };
    const stop = async (pid: number) => endProcesses([pid, ...(await descendants(pid))], 'SIGKILL');
    let pid = await serve();
    try {
      const mountpoint = await remora.mountpoint();
      const finished = await remora.run([
        `127.0.0.1:${disk}`,
        mountpoint,
        '-o',
        `directport=${port},ssh_config=none`,
      ]);
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      const mounted = await remora.adopt(mountpoint);
      const data = randomBytes(8 * 2 ** 20);
      await writeFile(join(mountpoint, 'direct'), data);
      expect(digest(await readFile(join(disk, 'direct')))).toBe(digest(data));
      await stop(pid);
      pid = await serve();
      await writeFile(join(mountpoint, 'after'), 'still here');
      expect(await readFile(join(disk, 'after'), 'utf8')).toBe('still here');
      await mounted.unmount();
    } finally {
      await stop(pid);
    }
  });

  it('passive says what it wants where there is no such thing', async () => {
    const finished = await remora.run([
      `there:${disk}`,
      await remora.mountpoint(),
      '-o',
      'passive,ssh_config=none',
    ]);
    expect(finished.stderr).toMatch(/^remora: passive takes a pipe or a socket[^\n]*\n$/);
    expect(finished.code).toBe(25);
  });

  it('passive speaks to the sftp-server at its standard input and output', async () => {
    const mountpoint = await remora.mountpoint();
    const server = start(await programPath('sftp-server'), [], { input: 'open' });
    const [node, main] = remora.program;
    const mount = start(node, [main, `there:${disk}`, mountpoint, '-o', 'passive,ssh_config=none'], {
      env: remora.environment,
      input: 'open',
    });
    server.stdout?.pipe(mount.stdin ?? process.stdout);
    mount.stdout?.pipe(server.stdin ?? process.stdout);
    const mounted = await remora.adopt(mountpoint);
    const data = randomBytes(16 * 2 ** 20);
    await writeFile(join(mountpoint, 'passive'), data);
    expect(digest(await readFile(join(disk, 'passive')))).toBe(digest(data));
    await mounted.unmount();
    await until('the command to end', async () => mount.exitCode !== null);
    expect(mount.exitCode).toBe(0);
    await until('the server to end', async () => server.exitCode !== null);
  });
});
