import { describe, expect, it } from 'vitest';
import { doctorHint } from '../../../../src/cli/doctor/hint.js';
import type { KeyState, LocalKey } from '../../../../src/cli/doctor/keys.js';
import { type Evidence, explainRefusal, keyFindings } from '../../../../src/cli/doctor/login.js';
import { EXIT, type ExitName } from '../../../../src/cli/exit.js';
import { makeKey } from '../../../support/ssh-test-server.js';

const { blob } = makeKey('ed25519');

const keyFile = (state: KeyState, path = '/keys/id'): LocalKey => ({
  path,
  state,
  problem: `${path} is ${state}`,
  blob,
});

function evidence(changes: Partial<Evidence> & { readonly files?: readonly LocalKey[] } = {}): Evidence {
  const { files = [], ...others } = changes;
  return {
    attempts: [],
    keyring: { files, agent: null, held: [], open: [] },
    accepted: ['publickey', 'password'],
    interactive: false,
    user: 'bob',
    home: '/home/anna',
    command: (program = 'ssh', options = '') => `${program}${options} bob@host`,
    ...others,
  };
}

const offered = { method: 'publickey', key: blob };
const password = { method: 'password', key: null };

describe('the likeliest reason of a refused login', () => {
  it.each([
    ['no key', evidence(), 'no-key'],
    [
      'an empty agent',
      evidence({ keyring: { files: [], agent: '/agent', held: [], open: [] } }),
      'agent-empty',
    ],
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
    const keyring = { files, agent: '/agent', held: [blob], open: [] };
    expect(keyFindings(evidence({ keyring }), 'failure')).toEqual([]);
  });

  it('in directories of others are worth a warning', () => {
    const keyring = { files: [], agent: null, held: [], open: [{ path: '/home/anna/.ssh', mode: 0o775 }] };
    expect(keyFindings(evidence({ keyring }), 'failure')).toMatchObject([
      { id: 'key-directory', verdict: 'warning', remedy: 'chmod go-w /home/anna/.ssh' },
    ]);
  });
});

it('a failed mount is pointed to the check that looks closer', () => {
  expect(doctorHint('refused', 'bob@host:')).toBe(' (see: remora doctor bob@host:, tcp)');
  expect(doctorHint('usage', 'host:')).toBe('');
  const connecting = Object.entries(EXIT).filter(([, { code }]) => code >= 20 && code < 70);
  const without = connecting
    .map(([name]) => name as ExitName)
    .filter((name) => doctorHint(name, 'h:') === '');
  expect(without).toEqual(['mount-failed']);
});
