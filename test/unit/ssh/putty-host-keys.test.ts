import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judge, parseKnownHosts } from '../../../src/ssh/known-hosts.js';
import { readPuttyHostKey } from '../../../src/ssh/putty-host-keys.js';
import { wireStrings } from '../../../src/ssh/wire.js';

/** The base point of edwards25519 (RFC 8032, section 5.1), and its key on the wire: y, least byte first. */
const X = '0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a';
const Y = '0x6666666666666666666666666666666666666666666666666666666666666658';
const POINT = Buffer.from('5866666666666666666666666666666666666666666666666666666666666666', 'hex');
/** The base point of P-256 (FIPS 186-4, D.1.2.3). */
const GX = '0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296';
const GY = '0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5';

const read = (line: string) => readPuttyHostKey(line.split(' '));

test('an Ed25519 key, with an even x and an odd one', () => {
  expect(read(`ssh-ed25519@22:bay ${X},${Y}`)).toEqual({
    host: 'bay',
    port: 22,
    keyType: 'ssh-ed25519',
    key: wireStrings('ssh-ed25519', POINT),
  });
  const odd = Buffer.from(POINT);
  odd[31] = 0xe6;
  expect(read(`ssh-ed25519@22:bay ${X.slice(0, -1)}b,${Y}`)?.key).toEqual(wireStrings('ssh-ed25519', odd));
});

test('an ECDSA key, its coordinates in full length', () => {
  const point = `04${GX.slice(2)}${GY.slice(2)}`;
  const key = wireStrings('ecdsa-sha2-nistp256', 'nistp256', Buffer.from(point, 'hex'));
  expect(read(`ecdsa-sha2-nistp256@2222:::1 nistp256,${GX},${GY}`)).toMatchObject({
    host: '::1',
    port: 2222,
    key,
  });
  const short = read('ecdsa-sha2-nistp256@22:bay nistp256,0x1,0x2');
  expect(short?.key.subarray(-64)).toEqual(
    Buffer.concat([Buffer.alloc(31), Buffer.of(1), Buffer.alloc(31), Buffer.of(2)]),
  );
});

test('an RSA key: an exponent, and a modulus that stays positive', () => {
  const key = wireStrings('ssh-rsa', Buffer.of(1, 0, 1), Buffer.of(0, 0xc5, 1));
  expect(read('rsa2@22:bay 0x10001,0xc501')).toMatchObject({ keyType: 'ssh-rsa', key });
});

test.each([
  'bay ssh-ed25519 AAAA',
  `ssh-ed25519@22:bay ${X}`,
  `ssh-ed25519@22:bay ${X},${Y},${Y}`,
  `ssh-ed25519@22:bay ${X},${Y} more`,
  `ssh-ed25519@22:bay ${X},0x1${Y.slice(2)}`,
  `ssh-ed25519@22:bay 1,2`,
  `ssh-ed25519@22: ${X},${Y}`,
  `ssh-ed25519@22:* ${X},${Y}`,
  `ssh-ed25519@22:a,b ${X},${Y}`,
  `ssh-ed25519@22:!b ${X},${Y}`,
  `@22:bay ${X},${Y}`,
  'rsa2@22:bay 0x10001',
  'rsa@22:bay 0x10001,0xc501',
  'ssh-dss@22:bay 0x1,0x2,0x3,0x4',
  `ecdsa-sha2-nistp256@22:bay nistp384,${GX},${GY}`,
  `ecdsa-sha2-nistp256@22:bay ${GX},${GY}`,
  `ecdsa-sha2-nistp999@22:bay nistp999,${GX},${GY}`,
])('not a host key of PuTTY: %s', (line) => {
  expect(read(line)).toBeNull();
});

describe('among known hosts', () => {
  test('the host has the port in its name', () => {
    const text = `ssh-ed25519@22:bay ${X},${Y}\nssh-ed25519@2222:BAY ${X},${Y}\n`;
    const entries = parseKnownHosts(text, 'f');
    expect(entries.map(({ hosts, isPutty }) => [hosts, isPutty])).toEqual([
      ['bay', true],
      ['[bay]:2222', true],
    ]);
    expect(judge(entries, '[bay]:2222', wireStrings('ssh-ed25519', POINT)).kind).toBe('known');
  });

  test('any text is read without an error', () => {
    const word = fc.constantFrom(
      '@revoked',
      'rsa2@22:a',
      'ssh-ed25519@1:b',
      '0x',
      '0x1,0x2',
      ',',
      '|1|',
      ' ',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), (words) => {
        expect(Array.isArray(parseKnownHosts(words.join(''), 'f'))).toBe(true);
      }),
    );
  });
});
