/**
 * Private keys of other programs. Whatever their format, they hold the numbers of the same three kinds of key; those
 * are written as OpenSSH writes an unencrypted key (PROTOCOL.key of OpenSSH), in memory only, which ssh2 reads.
 */
import ssh2, { type ParsedKey } from 'ssh2';
import { mpint, uint32, WireReader, wireStrings } from './wire.js';

/** The private numbers of a key. Numbers are positive, most significant byte first. */
export type PrivateNumbers =
  /** 32 bytes from which the rest follows. */
  | { readonly kind: 'ed25519'; readonly seed: Buffer }
  | { readonly kind: 'ecdsa'; readonly d: Buffer }
  | { readonly kind: 'rsa'; readonly d: Buffer; readonly p: Buffer; readonly q: Buffer };

/** A key file that is not as it should be; the message goes on from "the key file X". */
export class KeyFormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KeyFormatError';
  }
}

/** The kinds of key that can be read, by the type that stands in them. */
export function kindOf(keyType: string): PrivateNumbers['kind'] | null {
  if (keyType === 'ssh-ed25519') return 'ed25519';
  if (keyType === 'ssh-rsa') return 'rsa';
  return /^ecdsa-sha2-nistp(256|384|521)$/.test(keyType) ? 'ecdsa' : null;
}

/**
 * The key with this public half.
 * @param publicBlob the public key as on the wire
 * @throws KeyFormatError when the halves do not make a key, or are not of one
 */
export function keyOf(publicBlob: Buffer, numbers: PrivateNumbers): ParsedKey {
  const key = parse(armour(publicBlob, section(publicBlob, numbers)));
  if (!key.getPublicSSH().equals(publicBlob)) throw new KeyFormatError('holds halves of two keys');
  const probe = Buffer.from('probe');
  // Signing fails for numbers that are no key, and verifying for those of another one.
  // Some machines forbid the SHA-1 that would be taken for RSA.
  const hash = numbers.kind === 'rsa' ? 'sha512' : undefined;
  const signature: Buffer | Error = key.sign(probe, hash);
  if (signature instanceof Error || key.verify(probe, signature, hash) !== true) {
    throw new KeyFormatError('holds halves that do not fit together');
  }
  return key;
}

function parse(text: string): ParsedKey {
  try {
    const parsed: ParsedKey | Error | undefined = ssh2.utils.parseKey(text);
    if (parsed !== undefined && !(parsed instanceof Error)) return parsed;
  } catch {
    // Numbers that no key has.
  }
  throw new KeyFormatError('holds numbers that are no key');
}

/** Type, public and private numbers in the order of an agent's keys. */
function section(publicBlob: Buffer, numbers: PrivateNumbers): Buffer {
  const reader = new WireReader(publicBlob);
  const type = reader.string()?.toString('latin1') ?? '';
  const first = reader.string();
  if (kindOf(type) !== numbers.kind || first === null) throw new KeyFormatError('holds no public key');
  if (numbers.kind === 'ed25519') {
    return wireStrings(type, first, Buffer.concat([numbers.seed, first]));
  }
  const second = reader.string();
  if (second === null) throw new KeyFormatError('holds no public key');
  if (numbers.kind === 'ecdsa') return wireStrings(type, first, second, mpint(numbers.d));
  const { d, p, q } = numbers;
  // With one wrong factor OpenSSL signs all the same, the long way round.
  if (numberOf(p) * numberOf(q) !== numberOf(second))
    throw new KeyFormatError('holds numbers that are no key');
  const inverse = inverseOf(numberOf(q), numberOf(p));
  return wireStrings(type, second, first, mpint(d), mpint(bytesOf(inverse)), mpint(p), mpint(q));
}

function armour(publicBlob: Buffer, privateSection: Buffer): string {
  const check = uint32(0);
  const plain = Buffer.concat([check, check, privateSection, wireStrings('')]);
  const padding = Buffer.from(Array.from({ length: (8 - (plain.length % 8)) % 8 }, (_, index) => index + 1));
  const data = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    wireStrings('none', 'none', ''),
    uint32(1),
    wireStrings(publicBlob, Buffer.concat([plain, padding])),
  ]);
  const lines = data.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
}

function numberOf(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
}

function bytesOf(number: bigint): Buffer {
  const digits = number.toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
}

/** The inverse of `number` modulo `modulus`, by Euclid. */
function inverseOf(number: bigint, modulus: bigint): bigint {
  if (modulus <= 1n) throw new KeyFormatError('holds numbers that are no key');
  let [before, rest] = [modulus, number % modulus];
  let [t0, t1] = [0n, 1n];
  while (rest !== 0n) {
    const quotient = before / rest;
    [before, rest] = [rest, before - quotient * rest];
    [t0, t1] = [t1, t0 - quotient * t1];
  }
  if (before !== 1n) throw new KeyFormatError('holds numbers that are no key');
  return ((t0 % modulus) + modulus) % modulus;
}
