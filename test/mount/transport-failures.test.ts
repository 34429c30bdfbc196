/** Why the ssh program does not connect, in one sentence, and with the exit codes of the built-in transport. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { programPath } from '../support/packages.js';
import { endProcesses, mountsBelow } from '../support/processes.js';
import { type Finished, must, start, until } from '../support/run.js';
import { makeKey } from '../support/server.js';
import { accepts, freePort, type Sshd } from '../support/sshd.js';

const world = new MountFixture('transport-failures');

const named = ({ host, port, user, knownHosts }: Sshd) => ({ host, port, user, knownHosts });

describe('why it does not connect, in one sentence', () => {
  const attempt = async (
    options: readonly string[],
    { port = world.sshd.port, keyFile = world.sshd.keyFile, knownHosts = world.sshd.knownHosts } = {},
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
    const source = `${world.sshd.user}@${world.sshd.host}:${world.disk}`;
    const finished = await world.remora.run([source, await world.remora.mountpoint(), ...args, ...others]);
    expect(finished.stderr.split('\n'), finished.stderr).toHaveLength(2);
    expect(await mountsBelow(world.scope.directory)).toEqual([]);
    return finished;
  };

  it('a changed host key', async () => {
    const other = await makeKey(world.scope, 'other-host-key');
    const known = join(world.scope.directory, 'changed');
    const [type, key] = (await readFile(`${other}.pub`, 'utf8')).split(' ');
    await writeFile(known, `[${world.sshd.host}]:${world.sshd.port} ${type} ${key}\n`);
    const finished = await attempt([], { knownHosts: known });
    expect(finished.code).toBe(31);
    expect(finished.stderr).toMatch(
      /^remora: the host key of 127\.0\.0\.1 port \d+ is another than the known one \(\S+changed:1\): .*ssh-keygen -f '\S+' -R '\S+' forgets the old key \(see: remora doctor .*, host-key\)\n$/,
    );
  });

  it('a key that the server does not know', async () => {
    const finished = await attempt([], { keyFile: await makeKey(world.scope, 'stranger') });
    expect(finished.code, finished.stderr).toBe(40);
    expect(finished.stderr).toMatch(
      /^remora: permission denied: \S+ may not log in to 127\.0\.0\.1 port \d+; the server accepts publickey, password; there is nobody to ask for a password \(see: remora doctor .*, login\)\n$/,
    );
  });

  it('a key that others can read, or that is not there', async () => {
    const exposed = join(world.scope.directory, 'exposed');
    await writeFile(exposed, await readFile(world.sshd.keyFile), { mode: 0o644 });
    const finished = await attempt([], { keyFile: exposed });
    expect(finished.code, finished.stderr).toBe(41);
    expect(finished.stderr).toContain(`run: chmod 600 '${exposed}'`);
    const missing = await attempt([], { keyFile: `${exposed}-missing` });
    expect(missing.code, missing.stderr).toBe(41);
    expect(missing.stderr).toContain(`the key file ${exposed}-missing does not exist`);
  });

  it('keys that OpenSSH cannot read: which, and what makes them readable', async () => {
    const putty = join(world.scope.directory, 'key.ppk');
    await must('puttygen', ['-q', '-t', 'ed25519', '-o', putty, '--new-passphrase', '/dev/null']);
    const dropbear = join(world.scope.directory, 'dropbear');
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
      const authorized = join(world.sshd.keyFile, '..', 'authorized_keys');
      await appendFile(authorized, await must('ssh-keygen', ['-y', '-f', converted]));
      await (
        await world.remora.mount({ ...named(world.sshd), keyFile: converted }, world.disk, {
          options: ['transport=openssh'],
        })
      ).unmount();
    }
  });

  it('a key of PuTTY leaves the choice to the built-in transport', async () => {
    const putty = join(world.scope.directory, 'chosen.ppk');
    await must('puttygen', ['-q', '-t', 'ed25519', '-o', putty, '--new-passphrase', '/dev/null']);
    const authorized = join(world.sshd.keyFile, '..', 'authorized_keys');
    await appendFile(authorized, await must('puttygen', ['-L', putty]));
    const control = ['ControlMaster=auto', `ControlPath=${join(world.scope.directory, 'unused')}`];
    const options = ['IdentitiesOnly=yes', ...control];
    await (
      await world.remora.mount({ ...named(world.sshd), keyFile: putty }, world.disk, { options })
    ).unmount();
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
      world.scope.defer('socat', () => endProcesses([child.pid ?? 0]));
      await until('socat', () => accepts(port));
      return port;
    };
    const revoked = join(world.scope.directory, 'revoked');
    await writeFile(revoked, `@revoked ${await readFile(world.sshd.knownHosts, 'utf8')}`);
    const other = await makeKey(world.scope, 'known-by-nobody');
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
