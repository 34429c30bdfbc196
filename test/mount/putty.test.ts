/** What PuTTY's own tools write, against a real sshd: keys of puttygen, host keys and sessions of plink. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { resolveTarget } from '../../src/cli/resolve.js';
import { parseOptions } from '../../src/config/parse.js';
import { readPuttySession, sessionFileName } from '../../src/config/putty-store.js';
import { connect } from '../../src/ssh/connection.js';
import type { ConnectSettings } from '../../src/ssh/settings.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { failure, person, settings } from '../support/ssh-fixture.js';
import { Sshd } from '../support/sshd.js';

const PASSPHRASE = 'correct horse';
/** A puttygen that takes its time for each key would take it from the other tests. */
const FAST = 'passes=2';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;
let authorized: string;
let passphraseFile: string;

beforeAll(async () => {
  scope = await Scope.open('putty');
  disk = await scope.makeDirectory('disk');
  authorized = join(scope.directory, 'authorized_keys');
  passphraseFile = join(scope.directory, 'passphrase');
  await writeFile(authorized, '');
  await writeFile(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  sshd = await Sshd.start(scope, { config: [`AuthorizedKeysFile ${authorized}`] });
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});
afterEach(async () => {
  await remora.discard();
});

type KeyType = 'ed25519' | 'ecdsa' | 'rsa';
const KEY_TYPES: readonly KeyType[] = ['ed25519', 'ecdsa', 'rsa'];
const made = new Map<KeyType, Promise<string>>();

/** One key of each type is enough: making an RSA key takes longer than all else. */
function baseKey(type: KeyType): Promise<string> {
  const path = join(scope.directory, `base-${type}.ppk`);
  const key = made.get(type) ?? makeBaseKey(type, path);
  made.set(type, key);
  return key;
}

async function makeBaseKey(type: KeyType, path: string): Promise<string> {
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  await must('puttygen', ['-q', '-t', type, ...bits, '-o', path, '--new-passphrase', '/dev/null']);
  await writeFile(authorized, await must('puttygen', ['-L', path]), { flag: 'a' });
  return path;
}

/** That key, saved anew by puttygen with such parameters. */
async function saved(name: string, type: KeyType, parameters: string, encrypted: boolean): Promise<string> {
  const path = join(scope.directory, `${name}-${type}.ppk`);
  const phrase = encrypted ? passphraseFile : '/dev/null';
  const how = ['--reencrypt', '--new-passphrase', phrase, '--ppk-param', parameters];
  await must('puttygen', [await baseKey(type), ...how, '-q', '-O', 'private', '-o', path]);
  return path;
}

function reach(changes: Partial<ConnectSettings>, answers: string[] = []) {
  const given = { user: sshd.user, userKnownHostsFiles: [sshd.knownHosts], ...changes };
  return connect(settings(sshd.port, given), person(...answers), { home: remora.home, environment: {} });
}

describe.each(KEY_TYPES)('a key of puttygen, %s', (type) => {
  it.each([
    ['version 3, Argon2id', `${FAST},kdf=argon2id`, true],
    ['version 3, Argon2i', `${FAST},kdf=argon2i`, true],
    ['version 3, Argon2d', `${FAST},kdf=argon2d,parallelism=2`, true],
    ['version 3, open', FAST, false],
    ['version 2', 'version=2', true],
    ['version 2, open', 'version=2', false],
  ])('%s', async (name, parameters, encrypted) => {
    const key = await saved(name.replace(/\W+/g, '-'), type, parameters, encrypted);
    const connection = await reach({ identityFiles: [key] }, encrypted ? ['wrong', PASSPHRASE] : []);
    await connection.close();
  });
});

it('a mount with the key that PuTTY would have saved, its passphrase typed', async () => {
  const key = join(scope.directory, 'defaults.ppk');
  await must('puttygen', [await baseKey('ed25519'), '-P', '-o', key, '--new-passphrase', passphraseFile]);
  const mountpoint = await remora.mountpoint();
  const source = `${sshd.user}@${sshd.host}:${disk}`;
  const known = `UserKnownHostsFile=${sshd.knownHosts},GlobalKnownHostsFile=none`;
  const args = [source, mountpoint, '-p', String(sshd.port), '-i', key, '-o', known];
  const talk = [{ expect: `Enter passphrase for key '${key}': `, answer: `${PASSPHRASE}\n` }];
  const finished = await runOnTerminal([...remora.program, ...args], talk, { env: remora.environment });
  expect(finished).toMatchObject({ code: 0 });
  expect(finished.stdout).not.toContain(PASSPHRASE);
  await (await remora.adopt(mountpoint)).unmount();
});

it('a key that others can read is refused, with the command that mends it', async () => {
  const key = await saved('exposed', 'ed25519', FAST, false);
  await chmod(key, 0o644);
  const args = [`${sshd.user}@${sshd.host}:${disk}`, await remora.mountpoint(), '-p', String(sshd.port)];
  const known = `UserKnownHostsFile=${sshd.knownHosts},GlobalKnownHostsFile=none,BatchMode=yes`;
  const finished = await remora.run([...args, '-i', key, '-o', known]);
  expect(finished.code).toBe(41);
  expect(finished.stderr).toContain(`chmod 600 '${key}'`);
});

describe('what plink has saved', () => {
  let home: string;
  beforeAll(async () => {
    home = await scope.makeDirectory('home');
    await mkdir(join(home, '.putty/sessions'), { recursive: true, mode: 0o700 });
  });

  const NAME = 'my bay/ü';

  /** A session as PuTTY writes it, and the same run by plink, which is asked about the host key. */
  async function session(server: Sshd, key: string): Promise<void> {
    const values = {
      Protocol: 'ssh',
      HostName: server.host,
      PortNumber: server.port,
      UserName: server.user,
      PublicKeyFile: key,
    };
    const text = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(home, '.putty/sessions', sessionFileName(NAME)), text.join(''));
  }

  const plink = (input: string) => {
    const command = ['-load', NAME, '-no-antispoof', 'echo', 'plink', 'was', 'here'];
    return run('plink', command, { env: { HOME: home }, input });
  };

  it('is for the ssh program, too, with a key that it can read', async () => {
    const server = await Sshd.start(scope, { config: [`AuthorizedKeysFile ${authorized}`] });
    const key = await baseKey('ed25519');
    const known = `UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,BatchMode=yes`;
    const mount = async () => {
      const mountpoint = await remora.mountpoint();
      const args = [`putty:${NAME}:${disk}`, mountpoint, '-o', `transport=openssh,${known}`];
      const finished = await remora.run(args, { env: { PUTTYDIR: join(home, '.putty') } });
      return { ...finished, mountpoint };
    };
    await session(server, key);
    const refused = await mount();
    expect(refused.code).toBe(41);
    expect(refused.stderr).toContain(`convert it: puttygen ${key} -O private-openssh -o `);
    const readable = join(scope.directory, 'readable by ssh');
    await must('puttygen', [key, '-O', 'private-openssh', '-o', readable]);
    await session(server, readable);
    const finished = await mount();
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    await (await remora.adopt(finished.mountpoint)).unmount();
  });

  it.each(KEY_TYPES)('logs in where plink does, and knows its host key, %s', async (type) => {
    const hostKey = join(scope.directory, `host-${type}`);
    await must('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', hostKey]);
    const config = [`AuthorizedKeysFile ${authorized}`, `HostKey ${hostKey}`];
    const server = await Sshd.start(scope, { config });
    await session(server, await baseKey('ed25519'));
    expect(await plink('y\n')).toMatchObject({ code: 0, stdout: 'plink was here\n' });

    const found = await readPuttySession(NAME, {}, home);
    const { host, port, user, identityFile, hostKeysFile } = found;
    expect(hostKeysFile).toBe(join(home, '.putty/sshhostkeys'));
    expect(await readFile(hostKeysFile, 'utf8')).toContain(`@${server.port}:127.0.0.1 `);
    const given = settings(port, {
      host,
      user: user ?? '',
      identityFiles: identityFile === null ? [] : [identityFile],
      userKnownHostsFiles: [],
      globalKnownHostsFiles: [hostKeysFile],
    });
    const surroundings = { home, environment: {} };
    const connection = await connect(given, person(), surroundings);
    await connection.close();

    const mountpoint = await remora.mountpoint();
    const env = { PUTTYDIR: join(home, '.putty') };
    const finished = await remora.run([`putty:${NAME}:${disk}`, mountpoint, '-o', 'BatchMode=yes'], { env });
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    await writeFile(join(mountpoint, 'file'), type);
    await (await remora.adopt(mountpoint)).unmount();
    expect(await readFile(join(disk, 'file'), 'utf8')).toBe(type);

    const other = join(scope.directory, `other-${type}`);
    await must('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', other]);
    await server.halt();
    await writeFile(hostKey, await readFile(other));
    await server.resume();
    expect((await plink('n\n')).stderr).toMatch(/POTENTIAL SECURITY BREACH/);
    const message = await failure(connect(given, person(), surroundings), 'host-key-changed');
    expect(message).toMatch(new RegExp(`sshhostkeys:\\d+ has .*sed -i \\d+d '${hostKeysFile}'`));
  });
});

describe('the source putty:session:dir', () => {
  const base = { Protocol: 'ssh', HostName: 'bay.example', UserName: 'bob', PublicKeyFile: '/keys/50%.ppk' };

  /** What a session comes to, with options of the command line. */
  async function resolved(values: Readonly<Record<string, string>>, ...options: string[]) {
    const directory = await scope.makeDirectory(`resolve-${Math.random().toString(36).slice(2)}`);
    const lines = Object.entries({ ...base, ...values }).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(directory, 'bay'), lines.join(''));
    const environment = { PUTTYSESSIONS: directory, PUTTYSSHHOSTKEYS: '/keys/hosts' };
    const local = { home: '/home/me', user: 'me', uid: 7, hostname: 'here', environment };
    const place = { local, accountHome: '/home/me', directory };
    return resolveTarget('putty:bay:a:b', parseOptions(options), place);
  }

  it('counts where the command line is silent', async () => {
    const { target, settings: found, note } = await resolved({ PortNumber: '2200', Compression: '1' });
    expect(target).toEqual({ user: 'bob', host: 'bay.example', directory: 'a:b' });
    expect(found).toMatchObject({
      host: 'bay.example',
      user: 'bob',
      port: 2200,
      compression: true,
      identityFiles: ['/keys/50%.ppk'],
      route: { hops: [], proxy: null },
    });
    expect(found.globalKnownHostsFiles.at(-1)).toBe('/keys/hosts');
    expect(note).toBe('the PuTTY session bay is bob@bay.example:2200');
    const given = await resolved({ PortNumber: '2200' }, 'port=23,User=eve,IdentityFile=/other');
    expect(given.settings).toMatchObject({ user: 'eve', port: 23, identityFiles: ['/other'] });
  });

  it('is told to ssh as far as ssh can have it', async () => {
    const options = async (values: Readonly<Record<string, string>>, ...given: string[]) =>
      (await resolved(values, ...given)).settings.sshOptions;
    const jump = { ProxyMethod: '6', ProxyHost: 'gate', Compression: '1', PortNumber: '2200' };
    expect(await options(jump)).toEqual([
      'IdentityFile="/keys/50%%.ppk"',
      'Compression=yes',
      'ProxyJump=gate:22',
      'User=bob',
      'Port=2200',
    ]);
    const command = { ProxyMethod: '5', ProxyTelnetCommand: 'nc %host %port', Compression: '1' };
    expect(await options(command, 'IdentityFile=/k,compression=no')).toEqual([
      'IdentityFile=/k',
      'Compression=no',
      'ProxyCommand=nc %h %p',
      'User=bob',
      'Port=22',
    ]);
  });

  it('goes through its proxy, unless another way is given', async () => {
    const proxy = { ProxyMethod: '3', ProxyHost: 'gate', ProxyPort: '3128', ProxyPassword: 'secret' };
    const found = await resolved(proxy);
    expect(found.settings.route).toEqual({
      hops: [],
      proxy: { kind: 'http', host: 'gate', port: 3128, user: null, password: 'secret' },
    });
    expect(found.note).not.toContain('secret');
    const { route } = (await resolved(proxy, 'ProxyCommand=nc %h %p')).settings;
    expect(route.proxy).toEqual({ kind: 'command', command: 'nc %h %p' });
    expect((await resolved(proxy, 'ProxyJump=none')).settings.route).toEqual({ hops: [], proxy: null });
    const other = await resolved({ ...proxy, ProxyMethod: '6' }, 'ProxyCommand=nc %h %p');
    expect(other.settings.route).toEqual({ hops: [], proxy: { kind: 'command', command: 'nc %h %p' } });
    const jump = await resolved({ ...proxy, ProxyMethod: '6', ProxyPort: '2222', ProxyUsername: 'carl' });
    expect(jump.settings.route.hops).toMatchObject([{ host: 'gate', port: 2222, user: 'carl' }]);
    expect(jump.settings.route.proxy).toBeNull();
  });
});
