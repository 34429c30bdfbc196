/**
 * The same known_hosts files for Remora and for the real ssh, against one real sshd: each file is given to both,
 * with each way to be strict, and both have to say the same about the server, and write the same down.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/ssh/connection.js';
import { ConnectError } from '../../src/ssh/errors.js';
import { hashedName, SALT_LENGTH } from '../../src/ssh/known-hosts.js';
import { must, run } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { person, settings } from '../support/ssh-fixture.js';
import { Sshd } from '../support/sshd.js';

let scope: Scope;
let sshd: Sshd;
let files = 0;
/** What ssh would choose by itself costs a second of both processors in a hundred runs. */
const KEX = 'KexAlgorithms=curve25519-sha256';
/** `TYPE KEY` of the server's own keys, of keys that it does not have, and of an authority. */
const keys = { ed: '', ecdsa: '', otherEd: '', rsa: '', authority: '' };

beforeAll(async () => {
  scope = await Scope.open('known');
  for (const name of ['ed', 'ecdsa', 'otherEd', 'rsa', 'authority'] as const) {
    const type = { ecdsa: 'ecdsa', rsa: 'rsa' }[name as string] ?? 'ed25519';
    await must('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', join(scope.directory, name)]);
    const text = await readFile(join(scope.directory, `${name}.pub`), 'utf8');
    keys[name] = text.split(' ').slice(0, 2).join(' ');
  }
  const config = ['ed', 'ecdsa'].map((name) => `HostKey ${join(scope.directory, name)}`);
  sshd = await Sshd.start(scope, { config: [...config, 'AuthorizedKeysFile none'] });
});
afterAll(async () => {
  await scope?.close();
});

type Judged = 'trusted' | 'unknown' | 'changed' | 'revoked' | 'certified';
type Strictness = 'yes' | 'accept-new';

/** A home with `text` as its known_hosts; `global` is the machine's file. */
async function home(text: string, global: string): Promise<{ directory: string; options: string[] }> {
  const directory = await scope.makeDirectory(`home${++files}`);
  await mkdir(join(directory, '.ssh'), { mode: 0o700 });
  const user = join(directory, '.ssh/known_hosts');
  const machine = join(directory, 'ssh_known_hosts');
  await writeFile(user, text);
  await writeFile(machine, global);
  return { directory, options: [`UserKnownHostsFile=${user}`, `GlobalKnownHostsFile=${machine}`] };
}

async function asksSsh(given: Case, strictness: Strictness): Promise<[Judged, string]> {
  const { directory, options } = await home(given.text(), given.global?.() ?? '');
  const more = [...options, `StrictHostKeyChecking=${strictness}`, 'BatchMode=yes', KEX];
  if (given.alias !== undefined) more.push(`HostKeyAlias=${given.alias}`);
  if (given.hash) more.push('HashKnownHosts=yes');
  const args = ['-F', 'none', '-p', String(sshd.port), ...more.flatMap((each) => ['-o', each])];
  const { stderr } = await run('ssh', [...args, 'nobody@127.0.0.1', 'true'], { env: { HOME: directory } });
  return [judgedBySsh(stderr), await readFile(join(directory, '.ssh/known_hosts'), 'utf8')];
}

function judgedBySsh(stderr: string): Judged {
  if (stderr.includes('REVOKED HOST KEY DETECTED')) return 'revoked';
  if (stderr.includes('IDENTIFICATION HAS CHANGED')) return 'changed';
  if (/No \S+ host key is known/.test(stderr)) return 'unknown';
  if (stderr.includes('Permission denied')) return 'trusted';
  throw new Error(`ssh says: ${stderr}`);
}

async function asksRemora(given: Case, strictness: Strictness): Promise<[Judged, string]> {
  const { directory } = await home(given.text(), given.global?.() ?? '');
  const wanted = settings(sshd.port, {
    user: 'nobody',
    strictHostKeyChecking: strictness,
    globalKnownHostsFiles: [join(directory, 'ssh_known_hosts')],
    hostKeyAlias: given.alias ?? null,
    hashKnownHosts: given.hash ?? false,
  });
  const error: unknown = await connect(wanted, person(), { home: directory, environment: {} }).then(
    () => 'logged in',
    (reason) => reason,
  );
  if (!(error instanceof ConnectError)) throw error;
  const verdicts: Partial<Record<ConnectError['kind'], Judged>> = {
    authentication: 'trusted',
    'host-key-unknown': 'unknown',
    'host-key-changed': 'changed',
    'host-key-revoked': 'revoked',
    'host-certificate': 'certified',
  };
  const verdict = verdicts[error.kind];
  if (verdict === undefined) throw error;
  return [verdict, await readFile(join(directory, '.ssh/known_hosts'), 'utf8')];
}

interface Case {
  readonly name: string;
  readonly text: () => string;
  readonly global?: () => string;
  readonly alias?: string;
  readonly hash?: boolean;
  /** What both have to say with StrictHostKeyChecking=yes. */
  readonly strict: Judged;
}

const here = () => `[127.0.0.1]:${sshd.port}`;
const hashed = (name: string) => hashedName(name, randomBytes(SALT_LENGTH));

const CASES: readonly Case[] = [
  { name: 'nothing', text: () => '', strict: 'unknown' },
  { name: 'the key', text: () => `${here()} ${keys.ed}\n`, strict: 'trusted' },
  { name: 'the key without a last newline', text: () => `${here()} ${keys.ed}`, strict: 'trusted' },
  { name: 'the other key of the server', text: () => `${here()} ${keys.ecdsa}\n`, strict: 'trusted' },
  { name: 'a key that it does not have', text: () => `${here()} ${keys.otherEd}\n`, strict: 'changed' },
  { name: 'a key of another type', text: () => `${here()} ${keys.rsa}\n`, strict: 'changed' },
  {
    name: 'one wrong key and the right one',
    text: () => `${here()} ${keys.otherEd}\n${here()} ${keys.ed}\n`,
    strict: 'trusted',
  },
  {
    name: 'a wrong ecdsa and the right ed25519',
    text: () => `${here()} ${keys.rsa}\n${here()} ${keys.ed}\n`,
    strict: 'trusted',
  },
  {
    name: 'the right ecdsa and a wrong ed25519',
    text: () => `${here()} ${keys.ecdsa}\n${here()} ${keys.otherEd}\n`,
    strict: 'changed',
  },
  { name: 'the name without the port', text: () => `127.0.0.1 ${keys.ed}\n`, strict: 'trusted' },
  { name: 'another key without the port', text: () => `127.0.0.1 ${keys.otherEd}\n`, strict: 'unknown' },
  { name: 'another port', text: () => `[127.0.0.1]:1 ${keys.ed}\n`, strict: 'unknown' },
  { name: 'a pattern', text: () => `[127.0.0.*]:* ${keys.ed}\n`, strict: 'trusted' },
  { name: 'a pattern of question marks', text: () => `127.?.?.? ${keys.ed}\n`, strict: 'trusted' },
  { name: 'everything', text: () => `* ${keys.ed}\n`, strict: 'trusted' },
  { name: 'all but this one', text: () => `*,!${here()} ${keys.ed}\n`, strict: 'trusted' },
  { name: 'all but this one, port or not', text: () => `*,!*127.0.0.1* ${keys.ed}\n`, strict: 'unknown' },
  { name: 'nothing but a negation', text: () => `!example.com ${keys.ed}\n`, strict: 'unknown' },
  { name: 'a list of names', text: () => `a,b,${here()},c ${keys.ed}\n`, strict: 'trusted' },
  { name: 'a hashed name', text: () => `${hashed(here())} ${keys.ed}\n`, strict: 'trusted' },
  { name: 'a hashed name, another key', text: () => `${hashed(here())} ${keys.rsa}\n`, strict: 'changed' },
  { name: 'another hashed name', text: () => `${hashed('example.com')} ${keys.ed}\n`, strict: 'unknown' },
  {
    name: 'a hashed name in a list is none',
    text: () => `a,${hashed(here())} ${keys.ed}\n`,
    strict: 'unknown',
  },
  { name: 'the name in capitals', text: () => `BAY ${keys.ed}\n`, alias: 'bay', strict: 'trusted' },
  { name: 'the alias in capitals', text: () => `bay ${keys.ed}\n`, alias: 'BAY', strict: 'trusted' },
  { name: 'an alias knows no port', text: () => `${here()} ${keys.ed}\n`, alias: 'bay', strict: 'unknown' },
  { name: 'a revoked key', text: () => `@revoked ${here()} ${keys.ed}\n`, strict: 'revoked' },
  {
    name: 'a revoked key that another line trusts',
    text: () => `${here()} ${keys.ed}\n@revoked * ${keys.ed}\n`,
    strict: 'revoked',
  },
  {
    name: 'a revoked key of another server',
    text: () => `${here()} ${keys.ed}\n@revoked * ${keys.otherEd}\n`,
    strict: 'trusted',
  },
  {
    name: 'a key the machine revokes',
    text: () => `${here()} ${keys.ed}\n`,
    global: () => `@revoked * ${keys.ed}\n`,
    strict: 'revoked',
  },
  { name: 'a key the machine knows', text: () => '', global: () => `* ${keys.ed}\n`, strict: 'trusted' },
  {
    name: 'a wrong key of the machine',
    text: () => `${here()} ${keys.ed}\n`,
    global: () => `${here()} ${keys.otherEd}\n`,
    strict: 'trusted',
  },
  { name: 'a marker nobody knows', text: () => `@made-up ${here()} ${keys.ed}\n`, strict: 'unknown' },
  {
    name: 'comments, blanks and rubbish around it',
    text: () =>
      `# ${here()} ${keys.otherEd}\n\n \t\nrubbish\n${here()} x y\n\t${here()}\t${keys.ed} comment\n`,
    strict: 'trusted',
  },
  {
    name: 'a type that the key does not have',
    text: () => `${here()} ssh-rsa ${keys.ed.split(' ')[1]}\n`,
    strict: 'unknown',
  },
  {
    name: 'an authority beside the key',
    text: () => `@cert-authority * ${keys.authority}\n${here()} ${keys.ed}\n`,
    strict: 'trusted',
  },
  {
    name: 'an authority of other hosts',
    text: () => `@cert-authority b ${keys.authority}\n`,
    strict: 'unknown',
  },
  { name: 'a hashed name is added', text: () => `# mine\n`, hash: true, strict: 'unknown' },
];

describe.each(['yes', 'accept-new'] as const)('StrictHostKeyChecking=%s', (strictness) => {
  it.each(CASES)('$name', async (given) => {
    const [ssh, writtenBySsh] = await asksSsh(given, strictness);
    const [remora, writtenByRemora] = await asksRemora(given, strictness);
    if (strictness === 'yes') expect(ssh, 'the real ssh').toBe(given.strict);
    expect(remora).toBe(ssh);
    const shown = (text: string) => text.replace(/\|1\|\S+/g, '|1|');
    expect(shown(writtenByRemora)).toBe(shown(writtenBySsh));
  });
});

describe('an authority alone', () => {
  const given: Case = {
    name: 'an authority',
    text: () => `@cert-authority * ${keys.authority}\n`,
    strict: 'certified',
  };

  it.each(['yes', 'accept-new'] as const)('is for the ssh program, with %s', async (strictness) => {
    const [verdict, written] = await asksRemora(given, strictness);
    expect(verdict).toBe('certified');
    expect(written).toBe(given.text());
  });
});

it('ssh finds the host under the hashed name that Remora has added', async () => {
  const given = CASES.find(({ hash }) => hash);
  if (given === undefined) throw new Error('no such case');
  const [, written] = await asksRemora(given, 'accept-new');
  const [ssh] = await asksSsh({ ...given, text: () => written }, 'yes');
  expect(ssh).toBe('trusted');
});
