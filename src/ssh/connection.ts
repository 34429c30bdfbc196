/**
 * From a name to a logged-in SSH connection, under one deadline that stands still at prompts: dial, shake
 * hands, check the host key, log in. And from one such connection to another like it, without a person: the
 * same address, the very same host key, and once what was proven before.
 */
import type { Duplex } from 'node:stream';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { Authentication, type Login } from './authentication.js';
import { Deadline, pausing } from './deadline.js';
import { dial } from './dial.js';
import { ConnectError, describeServer, explain } from './errors.js';
import { HostKeys } from './host-keys.js';
import { Replay } from './replay.js';
import { type ConnectSettings, type Prompter, processSurroundings, type Surroundings } from './settings.js';
import { Ssh2Connection } from './ssh2-connection.js';

const log = logger('ssh');

export interface Connection {
  /**
   * A new channel to the SFTP server, whose reader must be done with a chunk when its listener returns: the
   * memory is used again. Rejects with a `ConnectError` ('subsystem', 'timeout' or 'lost').
   */
  openSftp(): Promise<Duplex>;
  /** As the server names itself: `OpenSSH_9.2p1 Debian-2`. */
  readonly serverSoftware: string;
  /** The end of what the server's programs wrote to standard error, for an error message; often empty. */
  readonly complaints: string;
  /**
   * Logs in to the same machine once more, asking and telling nobody; rejects with a `ConnectError`, or with
   * why `signal` aborted. Null where that takes a person (answers to questions of the server, several factors),
   * and for a connection that was made so.
   */
  readonly again: ((signal: AbortSignal) => Promise<Connection>) | null;
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
  const deadline = new Deadline(settings.connectTimeout * 1000);
  const asking = pausing(prompter, deadline, settings.batchMode);
  const hostKeys = await HostKeys.load(settings, surroundings);
  const authentication = new Authentication(settings, asking, surroundings);
  const way = { address: settings.host, deadline, prompter: asking, hostKeys, login: authentication };
  const connection = await establish(settings, way);
  authentication.warn();
  const { proof } = authentication;
  if (proof !== null) {
    const known = { address: connection.address, prompter: mute, hostKeys, login: new Replay(proof) };
    connection.again = (signal) => {
      return establish(
        settings,
        { ...known, deadline: new Deadline(settings.connectTimeout * 1000) },
        signal,
      );
    };
  }
  return connection;
}

/** Everything that differs between the first login and those after it. */
interface Way {
  /** Name or address to dial. */
  readonly address: string;
  readonly deadline: Deadline;
  readonly prompter: Prompter;
  readonly hostKeys: HostKeys;
  readonly login: Login;
}

async function establish(
  settings: ConnectSettings,
  { address, deadline, prompter, hostKeys, login }: Way,
  signal?: AbortSignal,
): Promise<Ssh2Connection> {
  const { host, port, connectTimeout } = settings;
  const expired = new AbortController();
  const aborted = AbortSignal.any(signal === undefined ? [expired.signal] : [expired.signal, signal]);
  deadline.start(() => {
    const server = describeServer(host, port);
    expired.abort(new ConnectError('timeout', `${server} did not let us in within ${connectTimeout} s`));
  });
  try {
    const { socket, incoming } = await dial(address, port, aborted).catch((error) => {
      throw explain(error, 'dialling', host, port);
    });
    const connection = new Ssh2Connection(settings, socket, incoming);
    const cut = () => connection.fail(aborted.reason);
    aborted.addEventListener('abort', cut, { once: true });
    await connection.start(hostKeys, login, prompter);
    aborted.removeEventListener('abort', cut);
    return connection;
  } finally {
    deadline.finish();
  }
}

/** What the server says at another login was heard at the first. */
const mute: Prompter = {
  interactive: false,
  secret: () => Promise.reject(new Error('nobody to ask')),
  confirm: () => Promise.reject(new Error('nobody to ask')),
  info: (message) => log('%s', printable(message)),
};
