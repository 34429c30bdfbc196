/** Why a server lets nobody in: keys of this side in every format, agents, certificates, tokens, accounts. */
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sessionFileName } from '../../src/config/putty-store.js';
import { at, expectCause, known, Practice, pasted } from '../support/doctor.js';
import { authorize, makeDropbearKey } from '../support/dropbear.js';
import { must, run, start, until } from '../support/run.js';
import { makeKey } from '../support/server.js';
import { makeTokenKey } from '../support/token-key.js';

let practice: Practice;
/** What a command needs that logs in without a key. */
let base: string;

beforeAll(async () => {
  practice = await Practice.open('doctor-login');
  base = `UserKnownHostsFile=${practice.strict.knownHosts}`;
});
afterAll(async () => {
  await practice?.close();
});

const own = () => `${practice.user.name}@127.0.0.1`;
const withKey = (key: string, ...args: readonly string[]) =>
  practice.keyless(practice.strict, ['-i', key, ...args]);
/** A command of `program` for whoever has given `-i key`. */
const command = (key: string, program?: string) =>
  pasted(practice.strict, [`IdentityFile=${key}`, base], program);

describe.each(['ssh2', 'openssh'])('keys, through %s', (transport) => {
  const by = ['-o', `transport=${transport}`];

  it('that others may read', async () => {
    const key = await makeKey(practice.scope, `exposed-${transport}`);
    await chmod(key, 0o644);
    expectCause(await withKey(key, ...by), 'key-permissions', `chmod 600 ${key}`);
  });

  it('that the server does not know', async () => {
    const key = await makeKey(practice.scope, `wrong-${transport}`);
    const seen = await withKey(key, ...by);
    expectCause(seen, 'key-refused', `${command(key, 'ssh-copy-id')} -i ${key}.pub ${own()}`);
    expect(seen.cause?.what).toContain(key);
    expect(seen.cause?.why).toMatch(/may not log in \(locked.*auth\.log.*secure.*ssh -p \d+ .* -vvv/);
  });

  it('that are not there', async () => {
    expectCause(await practice.keyless(practice.strict, by), 'no-key', 'ssh-keygen -t ed25519');
  });

  it('that were named and do not exist', async () => {
    const key = join(practice.scope.directory, 'none-such');
    expectCause(await withKey(key, ...by), 'key-missing', `ssh-keygen -t ed25519 -f ${key}`);
  });

  it('that an agent does not hold', async () => {
    const socket = join(practice.scope.directory, `agent-${transport}`);
    const agent = start('ssh-agent', ['-D', '-a', socket], { env: practice.scope.environment });
    practice.scope.defer('agent', async () => void agent.kill());
    const env = { SSH_AUTH_SOCK: socket };
    await until('the agent', async () => (await run('ssh-add', ['-l'], { env })).code === 1);
    expectCause(await practice.keyless(practice.strict, by, { env }), 'agent-empty', 'ssh-add');
  });

  it('that are encrypted, with nobody to ask', async () => {
    const key = join(practice.scope.directory, `locked-${transport}`);
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret words', '-f', key]);
    await authorize(practice.user, await readFile(`${key}.pub`, 'utf8'));
    expectCause(await withKey(key, ...by), 'key-locked', `ssh-add ${key}`);
  });

  it('that are no keys', async () => {
    const key = join(practice.scope.directory, `garbage-${transport}`);
    await writeFile(key, 'not a key\n', { mode: 0o600 });
    expectCause(await withKey(key, ...by), 'key-unusable', `ssh-keygen -y -f ${key}`);
  });

  it('too many for the server', async () => {
    const server = await practice.serve({ config: ['MaxAuthTries 2'] });
    const names = [1, 2, 3, 4].map((n) => `many-${transport}-${n}`);
    const keys = await Promise.all(names.map((name) => makeKey(practice.scope, name)));
    const seen = await practice.keyless(server, [...by, ...keys.flatMap((key) => ['-i', key])]);
    expectCause(seen, 'login', `-o IdentitiesOnly=yes -i ${keys[0]}`);
  });

  it('and the password is another', async () => {
    const seen = await practice.keyless(practice.strict, [...by, '-o', 'password_stdin'], {
      input: 'wrong\n',
    });
    expectCause(seen, 'password', `on the server: sudo passwd ${practice.user.name}`);
  });

  it('but the account may not log in (AllowUsers)', async () => {
    const server = await practice.serve({ config: ['AllowUsers nobody'] });
    const seen = await practice.visit(server, [...by, '-o', 'password_stdin'], {
      input: `${practice.user.password}\n`,
    });
    expectCause(seen, 'account', 'on the server: sudo journalctl -u ssh -n 50');
    expect(seen.cause?.why).toContain('AllowUsers');
  });

  it('but a password is all that is taken, with nobody to ask', async () => {
    const server = await practice.serve({ config: ['PubkeyAuthentication no'] });
    const words = [`IdentityFile=${server.keyFile}`, `UserKnownHostsFile=${server.knownHosts}`];
    expectCause(await practice.visit(server, by), 'no-method', `${pasted(server, words)} ${own()}`);
  });
});

it('a key beside the public half of another', async () => {
  const key = await makeKey(practice.scope, 'mismatched');
  await copyFile(`${practice.strict.keyFile}.pub`, `${key}.pub`);
  expectCause(await withKey(key), 'key-mismatch', `ssh-keygen -y -f ${key} > ${key}.pub`);
});

it('a key without its public half: the command that is told brings it there', async () => {
  const key = await makeKey(practice.scope, 'alone');
  await rm(`${key}.pub`);
  const seen = await withKey(key);
  expectCause(seen, 'key-refused', new RegExp(`^ssh-keygen -y -f ${key} \\| ssh -p .* 'umask 077; .*cat >>`));
  const [making = ''] = seen.cause?.remedy?.split(' | ') ?? [];
  await authorize(practice.user, await must('sh', ['-c', making]));
  expect((await withKey(key)).cause).toBeNull();
});

it('a user that does not exist', async () => {
  const { remora, strict } = practice;
  const args = ['no-such-user@127.0.0.1', ...(await remora.login(strict)), '-o', 'password_stdin'];
  expectCause(await practice.diagnose(args, { input: 'any\n' }), 'account', /journalctl/);
});

describe('keys of PuTTY', () => {
  const passphrase = () => join(practice.scope.directory, 'passphrase');
  let plain: string;

  async function saved(name: string, encrypted: boolean): Promise<string> {
    const path = join(practice.scope.directory, `${name}.ppk`);
    const phrase = encrypted ? passphrase() : '/dev/null';
    await must('puttygen', [
      '-q',
      '-t',
      'ed25519',
      '-o',
      path,
      '--new-passphrase',
      phrase,
      '--ppk-param',
      'passes=2',
    ]);
    return path;
  }

  beforeAll(async () => {
    await writeFile(passphrase(), 'secret words\n', { mode: 0o600 });
    plain = await saved('plain', false);
  });

  it('that the server does not know: the command that is told brings it there', async () => {
    const seen = await withKey(plain);
    expectCause(seen, 'key-refused', new RegExp(`^puttygen -L ${plain} \\| ssh -p `));
    const [making = ''] = seen.cause?.remedy?.split(' | ') ?? [];
    await authorize(practice.user, await must('sh', ['-c', making]));
    expect((await withKey(plain)).cause).toBeNull();
  });

  it('that others may read', async () => {
    const key = await saved('exposed', false);
    await chmod(key, 0o640);
    expectCause(await withKey(key), 'key-permissions', `chmod 600 ${key}`);
  });

  it('that are encrypted, with nobody to ask', async () => {
    const key = await saved('locked', true);
    await authorize(practice.user, await must('puttygen', ['-L', key]));
    const copy = key.replace('.ppk', '.openssh');
    expectCause(
      await withKey(key),
      'key-locked',
      `puttygen ${key} -O private-openssh -o ${copy} && ssh-add ${copy}`,
    );
  });

  it('that are damaged', async () => {
    const key = await saved('damaged', false);
    await writeFile(key, (await readFile(key, 'latin1')).replace(/^Private-MAC: ..../m, 'Private-MAC: 0000'));
    const seen = await withKey(key);
    expectCause(seen, 'key-unusable', `puttygen -L ${key}`);
    expect(seen.cause?.what).toContain(key);
  });

  it('named by a saved session', async () => {
    const { remora, strict, user } = practice;
    const sessions = join(remora.home, '.putty/sessions');
    await mkdir(sessions, { recursive: true, mode: 0o700 });
    const key = await saved('session', false);
    const values = {
      HostName: strict.host,
      PortNumber: strict.port,
      UserName: user.name,
      PublicKeyFile: key,
    };
    const text = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(sessions, sessionFileName('bay of pigs')), text.join(''));
    const settings = ['-o', known(strict).replace('ssh_config=none,', '')];
    const seen = await practice.diagnose(['putty:bay of pigs:', ...settings]);
    expectCause(seen, 'key-refused', new RegExp(`^puttygen -L ${key} \\| ssh -p ${strict.port} `));
    const { stdout } = await remora.run(['doctor', '--redact', 'putty:bay of pigs', ...settings]);
    expect(stdout).not.toContain('bay of pigs');
    const other = await practice.diagnose(['putty:bay of pig', ...settings]);
    expectCause(other, 'configuration', `ls ${sessions}`);
    expect(other.cause?.what).toContain("did you mean 'bay of pigs'?");
  });
});

describe('keys of Dropbear', () => {
  let key: string;
  let line: string;
  beforeAll(async () => {
    key = join(practice.scope.directory, 'id_dropbear');
    line = await makeDropbearKey('ed25519', key);
  });

  it('that the server does not know: the command that is told brings it there', async () => {
    const seen = await withKey(key);
    expectCause(seen, 'key-refused', new RegExp(`^dropbearkey -y -f ${key} \\| grep -E '\\S+' \\| ssh -p `));
    const told = seen.cause?.remedy?.split(' | ').slice(0, 2).join(' | ') ?? '';
    expect((await must('sh', ['-c', told])).split(' ')[1]).toBe(line.split(' ')[1]);
  });

  it('that others may read', async () => {
    await chmod(key, 0o644);
    expectCause(await withKey(key), 'key-permissions', `chmod 600 ${key}`);
    await chmod(key, 0o600);
  });

  it('that are damaged', async () => {
    const damaged = join(practice.scope.directory, 'id_dropbear_damaged');
    await writeFile(damaged, (await readFile(key)).subarray(0, 60), { mode: 0o600 });
    expectCause(await withKey(damaged), 'key-unusable', /^dropbearkey -y -f \S+_damaged/);
  });
});

describe('user certificates', () => {
  const signed = async (name: string, principal: string, validity: string) => {
    const key = await makeKey(practice.scope, name);
    const words = ['-s', authority, '-I', 'me', '-n', principal, '-V', validity];
    await must('ssh-keygen', ['-q', ...words, `${key}.pub`]);
    return key;
  };
  let authority: string;
  beforeAll(async () => {
    authority = await makeKey(practice.scope, 'user-ca');
  });
  const trusting = () =>
    practice.serve({ config: [`TrustedUserCAKeys ${authority}.pub`, 'AuthorizedKeysFile none'] });
  const look = async (key: string) => practice.keyless(await trusting(), ['-i', key]);

  it('let in by the ssh program, which auto chooses', async () => {
    const key = await signed('good', practice.user.name, '-1h:+1h');
    const seen = await look(key);
    expect(seen.cause).toBeNull();
    const what = (id: string) => seen.findings.find((each) => each.id === id)?.what;
    expect(what('transport')).toBe(`the ssh program, since ${key}-cert.pub is a certificate`);
    expect(what('login')).toBe(`${practice.user.name} is let in, by the ssh program`);
  });

  it.each([
    ['expired', '-2h:-1h', /it was valid until/],
    ['early', '+1h:+2h', /it is not valid before/],
  ])('%s', async (name, validity, text) => {
    const key = await signed(name, practice.user.name, validity);
    const seen = await look(key);
    expectCause(seen, 'certificate', `ssh-keygen -L -f ${key}-cert.pub`);
    expect(seen.cause?.what).toMatch(text);
  });

  it('for somebody else', async () => {
    const key = await signed('stranger', 'alice', '-1h:+1h');
    const seen = await look(key);
    expectCause(seen, 'certificate', `ssh-keygen -L -f ${key}-cert.pub`);
    expect(seen.cause?.what).toContain('it is for alice, not for');
  });

  it('of an authority that the server does not trust', async () => {
    const key = await signed('untrusted', practice.user.name, '-1h:+1h');
    const seen = await practice.keyless(practice.strict, ['-i', key]);
    expectCause(seen, 'certificate', `ssh-keygen -L -f ${key}-cert.pub`);
    expect(seen.cause?.why).toContain('TrustedUserCAKeys');
  });
});

describe('keys on security tokens', () => {
  it('that the server does not know', async () => {
    const key = await makeTokenKey(join(practice.scope.directory, 'id_sk'));
    const seen = await withKey(key);
    expectCause(seen, 'key-refused', `${command(key, 'ssh-copy-id')} -i ${key}.pub ${own()}`);
    const transport = seen.findings.find(({ id }) => id === 'transport');
    expect(transport?.what).toBe(`the ssh program, since the key ${key} is on a security token`);
  });

  it('that are not plugged in', async () => {
    const key = await makeTokenKey(join(practice.scope.directory, 'id_unplugged_sk'));
    await authorize(practice.user, await readFile(`${key}.pub`, 'utf8'));
    expectCause(await withKey(key), 'key-token', 'fido2-token -L');
  });

  it('with transport=ssh2', async () => {
    const key = await makeTokenKey(join(practice.scope.directory, 'id_other_sk'));
    expectCause(await withKey(key, '-o', 'transport=ssh2'), 'key-unusable', '-o transport=auto');
  });
});

describe.each(['ssh2', 'openssh'])('host keys, through %s', (transport) => {
  const by = ['-o', `transport=${transport}`];

  it('that have changed: file, line and the command that removes it', async () => {
    const { scope, strict } = practice;
    const other = await readFile(`${await makeKey(scope, `other-host-${transport}`)}.pub`, 'utf8');
    const file = join(scope.directory, `known changed ${transport}`);
    const [type, key] = other.split(' ');
    await writeFile(file, `# two lines\n\n[127.0.0.1]:${strict.port} ${type} ${key}\n`);
    const seen = await practice.visit(strict, [...by, '-o', `UserKnownHostsFile="${file}"`]);
    expectCause(seen, 'host-key', `ssh-keygen -f '${file}' -R '[127.0.0.1]:${strict.port}'`);
    expect(seen.cause?.what).toContain(`${file}:3 has`);
    await must('sh', ['-c', seen.cause?.remedy ?? '']);
    const after = await practice.visit(strict, [...by, '-o', `UserKnownHostsFile="${file}"`]);
    expect(after.cause?.what).toContain('is not known');
  });

  it.each(['yes', 'ask'])('that are unknown, with StrictHostKeyChecking=%s', async (checking) => {
    const { strict } = practice;
    const seen = await practice.visit(strict, [
      ...by,
      '-o',
      `UserKnownHostsFile=none,StrictHostKeyChecking=${checking}`,
    ]);
    const words = [`IdentityFile=${strict.keyFile}`, 'UserKnownHostsFile=none'];
    expectCause(seen, 'host-key', `${pasted(strict, words)} -o StrictHostKeyChecking=ask ${own()}`);
  });

  it('that are revoked', async () => {
    const { scope, strict } = practice;
    const file = join(scope.directory, `known-revoked-${transport}`);
    const [type, key] = (await readFile(`${strict.hostKey}.pub`, 'utf8')).split(' ');
    await writeFile(file, `@revoked * ${type} ${key}\n`);
    const seen = await practice.visit(strict, [...by, '-o', `UserKnownHostsFile=${file}`]);
    expectCause(seen, 'host-key', /ssh-keygen -A/);
    expect(seen.cause?.what).toContain(`revoked by ${file}:1`);
  });
});

it('a host that a certificate makes known is checked by the ssh program', async () => {
  const { scope } = practice;
  const authority = await makeKey(scope, 'host-ca');
  const hostKey = await makeKey(scope, 'certified');
  await must('ssh-keygen', ['-q', '-s', authority, '-I', 'h', '-h', '-n', '127.0.0.1', `${hostKey}.pub`]);
  const server = await practice.serve({
    config: [`HostKey ${hostKey}`, `HostCertificate ${hostKey}-cert.pub`],
  });
  const file = join(scope.directory, 'authorities');
  await writeFile(file, `@cert-authority * ${await readFile(`${authority}.pub`, 'utf8')}`);
  const args = ['-o', `UserKnownHostsFile=${file}`];
  const seen = await practice.visit(server, args);
  expect(seen.cause).toBeNull();
  expect(seen.findings.find(({ id }) => id === 'login')?.what).toContain('by the ssh program');
  const embedded = await practice.visit(server, [...args, '-o', 'transport=ssh2']);
  expectCause(embedded, 'host-key', '-o transport=openssh');
});

it('what is read by a person is joined where nothing could be looked at', async () => {
  const { remora, strict } = practice;
  const args = [at(strict), '-p', String(strict.port), '-o', known(strict)];
  const { stdout } = await remora.run(['doctor', ...args]);
  expect(stdout).toMatch(/^- SFTP to throughput +not looked at, because of: login$/m);
});
