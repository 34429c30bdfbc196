/**
 * PuTTY's key files (`.ppk`, versions 2 and 3), by the appendix "PPK file format" of its manual. Nothing of the
 * private half is used before its MAC is verified. The MAC cannot tell a wrong passphrase from a damaged file; but what
 * a wrong one decrypts does not begin as a private key does.
 */
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { KeyFormatError, keyOf, kindOf, type PrivateNumbers } from './foreign-key.js';
import { WireReader, wireStrings } from './wire.js';

/** Bytes of an AES-256 key and of one of its blocks. */
const KEY_LENGTH = 32;
const BLOCK = 16;
const MAC_KEY_LENGTH = 32;

/** What a key file may cost to open: a gigabyte, in KiB, and as many passes as the smallest memory would allow. */
const MAX_MEMORY = 1024 * 1024;
const MAX_PASSES = 100_000;

/** How a passphrase becomes keys. */
interface Argon2 {
  readonly variant: 'argon2i' | 'argon2d' | 'argon2id';
  /** KiB. */
  readonly memorySize: number;
  readonly iterations: number;
  readonly parallelism: number;
  readonly salt: Buffer;
}

export interface PuttyKeyFile {
  readonly version: 2 | 3;
  readonly keyType: string;
  readonly kind: PrivateNumbers['kind'];
  readonly comment: string;
  readonly isEncrypted: boolean;
  /** The public key as on the wire. */
  readonly publicBlob: Buffer;
  /** Null in version 2, and where nothing is encrypted. */
  readonly derivation: Argon2 | null;
  readonly privateBlob: Buffer;
  readonly mac: Buffer;
}

export function isPuttyKey(contents: Buffer): boolean {
  return contents.toString('latin1', 0, 20) === 'PuTTY-User-Key-File-';
}

/** @throws KeyFormatError */
export function parsePuttyKey(contents: Buffer): PuttyKeyFile {
  const lines = contents.toString('latin1').split(/\r\n|\n|\r/);
  const line = () => lines.shift() ?? '';
  const header = (name: string): string => {
    const next = line();
    if (!next.startsWith(`${name}: `)) throw new KeyFormatError(`is damaged: it has no line ${name}`);
    return next.slice(name.length + 2);
  };
  const count = (name: string, max: number): number => {
    const value = header(name);
    if (!/^\d{1,9}$/.test(value) || Number(value) > max) {
      throw new KeyFormatError(`is damaged: its ${name} is not a number up to ${max}`);
    }
    return Number(value);
  };
  const base64 = (name: string): Buffer => {
    const text = Array.from({ length: count(name, 1000) }, line).join('');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
      throw new KeyFormatError(`is damaged: what follows ${name} is not base64`);
    }
    return Buffer.from(text, 'base64');
  };
  const hex = (name: string): Buffer => {
    const text = header(name);
    if (!/^(?:[0-9a-f]{2})+$/i.test(text))
      throw new KeyFormatError(`is damaged: its ${name} is not hexadecimal`);
    return Buffer.from(text, 'hex');
  };

  const [, version, keyType = ''] = /^PuTTY-User-Key-File-(\d+): (.+)$/.exec(line()) ?? [];
  if (version !== '2' && version !== '3') {
    throw new KeyFormatError(`is of PuTTY's format ${version ?? 'unknown'}; save it anew with puttygen`);
  }
  const encryption = header('Encryption');
  if (encryption !== 'none' && encryption !== 'aes256-cbc') {
    throw new KeyFormatError(`is encrypted with ${encryption}, which PuTTY does not use`);
  }
  const isEncrypted = encryption !== 'none';
  const kind = kindOf(keyType);
  if (kind === null) throw new KeyFormatError(`holds a key of the type ${keyType}, which is not supported`);
  const comment = header('Comment');
  const publicBlob = base64('Public-Lines');
  if (new WireReader(publicBlob).string()?.toString('latin1') !== keyType) {
    throw new KeyFormatError('is damaged: its public key is of another type');
  }
  const argon2 = (): Argon2 => {
    const variant = header('Key-Derivation').toLowerCase();
    if (variant !== 'argon2i' && variant !== 'argon2d' && variant !== 'argon2id') {
      throw new KeyFormatError(`is protected by ${variant}, which PuTTY does not use`);
    }
    return {
      variant,
      memorySize: count('Argon2-Memory', MAX_MEMORY),
      iterations: count('Argon2-Passes', MAX_PASSES),
      parallelism: count('Argon2-Parallelism', 1000),
      salt: hex('Argon2-Salt'),
    };
  };
  const derivation = version === '3' && isEncrypted ? argon2() : null;
  const privateBlob = base64('Private-Lines');
  if (isEncrypted && privateBlob.length % BLOCK !== 0) {
    throw new KeyFormatError('is damaged: a part of its private key is missing');
  }
  const mac = hex('Private-MAC');
  return {
    version: version === '2' ? 2 : 3,
    keyType,
    kind,
    comment,
    isEncrypted,
    publicBlob,
    derivation,
    privateBlob,
    mac,
  };
}

/**
 * The key of the file; null when the passphrase is wrong.
 * @param passphrase of no meaning for a file that is not encrypted
 * @throws KeyFormatError for a damaged file
 */
export async function openPuttyKey(file: PuttyKeyFile, passphrase: string): Promise<ParsedKey | null> {
  // PuTTY leaves a key open rather than encrypt it with nothing.
  if (file.isEncrypted && passphrase === '') return null;
  const keys = await keysOf(file, file.isEncrypted ? Buffer.from(passphrase, 'utf8') : Buffer.alloc(0));
  const plain = file.isEncrypted ? decrypt(file.privateBlob, keys) : file.privateBlob;
  const algorithm = file.version === 2 ? 'sha1' : 'sha256';
  const covered = wireStrings(
    file.keyType,
    file.isEncrypted ? 'aes256-cbc' : 'none',
    file.comment,
    file.publicBlob,
    plain,
  );
  const mac = createHmac(algorithm, keys.mac).update(covered).digest();
  const numbers = numbersOf(file, plain);
  if (mac.length !== file.mac.length || !timingSafeEqual(mac, file.mac)) {
    if (file.isEncrypted && numbers === null) return null;
    throw new KeyFormatError('is damaged: its checksum is wrong');
  }
  if (numbers === null) throw new KeyFormatError('holds no private key');
  return keyOf(file.publicBlob, numbers);
}

interface Keys {
  readonly cipher: Buffer;
  readonly iv: Buffer;
  readonly mac: Buffer;
}

async function keysOf({ version, derivation }: PuttyKeyFile, passphrase: Buffer): Promise<Keys> {
  if (version === 2) {
    const hash = (...parts: (string | Buffer)[]) => {
      return parts.reduce((sum, part) => sum.update(part), createHash('sha1')).digest();
    };
    const cipher = [0, 1].map((turn) => hash(Buffer.of(0, 0, 0, turn), passphrase));
    return {
      cipher: Buffer.concat(cipher).subarray(0, KEY_LENGTH),
      iv: Buffer.alloc(BLOCK),
      mac: hash('putty-private-key-file-mac-key', passphrase),
    };
  }
  const none = Buffer.alloc(0);
  if (derivation === null) return { cipher: none, iv: none, mac: none };
  const bytes = await argon2(derivation, passphrase);
  return {
    cipher: bytes.subarray(0, KEY_LENGTH),
    iv: bytes.subarray(KEY_LENGTH, KEY_LENGTH + BLOCK),
    mac: bytes.subarray(KEY_LENGTH + BLOCK),
  };
}

async function argon2({ variant, ...costs }: Argon2, password: Buffer): Promise<Buffer> {
  // Few people have such a key: the others need not load this.
  const library = await import('hash-wasm');
  const hashLength = KEY_LENGTH + BLOCK + MAC_KEY_LENGTH;
  try {
    return Buffer.from(await library[variant]({ ...costs, password, hashLength, outputType: 'binary' }));
  } catch (error) {
    throw new KeyFormatError(`cannot be decrypted: ${error instanceof Error ? error.message : error}`);
  }
}

function decrypt(blob: Buffer, { cipher, iv }: Keys): Buffer {
  const decipher = createDecipheriv('aes-256-cbc', cipher, iv).setAutoPadding(false);
  return Buffer.concat([decipher.update(blob), decipher.final()]);
}

/** The fields of a private half, behind which there is nothing but padding; null for anything else. */
function numbersOf({ kind, isEncrypted }: PuttyKeyFile, plain: Buffer): PrivateNumbers | null {
  const reader = new WireReader(plain);
  const fields = reader.strings({ ed25519: 1, ecdsa: 1, rsa: 4 }[kind]);
  if (fields === null || reader.left > (isEncrypted ? BLOCK - 1 : 0)) return null;
  const [a = plain, p = plain, q = plain] = fields;
  switch (kind) {
    case 'ed25519':
      return a.length === 32 ? { kind, seed: a } : null;
    case 'ecdsa':
      return { kind, d: a };
    case 'rsa':
      return { kind, d: a, p, q };
  }
}
