import { describe, expect, test } from 'vitest';
import { OptionError } from '../../../src/config/errors.js';
import { checkName, parseTarget } from '../../../src/config/target.js';

describe('sources', () => {
  test.each<[string, string | null, string, string]>([
    ['host:', null, 'host', ''],
    ['host:/srv', null, 'host', '/srv'],
    ['bob@host:dir', 'bob', 'host', 'dir'],
    ['bob@corp.example@host:', 'bob@corp.example', 'host', ''],
    ['[::1]:', null, '::1', ''],
    ['bob@[fe80::1%eth0]:/a:b', 'bob', 'fe80::1%eth0', '/a:b'],
    ['[host]:dir', null, 'host', 'dir'],
    ['host:a@b:c', null, 'host', 'a@b:c'],
    ['host:-dir', null, 'host', '-dir'],
    ['host:line\nbreak', null, 'host', 'line\nbreak'],
    ['host:\u00fc', null, 'host', '\u00c3\u00bc'],
  ])('%j', (text, user, host, directory) => {
    expect(parseTarget(text)).toEqual({ user, host, directory });
  });
});

describe('refused sources', () => {
  test.each<[string, RegExp]>([
    ['-oProxyCommand=evil:', /host name '-oProxyCommand=evil' must not begin with '-'/],
    ['[-oProxyCommand=evil]:', /must not begin with '-'/],
    ['-x@host:', /user name '-x' must not begin with '-'/],
    ['bob@-host:', /host name '-host' must not begin with '-'/],
    ['host', /has no ':': write 'host:' for the home directory/],
    ['bob@host', /has no ':'/],
    ['', /has no ':'/],
    [':/dir', /names no host/],
    ['bob@:/dir', /names no host/],
    ['[]:/dir', /names no host/],
    ['::1:/dir', /an IPv6 address is written \[address\]:dir/],
    ['[::1:/dir', /unbalanced bracket/],
    ['@host:', /empty user name/],
    ['ho st:', /space or control character/],
    ['host\n:', /space or control character/],
    ['/local/dir', /is a path of this machine/],
    ['ssh://me@host:22/dir', /write 'me@host:\/dir', and the port with -p/],
  ])('%j', (text, message) => {
    expect(() => parseTarget(text)).toThrow(OptionError);
    expect(() => parseTarget(text)).toThrow(message);
  });
});

test('names hold neither ASCII control characters nor spaces', () => {
  for (let code = 0; code < 0x100; code += 1) {
    const check = () => checkName('user', `a${String.fromCharCode(code)}b`);
    if (code <= 0x20 || code === 0x7f) expect(check).toThrow(OptionError);
    else expect(check).not.toThrow();
  }
});
