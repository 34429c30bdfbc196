/** The mounted directory on the server: its SFTP client, and where a path of the mount lies over there. */
import type { ByteString } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { isDirectory, S_IFDIR } from '../base/mode.js';
import { absolutePath, type Path, ROOT } from '../base/path.js';
import type { RecoveringClient } from '../recovery/client.js';
import type { Requests } from '../recovery/requests.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpClient } from '../sftp/client.js';
import { ConnectionLostError } from '../sftp/errors.js';
import { explain, type Operation } from '../sftp/explain.js';

export class Remote {
  readonly client: RecoveringClient;
  readonly #root: ByteString;
  /** What symbolic links lead to is shown in their place. */
  readonly followsLinks: boolean;

  /** `root` is absolute, as REALPATH answered it. */
  constructor(client: RecoveringClient, root: ByteString, followsLinks: boolean) {
    this.client = client;
    this.#root = root;
    this.followsLinks = followsLinks;
  }

  /** The absolute path on the server. */
  at(path: Path): ByteString {
    return absolutePath(this.#root, path);
  }

  /**
   * What programs see at a path of the server's: with `follow_symlinks` what a link leads to, and a link itself where
   * that is nothing. The request is sent before the call returns.
   */
  look(at: ByteString): Promise<SftpAttributes> {
    const own = this.client.lstat(at);
    if (!this.followsLinks) return own;
    own.catch(() => undefined);
    return this.client.stat(at).catch(() => own);
  }

  /** Rejects when `client` does not lead to the mounted directory. */
  async vouch(client: SftpClient): Promise<void> {
    const { permissions } = await client.stat(this.at(ROOT)).catch((cause: unknown) => {
      if (cause instanceof ConnectionLostError) throw cause;
      throw new Error('the mounted directory is not there', { cause });
    });
    if (!isDirectory(permissions ?? S_IFDIR)) throw new Error('the mounted directory is none any more');
  }

  /**
   * Turns whatever a request failed with into the errno that the program should see. What is posted asks by `requests`
   * of its own, which do not wait for it.
   */
  async failure(error: unknown, what: Operation, requests: Requests = this.client): Promise<FsError> {
    return explain(requests, error, what);
  }

  /** Awaits a request; its failure is thrown as the FsError that `what` calls for. */
  async ask<T>(request: Promise<T>, what: Operation, requests?: Requests): Promise<T> {
    try {
      return await request;
    } catch (error) {
      throw await this.failure(error, what, requests);
    }
  }
}

/** Two requests sent back to back cost one round trip; both are awaited, so that neither rejects unseen. */
export async function both<A, B>(
  first: Promise<A>,
  second: Promise<B>,
): Promise<[PromiseSettledResult<A>, PromiseSettledResult<B>]> {
  return Promise.allSettled([first, second]);
}

/** Did the server not answer, so that what was asked of it may have happened or not? */
export function isUnanswered({ code, cause }: FsError): boolean {
  return code === 'ETIMEDOUT' || code === 'EHOSTDOWN' || cause instanceof ConnectionLostError;
}

/** Does the handle that was asked by lead to its file no more, because its name turned out to be another one's? */
export function isStale(error: unknown): boolean {
  return error instanceof FsError && error.code === 'ESTALE';
}
