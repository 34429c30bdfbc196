/** The mounted directory on the server: its SFTP client, and where a path of the mount lies over there. */
import { ascii, type ByteString } from '../base/bytes.js';
import type { FsError } from '../base/errno.js';
import type { Path } from '../base/path.js';
import type { SftpClient } from '../sftp/client.js';
import { explain, type Operation } from '../sftp/explain.js';

export class Remote {
  readonly client: SftpClient;
  readonly #root: ByteString;

  /** `root` is absolute, as REALPATH answered it. */
  constructor(client: SftpClient, root: ByteString) {
    this.client = client;
    this.#root = root === '/' ? ascii('') : root;
  }

  /** The absolute path on the server. */
  at(path: Path): ByteString {
    if (path === '') return this.#root === '' ? ascii('/') : this.#root;
    return `${this.#root}/${path}` as ByteString;
  }

  /** Turns whatever a request failed with into the errno that the program should see. */
  async failure(error: unknown, what: Operation): Promise<FsError> {
    return explain(this.client, error, what);
  }

  /** Awaits a request; its failure is thrown as the FsError that `what` calls for. */
  async ask<T>(request: Promise<T>, what: Operation): Promise<T> {
    try {
      return await request;
    } catch (error) {
      throw await this.failure(error, what);
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
