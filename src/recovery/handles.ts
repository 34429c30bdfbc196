/**
 * Handles that outlive their session. Whoever opens a file gets a handle of ours, which stands for the server's
 * of the moment; when a session is lost, everything that is open is opened again on the next one, by the name
 * that it has by then, never with CREAT, TRUNC or EXCL, and used only if it is the same file. What cannot be
 * opened again is stale for good.
 */
import { ascii, type ByteString, decodeText } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import { isRegular } from '../base/mode.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';
import {
  SSH_FX_PERMISSION_DENIED,
  SSH_FXF_CREAT,
  SSH_FXF_EXCL,
  SSH_FXF_TRUNC,
  SSH_FXF_WRITE,
} from '../sftp/constants.js';
import { ConnectionLostError, SftpStatusError } from '../sftp/errors.js';

const log = logger('link');

/** How many are opened again at once. */
const BATCH = 64;
const OWNER_READ_WRITE = 0o600;

/** What whoever has a file open knows of it. */
export interface Keeper {
  /** What the file may be called on the server now, likeliest first; nothing when it has no name any more. */
  paths(): readonly ByteString[];
  /** Something goes to the server by this handle that may change the file. */
  changing(): void;
  /** Is this, by what `client` shows of it, the file that was open? Asked when it was opened again as `handle`. */
  isSame(attributes: SftpAttributes, client: SftpClient, handle: SftpHandle): boolean | Promise<boolean>;
}

interface Held {
  /** The server's handle, of this session or, until it is opened again, of the last one. */
  real: SftpHandle;
  readonly kind: 'file' | 'directory';
  readonly pflags: number;
  keeper: Keeper;
  /** Why it could not be opened again; null while it is not stale. */
  stale: string | null;
}

/** The pflags by which a file that is there may be opened again. */
function reopening(pflags: number): number {
  return pflags & ~(SSH_FXF_CREAT | SSH_FXF_EXCL | SSH_FXF_TRUNC);
}

/**
 * Opens an existing file as it was open before. One that its own mode forbids (a read-only file that its maker
 * still writes) gets the owner's bits for a moment.
 */
export async function openExisting(
  client: SftpClient,
  path: ByteString,
  pflags: number,
): Promise<SftpHandle> {
  const open = () => client.open(path, reopening(pflags));
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof SftpStatusError) || error.code !== SSH_FX_PERMISSION_DENIED) throw error;
    const { permissions } = await client.lstat(path);
    // A link that took the name would pass the mode on to wherever it leads.
    if (!isRegular(permissions ?? 0) || (pflags & SSH_FXF_WRITE) === 0) throw error;
    const mode = (permissions ?? 0) & 0o7777;
    // Back to back, so that a connection which is lost just now leaves the mode as it was, but for bad luck.
    const [, opened, restored] = await Promise.allSettled([
      client.setstat(path, { permissions: mode | OWNER_READ_WRITE }),
      open(),
      client.setstat(path, { permissions: mode }),
    ]);
    if (restored.status === 'rejected') log('mode of %s: %s', decodeText(path), restored.reason);
    if (opened.status === 'rejected') throw opened.reason;
    return opened.value;
  }
}

export class Handles {
  readonly #held = new Map<SftpHandle, Held>();
  readonly #report: (text: string) => void;
  #next = 1;

  constructor(report: (text: string) => void) {
    this.#report = report;
  }

  get size(): number {
    return this.#held.size;
  }

  add(real: SftpHandle, kind: Held['kind'], path: ByteString, pflags: number): SftpHandle {
    const handle = `handle ${this.#next}` as SftpHandle;
    this.#next += 1;
    const keeper: Keeper = { paths: () => [path], changing: () => undefined, isSame: () => true };
    this.#held.set(handle, { real, kind, pflags, keeper, stale: null });
    return handle;
  }

  /** From now on `keeper` says where the file is and whether it is the same. */
  keep(handle: SftpHandle, keeper: Keeper): void {
    const held = this.#held.get(handle);
    if (held !== undefined) held.keeper = keeper;
  }

  /** The server's handle of this session. Throws ESTALE when there is none any more. */
  real(handle: SftpHandle): SftpHandle {
    const held = this.#held.get(handle);
    if (held === undefined) throw new FsError('EBADF', 'a handle that was closed');
    if (held.stale !== null) throw new FsError('ESTALE', held.stale);
    return held.real;
  }

  /** The same, for a request that may change the file. */
  changing(handle: SftpHandle): SftpHandle {
    const real = this.real(handle);
    this.#held.get(handle)?.keeper.changing();
    return real;
  }

  /** Forgets the handle; answers the server's, if there is one. */
  remove(handle: SftpHandle): SftpHandle | null {
    const held = this.#held.get(handle);
    this.#held.delete(handle);
    return held === undefined || held.stale !== null ? null : held.real;
  }

  /** Opens everything again. Rejects only when the session is lost meanwhile. */
  async reopen(client: SftpClient): Promise<void> {
    const all = [...this.#held].filter(([, { stale }]) => stale === null);
    for (let at = 0; at < all.length; at += BATCH) {
      await Promise.all(all.slice(at, at + BATCH).map(([, held]) => this.#reopen(client, held)));
    }
    const closedMeanwhile = all.filter(([handle, { stale }]) => stale === null && !this.#held.has(handle));
    await Promise.allSettled(closedMeanwhile.map(([, { real }]) => client.close(real)));
  }

  async #reopen(client: SftpClient, held: Held): Promise<void> {
    const paths = held.keeper.paths();
    let reason = 'it was removed while it was open';
    for (const path of paths) {
      try {
        held.real = await this.#open(client, path, held);
        return;
      } catch (error) {
        if (error instanceof ConnectionLostError) throw error;
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    held.stale = reason;
    // Whoever lists a directory hears of it at once.
    if (held.kind === 'directory') return;
    const [name = ascii('a removed file')] = paths;
    this.#report(`${decodeText(name)} is stale after the loss of the connection: ${reason}`);
  }

  async #open(client: SftpClient, path: ByteString, held: Held): Promise<SftpHandle> {
    if (held.kind === 'directory') return client.opendir(path);
    const handle = await openExisting(client, path, held.pflags);
    try {
      if (await held.keeper.isSame(await client.fstat(handle), client, handle)) return handle;
    } catch (error) {
      await client.close(handle);
      throw error;
    }
    await client.close(handle);
    throw new FsError('ESTALE', 'another file, or another content, has taken its place');
  }
}
