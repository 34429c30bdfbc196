/**
 * The SFTP client alone, over a connection of its own: nothing is mounted, nothing is cached, and what is lost is not
 * made again.
 */
import type { ByteString } from '../base/bytes.js';
import { encodeText } from '../base/bytes.js';
import { withDeadline } from '../cli/deadline.js';
import { CommandError } from '../cli/exit.js';
import { findRoot, requestedPath } from '../cli/remote-root.js';
import { processPlace, resolveTarget } from '../cli/resolve.js';
import { openSftp } from '../cli/sftp.js';
import type { SftpClient } from '../sftp/client.js';
import { type Connection, connect as connectTo } from '../ssh/connection.js';
import { guarded } from './errors.js';
import { LOGIN_KINDS, type LoginSettings } from './mount.js';
import { readOptions } from './options.js';
import { prompterOf } from './person.js';
import { mustBeSettings, mustSay } from './values.js';

/**
 * Connects to `source`, `[user@]host:[directory]`, and logs in.
 * @throws RemoraError
 */
export function connect(source: string, settings: LoginSettings = {}): Promise<SftpSession> {
  return guarded(async () => {
    mustSay('the source', source);
    mustBeSettings(LOGIN_KINDS, settings);
    const { options = {}, o = [], password = null, ...person } = settings;
    const resolved = await resolveTarget(source, readOptions(options, o), processPlace(process.env));
    const { target, options: all } = resolved;
    const prompter = prompterOf(all.batchMode ? { ...person, ask: undefined } : person);
    const connection = await connectTo({ ...resolved.settings, password }, prompter);
    try {
      const client = await openSftp(connection, all);
      const subdir = all.subdir === null ? null : encodeText(all.subdir);
      const looked = findRoot(client, source, requestedPath(target.directory, subdir), false);
      const directory = await withDeadline(looked, all.connectTimeout * 1000, () => {
        return new CommandError('timeout', `${source}: the server stopped answering`);
      });
      return new SftpSession(client, connection, directory);
    } catch (error) {
      await connection.close();
      throw error;
    }
  });
}

export class SftpSession {
  /** One method a request; its calls fail with SftpStatusError and ConnectionLostError. */
  readonly client: SftpClient;
  /** The directory that the source names, absolute; whether it is one was not looked at. */
  readonly directory: ByteString;
  /** As the server names itself: `OpenSSH_9.2p1 Debian-2`. */
  readonly server: string;
  readonly #connection: Connection;

  /** @internal */
  constructor(client: SftpClient, connection: Connection, directory: ByteString) {
    this.client = client;
    this.directory = directory;
    this.server = connection.serverSoftware;
    this.#connection = connection;
  }

  /** Ends the connection. Never rejects. */
  async close(): Promise<void> {
    this.client.end();
    await this.#connection.close();
  }

  /** `await using` closes at the end of its block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
