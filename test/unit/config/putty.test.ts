import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parsePuttySession } from '../../../src/config/putty-session.js';
import {
  parsePuttyTarget,
  readPuttySession,
  sessionFileName,
  sessionOfFile,
} from '../../../src/config/putty-store.js';

const lines = (values: Readonly<Record<string, string>>) =>
  Object.entries({ Protocol: 'ssh', HostName: 'bay.example.com', ...values })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
const session = (values: Readonly<Record<string, string>> = {}) => parsePuttySession(lines(values), 'bay');

describe('a session', () => {
  test("by PuTTY's defaults", () => {
    expect(session()).toEqual({
      host: 'bay.example.com',
      port: 22,
      user: null,
      identityFile: null,
      compression: false,
      proxy: null,
    });
  });

  test('with everything', () => {
    const values = { PortNumber: '2222', UserName: 'bob', PublicKeyFile: '/k y/=.ppk', Compression: '1' };
    expect(session(values)).toMatchObject({
      port: 2222,
      user: 'bob',
      identityFile: '/k y/=.ppk',
      compression: true,
    });
  });

  test.each([
    ['bob@bay', '', 'bob', 'bay'],
    ['bob@bay', 'eve', 'bob', 'bay'],
    ['bob@work@bay', '', 'bob@work', 'bay'],
    ['::1', 'bob', 'bob', '::1'],
  ])('HostName %s and UserName %s', (HostName, UserName, user, host) => {
    expect(session({ HostName, UserName })).toMatchObject({ user, host });
  });

  test.each([
    [{ Protocol: 'telnet' }, /is for telnet/],
    [{ HostName: '' }, /names no host/],
    [{ HostName: '-oProxyCommand=id' }, /must not begin with '-'/],
    [{ UserName: '-l' }, /must not begin with '-'/],
    [{ HostName: 'a b' }, /space/],
    [{ PortNumber: '0' }, /PortNumber/],
    [{ PortNumber: '22x' }, /PortNumber/],
  ])('%o is refused', (values: Readonly<Record<string, string>>, message) => {
    expect(() => session(values)).toThrow(message);
  });
});

describe('a proxy', () => {
  const server = { ProxyHost: 'gate', ProxyPort: '3128', ProxyUsername: 'me', ProxyPassword: 'p=w' };
  const proxy = (values: Readonly<Record<string, string>>) => session({ ...server, ...values }).proxy;

  test.each([
    ['0', null],
    ['1', { kind: 'socks4', host: 'gate', port: 3128, user: 'me', password: null }],
    ['2', { kind: 'socks', host: 'gate', port: 3128, user: 'me', password: 'p=w' }],
    ['3', { kind: 'http', host: 'gate', port: 3128, user: 'me', password: 'p=w' }],
    ['6', { kind: 'jump', host: 'gate', port: 3128, user: 'me' }],
  ])('ProxyMethod %s', (ProxyMethod, expected) => {
    expect(proxy({ ProxyMethod })).toEqual(expected);
  });

  test.each([
    ['0', 'socks4'],
    ['1', 'socks4'],
    ['2', 'socks4a'],
  ])('SOCKS 4 with ProxyDNS %s is %s', (ProxyDNS, kind) => {
    expect(proxy({ ProxyMethod: '1', ProxyDNS })).toMatchObject({ kind });
  });

  test('without a password', () => {
    const values = { ProxyMethod: '3', ProxyUsername: '', ProxyPassword: '' };
    expect(proxy(values)).toMatchObject({ user: null, password: null });
  });

  test.each(['4', '7', '8', '99', 'constructor'])('ProxyMethod %s is refused by name', (ProxyMethod) => {
    expect(() => proxy({ ProxyMethod })).toThrow(/a kind that Remora does not know/);
  });

  test('a local command has the words of ssh afterwards', () => {
    const ProxyTelnetCommand = 'nc -X connect -x %proxyhost:%proxyport %host %port # 100%% %user';
    expect(proxy({ ProxyMethod: '5', ProxyTelnetCommand })).toEqual({
      kind: 'command',
      command: 'nc -X connect -x gate:3128 %h %p # 100%% me',
    });
  });

  test.each([
    [{ ProxyTelnetCommand: 'nc %pass' }, /password on a command line/],
    [{ ProxyTelnetCommand: 'nc %home' }, /'%home'/],
    [{ ProxyTelnetCommand: 'nc 5% x' }, /'%'/],
    [{ ProxyTelnetCommand: ' ' }, /empty/],
    [{ ProxyTelnetCommand: 'nc %proxyhost', ProxyHost: '$(id)' }, /a shell would misread/],
    [{ ProxyTelnetCommand: 'nc %user', ProxyUsername: ';id' }, /a shell would misread/],
  ])('%o is refused', (values: Readonly<Record<string, string>>, message) => {
    expect(() => proxy({ ProxyMethod: '5', ...values })).toThrow(message);
  });

  test.each([
    [{ ProxyHost: '' }, /without a host/],
    [{ ProxyHost: '-x' }, /must not begin/],
    [{ ProxyPort: '70000' }, /ProxyPort/],
  ])('%o is refused', (values: Readonly<Record<string, string>>, message) => {
    expect(() => proxy({ ProxyMethod: '3', ...values })).toThrow(message);
  });

  test.each([
    ['localhost', {}, true],
    ['127.0.0.1', {}, true],
    ['127.0.0.1', { ProxyLocalhost: '1' }, false],
    ['bay.example.com', { ProxyExcludeList: 'a, *.example.com' }, true],
    ['BAY.example.com', { ProxyExcludeList: 'bay.EXAMPLE.com' }, true],
    ['10.0.0.7', { ProxyExcludeList: '10.0.*' }, true],
    ['10.1.0.7', { ProxyExcludeList: '10.0.*,' }, false],
    ['bay.example.com', { ProxyExcludeList: '*' }, false],
  ])('%s with %o goes past it: %s', (HostName, values: Readonly<Record<string, string>>, expected) => {
    expect(proxy({ ProxyMethod: '3', HostName, ...values }) === null).toBe(expected);
  });
});

test.each([
  ['putty:bay:', { session: 'bay', directory: '' }],
  ['putty:my bay:/srv/a:b', { session: 'my bay', directory: '/srv/a:b' }],
  ['putty:/srv', null],
  ['putty::/srv', null],
  ['bay:/srv', null],
])('the source %s', (source, expected) => {
  expect(parsePuttyTarget(source)).toEqual(expected);
});

test.each([
  ['bay', 'bay'],
  ['b y/ü.', 'b%20y%2F%C3%BC.'],
  ['a+b@c_d-e.f', 'a+b@c_d-e.f'],
  ['100%', '100%25'],
])('the file of %s', (name, file) => {
  expect(sessionFileName(name)).toBe(file);
  expect(sessionOfFile(file)).toBe(name);
});

test('a file that is none of a session', () => {
  expect(sessionOfFile('%ZZ')).toBeNull();
});

describe('where sessions are', () => {
  let home = '';
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'remora-putty-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  function save(directory: string, file: string, host: string): void {
    mkdirSync(join(home, directory), { recursive: true });
    writeFileSync(join(home, directory, file), lines({ HostName: host }));
  }
  const read = (name: string, environment: Record<string, string> = {}) =>
    readPuttySession(name, environment, home);

  test('the first directory that is there, and what the environment says', async () => {
    save('.putty/sessions', 'my%20bay', 'old');
    expect(await read('my bay')).toMatchObject({
      host: 'old',
      hostKeysFile: join(home, '.putty/sshhostkeys'),
    });
    save('.config/putty/sessions', 'my%20bay', 'new');
    expect(await read('my bay')).toMatchObject({
      host: 'new',
      hostKeysFile: join(home, '.config/putty/sshhostkeys'),
    });
    save('xdg/putty/sessions', 'my%20bay', 'xdg');
    const XDG_CONFIG_HOME = join(home, 'xdg');
    expect(await read('my bay', { XDG_CONFIG_HOME })).toMatchObject({ host: 'xdg' });
    save('dir/sessions', 'my%20bay', 'dir');
    const PUTTYDIR = join(home, 'dir');
    expect(await read('my bay', { XDG_CONFIG_HOME, PUTTYDIR })).toMatchObject({
      host: 'dir',
      hostKeysFile: join(PUTTYDIR, 'sshhostkeys'),
    });
    save('saved', 'my%20bay', 'saved');
    const PUTTYSESSIONS = join(home, 'saved');
    const PUTTYSSHHOSTKEYS = join(home, 'keys');
    expect(await read('my bay', { PUTTYDIR, PUTTYSESSIONS, PUTTYSSHHOSTKEYS })).toMatchObject({
      host: 'saved',
      hostKeysFile: PUTTYSSHHOSTKEYS,
    });
  });

  test('a name that is not there, and the one that was meant', async () => {
    await expect(read('bay')).rejects.toThrow(
      `there is no PuTTY session 'bay' in ${join(home, '.config/putty/sessions')}`,
    );
    save('.putty/sessions', 'my%20bay', 'old');
    await expect(read('my bey')).rejects.toThrow(/did you mean 'my bay'/);
  });

  test.each(['.', '..', '../../secret', '/etc/passwd'])('attack: the session %s', async (name) => {
    save('.putty/sessions', 'bay', 'bay');
    writeFileSync(join(home, 'secret'), lines({}));
    await expect(read(name)).rejects.toThrow(/there is no PuTTY session/);
  });
});
