import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  fingerprint,
  formatKnownHost,
  hashedName,
  judge,
  keyTypeLabel,
  keyTypeOf,
  knownHostName,
  knownKeyTypes,
  matchesHosts,
  parseKnownHosts,
} from '../../../src/ssh/known-hosts.js';
import { makeKey } from '../../support/ssh-test-server.js';

const directory = mkdtempSync(join(tmpdir(), 'remora-known-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const ed = makeKey('ed25519');
const other = makeKey('ed25519');
const rsa = makeKey('rsa');
const line = (hosts: string, key = ed) => `${hosts} ${key.public.split(' ').slice(0, 2).join(' ')}`;

describe('the host column', () => {
  test.each<[string, string, boolean]>([
    ['example.com', 'example.com', true],
    ['example.com', 'example.org', false],
    ['Example.COM', 'example.com', true],
    ['a,example.com,b', 'example.com', true],
    ['*.example.com', 'www.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com,!www.example.com', 'www.example.com', false],
    ['!www.example.com,*.example.com', 'www.example.com', false],
    ['!www.example.com,*.example.com', 'ftp.example.com', true],
    ['!www.example.com', 'ftp.example.com', false],
    ['10.0.0.?', '10.0.0.7', true],
    ['10.0.0.?', '10.0.0.17', false],
    ['[example.com]:2222', '[example.com]:2222', true],
    ['[example.com]:2222', 'example.com', false],
    ['example.com', '[example.com]:2222', false],
    ['[*]:2222', '[example.com]:2222', true],
    ['*', '[::1]:22022', true],
    ['', 'example.com', false],
    ['|1|notbase64|', 'example.com', false],
    ['|2|AAAA|AAAA', 'example.com', false],
    ['|1|AAAA|AAAA|AAAA', 'example.com', false],
  ])('%s and %s: %s', (hosts, name, expected) => {
    expect(matchesHosts(hosts, name)).toBe(expected);
  });

  test('a pattern of many stars does not take exponential time', () => {
    const started = performance.now();
    expect(matchesHosts(`${'*a'.repeat(50)}b`, 'a'.repeat(2000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('stars and question marks agree with a regular expression', () => {
    const letters = (extra: string) => fc.string({ unit: fc.constantFrom(...`ab${extra}`), maxLength: 8 });
    fc.assert(
      fc.property(letters('*?'), letters(''), (pattern, name) => {
        const regex = new RegExp(`^${pattern.replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
        expect(matchesHosts(pattern, name)).toBe(regex.test(name));
      }),
    );
  });
});

test('files hashed by ssh-keygen', () => {
  const file = join(directory, 'hashed');
  writeFileSync(file, `${line('example.com')}\n${line('[example.com]:2222', rsa)}\n${line('::1', other)}\n`);
  execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
  const text = readFileSync(file, 'utf8');
  expect(text).not.toContain('example.com');
  const entries = parseKnownHosts(text, file);
  expect(judge(entries, 'example.com', ed.blob).kind).toBe('known');
  expect(judge(entries, '[example.com]:2222', rsa.blob).kind).toBe('known');
  expect(judge(entries, '::1', other.blob).kind).toBe('known');
  expect(judge(entries, 'example.com', other.blob)).toMatchObject({ kind: 'changed', entry: { line: 1 } });
  expect(judge(entries, 'example.org', ed.blob).kind).toBe('unknown');
});

test('ssh-keygen finds what we would add, and gives the same fingerprint', () => {
  const file = join(directory, 'added');
  const name = knownHostName('Example.COM', 2222);
  writeFileSync(file, formatKnownHost(name, ed.blob));
  expect(execFileSync('ssh-keygen', ['-F', name, '-f', file], { encoding: 'utf8' })).toContain(
    ed.public.split(' ')[1],
  );
  expect(execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' })).toContain(
    fingerprint(ed.blob),
  );
});

test('ssh-keygen finds a name that we have hashed', () => {
  const file = join(directory, 'hashed by us');
  writeFileSync(file, formatKnownHost(hashedName('[example.com]:2222', Buffer.alloc(20, 7)), ed.blob));
  const found = execFileSync('ssh-keygen', ['-F', '[example.com]:2222', '-f', file], { encoding: 'utf8' });
  expect(found).toContain(ed.public.split(' ')[1]);
});

test('an authority vouches for no key by itself', () => {
  const entries = parseKnownHosts(
    `@cert-authority *.example.com ${rsa.public}\n${line('b.example.com')}`,
    'f',
  );
  expect(judge(entries, 'a.example.com', ed.blob)).toMatchObject({ kind: 'certified', entry: { line: 1 } });
  expect(judge(entries, 'a.example.com', rsa.blob).kind).toBe('certified');
  expect(judge(entries, 'b.example.com', ed.blob).kind).toBe('known');
  expect(judge(entries, 'b.example.com', other.blob).kind).toBe('certified');
  expect(judge(entries, 'example.com', ed.blob).kind).toBe('unknown');
  expect(knownKeyTypes(entries, 'a.example.com')).toEqual([]);
});

test('comments, blank lines, bad lines and markers', () => {
  const text = [
    '# a comment', // 1
    '', // 2
    'example.com', // 3: no key
    'example.com ssh-ed25519', // 4: no key
    'example.com ssh-ed25519 !!!!', // 5: not base64
    `example.com ssh-rsa ${ed.blob.toString('base64')}`, // 6: the key says another type
    `@cert-authority ${line('*', other)}`, // 7
    `@made-up ${line('example.com', other)}`, // 8
    `\t${line('example.com')}\ta comment\r`, // 9
    `@revoked ${line('*', rsa)}`, // 10
  ].join('\n');
  const entries = parseKnownHosts(text, 'f');
  expect(entries.map((entry) => entry.line)).toEqual([7, 9, 10]);
  expect(judge(entries, 'example.com', ed.blob)).toMatchObject({ kind: 'known', entry: { line: 9 } });
  expect(judge(entries, 'elsewhere.org', other.blob)).toMatchObject({
    kind: 'certified',
    entry: { line: 7 },
  });
});

test('attack: a revoked key that another line trusts', () => {
  const entries = parseKnownHosts(`${line('example.com')}\n@revoked ${line('*')}\n`, 'f');
  expect(judge(entries, 'example.com', ed.blob)).toMatchObject({ kind: 'revoked', entry: { line: 2 } });
  expect(judge(entries, 'example.com', other.blob)).toMatchObject({ kind: 'changed', entry: { line: 1 } });
});

test('attack: a stranger offers a key type the user has not seen', () => {
  const entries = parseKnownHosts(line('example.com', rsa), 'f');
  expect(judge(entries, 'example.com', ed.blob).kind).toBe('changed');
});

test('the types known for a host', () => {
  const entries = parseKnownHosts([line('a', rsa), line('a,b'), line('a', rsa)].join('\n'), 'f');
  expect(knownKeyTypes(entries, 'a')).toEqual(['ssh-rsa', 'ssh-ed25519']);
  expect(knownKeyTypes(entries, 'b')).toEqual(['ssh-ed25519']);
  expect(knownKeyTypes(entries, 'c')).toEqual([]);
});

test('key types on the wire', () => {
  expect(keyTypeOf(ed.blob)).toBe('ssh-ed25519');
  for (let length = 0; length < 15; length++) expect(keyTypeOf(ed.blob.subarray(0, length))).toBeNull();
  expect(keyTypeOf(Buffer.from([0xff, 0xff, 0xff, 0xff, 1]))).toBeNull();
  expect(['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'x', null].map(keyTypeLabel)).toEqual([
    'ED25519',
    'RSA',
    'ECDSA',
    'unknown',
    'unknown',
  ]);
});
