/** What a connection is to the rest of the program, and how the first one is made. */
import type { Duplex } from 'node:stream';
import { Access } from './access.js';
import { connectDirectly, connectPassively } from './direct.js';
import { ConnectError } from './errors.js';
import { connectByProgram } from './openssh/login.js';
import { type ConnectSettings, type Prompter, processSurroundings, type Surroundings } from './settings.js';
import { hasProgram, knowsWay, whyAnother, whyOpenSsh } from './transport.js';

export interface Connection {
  /**
   * A new channel to the SFTP server, whose reader must be done with a chunk when its listener returns: the
   * memory is used again. Rejects with a `ConnectError` ('subsystem', 'timeout' or 'lost').
   */
  openSftp(): Promise<Duplex>;
  /**
   * The standard input and output of a command of the server, which the login's own shell runs. A connection that is
   * one channel has to log in once more for it, without a person: that is done only if `mayConnect`, or if the ssh
   * program shares its connections. Rejects with a `ConnectError`; 'subsystem' is one that the server will not run, or
   * for which there is no way.
   */
  openCommand(command: string, mayConnect: boolean): Promise<Duplex>;
  /** Most channels that it can carry, where the server gives them. */
  readonly maxChannels: number;
  /** As the server names itself: `OpenSSH_9.2p1 Debian-2`. */
  readonly serverSoftware: string;
  /** The fingerprint of the key by which the server was known, as ssh-keygen shows it; null where ssh knows it alone. */
  readonly hostKey: string | null;
  /** The end of what the server's programs wrote to standard error, for an error message; often empty. */
  readonly complaints: string;
  /**
   * Logs in to the same machine once more, asking and telling nobody; rejects with a `ConnectError`, or with
   * why `signal` aborted. Null where that takes a person (answers to questions of the server, several factors),
   * and for a connection that was made so.
   */
  readonly again: ((signal: AbortSignal) => Promise<Connection>) | null;
  /**
   * A new first connection in the place of this one, to the host's address of that time, with a way to
   * `reconnect` of its own. The host key must be the one of this connection, or known_hosts must vouch for the new one by
   * then. What was accepted before is offered first, then what needs no person, and with a prompter a person is
   * asked for the rest. Rejects with a `ConnectError`, of a kind that `needsPerson` where that is what it takes,
   * or with why `signal` aborted. Null for a connection that was made by `again`.
   */
  readonly reconnect: ((signal: AbortSignal, prompter: Prompter | null) => Promise<Connection>) | null;
  /** Calls back once when the connection ends: with null after `close()`, else with the reason. */
  onClose(callback: (reason: Error | null) => void): void;
  /**
   * Calls back with true when the server has left a keepalive unanswered for `serverAliveInterval`, and with false
   * when it is heard again. The end of the connection is told by `onClose` alone.
   */
  onSilence(callback: (silent: boolean) => void): void;
  /** Asks for a sign of life: the connection is lost unless anything arrives within so many milliseconds. */
  probe(within: number): void;
  /** Says goodbye, and does not wait long for an answer. Never rejects. */
  close(): Promise<void>;
}

/**
 * Connects and logs in, with the transport that `settings` want.
 * @param step is told what is being done, for `-v`
 * @throws ConnectError, or what the prompter was rejected with.
 */
export async function connect(
  settings: ConnectSettings,
  prompter: Prompter,
  surroundings: Surroundings = processSurroundings(),
  step: (text: string) => void = () => {},
): Promise<Connection> {
  const { transport, directPort, passive } = settings;
  if (passive) return connectPassively();
  if (directPort !== null) return connectDirectly(settings, directPort);

  const byProgram = () => connectByProgram(settings, prompter, surroundings);
  const bySsh2 = async () => (await Access.first(settings, surroundings)).enter(prompter);
  if (transport === 'openssh') {
    if (knowsWay(settings)) return byProgram();
    const remedy = 'give the first of them a ProxyCommand in ssh_config, or use -o transport=ssh2';
    throw new ConnectError('protocol', `the ssh program cannot take a proxy to its hops: ${remedy}`);
  }
  // A program that was named is started, and fails if it is not there.
  const hasChoice = settings.sshCommand !== null || (await hasProgram(surroundings));
  const isChoice = transport === 'auto' && knowsWay(settings) && hasChoice;
  if (!isChoice) return bySsh2();
  const reason = await whyOpenSsh(settings, surroundings);
  if (reason !== null) {
    step(`using the ssh program, since ${reason}`);
    return byProgram();
  }
  return bySsh2().catch((error: unknown) => {
    const why = whyAnother(error);
    if (why === null) throw error;
    step(`using the ssh program, since ${why}`);
    return byProgram();
  });
}
