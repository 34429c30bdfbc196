/**
 * Private key files. A key that is encrypted stays closed until the server says it would accept its public
 * half, so that nobody types a passphrase for nothing; that half stands in clear in the file itself
 * (PROTOCOL.key of OpenSSH) or in the `.pub` file beside it.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2, { type ParsedKey } from 'ssh2';

const { parseKey } = ssh2.utils;

/** No key file comes near this; a larger one is something else. */
const MAX_KEY_FILE = 64 * 1024;

/** The files ssh tries when none is named, in its order, without those ssh2 cannot use. */
const DEFAULT_NAMES = ['id_rsa', 'id_ecdsa', 'id_ed25519'];

/** A key to log in with. */
export type Identity =
  | { readonly kind: 'open'; readonly path: string; readonly key: ParsedKey }
  /** `publicKey` is null where only the passphrase can reveal it. */
  | {
      readonly kind: 'locked';
      readonly path: string;
      readonly contents: Buffer;
      readonly publicKey: ParsedKey | null;
    }
  /** The private half is in the agent. */
  | { readonly kind: 'public'; readonly path: string; readonly publicKey: ParsedKey };

export interface KeyProblem {
  readonly kind: 'problem';
  readonly path: string;
  readonly message: string;
}

export function defaultKeyFiles(home: string): string[] {
  return DEFAULT_NAMES.map((name) => join(home, '.ssh', name));
}

/** Reads one key file; null when `optional` and it does not exist. */
export async function loadIdentity(path: string, optional: boolean): Promise<Identity | KeyProblem | null> {
  const problem = (message: string): KeyProblem => ({ kind: 'problem', path, message });
  let file: KeyFile | null;
  try {
    file = await readKeyFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT') return optional ? null : problem(`the key file ${path} does not exist`);
    return problem(`the key file ${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  if (file === null) return problem(`${path} is not a key file`);

  const parsed = parse(file.contents, null);
  if (!(parsed instanceof Error) && !parsed.isPrivateKey())
    return { kind: 'public', path, publicKey: parsed };
  if (file.exposed) {
    return problem(`the key file ${path} can be read by others and is not used; run: chmod 600 '${path}'`);
  }
  if (!(parsed instanceof Error)) return { kind: 'open', path, key: parsed };
  if (!/no passphrase given/.test(parsed.message)) {
    return problem(`the key file ${path} cannot be understood: ${parsed.message}`);
  }
  return { kind: 'locked', path, contents: file.contents, publicKey: await publicHalf(path, file.contents) };
}

/** The key of a locked file, or null when the passphrase is wrong. */
export function unlock(contents: Buffer, passphrase: string): ParsedKey | null {
  const key = parse(contents, passphrase);
  return key instanceof Error || !key.isPrivateKey() ? null : key;
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
  try {
    const file = await readKeyFile(`${path}.pub`);
    const parsed = file === null ? null : parse(file.contents, null);
    return parsed === null || parsed instanceof Error || parsed.isPrivateKey() ? null : parsed;
  } catch {
    return null;
  }
}

/** A public key on the wire as ssh2 has it. */
function publicKeyOf(blob: Buffer): ParsedKey | null {
  if (blob.length < 4) return null;
  const type = blob.toString('latin1', 4, 4 + Math.min(64, blob.readUInt32BE(0)));
  const parsed = parse(Buffer.from(`${type} ${blob.toString('base64')}`), null);
  return parsed instanceof Error ? null : parsed;
}

/**
 * The first public key of an `openssh-key-v1` file, which is never encrypted; null for any other format.
 * Magic, then the strings ciphername, kdfname and kdfoptions, the number of keys, and the public keys.
 */
export function publicBlob(pem: string): Buffer | null {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(pem)?.[1];
  if (body === undefined) return null;
  const data = Buffer.from(body, 'base64');
  let at = 'openssh-key-v1\0'.length;
  if (data.toString('latin1', 0, at) !== 'openssh-key-v1\0') return null;
  const readString = (): Buffer | null => {
    if (data.length - at < 4) return null;
    const length = data.readUInt32BE(at);
    if (length > data.length - at - 4) return null;
    at += 4 + length;
    return data.subarray(at - length, at);
  };
  for (let skipped = 0; skipped < 3; skipped++) if (readString() === null) return null;
  if (data.length - at < 4 || data.readUInt32BE(at) < 1) return null;
  at += 4;
  return readString();
}
