import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../../src/cli/arguments.js';
import { CommandError } from '../../../src/cli/exit.js';

const parse = (line: string) => parseArguments(line.split(' ').filter(Boolean), '1.2.3');

const MOUNT = {
  command: 'mount',
  target: 'me@host:dir',
  mountpoint: '/mnt',
  options: [],
  foreground: false,
  debug: false,
  verbose: false,
};

describe('the order of sshfs', () => {
  const options = ['ro,reconnect', 'idmap=user', 'port=2222'];
  it.each([
    'me@host:dir /mnt -o ro,reconnect -o idmap=user -p 2222',
    '-o ro,reconnect -p 2222 me@host:dir /mnt -o idmap=user',
    'me@host:dir -o ro,reconnect /mnt -p2222 -oidmap=user',
    '-p 2222 -oro,reconnect -o idmap=user me@host:dir /mnt',
    'mount me@host:dir -o ro,reconnect -o idmap=user -p 2222 /mnt',
  ])('%s', (line) => {
    expect(parse(line)).toEqual({ ...MOUNT, options });
  });

  it('joins flags as in -fd, and debugging implies the foreground', () => {
    expect(parse('-fd me@host:dir /mnt')).toEqual({ ...MOUNT, foreground: true, debug: true, verbose: true });
    expect(parse('me@host:dir /mnt -v')).toEqual({ ...MOUNT, verbose: true });
    expect(parse('me@host:dir /mnt -s')).toEqual(MOUNT);
    expect(parse('me@host:dir /mnt -C')).toEqual({ ...MOUNT, options: ['compression=yes'] });
  });

  it('takes several keys', () => {
    const options = ['IdentityFile=a', 'IdentityFile=b\\,c\\\\d', 'ro'];
    expect(parse('-i a -o ro -i b,c\\d me@host:dir /mnt')).toEqual({ ...MOUNT, options });
  });

  it("takes ssh's short options", () => {
    expect(parse('-l bob -F /c -J a,b@c:22 -4 host: /mnt')).toEqual({
      ...MOUNT,
      target: 'host:',
      options: ['User=bob', 'ssh_config=/c', 'ProxyJump=a\\,b@c:22', 'AddressFamily=inet'],
    });
    expect(parse('-6 me@host:dir /mnt')).toEqual({ ...MOUNT, options: ['AddressFamily=inet6'] });
  });

  it('mounts hosts that are called like commands', () => {
    for (const target of ['list:', 'mount:', 'unmount:', 'demo:']) {
      expect(parse(`${target} /mnt`)).toEqual({ ...MOUNT, target });
    }
  });
});

describe('other commands', () => {
  it.each([
    ['unmount /mnt', { command: 'unmount', mountpoint: '/mnt', force: false }],
    ['unmount --force /mnt', { command: 'unmount', mountpoint: '/mnt', force: true }],
    ['umount /mnt -f', { command: 'unmount', mountpoint: '/mnt', force: true }],
    ['list', { command: 'list', json: false }],
    ['list --json', { command: 'list', json: true }],
    ['status', { command: 'status', mountpoint: null, form: 'text', watch: false }],
    ['status /mnt --json -w', { command: 'status', mountpoint: '/mnt', form: 'json', watch: true }],
    ['status --metrics', { command: 'status', mountpoint: null, form: 'metrics', watch: false }],
    ['refresh /mnt/a', { command: 'refresh', path: '/mnt/a' }],
    ['warm --json /mnt/a', { command: 'warm', path: '/mnt/a', json: true }],
    ['log /mnt -f', { command: 'log', mountpoint: '/mnt', follow: true }],
    ['demo', { command: 'demo' }],
    ['system install', { command: 'system', action: 'install', root: '/' }],
    ['system remove --root /tmp/root', { command: 'system', action: 'remove', root: '/tmp/root' }],
    ['--version', { command: 'print', text: '1.2.3\n' }],
    ['-V', { command: 'print', text: '1.2.3\n' }],
  ])('%s', (line, expected) => {
    expect(parse(line)).toEqual(expected);
  });

  it.each(['--help', '-h', 'mount --help', 'unmount --help', 'list --help'])('%s prints help', (line) => {
    const parsed = parse(line);
    expect(parsed.command).toBe('print');
    expect(parsed.command === 'print' && parsed.text).toContain('remora');
  });
});

describe('wrong usage is one sentence', () => {
  it.each([
    '',
    'host:',
    'host: /mnt extra',
    '--frobnicate host: /mnt',
    '-o',
    'host: /mnt -p',
    'unmount',
    'list extra',
    'list --xml',
    'demo extra',
    'status --json --metrics',
    'status --metrics --watch',
    'refresh',
    'warm',
    'log',
    'mount',
  ])('"%s"', (line) => {
    let thrown: unknown;
    try {
      parse(line);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(CommandError);
    const error = thrown as CommandError;
    expect(error.exit).toBe('usage');
    expect(error.message).not.toMatch(/\n|^error/);
  });
});
