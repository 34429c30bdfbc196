/**
 * Private keys of Dropbear's client (`~/.ssh/id_dropbear`, as dropbearkey writes it): the public key as on the wire
 * with the private numbers behind it, never encrypted, in nothing else.
 */
import type { ParsedKey } from 'ssh2';
import { KeyFormatError, keyOf, kindOf } from './foreign-key.js';
import { WireReader, wireStrings } from './wire.js';

const ED25519_LENGTH = 32;

/** Whether a file that begins so is one of Dropbear's keys: it begins with a type, as text files do not. */
export function isDropbearKey(contents: Buffer): boolean {
  const type = new WireReader(contents).string()?.toString('latin1') ?? '';
  return /^(?:ssh-|ecdsa-)[a-z0-9-]{3,32}$/.test(type);
}

/** @throws KeyFormatError */
export function readDropbearKey(contents: Buffer): ParsedKey {
  const reader = new WireReader(contents);
  const type = reader.string()?.toString('latin1') ?? '';
  const kind = kindOf(type);
  if (kind === null) throw new KeyFormatError(`holds a key of the type ${type}, which is not supported`);
  const fields = reader.strings({ ed25519: 1, ecdsa: 3, rsa: 5 }[kind]);
  if (fields === null) throw new KeyFormatError('ends too early');
  const [a = Buffer.alloc(0), b = a, c = a, d = a, e = a] = fields;
  switch (kind) {
    case 'ed25519':
      if (a.length !== 2 * ED25519_LENGTH) throw new KeyFormatError('holds no key');
      return keyOf(wireStrings(type, a.subarray(ED25519_LENGTH)), {
        kind,
        seed: a.subarray(0, ED25519_LENGTH),
      });
    case 'ecdsa':
      return keyOf(wireStrings(type, a, b), { kind, d: c });
    case 'rsa':
      return keyOf(wireStrings(type, a, b), { kind, d: c, p: d, q: e });
  }
}
