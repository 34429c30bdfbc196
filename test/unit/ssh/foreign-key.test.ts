import {
  createPrivateKey,
  type ED25519KeyPairOptions,
  generateKeyPairSync,
  type JsonWebKey,
} from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KeyFormatError, keyOf, kindOf, type PrivateNumbers } from '../../../src/ssh/foreign-key.js';
import { mpint, wireStrings } from '../../../src/ssh/wire.js';

interface Made {
  readonly blob: Buffer;
  readonly numbers: PrivateNumbers;
}

const bytes = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');

const AS_TEXT: ED25519KeyPairOptions<'pem', 'pem'> = {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
};

/**
 * The numbers of a key that was made as text: Node 20 stands still when garbage is collected while it exports a key
 * that it has just made, since the maker's remains wait for the key's lock, which the export holds.
 */
function numbersOf({ privateKey }: { readonly privateKey: string }): JsonWebKey {
  return createPrivateKey(privateKey).export({ format: 'jwk' });
}

function ecdsa(curve: 'P-256' | 'P-521', name: string): Made {
  const { x, y, d } = numbersOf(generateKeyPairSync('ec', { namedCurve: curve, ...AS_TEXT }));
  const point = Buffer.concat([Buffer.of(4), bytes(x), bytes(y)]);
  return {
    blob: wireStrings(`ecdsa-sha2-${name}`, name, point),
    numbers: { kind: 'ecdsa', d: mpint(bytes(d)) },
  };
}

function ed25519(): Made {
  const { x, d } = numbersOf(generateKeyPairSync('ed25519', AS_TEXT));
  return { blob: wireStrings('ssh-ed25519', bytes(x)), numbers: { kind: 'ed25519', seed: bytes(d) } };
}

function rsa(): Made {
  const { n, e, d, p, q } = numbersOf(generateKeyPairSync('rsa', { modulusLength: 1024, ...AS_TEXT }));
  const numbers: PrivateNumbers = { kind: 'rsa', d: bytes(d), p: bytes(p), q: bytes(q) };
  return { blob: wireStrings('ssh-rsa', mpint(bytes(e)), mpint(bytes(n))), numbers };
}

describe.each<[string, () => Made, number]>([
  ['ed25519', ed25519, 600],
  ['ecdsa 256', () => ecdsa('P-256', 'nistp256'), 600],
  ['ecdsa 521', () => ecdsa('P-521', 'nistp521'), 100],
  ['rsa', rsa, 5],
])('%s', (_name, make, rounds) => {
  test('whatever the first bytes of its numbers are', () => {
    for (let round = 0; round < rounds; round++) {
      const { blob, numbers } = make();
      expect(keyOf(blob, numbers).getPublicSSH()).toEqual(blob);
    }
  });

  test('attack: the halves of two keys', () => {
    expect(() => keyOf(make().blob, make().numbers)).toThrow(KeyFormatError);
  });
});

test('attack: numbers of another kind of key', () => {
  expect(() => keyOf(ed25519().blob, ecdsa('P-256', 'nistp256').numbers)).toThrow('holds no public key');
  const rsaNumbers = rsa().numbers;
  expect(() => keyOf(wireStrings('ssh-rsa', Buffer.of(3)), rsaNumbers)).toThrow('holds no public key');
  const zero: PrivateNumbers = { kind: 'rsa', d: Buffer.alloc(0), p: Buffer.alloc(0), q: Buffer.alloc(0) };
  expect(() => keyOf(wireStrings('ssh-rsa', Buffer.of(3), Buffer.alloc(0)), zero)).toThrow(KeyFormatError);
});

test('the kinds of key', () => {
  expect(['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp384'].map(kindOf)).toEqual(['ed25519', 'rsa', 'ecdsa']);
  expect(['ssh-dss', 'ssh-ed448', 'ecdsa-sha2-nistp1', 'constructor', ''].map(kindOf)).toEqual(
    Array.from({ length: 5 }, () => null),
  );
});
