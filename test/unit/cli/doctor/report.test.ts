import { describe, expect, it } from 'vitest';
import {
  type Check,
  examine,
  failure,
  ok,
  rootCause,
  skipped,
  warning,
} from '../../../../src/cli/doctor/finding.js';
import { kindOf } from '../../../../src/cli/doctor/handshake.js';
import { answerOf, configurationRemedy, withColon } from '../../../../src/cli/doctor/network.js';
import { Redactor } from '../../../../src/cli/doctor/redact.js';
import { formatJson, formatText, hasUnicode } from '../../../../src/cli/doctor/report.js';
import { recognise } from '../../../../src/cli/doctor/software.js';

const check = (id: string, run: Check<null>['run'], needs: readonly string[] = []): Check<null> => {
  return { id, title: id, needs, deadline: 50, run };
};
const silent = () => {};

describe('checks', () => {
  it('that need a failed one are left out, and so are those that need them', async () => {
    const findings = await examine(
      [
        check('a', async () => [failure('broken', 'why', 'mend')]),
        check('b', async () => [ok('never')], ['a']),
        check('c', async () => [ok('never')], ['b']),
        check('d', async () => [warning('odd', null, null)]),
      ],
      null,
      silent,
    );
    expect(findings.map(({ id, verdict }) => `${id} ${verdict}`)).toEqual([
      'a failure',
      'b skipped',
      'c skipped',
      'd warning',
    ]);
    expect(findings[2]?.what).toContain('a');
    expect(rootCause(findings)?.id).toBe('a');
  });

  it('that throw, or do not end, have failed', async () => {
    const findings = await examine(
      [check('throws', () => Promise.reject(new Error('oops'))), check('hangs', () => new Promise(() => {}))],
      null,
      silent,
    );
    expect(findings.map(({ verdict, what }) => [verdict, what])).toEqual([
      ['failure', 'oops'],
      ['failure', 'no result within 0.05 s'],
    ]);
  });

  it('pass on no control characters of a server', async () => {
    const [found] = await examine([check('a', async () => [ok('\x1b[31mred')])], null, silent);
    expect(found?.what).toBe('?[31mred');
  });
});

describe('a report', () => {
  const findings = [
    { ...ok('fine'), id: 'a', title: 'first' },
    { ...failure('broken', 'because…', 'mend it'), id: 'b', title: 'second' },
  ];

  it('begins with the likely cause', () => {
    expect(formatText('host', findings, true)).toBe(
      'host: broken (b)\n  because…\n  to mend it: mend it\n\n✓ first   fine\n✗ second  broken\n          because…\n          → mend it\n',
    );
  });

  it('has one row for what could not be looked at for one reason', () => {
    const rest = ['b', 'c', 'd'].map((id) => ({ ...skipped('because of a'), id, title: id }));
    const text = formatText('host', [...findings, ...rest], true);
    expect(text.split('\n').at(-2)).toMatch(/^- b to d {2}because of a$/);
  });

  it('breaks explanations into lines, and nothing else', () => {
    const long = Array.from({ length: 60 }, (_, index) => `word${index}`).join(' ');
    const text = formatText('host', [{ ...failure('bad', long, long), id: 'a', title: 'first' }], true);
    expect(text.split('\n').filter((line) => line.length > 110)).toEqual([
      `  to mend it: ${long}`,
      `         → ${long}`,
    ]);
    expect(text.split(/\s+/).filter((word) => word === 'word59')).toHaveLength(4);
    expect(formatText('host', [{ ...ok('fine', 'x'.repeat(200)), id: 'a', title: 'first' }], true)).toContain(
      'x'.repeat(200),
    );
  });

  it('needs no Unicode', () => {
    expect(formatText('host', findings, false)).toMatch(/^ok first {3}fine\nXX second {2}broken$/m);
    expect(hasUnicode({ LANG: 'de_DE.UTF-8' })).toBe(true);
    expect(hasUnicode({ LANG: 'de_DE.UTF-8', LC_ALL: 'C' })).toBe(false);
    expect(hasUnicode({})).toBe(false);
  });

  it('for programs has the cause and everything else', () => {
    expect(JSON.parse(formatJson('host', findings))).toEqual({
      subject: 'host',
      cause: findings[1],
      findings,
    });
  });
});

describe('redaction', () => {
  it('gives the same thing the same word', () => {
    const redactor = new Redactor(['/home/anna']);
    redactor.hide('user', 'bob');
    redactor.hide('host', 'nas.example.org');
    redactor.hide('host', 'nas');
    const print = `SHA256:${'a'.repeat(43)}`;
    const said = `bob@nas.example.org and bob@nas, ${print} in /home/anna/.ssh/id, ${print}, /home/carl/x, 10.0.0.7 and 10.0.0.7:22, fe80::1`;
    expect(redactor.redact(said)).toBe(
      'user1@host1 and user1@host2, key1 in ~/.ssh/id, key1, /home/user2/x, address1 and address1:22, address2',
    );
  });

  it('hides all that a name is part of, and what stands for keys', () => {
    const redactor = new Redactor([]);
    redactor.hide('user', 'bob');
    redactor.hide('host', 'nas');
    redactor.hide('command', 'nc -X 5 %h %p secret');
    const print = `MD5${':0a'.repeat(16)}`;
    const said = `NAS.Example.Org says bob_2 on box.nas; ssh-ed25519 AAAA${'C3Nz'.repeat(12)}== |1|c2FsdA==|aGFzaA== ${print} exec 'nc -X 5 %h %p secret'`;
    expect(redactor.redact(said)).toBe(
      "host2 says user1_2 on host3; ssh-ed25519 key1 key2 key3 exec 'command1'",
    );
  });

  it('does not look into what it has put there, and takes no number for a name', () => {
    const redactor = new Redactor([]);
    redactor.hide('user', 'host1');
    redactor.hide('host', 'nas');
    redactor.hide('user', '1000');
    expect(redactor.redact('host1 at nas, 1000 times')).toBe('user1 at host1, 1000 times');
  });

  it('leaves versions, times and words alone', () => {
    const redactor = new Redactor(['/root']);
    redactor.hide('user', 'al');
    const said = 'Linux 6.1.0-18, OpenSSH_9.2p1, all is well, 12:30:01, packets of 255.0 KiB';
    expect(redactor.redact(said)).toBe(said);
  });
});

describe('servers', () => {
  it.each([
    ['OpenSSH_9.2p1 Debian-2+deb12u3', 'OpenSSH 9.2', null],
    ['OpenSSH_8.4p1', 'OpenSSH 8.4', /limits/],
    ['OpenSSH_for_Windows_8.1', 'OpenSSH 8.1', /Windows/],
    ['dropbear_2022.83', 'Dropbear', /no SFTP of its own/],
    ['9.31 FlowSsh: Bitvise SSH Server (WinSSHD)', 'a server', null],
    ['Something_1.0', 'Something_1.0', null],
  ])('%s', (software, name, quirk) => {
    const known = recognise(software);
    if (name !== 'a server') expect(known.name).toBe(name);
    else expect(known.name).toBe('Bitvise SSH Server');
    if (name !== 'a server') {
      if (quirk === null) expect(known.quirk).toBeNull();
      else expect(known.quirk).toMatch(quirk);
    }
  });

  it('what a refused connection means', () => {
    expect(['ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH', 'EACCES'].map(answerOf)).toEqual([
      'refused',
      'silent',
      'unreachable',
      'forbidden',
    ]);
  });
});

it.each([
  ['Bad owner or permissions on /home/me/.ssh/config', 'chmod 600 /home/me/.ssh/config'],
  ['ssh cannot tell: /etc/my config: line 3: bad', `\${EDITOR:-vi} +3 '/etc/my config'`],
  ['/home/me/auth file holds a password that others can read: run', "chmod 600 '/home/me/auth file'"],
  [
    "there is no PuTTY session 'a' in /home/me/.putty/sessions; did you mean 'b'?",
    'ls /home/me/.putty/sessions',
  ],
  ['something else', 'remora --help'],
])('%s: %s', (message, remedy) => {
  expect(configurationRemedy(message)[1]).toBe(remedy);
});

it.each([
  ['HTTP/1.0 400', 'a web server'],
  ['\x15\x03\x01', 'a server for TLS (https)'],
  ['220 mail', 'a mail or FTP server'],
  ['* OK IMAP', 'a mail server'],
  ['RFB 003.008', 'a VNC server'],
  ['hello', 'another program'],
])('%j is %s', (said, kind) => {
  expect(kindOf(said)).toBe(kind);
});

it.each([
  ['nas', 'nas:'],
  ['bob@nas', 'bob@nas:'],
  ['nas:/srv', 'nas:/srv'],
  ['[2001:db8::1]', '[2001:db8::1]:'],
  ['bob@[2001:db8::1]:x', 'bob@[2001:db8::1]:x'],
  ['putty:nas', 'putty:nas:'],
  ['putty:nas:x', 'putty:nas:x'],
])('%s is examined as %s', (typed, source) => {
  expect(withColon(typed)).toBe(source);
});
