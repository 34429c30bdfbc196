/**
 * From a name to a logged-in SSH connection, under one deadline that stands still at prompts: dial, shake
 * hands, check the host key, log in.
 */
import type { Duplex } from 'node:stream';
import { Authentication } from './authentication.js';
import { Deadline, pausing } from './deadline.js';
import { dial } from './dial.js';
import { ConnectError, describeServer, explain } from './errors.js';
import { HostKeys } from './host-keys.js';
import { type ConnectSettings, type Prompter, processSurroundings, type Surroundings } from './settings.js';
import { Ssh2Connection } from './ssh2-connection.js';

export interface Connection {
  /** A new channel to the SFTP server. Rejects with a `ConnectError` ('subsystem', 'timeout' or 'lost'). */
  openSftp(): Promise<Duplex>;
  /** As the server names itself: `OpenSSH_9.2p1 Debian-2`. */
  readonly serverSoftware: string;
  /** The end of what the server's programs wrote to standard error, for an error message; often empty. */
  readonly complaints: string;
  /** Calls back once when the connection ends: with null after `close()`, else with the reason. */
  onClose(callback: (reason: Error | null) => void): void;
  /** Says goodbye, and does not wait long for an answer. Never rejects. */
  close(): Promise<void>;
}

/**
 * Connects and logs in.
 * @throws ConnectError, or what the prompter was rejected with.
 */
export async function connect(
  settings: ConnectSettings,
  prompter: Prompter,
  surroundings: Surroundings = processSurroundings(),
): Promise<Connection> {
  const { host, port, connectTimeout, batchMode } = settings;
  const deadline = new Deadline(connectTimeout * 1000);
  const asking = pausing(prompter, deadline, batchMode);
  const hostKeys = await HostKeys.load(settings, surroundings);
  const aborter = new AbortController();
  deadline.start(() => {
    const server = describeServer(host, port);
    aborter.abort(new ConnectError('timeout', `${server} did not let us in within ${connectTimeout} s`));
  });
  try {
    const socket = await dial(host, port, aborter.signal).catch((error) => {
      throw explain(error, 'dialling', host, port);
    });
    const connection = new Ssh2Connection(settings, socket);
    const authentication = new Authentication(settings, asking, surroundings, (error) =>
      connection.fail(error),
    );
    aborter.signal.addEventListener('abort', () => connection.fail(aborter.signal.reason), { once: true });
    await connection.start(hostKeys, authentication, asking);
    authentication.warn();
    return connection;
  } finally {
    deadline.finish();
  }
}
