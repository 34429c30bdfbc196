/** What a test needs to know to log in to a server, whichever it is. */
import { chown, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Identity, must } from './run.js';
import type { Scope } from './scope.js';

export interface Server {
  readonly host: string;
  readonly port: number;
  /** The user to log in as. */
  readonly user: string;
  /** Private key that the server accepts for that user. */
  readonly keyFile: string;
  /** known_hosts file with the server's key. */
  readonly knownHosts: string;
}

/** Makes an ed25519 key pair in OpenSSH's format and answers the path of the private key. */
export async function makeKey(scope: Scope, name: string): Promise<string> {
  const file = join(scope.directory, name);
  await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
  return file;
}

/** A copy of a key (or of any file) that belongs to `owner` and that nobody else may read. */
export async function handOver(file: string, owner: Identity, to: string): Promise<string> {
  await copyFile(file, to);
  await must('chmod', ['600', to]);
  await chown(to, owner.uid, owner.gid);
  return to;
}

/** A known_hosts file with one line. */
export async function writeKnownHosts(
  file: string,
  host: string,
  port: number,
  publicKey: string,
): Promise<string> {
  const [type = '', key = ''] = publicKey.trim().split(/\s+/);
  await writeFile(file, `[${host}]:${port} ${type} ${key}\n`, { mode: 0o644 });
  return file;
}
