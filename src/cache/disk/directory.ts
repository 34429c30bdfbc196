/**
 * The directory of the cache: who may use it, what is where in it, and what of it has to go when there is too much.
 * Entries lie in 256 directories by the first byte of their hash. What an entry is called tells nobody anything; its
 * modification time is when it was last of use.
 *
 * Several mounts may share a directory. None keeps a list of what is there: each looks when it has to make room.
 */
import { constants } from 'node:fs';
import { access, lstat, mkdir, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EntryName, onDisk } from './entry.js';

/** Hex digits of the hash in the name of an entry; the header has all of it. */
const NAME_DIGITS = 40;
const BUCKET = /^[0-9a-f]{2}$/;
const ENTRY = /^[0-9a-f]{38}(?:\.[0-9]{1,9})?$/;
const UNFINISHED = /^[0-9a-f]{16}\.tmp$/;
/** Milliseconds after which nobody finishes what was begun. */
const UNFINISHED_MAX = 10 * 60_000;

/** How full the cache is once room was made. */
const FULL_ENOUGH = 0.9;

/** Tells backup programs that there is nothing to keep (bford.info/cachedir). */
const TAG_NAME = 'CACHEDIR.TAG';
const TAG =
  'Signature: 8a477f597d28d172789f06886806bc55\n# File data of remote machines, kept by Remora. It may be deleted at any time.\n';

/** Why a directory is not used, as a sentence without its subject. */
export class DirectoryRefused extends Error {}

/** The name of the errno that a call failed with; what it says, where it has none. */
export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'you may not write there',
  EROFS: 'its filesystem is read-only',
  EEXIST: 'it is not a directory',
  ENOTDIR: 'it is not a directory',
  ENOSPC: 'its disk is full',
};

/**
 * Makes the directory where it is missing, for `uid` alone. One that is there must be theirs, and nobody else may
 * write to it. Throws a `DirectoryRefused`.
 */
export async function prepareDirectory(path: string, uid: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { uid: owner, mode } = await stat(path);
    if (owner !== uid) throw new DirectoryRefused('it belongs to another user');
    if ((mode & 0o022) !== 0) throw new DirectoryRefused(`others may write there (chmod go-w ${path})`);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    await writeFile(join(path, TAG_NAME), TAG, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  } catch (error) {
    if (error instanceof DirectoryRefused) throw error;
    const code = codeOf(error);
    throw new DirectoryRefused(REASONS[code] ?? code, { cause: error });
  }
}

/** The directory of all entries of a file, relative to the cache's. */
function bucketOf(file: string): string {
  return file.slice(0, 2);
}

/** What the names of all entries of a file begin with. `file` is its hash in hex digits. */
function stemOf(file: string): string {
  return file.slice(2, NAME_DIGITS);
}

/** Where an entry is, relative to the cache. */
export function pathOf({ file, stretch }: EntryName): string {
  const hex = file.toString('hex');
  return `${bucketOf(hex)}/${stemOf(hex)}${stretch === 0 ? '' : `.${stretch}`}`;
}

/** An entry as the directory shows it. */
export interface Listed {
  readonly path: string;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
}

/** What has to go so that there is room again: nothing up to `limit`, else what was of no use for the longest time. */
export function planEviction(entries: readonly Listed[], limit: number): readonly Listed[] {
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total <= limit) return [];
  const victims: Listed[] = [];
  for (const entry of entries.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (total <= limit * FULL_ENOUGH) break;
    victims.push(entry);
    total -= entry.bytes;
  }
  return victims;
}

const ignoreMissing = (error: unknown) => {
  if (codeOf(error) !== 'ENOENT') throw error;
};

/** Names in a bucket; none when it is not there. */
async function namesIn(path: string): Promise<readonly string[]> {
  return readdir(path).catch((error: unknown) => {
    ignoreMissing(error);
    return [];
  });
}

/** All entries. What a process that ended left unfinished is removed on the way. */
async function listEntries(
  directory: string,
  now: number,
  isWanted: () => boolean,
): Promise<readonly Listed[] | null> {
  const entries: Listed[] = [];
  for (const bucket of await readdir(directory)) {
    if (!BUCKET.test(bucket)) continue;
    const within = join(directory, bucket);
    for (const name of await namesIn(within)) {
      const path = join(within, name);
      const isUnfinished = UNFINISHED.test(name);
      if (!isUnfinished && !ENTRY.test(name)) continue;
      if (!isWanted()) return null;
      // One after the other: whoever reads comes first.
      const stats = await lstat(path).catch(ignoreMissing);
      if (!stats?.isFile()) continue;
      if (!isUnfinished) entries.push({ path, bytes: onDisk(stats.size), usedAt: stats.mtimeMs });
      else if (now - stats.mtimeMs > UNFINISHED_MAX) await unlink(path).catch(ignoreMissing);
    }
  }
  return entries;
}

/**
 * Looks at everything and removes what is too much for `limit` bytes. Answers the bytes that are left, or null when
 * `isWanted` has said no meanwhile.
 */
export async function sweep(
  directory: string,
  limit: number,
  now: number,
  isWanted: () => boolean = () => true,
): Promise<number | null> {
  const entries = await listEntries(directory, now, isWanted);
  if (entries === null) return null;
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { path, bytes } of planEviction(entries, limit)) {
    await unlink(path).catch(ignoreMissing);
    total -= bytes;
  }
  return total;
}

/** Removes every entry of these files, given by their hashes in hex digits. */
export async function removeFiles(directory: string, files: Iterable<string>): Promise<void> {
  const stems = new Map<string, Set<string>>();
  for (const file of files) {
    const bucket = bucketOf(file);
    stems.set(bucket, (stems.get(bucket) ?? new Set()).add(stemOf(file)));
  }
  for (const [bucket, unwanted] of stems) {
    const within = join(directory, bucket);
    for (const name of await namesIn(within)) {
      const stem = name.slice(0, NAME_DIGITS - 2);
      if (ENTRY.test(name) && unwanted.has(stem)) await rm(join(within, name), { force: true });
    }
  }
}
