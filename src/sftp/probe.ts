/**
 * The questions `explain.ts` asks a server about a failure that has happened. None changes anything; one
 * that the server refuses answers null, or false.
 */
import { ascii, type ByteString } from '../base/bytes.js';
import { type ErrnoName, FsError } from '../base/errno.js';
import { isDirectory, isSymlink } from '../base/mode.js';
import type { SftpAttributes } from './attributes.js';
import type { SftpClient } from './client.js';
import { SSH_FX_FAILURE, STATVFS } from './constants.js';
import { SftpStatusError } from './errors.js';
import { ST_RDONLY, type StatVfs } from './extensions.js';

/** As much of a client as the questions need. */
export type ProbedClient = Pick<
  SftpClient,
  | 'lstat'
  | 'stat'
  | 'readlink'
  | 'opendir'
  | 'readdir'
  | 'close'
  | 'statvfs'
  | 'has'
  | 'limits'
  | 'openHandles'
>;

/** Links followed before a path counts as a loop, as on Linux. */
const MAX_LINKS = 40;
/** READDIR replies looked through for an entry; two hold at least the first names of any directory. */
const MAX_LISTINGS = 4;
/** That many handles below the server's limit it may refuse already: it holds some open for itself. */
const HANDLE_MARGIN = 8;
/** Others may give back a little between a request that found no room and the question: so much is none, in bytes. */
const NEARLY_FULL = 1024 * 1024;
const FEW_INODES = 16;

/** The directory that holds `path` on the server: `/` for `/name`, `.` (the login directory) for `name`. */
export function serverParent(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return ascii('.');
  return (slash === 0 ? '/' : path.slice(0, slash)) as ByteString;
}

export class Probe {
  readonly #client: ProbedClient;

  constructor(client: ProbedClient) {
    this.#client = client;
  }

  lstat(path: ByteString): Promise<SftpAttributes | null> {
    return orNull(this.#client.lstat(path));
  }

  stat(path: ByteString): Promise<SftpAttributes | null> {
    return orNull(this.#client.stat(path));
  }

  /** Whether `path` itself, not what it links to, is a directory. */
  async isDirectory(path: ByteString): Promise<boolean> {
    return isDirectory((await this.lstat(path))?.permissions ?? 0);
  }

  /** Whether a directory has entries; null when it cannot be listed. */
  async hasEntries(path: ByteString): Promise<boolean | null> {
    const handle = await orNull(this.#client.opendir(path));
    if (handle === null) return null;
    try {
      for (let listing = 0; listing < MAX_LISTINGS; listing++) {
        const names = await this.#client.readdir(handle);
        if (names === null) return false;
        if (names.length > 0) return true;
      }
      return null;
    } catch (error) {
      if (error instanceof FsError) throw error;
      return null;
    } finally {
      await orNull(this.#client.close(handle));
    }
  }

  async isReadOnly(path: ByteString): Promise<boolean> {
    const stats = await this.#statvfs(path);
    return stats !== null && (stats.flag & ST_RDONLY) !== 0;
  }

  /** Why nothing can be written where `path` is, or is going to be: EROFS, ENOSPC, or null. */
  async whyFull(path: ByteString): Promise<ErrnoName | null> {
    // A file whose renaming is still to come does not have that name yet.
    const stats = (await this.#statvfs(path)) ?? (await this.#statvfs(serverParent(path)));
    if (stats === null) return null;
    if ((stats.flag & ST_RDONLY) !== 0) return 'EROFS';
    const noSpace = isUsedUp(stats.bavail, stats.blocks, NEARLY_FULL / Math.max(1, stats.frsize));
    const noInodes = isUsedUp(stats.favail, stats.files, FEW_INODES);
    return noSpace || noInodes ? 'ENOSPC' : null;
  }

  /** Whether two directories are known to be on different filesystems. */
  async areApart(one: ByteString, other: ByteString): Promise<boolean> {
    if (one === other) return false;
    const [a, b] = await Promise.all([this.#statvfs(one), this.#statvfs(other)]);
    return a !== null && b !== null && a.fsid !== b.fsid;
  }

  /**
   * Whether the server has no handle left for this client: it holds about as many as the server says it gives, or
   * the server fails to open even the login directory (its limit may have been lowered, or it does not say).
   */
  async isOutOfHandles(): Promise<boolean> {
    const { limits, openHandles } = this.#client;
    const most = limits.maxHandles;
    if (most > 0 && openHandles >= most - Math.min(HANDLE_MARGIN, most / 8)) return true;
    if (openHandles === 0) return false;
    try {
      await orNull(this.#client.close(await this.#client.opendir(ascii('.'))));
      return false;
    } catch (error) {
      if (error instanceof FsError) throw error;
      return error instanceof SftpStatusError && error.code === SSH_FX_FAILURE;
    }
  }

  /** Why `path` does not resolve: ENOENT, ENOTDIR (a file where a directory must be) or ELOOP. */
  async whyMissing(path: ByteString): Promise<ErrnoName> {
    for (let at = path; ; at = serverParent(at)) {
      const found = await this.lstat(at);
      if (found !== null) {
        const mode = found.permissions ?? 0;
        if (isSymlink(mode)) return this.#whyLinkMissing(at, at !== path);
        return isDirectory(mode) || at === path ? 'ENOENT' : 'ENOTDIR';
      }
      if (serverParent(at) === at || at === '.') return 'ENOENT';
    }
  }

  async #whyLinkMissing(link: ByteString, mustBeDirectory: boolean): Promise<ErrnoName> {
    const end = await this.stat(link);
    if (end !== null) return mustBeDirectory && !isDirectory(end.permissions ?? 0) ? 'ENOTDIR' : 'ENOENT';
    let at = link;
    for (let links = 0; links < MAX_LINKS; links++) {
      const target = await orNull(this.#client.readlink(at));
      if (target === null) return 'ENOENT';
      at = (target.startsWith('/') ? target : `${serverParent(at)}/${target}`) as ByteString;
    }
    return 'ELOOP';
  }

  async #statvfs(path: ByteString): Promise<StatVfs | null> {
    return this.#client.has(STATVFS) ? orNull(this.#client.statvfs(path)) : null;
  }
}

/** An errno is no answer of the server: it could not be asked, which is what the program has to hear then. */
function orNull<T>(promise: Promise<T>): Promise<T | null> {
  return promise.catch((error: unknown) => {
    if (error instanceof FsError) throw error;
    return null;
  });
}

/** A filesystem that counts no blocks or no inodes at all (btrfs, network filesystems) is not full. */
function isUsedUp(available: number, total: number, few: number): boolean {
  return total > 0 && available < Math.max(1, Math.min(few, total / 64));
}
