/**
 * This machine's users and groups, asked of getent(1), which knows of directories such as LDAP; where there is none, the
 * files answer. Names may come from a server: they are arguments, never a shell's, and only such as a file could hold.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type Account, parseAccounts } from '../base/accounts.js';
import { type ByteString, encodeText } from '../base/bytes.js';
import { logger } from '../base/log.js';
import type { AccountKind, LocalAccounts } from '../fs/name-map.js';
import { findProgram } from '../fuse/mount/helper.js';

const log = logger('accounts');

const DATABASES = {
  user: { name: 'passwd', file: '/etc/passwd' },
  group: { name: 'group', file: '/etc/group' },
} as const;

/** Milliseconds for getent: a directory may not answer. */
const TIMEOUT = 10_000;
/** Longest name, and how many of them one call is given. */
const MAX_NAME = 256;
const MAX_KEYS = 500;

/** Remembers what it was told, also that there is nobody of a name or number. */
export class SystemAccounts implements LocalAccounts {
  readonly #ids = { user: new Map<ByteString, number | null>(), group: new Map<ByteString, number | null>() };
  readonly #names = {
    user: new Map<number, ByteString | null>(),
    group: new Map<number, ByteString | null>(),
  };

  async idsOf(kind: AccountKind, names: readonly ByteString[]): Promise<ReadonlyMap<ByteString, number>> {
    const known = this.#ids[kind];
    const fresh = names.filter((name) => !known.has(name) && mayBeName(name));
    for (const { name, id } of await find(kind, fresh)) known.set(name, id);
    for (const name of fresh) if (!known.has(name)) known.set(name, null);
    return pick(known, names);
  }

  async namesOf(kind: AccountKind, ids: readonly number[]): Promise<ReadonlyMap<number, ByteString>> {
    const known = this.#names[kind];
    const fresh = ids.filter((id) => !known.has(id));
    const keys = fresh.map((id) => encodeText(String(id)));
    for (const { name, id } of await find(kind, keys)) known.set(id, name);
    for (const id of fresh) if (!known.has(id)) known.set(id, null);
    return pick(known, ids);
  }
}

function pick<K, V>(known: ReadonlyMap<K, V | null>, keys: readonly K[]): ReadonlyMap<K, V> {
  const found = new Map<K, V>();
  for (const key of keys) {
    const value = known.get(key) ?? null;
    if (value !== null) found.set(key, value);
  }
  return found;
}

/** A word of digits alone would be taken for a number. */
function mayBeName(name: ByteString): boolean {
  return name.length <= MAX_NAME && /^[^-\0:/\n][^\0:/\n]*$/.test(name) && !/^\d+$/.test(name);
}

/** The accounts that are called, or numbered, like one of `keys`. */
async function find(kind: AccountKind, keys: readonly ByteString[]): Promise<readonly Account[]> {
  const { name, file } = DATABASES[kind];
  const wanted = new Set<string>(keys);
  const found: Account[] = [];
  for (let at = 0; at < keys.length; at += MAX_KEYS) {
    const some = keys.slice(at, at + MAX_KEYS).map((key) => Buffer.from(key, 'latin1').toString('utf8'));
    const lines = (await getent(name, some)) ?? (await readFile(file).catch(() => Buffer.alloc(0)));
    found.push(...parseAccounts(lines));
  }
  return found.filter((account) => wanted.has(account.name) || wanted.has(String(account.id)));
}

/** What it prints; null where there is no such program. */
async function getent(database: string, keys: readonly string[]): Promise<Buffer | null> {
  const program = await findProgram('getent');
  if (program === null) return null;
  return new Promise((resolve) => {
    const args = [database, '--', ...keys];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env: {}, timeout: TIMEOUT });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error) => {
      log('getent: %s', error.message);
      resolve(null);
    });
    child.on('close', () => resolve(Buffer.concat(chunks)));
  });
}
