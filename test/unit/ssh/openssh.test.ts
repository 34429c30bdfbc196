/** The ssh program as a transport, as far as no process takes part: its command line, its last words, when it is chosen. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConnectError } from '../../../src/ssh/errors.js';
import { splitCommand, sshCommandLine } from '../../../src/ssh/openssh/command.js';
import { Answers, Conversation } from '../../../src/ssh/openssh/conversation.js';
import { explainEnding } from '../../../src/ssh/openssh/reasons.js';
import { hasProgram, whyAnother, whyOpenSsh } from '../../../src/ssh/transport.js';
import { person, SshFixture, settings } from '../../support/ssh-fixture.js';

const fixture = new SshFixture();

describe('the command line', () => {
  test.each([
    ['ssh', ['ssh']],
    ['  /opt/ssh  -4 ', ['/opt/ssh', '-4']],
    ['my\\ ssh -i a\\ b', ['my ssh', '-i', 'a b']],
    ['sh;rm "$HOME" \\x', ['sh;rm', '"$HOME"', '\\x']],
    ['', []],
  ])('%j splits as in sshfs', (text, words) => expect(splitCommand(text)).toEqual(words));

  test('what a mount needs comes first, what was given next, our defaults last', () => {
    const given = settings(22, {
      originalHost: '-box',
      configFile: '/c',
      sshOptions: ['User=ann', 'ServerAliveInterval=7'],
      sshCommand: 'ssh -4',
    });
    const { file, args } = sshCommandLine(given, false);
    expect([file, args[0]]).toEqual(['ssh', '-4']);
    const at = ['-oBatchMode=yes', '/c', 'User=ann', 'ServerAliveInterval=7', 'ServerAliveInterval=15', '-s'];
    const places = at.map((each) => args.indexOf(each));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(args.slice(-3)).toEqual(['--', '-box', 'sftp']);
  });

  test.each([
    ['no', true],
    ['off', true],
    ['ask', false],
    ['yes', false],
  ] as const)('StrictHostKeyChecking=%s takes new keys only: %s', (strictHostKeyChecking, isReplaced) => {
    const { args } = sshCommandLine(settings(22, { strictHostKeyChecking }), true);
    expect(args.includes('-oStrictHostKeyChecking=accept-new')).toBe(isReplaced);
  });

  test('a command for the server is one word and no subsystem; who can be asked is asked', () => {
    const { args } = sshCommandLine(settings(22, { sftpServer: 'sudo /x/sftp-server' }), true);
    expect(args).not.toContain('-s');
    expect(args.at(-1)).toBe('sudo /x/sftp-server');
    expect(args).toContain('-oBatchMode=no');
  });
});

describe('why ssh ended', () => {
  const facts = { server: 'box', asks: false, hasAnswered: false, isRepeat: false };
  const explain = (stderr: string, code: number | null = 255, wasOpen = false) =>
    explainEnding({ code, signal: code === null ? 'SIGKILL' : null, stderr, wasOpen }, facts);

  test.each([
    ['ssh: Could not resolve hostname box: Name or service not known', 'resolve'],
    ['ssh: connect to host box port 22: Connection refused', 'refused'],
    ['ssh: connect to host box port 22: No route to host', 'unreachable'],
    ['ssh: connect to host box port 22: Connection timed out', 'timeout'],
    [
      'No ED25519 host key is known for box and you have requested strict checking.\r\nHost key verification failed.',
      'host-key-unknown',
    ],
    ['@ WARNING: REVOKED HOST KEY DETECTED! @\nHost key verification failed.', 'host-key-revoked'],
    [
      'Permission denied, please try again.\nbob@box: Permission denied (publickey,password).',
      'authentication',
    ],
    ['Load key "/k": bad permissions\nbob@box: Permission denied (publickey).', 'key-file'],
    [
      'Received disconnect from ::1 port 22:2: Too many authentication failures\nDisconnected from ::1',
      'authentication',
    ],
    ['Unable to negotiate with box: no matching cipher found.', 'protocol'],
    ['subsystem request failed on channel 0', 'subsystem'],
    [
      'kex_exchange_identification: Connection closed by remote host\nConnection closed by ::1 port 22',
      'protocol',
    ],
    [
      'no way\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535',
      'proxy',
    ],
    ['banner exchange: Connection to UNKNOWN port 65535: Broken pipe', 'proxy'],
    ['banner exchange: Connection to ::1 port 22: invalid format', 'protocol'],
    ['remora-relay refused: cannot reach box through the HTTP proxy p port 1: x', 'refused'],
    ['remora-relay usage: x', 'lost'],
    ['Connection closed by box port 22', 'lost'],
  ])('%j is %s', (stderr, kind) => {
    const error = explain(stderr);
    expect(error.kind).toBe(kind);
    expect(error.message).not.toContain('\n');
  });

  test('nobody was let in: by whom, what it takes, and which keys could not be used', () => {
    const refused = 'bob@10.0.0.1: Permission denied (publickey,password).';
    expect(explain(`Load key "/k": error in libcrypto\n${refused}`)).toMatchObject({
      kind: 'key-file',
      accepted: ['publickey', 'password'],
      isRepeat: false,
      message:
        'permission denied: bob may not log in to box; the server accepts publickey, password; ' +
        'the key file /k cannot be read by ssh: error in libcrypto; there is nobody to ask for a password',
    });
    const missing = 'no such identity: /k: No such file or directory';
    const asked = explainEnding(
      { code: 255, signal: null, stderr: `${missing}\n${refused}`, wasOpen: false },
      { server: 'box', asks: true, hasAnswered: true, isRepeat: true },
    );
    expect(asked).toMatchObject({ kind: 'authentication', isRepeat: true });
    expect(asked.message).toMatch(/password; the key file \/k does not exist$/);
  });

  test('a host on the way is not taken for the server', () => {
    const end =
      'kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535';
    const say = (text: string) => explain(`${text}\n${end}`).message;
    expect(say('bob@gate: Permission denied (publickey).')).toContain('bob may not log in to gate');
    expect(say('Host key verification failed.')).toContain('a host on the way to box');
    const open = 'channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed';
    expect(say(open)).toMatch(/^ssh cannot connect to box: channel 0/);
  });

  test('once open it was lost, whatever is said', () => {
    expect(explain('Timeout, server box not responding.', 255, true)).toMatchObject({
      kind: 'lost',
      message: 'the connection to box was lost: Timeout, server box not responding.',
    });
    expect(explain('', null, true).message).toBe('the connection to box was lost: ssh was ended by SIGKILL');
  });

  test("another exit code is that of the server's program, whose words are made harmless", () => {
    const error = explain('sh: 1: /x: not found\x1b[2J', 127);
    expect(error).toMatchObject({ kind: 'subsystem' });
    expect(error.message).toBe(
      'no SFTP on box: its program ended with exit code 127: sh: 1: /x: not found?[2J',
    );
  });

  test('a revoked key: which, and no frame of it', () => {
    const which = 'The ED25519 host key for [box]:22 is marked as revoked.';
    const frame = `@@@@@@@\n@       WARNING: REVOKED HOST KEY DETECTED!               @\n@@@@@@@\n`;
    expect(explain(`${frame}${which}\nThis could mean\nHost key verification failed.`)).toMatchObject({
      kind: 'host-key-revoked',
      message: `box shows a host key that is revoked: ${which}`,
    });
    expect(explain(frame).message).toBe('box shows a host key that is revoked');
  });

  test('a changed key: where it stands, and what forgets it', () => {
    const error = explain(
      '@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@\nIT IS POSSIBLE\n' +
        'Offending ED25519 key in /k h:3\n' +
        'Host key for [box]:22 has changed and you have requested strict checking.\nHost key verification failed.',
    );
    expect(error.kind).toBe('host-key-changed');
    expect(error.message).toContain('(/k h:3)');
    expect(error.message).toContain("ssh-keygen -f '/k h' -R '[box]:22'");
  });
});

describe('what answers', () => {
  const PASSWORD = "bob@box's password: ";
  const LOGIN = { server: 'box', isRepeat: true };
  const BOX = settings(22, { host: 'box.lan', originalHost: 'box' });

  test('the password that is known, once; then a person, whose answer serves again', async () => {
    const answers = new Answers('known', BOX);
    const who = person('typed');
    const first = new Conversation(answers, who, LOGIN);
    expect(await first.answer({ text: PASSWORD, hint: '' })).toBe('known');
    expect(await first.answer({ text: PASSWORD, hint: '' })).toBe('typed');
    first.succeeded();
    const second = new Conversation(answers, person(), LOGIN);
    expect(await second.answer({ text: PASSWORD, hint: '' })).toBe('typed');
    await expect(second.answer({ text: PASSWORD, hint: '' })).rejects.toMatchObject({
      kind: 'authentication',
      message: "permission denied: box does not accept the answer to 'bob@box's password:'",
      isRepeat: true,
    });
    expect(answers.takesPerson).toBe(false);
  });

  test('the password that is known is for the server, and not for a host on the way', () => {
    const behind = (host: string) =>
      settings(22, { ...BOX, host, route: { hops: [settings(22)], proxy: null } });
    const find = (question: string, server = behind('box.lan')) =>
      new Answers('known', server).find(question);
    expect([PASSWORD, "bob@BOX.lan's password: ", '(bob@box) Password: '].map((text) => find(text))).toEqual([
      'known',
      'known',
      'known',
    ]);
    expect(
      ["bob@gate's password: ", '(bob@gate) Password: ', 'Password: '].map((text) => find(text)),
    ).toEqual([null, null, null]);
    expect(find('Password: ', BOX)).toBe('known');
    expect(find("bob@::1's password: ", behind('::1'))).toBe('known');
  });

  test('a code is not repeated, and takes a person the next time', async () => {
    const answers = new Answers(null, BOX);
    const first = new Conversation(answers, person('123456'), LOGIN);
    expect(await first.answer({ text: '(bob@box) Code: ', hint: '' })).toBe('123456');
    first.succeeded();
    expect(answers).toMatchObject({ takesPerson: true, isEmpty: true });
  });

  test('an answer of a login that failed is forgotten', async () => {
    const answers = new Answers(null, BOX);
    await new Conversation(answers, person('wrong'), LOGIN).answer({ text: PASSWORD, hint: '' });
    expect(answers.isEmpty).toBe(true);
  });

  test('an unknown host key that nobody sees is refused', async () => {
    const question = {
      text: 'Are you sure you want to continue connecting (yes/no/[fingerprint])? ',
      hint: '',
    };
    await expect(
      new Conversation(new Answers('x', BOX), person(), LOGIN).answer(question),
    ).rejects.toMatchObject({
      kind: 'host-key-unknown',
    });
  });

  test('a touch is told and not asked for', async () => {
    const who = person();
    const text = 'Confirm user presence for key\x1b[1m';
    expect(
      await new Conversation(new Answers(null, BOX), who, LOGIN).answer({ text, hint: 'none' }),
    ).toBeNull();
    expect(who.told).toEqual(['Confirm user presence for key?[1m']);
  });
});

test('a proxy before hops, of which ssh would not know, is not passed by', async () => {
  const proxy = { kind: 'http', host: 'p', port: 1, user: null, password: null } as const;
  const given = settings(1, { transport: 'openssh', route: { hops: [settings(2)], proxy } });
  await expect(fixture.reach(given)).rejects.toThrow('cannot take a proxy to its hops');
});

describe('auto', () => {
  const why = (changes: Parameters<typeof settings>[1], environment: Record<string, string> = {}) =>
    whyOpenSsh(settings(22, changes), { home: fixture.home, environment });

  test.each([
    [{}, null],
    [{ sshCommand: '/opt/ssh' }, 'ssh_command is given'],
    [{ controlMaster: 'auto', controlPath: '/no/such' }, 'ControlMaster is auto'],
    [{ controlMaster: 'auto' }, null],
    [{ controlPath: '/no/such' }, null],
    [{ controlPath: '/' }, 'ControlPath / is there'],
    [{ knownHostsCommand: '/k %H' }, 'KnownHostsCommand is given'],
    [{ revokedHostKeys: '/k' }, 'RevokedHostKeys is given'],
    [{ hostbasedAuthentication: true }, 'HostbasedAuthentication is on'],
    [{ pkcs11Provider: '/lib/p11.so' }, 'PKCS11Provider is given'],
    [{ pkcs11Provider: 'none', knownHostsCommand: 'none', revokedHostKeys: 'None' }, null],
    [{ kexAlgorithms: ['curve25519-sha256', 'sntrup761x25519-sha512'] }, null],
  ] as const)('%j: %j', async (changes, reason) => expect(await why(changes)).toBe(reason));

  test('beside a key that ssh cannot read, nothing counts but safety', async () => {
    const key = fixture.keyFile('PuTTY-User-Key-File-3: ssh-ed25519\n');
    const wants = { identityFiles: [key], controlMaster: 'auto', controlPath: '/c' } as const;
    expect(await why(wants)).toBeNull();
    expect(await why({ ...wants, pkcs11Provider: '/lib/p11.so' })).toBeNull();
    expect(await why({ ...wants, revokedHostKeys: '/k' })).toBe('RevokedHostKeys is given');
    expect(await why({ ...wants, ciphers: ['aegis@example'] })).toMatch(/^Ciphers: /);
    const readable = fixture.keyFile('no key', 0o600, 'other');
    expect(await why({ ...wants, identityFiles: [key, readable] })).toBe('ControlMaster is auto');
  });

  test('GSSAPI counts where there is a ticket', async () => {
    const ticket = fixture.keyFile('ticket');
    const gssapi = { gssapiAuthentication: true };
    expect(await why(gssapi, { KRB5CCNAME: `FILE:${ticket}` })).toContain('there is a ticket');
    expect(await why(gssapi, { KRB5CCNAME: `${ticket}-none` })).toBeNull();
  });

  test('only algorithms that ssh2 has not, of a host on the way, too', async () => {
    const hop = settings(22, { originalHost: 'gate', ciphers: ['aegis@example'] });
    expect(await why({ route: { hops: [hop], proxy: null } })).toMatch(/^for gate, Ciphers: /);
  });

  test('a failure that ssh would not have', () => {
    const handshake = new ConnectError('protocol', 'x', {
      cause: new Error('Handshake failed: no matching cipher'),
    });
    expect(whyAnother(handshake)).toMatch(/no algorithm/);
    expect(whyAnother(new ConnectError('host-certificate', 'x'))).toMatch(/certificate/);
    expect(whyAnother(new ConnectError('authentication', 'x'))).toBeNull();
    expect(whyAnother(new Error('no matching'))).toBeNull();
  });

  test('the program is looked for as it would be started', async () => {
    const [bin, plain] = [join(fixture.home, 'bin'), join(fixture.home, 'plain')];
    mkdirSync(bin);
    mkdirSync(plain);
    writeFileSync(join(bin, 'ssh'), '', { mode: 0o755 });
    writeFileSync(join(plain, 'ssh'), '', { mode: 0o644 });
    const has = (PATH: string) => hasProgram({ home: '/', environment: { PATH } });
    expect(await Promise.all([has(`/no:${bin}`), has(plain), has('/no')])).toEqual([true, false, false]);
  });

  test('a program that was named and is not there is told, and no other transport taken', async () => {
    const given = settings(22, { transport: 'auto', sshCommand: '/no/ssh -4' });
    await expect(fixture.reach(given)).rejects.toThrow("cannot run '/no/ssh'");
  });
});
