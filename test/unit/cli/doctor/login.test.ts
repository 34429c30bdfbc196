import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { quoted } from '../../../../src/base/shell.js';
import { readCertificate } from '../../../../src/cli/doctor/certificate.js';
import { checkOf, doctorHint } from '../../../../src/cli/doctor/hint.js';
import { addToAgent, bringToServer, showPublic } from '../../../../src/cli/doctor/key-commands.js';
import type { KeyFormat, Keyring, KeyState, LocalKey } from '../../../../src/cli/doctor/keys.js';
import { type Evidence, explainRefusal, keyFindings } from '../../../../src/cli/doctor/refusal.js';
import { loginCommand } from '../../../../src/cli/doctor/shell.js';
import { EXIT, type ExitName } from '../../../../src/cli/exit.js';
import { uint32, wireStrings } from '../../../../src/ssh/wire.js';
import { makeKey } from '../../../support/ssh-test-server.js';

const { blob } = makeKey('ed25519');
const NOON = Date.UTC(2030, 0, 1, 12);
const DAY = 86_400_000;

const keyFile = (state: KeyState, path = '/keys/id'): LocalKey => ({
  path,
  format: 'openssh',
  state,
  problem: `${path} is ${state}`,
  blob,
  isOnToken: false,
  hasPublicFile: true,
});

const ring = (changes: Partial<Keyring> = {}): Keyring => {
  return { files: [], certificates: [], agent: null, held: [], open: [], ...changes };
};

function evidence(changes: Partial<Evidence> & { readonly files?: readonly LocalKey[] } = {}): Evidence {
  const { files = [], ...others } = changes;
  return {
    attempts: [],
    keyring: ring({ files }),
    accepted: ['publickey', 'password'],
    interactive: false,
    user: 'bob',
    home: '/home/anna',
    there: 'on the server',
    now: NOON,
    command: (program = 'ssh', options = '') => `${program}${options} bob@host`,
    ...others,
  };
}

const offered = { method: 'publickey', key: blob };
const password = { method: 'password', key: null };

describe('the likeliest reason of a refused login', () => {
  it.each([
    ['no key', evidence(), 'no-key'],
    ['an empty agent', evidence({ keyring: ring({ agent: '/agent' }) }), 'agent-empty'],
    ['a key others may read', evidence({ files: [keyFile('exposed')] }), 'key-permissions'],
    ['a locked key', evidence({ files: [keyFile('locked')] }), 'key-locked'],
    ['a missing key', evidence({ files: [keyFile('missing')] }), 'key-missing'],
    [
      'a key the server does not know',
      evidence({ files: [keyFile('usable')], attempts: [offered] }),
      'key-refused',
    ],
    ['the wrong half', evidence({ files: [keyFile('mismatched')], attempts: [offered] }), 'key-mismatch'],
    ['a wrong password', evidence({ attempts: [password] }), 'password'],
    ['nothing is good', evidence({ attempts: [offered, password] }), 'account'],
    [
      'only a password is taken',
      evidence({ files: [keyFile('exposed')], accepted: ['password'] }),
      'no-method',
    ],
  ])('%s', (_, given, id) => {
    const found = explainRefusal(given);
    expect(found.find(({ verdict }) => verdict === 'failure')?.id).toBe(id);
  });

  it('is not a file that is missing where there is another', () => {
    const files = [keyFile('missing', '/keys/other'), keyFile('usable')];
    const found = explainRefusal(evidence({ files, attempts: [offered] }));
    expect(found.map(({ id, verdict }) => [id, verdict])).toEqual([
      ['key-missing', 'warning'],
      ['key-refused', 'failure'],
    ]);
  });

  it('says where keys come from and how the first is brought there', () => {
    const [found] = explainRefusal(
      evidence({ files: [keyFile('usable', '/my keys/id')], attempts: [offered] }),
    );
    expect(found?.what).toMatch(/ED25519 SHA256:\S+ from \/my keys\/id/);
    expect(found?.remedy).toBe("ssh-copy-id -i '/my keys/id.pub' bob@host");
  });
});

describe('key files', () => {
  it('that are locked are no problem where somebody, or an agent, opens them', () => {
    const files = [keyFile('locked')];
    expect(keyFindings(evidence({ files, interactive: true }), 'failure')).toEqual([]);
    const keyring = ring({ files, agent: '/agent', held: [blob] });
    expect(keyFindings(evidence({ keyring }), 'failure')).toEqual([]);
  });

  it('in directories of others are worth a warning', () => {
    const keyring = ring({ open: [{ path: '/home/anna/.ssh', mode: 0o775 }] });
    expect(keyFindings(evidence({ keyring }), 'failure')).toMatchObject([
      { id: 'key-directory', verdict: 'warning', remedy: 'chmod go-w /home/anna/.ssh' },
    ]);
  });
});

describe('certificates', () => {
  const certificate = {
    path: '/keys/id-cert.pub',
    principals: ['bob'],
    validAfter: 0,
    validBefore: NOON + DAY,
  };
  const files = [keyFile('usable')];
  it.each([
    ['is over', { validBefore: NOON - DAY }, /valid until 2029-12-31 12:00 UTC/],
    ['is to come', { validAfter: NOON + DAY }, /not valid before 2030-01-02 12:00 UTC/],
    ['is for others', { principals: ['carl', 'dora'] }, /for carl, dora, not for bob/],
  ])('whose time or purpose %s', (_, changes, text) => {
    const keyring = ring({ files, certificates: [{ ...certificate, ...changes }] });
    const [found] = explainRefusal(evidence({ keyring }));
    expect(found).toMatchObject({ id: 'certificate', remedy: 'ssh-keygen -L -f /keys/id-cert.pub' });
    expect(found?.what).toMatch(text);
  });

  it('that look right are the server’s to explain', () => {
    const keyring = ring({ files, certificates: [certificate] });
    const [found] = explainRefusal(evidence({ keyring }));
    expect(found?.why).toContain('TrustedUserCAKeys');
  });

  it('are read from what OpenSSH writes, and nothing else is', () => {
    const principals = wireStrings('bob', 'carl');
    const u64 = (value: bigint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value);
      return bytes;
    };
    const bytes = Buffer.concat([
      wireStrings('ssh-ed25519-cert-v01@openssh.com', 'nonce', Buffer.alloc(32)),
      u64(7n),
      uint32(1),
      wireStrings('me', principals),
      u64(60n),
      u64(2n ** 64n - 1n),
    ]);
    expect(readCertificate(bytes)).toEqual({
      principals: ['bob', 'carl'],
      validAfter: 60_000,
      validBefore: 8.64e15,
    });
    for (let length = 0; length < bytes.length; length++) {
      expect(readCertificate(bytes.subarray(0, length))).toBeNull();
    }
    expect(readCertificate(blob)).toBeNull();
  });
});

describe('commands', () => {
  const command = (program = 'ssh', options = '') => `${program}${options} bob@host`;
  const key = (format: KeyFormat, hasPublicFile = false) => ({
    path: '/my keys/id.ppk',
    format,
    hasPublicFile,
  });

  it('are those of the program that has made the key', () => {
    expect((['openssh', 'putty', 'dropbear'] as const).map((format) => showPublic(key(format)))).toEqual([
      "ssh-keygen -y -f '/my keys/id.ppk'",
      "puttygen -L '/my keys/id.ppk'",
      "dropbearkey -y -f '/my keys/id.ppk' | grep -E '^(ssh|ecdsa)-'",
    ]);
    expect(addToAgent(key('putty'))).toBe(
      "puttygen '/my keys/id.ppk' -O private-openssh -o '/my keys/id.openssh' && ssh-add '/my keys/id.openssh'",
    );
  });

  it('bring a key to the server with whatever is there', () => {
    expect(bringToServer(null, command)).toBe('ssh-copy-id bob@host');
    expect(bringToServer(key('putty', true), command)).toBe("ssh-copy-id -i '/my keys/id.ppk.pub' bob@host");
    expect(bringToServer(key('putty'), command)).toMatch(
      /^puttygen -L '\S+ \S+' \| ssh bob@host 'umask 077;/,
    );
  });

  it('are quoted for a shell', () => {
    expect(["it's", '~/a b', '~', 'a$b', '', '/plain-1.0'].map(quoted)).toEqual([
      "'it'\\''s'",
      "~/'a b'",
      '~',
      "'a$b'",
      "''",
      '/plain-1.0',
    ]);
    const words = ['-o', 'ProxyCommand=nc %h %p'];
    expect(loginCommand({ user: 'DOM\\bob', host: '2001:db8::1', port: 2222, words })).toBe(
      "ssh -p 2222 -o 'ProxyCommand=nc %h %p' 'DOM\\bob@2001:db8::1'",
    );
  });
});

it('a failed mount is pointed to the check that looks closer', () => {
  expect(doctorHint('refused', 'bob@host:')).toBe(' (see: remora doctor bob@host:, tcp)');
  expect(doctorHint('refused', 'bob@host:/my dir')).toBe(" (see: remora doctor 'bob@host:/my dir', tcp)");
  const names = Object.keys(EXIT) as ExitName[];
  const without = names.filter((name) => doctorHint(name, 'h:') === '');
  // What was typed, the mount point, a mount that was there: the sentence says it all.
  expect(without).toEqual([
    ...['ok', 'failure', 'usage', 'daemon'],
    ...['mountpoint-missing', 'mountpoint-not-directory', 'mountpoint-not-empty'],
    ...['mountpoint-mounted', 'mountpoint-permission', 'not-mounted', 'busy', 'unsent', 'interrupted'],
  ]);
  const connecting = names.filter((name) => EXIT[name].code >= 20 && EXIT[name].code < 70);
  expect(connecting.filter((name) => without.includes(name))).toEqual([]);
});

it('every line that a failed mount points to is a check', () => {
  const sources = ['local', 'network', 'proxy', 'handshake', 'host-key', 'login', 'files'];
  const text = sources.map((name) => readFileSync(`src/cli/doctor/${name}.ts`, 'utf8')).join('\n');
  for (const name of Object.keys(EXIT) as ExitName[]) {
    const check = checkOf(name);
    if (check !== null) expect(text).toMatch(new RegExp(`(?:id: |check\\()'${check}'`));
  }
});
