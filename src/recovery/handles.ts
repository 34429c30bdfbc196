/**
 * Handles that outlive their session. Whoever opens a file gets a handle of ours, which stands for the server's
 * of the moment; when a session is lost, everything that is open is opened again on the next one, by the name
 * that it has by then, never with CREAT, TRUNC or EXCL, and used only if it is the same file. What cannot be
 * opened again is stale for good.
 *
 * A handle may also be given before the server is asked: it is opened, in just that way, when the first request
 * needs it; or it is promised while its file is being made. Requests that come meanwhile go out in the order of the
 * calls.
 */
import { ascii, type ByteString, decodeText } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import { isRegular } from '../base/mode.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';
import {
  SSH_FX_FAILURE,
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
  /** The server's handle, of this session or, until it is opened again, of the last one; null: not opened yet. */
  real: SftpHandle | null;
  readonly kind: 'file' | 'directory';
  readonly pflags: number;
  keeper: Keeper;
  /** Why it could not be opened again; null while it is not stale. */
  stale: string | null;
  /** Requests for which it is being opened. */
  waiting: Waiting[] | null;
  /** It is being made by somebody who will fulfil the promise. */
  isPromised: boolean;
  /** Why that did not work. */
  refusal: FsError | null;
}

interface Waiting {
  go(real: SftpHandle): void;
  fail(error: unknown): void;
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

  /** How many are open on the server. */
  get size(): number {
    let size = 0;
    for (const { real } of this.#held.values()) if (real !== null) size += 1;
    return size;
  }

  /** `real` is null for one that is to be opened when it is needed. */
  add(real: SftpHandle | null, kind: Held['kind'], path: ByteString, pflags: number): SftpHandle {
    const handle = `handle ${this.#next}` as SftpHandle;
    this.#next += 1;
    const keeper: Keeper = { paths: () => [path], changing: () => undefined, isSame: () => true };
    const none = { stale: null, waiting: null, isPromised: false, refusal: null };
    this.#held.set(handle, { real, kind, pflags, keeper, ...none });
    return handle;
  }

  /** One for a file that is being made: requests wait until the promise is fulfilled, and fail if it is refused. */
  promise(path: ByteString, pflags: number): SftpHandle {
    const handle = this.add(null, 'file', path, pflags);
    const held = this.#held.get(handle);
    if (held !== undefined) Object.assign(held, { isPromised: true, waiting: [] });
    return handle;
  }

  /**
   * The promised handle stands for what `made` stood for, which is no handle any more. False when it was closed
   * meanwhile: then `made` is to be closed as well.
   */
  fulfil(handle: SftpHandle, made: SftpHandle): boolean {
    const held = this.#held.get(handle);
    const { real = null, stale = null } = this.#held.get(made) ?? {};
    if (held === undefined || !held.isPromised) return false;
    this.#held.delete(made);
    const waiting = held.waiting ?? [];
    Object.assign(held, { real, stale, isPromised: false, waiting: null });
    for (const { go, fail } of waiting) {
      if (real === null || stale !== null) fail(new FsError('ESTALE', stale ?? 'not opened'));
      else go(real);
    }
    return true;
  }

  /** There is no such file: so hear all who want it. */
  refuse(handle: SftpHandle, refusal: FsError): void {
    const held = this.#held.get(handle);
    if (held === undefined) return;
    const waiting = held.waiting ?? [];
    Object.assign(held, { refusal, isPromised: false, waiting: null });
    for (const { fail } of waiting) fail(refusal);
  }

  /** The session was lost: those who wait for a promised handle wait for the next one. */
  interrupted(loss: ConnectionLostError): void {
    for (const held of this.#held.values()) {
      if (!held.isPromised) continue;
      const waiting = held.waiting ?? [];
      held.waiting = [];
      for (const { fail } of waiting) fail(loss);
    }
  }

  /** From now on `keeper` says where the file is and whether it is the same. */
  keep(handle: SftpHandle, keeper: Keeper): void {
    const held = this.#held.get(handle);
    if (held !== undefined) held.keeper = keeper;
  }

  /**
   * Sends a request by the server's handle of this session, which `client` carries: at once, or as soon as it is open.
   * Fails with ESTALE when it cannot be, any more.
   */
  with<T>(client: SftpClient, handle: SftpHandle, send: (real: SftpHandle) => Promise<T>): Promise<T> {
    const held = this.#held.get(handle);
    if (held === undefined) return Promise.reject(new FsError('EBADF', 'a handle that was closed'));
    if (held.refusal !== null) return Promise.reject(held.refusal);
    if (held.stale !== null) return Promise.reject(new FsError('ESTALE', held.stale));
    if (held.real !== null && held.waiting === null) return send(held.real);
    return new Promise((resolve, reject) => {
      const go = async (real: SftpHandle) => send(real);
      const waiting: Waiting = { go: (real) => void go(real).then(resolve, reject), fail: reject };
      if (held.waiting !== null) held.waiting.push(waiting);
      else {
        held.waiting = [waiting];
        void this.#openLate(client, handle, held);
      }
    });
  }

  /** The same, for a request that may change the file. */
  changing<T>(client: SftpClient, handle: SftpHandle, send: (real: SftpHandle) => Promise<T>): Promise<T> {
    this.#held.get(handle)?.keeper.changing();
    return this.with(client, handle, send);
  }

  /** Forgets the handle; answers the server's, if there is one. */
  remove(handle: SftpHandle): SftpHandle | null {
    const held = this.#held.get(handle);
    this.#held.delete(handle);
    return held === undefined || held.stale !== null ? null : held.real;
  }

  /** Opens everything again. Rejects only when the session is lost meanwhile. */
  async reopen(client: SftpClient): Promise<void> {
    const all = [...this.#held].filter(([, { real, stale }]) => real !== null && stale === null);
    for (let at = 0; at < all.length; at += BATCH) {
      await Promise.all(
        all.slice(at, at + BATCH).map(([handle, held]) => this.#reopen(client, handle, held)),
      );
    }
  }

  async #reopen(client: SftpClient, handle: SftpHandle, held: Held): Promise<void> {
    await this.#open(client, held);
    if (held.stale === null) this.#closeUnwanted(client, handle, held);
    // Whoever lists a directory hears of it at once.
    else if (held.kind === 'file')
      this.#report(`${nameOf(held)} is stale after the loss of the connection: ${held.stale}`);
  }

  /** Opens for the first time, for those who wait for it. If that fails for now, they hear of it. */
  async #openLate(client: SftpClient, handle: SftpHandle, held: Held): Promise<void> {
    const lost = await this.#open(client, held).then(
      () => null,
      (error: unknown) => error,
    );
    const waiting = held.waiting ?? [];
    held.waiting = null;
    if (held.real !== null && lost === null) {
      for (const { go } of waiting) go(held.real);
      this.#closeUnwanted(client, handle, held);
      return;
    }
    if (held.stale !== null) this.#report(`${nameOf(held)} is stale: ${held.stale}`);
    for (const { fail } of waiting) fail(lost ?? new FsError('ESTALE', held.stale ?? 'not opened'));
  }

  /** It may have been closed while it was being opened. */
  #closeUnwanted(client: SftpClient, handle: SftpHandle, { real }: Held): void {
    if (real === null || this.#held.has(handle)) return;
    client.close(real).catch((error: unknown) => log('close: %s', error));
  }

  /**
   * Rejects only when the session is lost, or when the first try failed without a reason; else the handle has its file
   * or is stale.
   */
  async #open(client: SftpClient, held: Held): Promise<void> {
    let reason = 'it was removed while it was open';
    for (const path of held.keeper.paths()) {
      try {
        held.real = await this.#openAt(client, path, held);
        return;
      } catch (error) {
        if (error instanceof ConnectionLostError) throw error;
        // For want of handles, or whatever: another try may do.
        const isFailure = error instanceof SftpStatusError && error.code === SSH_FX_FAILURE;
        if (isFailure && held.real === null) throw error;
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    held.stale = reason;
  }

  async #openAt(client: SftpClient, path: ByteString, held: Held): Promise<SftpHandle> {
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

function nameOf({ keeper }: Held): string {
  const [name = ascii('a removed file')] = keeper.paths();
  return decodeText(name);
}
