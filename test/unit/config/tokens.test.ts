import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../../../src/config/errors.js';
import { formatJump, type Jump, parseProxyJump } from '../../../src/config/proxy-jump.js';
import { expandTokens, type TokenValues } from '../../../src/config/tokens.js';

const variable = (name: string) => `\${${name}}`;
const KEYS = variable('KEYS');
const NOPE = variable('NOPE');

const VALUES: TokenValues = {
  host: 'real.example',
  originalHost: 'box',
  port: 2200,
  user: 'remote',
  hostKeyAlias: null,
  proxyJump: '',
  local: {
    home: '/home/me',
    user: 'me',
    uid: 1000,
    hostname: 'my.domain',
    environment: { KEYS: '/k%h', EMPTY: '' },
  },
};

describe('tokens', () => {
  test.each([
    ['%d/.ssh/%h-%n-%r-%p-%u-%i', '/home/me/.ssh/real.example-box-remote-2200-me-1000'],
    ['%l %L %k [%j]', 'my.domain my box []'],
    ['100%% %%h', '100% %h'],
    ['%C', createHash('sha1').update('my.domainreal.example2200remote').digest('hex')],
    [`${KEYS}/x`, '/k%h/x'],
    [`[${variable('EMPTY')}]`, '[]'],
    ['$HOME {x}', '$HOME {x}'],
    ['plain', 'plain'],
  ])('%s', (text, expected) => {
    expect(expandTokens('IdentityFile', text, VALUES)).toBe(expected);
  });

  test.each([
    ['/k/%z', "IdentityFile '/k/%z' holds the unknown token '%z'"],
    ['/k/%', "IdentityFile '/k/%' holds the unknown token '%'"],
    [`${NOPE}/x`, `IdentityFile '${NOPE}/x' needs the environment variable NOPE, which is not set`],
  ])('%s is refused', (text, message) => {
    expect(() => expandTokens('IdentityFile', text, VALUES)).toThrow(new OptionError(message));
  });

  test('%k is the alias where there is one, %j is part of %C', () => {
    const values = { ...VALUES, hostKeyAlias: 'alias', proxyJump: 'hop' };
    expect(expandTokens('X', '%k %j', values)).toBe('alias hop');
    expect(expandTokens('X', '%C', values)).not.toBe(expandTokens('X', '%C', VALUES));
  });

  test('variables only where ssh has them', () => {
    expect(expandTokens('HostName', `${KEYS}.%h`, VALUES, false)).toBe(`${KEYS}.real.example`);
  });
});

describe('ProxyJump', () => {
  const jump = (host: string, user: string | null = null, port: number | null = null): Jump => ({
    user,
    host,
    port,
  });
  test.each<[string, Jump[]]>([
    ['none', []],
    ['bastion', [jump('bastion')]],
    ['bob@b:2200,[::1]:22, c', [jump('b', 'bob', 2200), jump('::1', null, 22), jump('c')]],
    ['ssh://bob@b:2200/', [jump('b', 'bob', 2200)]],
    ['bob@corp@b', [jump('b', 'bob@corp')]],
  ])('%s', (text, expected) => {
    expect(parseProxyJump(text)).toEqual(expected);
  });

  test.each([
    '',
    'a,',
    'a,,b',
    '@b',
    'b:0',
    'b:70000',
    'b:x',
    '-oProxyCommand=evil',
    'a,-x@b',
    'a b',
    'a/b',
    '::1',
  ])('%j is refused', (text) => {
    expect(() => parseProxyJump(text)).toThrow(OptionError);
  });

  test('as it is written', () => {
    expect(formatJump(jump('::1', 'a', 22))).toBe('a@[::1]:22');
    expect(formatJump(jump('b'))).toBe('b');
  });
});
