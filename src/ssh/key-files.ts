/**
 * Private key files, of OpenSSH, PuTTY and Dropbear: what a file is, its contents tell. A key that is encrypted
 * stays closed until the server says it would accept its public half, so that nobody types a passphrase for
 * nothing; that half stands in clear in the file itself (PROTOCOL.key of OpenSSH) or in the `.pub` file beside it.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2, { type ParsedKey } from 'ssh2';
import { isDropbearKey, readDropbearKey } from './dropbear-key.js';
import { KeyFormatError } from './foreign-key.js';
import { keyTypeOf } from './known-hosts.js';
import { isPuttyKey, openPuttyKey, parsePuttyKey } from './putty-key.js';
import { WireReader } from './wire.js';

const { parseKey } = ssh2.utils;

/** No key file comes near this; a larger one is something else. */
const MAX_KEY_FILE = 64 * 1024;

/** The files ssh tries when none is named, in its order, without those ssh2 cannot use; and Dropbear's. */
const DEFAULT_NAMES = ['id_rsa', 'id_ecdsa', 'id_ed25519', 'id_dropbear'];

/** The files ssh tries for keys on security tokens. */
const TOKEN_NAMES = ['id_ecdsa_sk', 'id_ed25519_sk'];

/** What a key file holds. */
type KeyContents =
  | { readonly kind: 'open'; readonly key: ParsedKey }
  | {
      readonly kind: 'locked';
      /** Null where only the passphrase can reveal it. */
      readonly publicKey: ParsedKey | null;
      /** Null when the passphrase is wrong; rejects with a KeyFormatError for a damaged file. */
      readonly unlock: (passphrase: string) => Promise<ParsedKey | null>;
    }
  /** The private half is in the agent. */
  | { readonly kind: 'public'; readonly publicKey: ParsedKey };

/** A key to log in with. */
export type Identity = KeyContents & { readonly path: string };

/** What only the `ssh` program can log in with. */
export type Beyond = 'certificate' | 'security-key';

export interface KeyProblem {
  readonly kind: 'problem';
  readonly path: string;
  readonly message: string;
  /** A configuration for several machines may well name files that only some of them have. */
  readonly isMissing?: true;
}

export function defaultKeyFiles(home: string): string[] {
  return DEFAULT_NAMES.map((name) => join(home, '.ssh', name));
}

export function defaultTokenFiles(home: string): string[] {
  return TOKEN_NAMES.map((name) => join(home, '.ssh', name));
}

/** Why ssh2 can do nothing with a key of this type, or null. */
export function beyondSsh2(keyType: string | null): Beyond | null {
  if (keyType?.endsWith('-cert-v01@openssh.com')) return 'certificate';
  return keyType?.startsWith('sk-') ? 'security-key' : null;
}

/** Reads one key file; null when `optional` and it does not exist. */
export async function loadIdentity(path: string, optional: boolean): Promise<Identity | KeyProblem | null> {
  const problem = (message: string): KeyProblem => ({ kind: 'problem', path, message });
  let file: KeyFile | null;
  try {
    file = await readKeyFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT') {
      // The public half alone says which key of the agent is meant.
      const publicKey = await publicHalf(path, Buffer.alloc(0));
      if (publicKey !== null) return { kind: 'public', path, publicKey };
      return optional ? null : { ...problem(`the key file ${path} does not exist`), isMissing: true };
    }
    return problem(`the key file ${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  if (file === null) return problem(`${path} is not a key file`);
  try {
    const key = await understand(path, file.contents);
    if (key.kind !== 'public' && file.exposed) {
      return problem(`the key file ${path} can be read by others and is not used; run: chmod 600 '${path}'`);
    }
    return { ...key, path };
  } catch (error) {
    if (error instanceof KeyFormatError) return problem(`the key file ${path} ${error.message}`);
    throw error;
  }
}

/** @throws KeyFormatError */
async function understand(path: string, contents: Buffer): Promise<KeyContents> {
  if (isPuttyKey(contents)) return puttyKey(contents);
  if (isDropbearKey(contents)) return { kind: 'open', key: readDropbearKey(contents) };
  const beyond = beyondSsh2(keyTypeOf(clearPublicBlob(contents) ?? Buffer.alloc(0)));
  if (beyond !== null) {
    const what = beyond === 'certificate' ? 'is a certificate' : 'is on a security token';
    throw new KeyFormatError(`${what}, which only the ssh program can use: use -o transport=openssh`);
  }
  const parsed = parse(contents, null);
  if (parsed instanceof Error) {
    if (!/no passphrase given/.test(parsed.message)) {
      throw new KeyFormatError(`cannot be understood: ${parsed.message}`);
    }
    const unlock = async (passphrase: string) => {
      const key = parse(contents, passphrase);
      return key instanceof Error || !key.isPrivateKey() ? null : key;
    };
    return { kind: 'locked', publicKey: await publicHalf(path, contents), unlock };
  }
  return parsed.isPrivateKey() ? { kind: 'open', key: parsed } : { kind: 'public', publicKey: parsed };
}

/** Whose format a private key has that OpenSSH cannot read; null for one that it can, or that is no key. */
export async function foreignFormat(path: string): Promise<'PuTTY' | 'Dropbear' | 'missing' | null> {
  const file = await readKeyFile(path).catch(() => 'missing' as const);
  if (file === null || file === 'missing') return file;
  if (isPuttyKey(file.contents)) return 'PuTTY';
  return isDropbearKey(file.contents) ? 'Dropbear' : null;
}

async function puttyKey(contents: Buffer): Promise<KeyContents> {
  const file = parsePuttyKey(contents);
  const unlock = (passphrase: string) => openPuttyKey(file, passphrase);
  if (file.isEncrypted) return { kind: 'locked', publicKey: publicKeyOf(file.publicBlob), unlock };
  const key = await unlock('');
  if (key === null) throw new KeyFormatError('holds no private key');
  return { kind: 'open', key };
}

interface KeyFile {
  readonly contents: Buffer;
  /** Ours, and open to group or others: ssh refuses such a key. */
  readonly exposed: boolean;
}

async function readKeyFile(path: string): Promise<KeyFile | null> {
  const handle = await open(path, 'r');
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > MAX_KEY_FILE) return null;
    const exposed = stat.uid === process.getuid?.() && (stat.mode & 0o077) !== 0;
    return { contents: await handle.readFile(), exposed };
  } finally {
    await handle.close();
  }
}

/** ssh2's parser, which may also answer nothing (a file of zero keys) or throw on malformed input. */
function parse(contents: Buffer, passphrase: string | null): ParsedKey | Error {
  try {
    const parsed: ParsedKey | Error | undefined = parseKey(contents, passphrase ?? undefined);
    return parsed ?? new Error('it holds no key');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function publicHalf(path: string, contents: Buffer): Promise<ParsedKey | null> {
  const blob = publicBlob(contents.toString('latin1'));
  if (blob !== null) return publicKeyOf(blob);
  const beside = await publicBlobOf(`${path}.pub`);
  return beside === null ? null : publicKeyOf(beside);
}

/** A public key on the wire as ssh2 has it. */
function publicKeyOf(blob: Buffer): ParsedKey | null {
  const parsed = parse(Buffer.from(`${keyTypeOf(blob)} ${blob.toString('base64')}`), null);
  return parsed instanceof Error ? null : parsed;
}

/** The public key that a file of OpenSSH's shows to everybody, as on the wire; null for any other file, or none. */
export async function publicBlobOf(path: string): Promise<Buffer | null> {
  const file = await readKeyFile(path).catch(() => null);
  return file === null ? null : clearPublicBlob(file.contents);
}

/** That of a private key, or of a line as in `.pub`: type, key in base64, comment. */
function clearPublicBlob(contents: Buffer): Buffer | null {
  const text = contents.toString('latin1');
  const [type, encoded] = text.trimStart().split(/\s+/, 2);
  const blob = Buffer.from(encoded ?? '', 'base64');
  return keyTypeOf(blob) === type ? blob : publicBlob(text);
}

/**
 * The first public key of an `openssh-key-v1` file, which is never encrypted; null for any other format.
 * Magic, then the strings ciphername, kdfname and kdfoptions, the number of keys, and the public keys.
 */
export function publicBlob(pem: string): Buffer | null {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(pem)?.[1];
  if (body === undefined) return null;
  const reader = new WireReader(Buffer.from(body, 'base64'));
  const magic = 'openssh-key-v1\0';
  if (reader.bytes(magic.length)?.toString('latin1') !== magic || reader.strings(3) === null) return null;
  const keys = reader.uint32();
  return keys === null || keys < 1 ? null : reader.string();
}
