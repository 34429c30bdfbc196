/**
 * One SSH connection over ssh2, once the socket stands: it shakes hands and logs in, hands out SFTP channels
 * as byte streams, and tells once when it ends. Nothing that ssh2 emits can throw past it: every error has
 * a listener, and channels are cut off before the protocol below them goes.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2';
import { systemClock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import type { Login } from './authentication.js';
import { ChannelStream } from './channel.js';
import { cheapestCiphers, localCpuinfo } from './ciphers.js';
import type { Connection } from './connection.js';
import { abandon } from './dial.js';
import { ConnectError, describeServer, explain, type Phase } from './errors.js';
import type { HostKeys } from './host-keys.js';
import type { Incoming } from './incoming.js';
import { Liveness } from './liveness.js';
import { Outgoing } from './outgoing.js';
import type { ConnectSettings, Prompter } from './settings.js';
import { askForAnswer, checkClient, cipherOf, serverSoftwareOf } from './ssh2-internals.js';

const log = logger('ssh');

/** How long the server may take to answer a goodbye, in milliseconds. */
const GOODBYE = 1000;

/** How much of what the server's programs complain about is kept for an error message, in characters. */
const COMPLAINTS = 1000;

type State = Exclude<Phase, 'dialling'> | 'closing' | 'closed';

/** A `Connection` from its handshake on. */
export class Ssh2Connection implements Connection {
  /** Both set by whoever knows how the login went. */
  again: Connection['again'] = null;
  reconnect: Connection['reconnect'] = null;
  readonly #settings: ConnectSettings;
  readonly #socket: Socket;
  readonly #incoming: Incoming;
  readonly #client = new ssh2.Client();
  readonly #channels = new Set<ChannelStream>();
  readonly #closeCallbacks: ((reason: Error | null) => void)[] = [];
  readonly #silenceCallbacks: ((silent: boolean) => void)[] = [];
  /** From the login to the end. */
  #liveness: Liveness | null = null;
  #state: State = 'handshake';
  /** Why the connection ended, or is about to: a ConnectError, or what a prompt was rejected with. */
  #reason: unknown = null;
  #complaints = '';

  /** `socket` is connected and paused, and reads into `incoming`. */
  constructor(settings: ConnectSettings, socket: Socket, incoming: Incoming) {
    this.#settings = settings;
    this.#socket = socket;
    this.#incoming = incoming;
  }

  get serverSoftware(): string {
    return printable(serverSoftwareOf(this.#client));
  }

  get complaints(): string {
    return this.#complaints.trim();
  }

  /** The numeric address of the server, or the name where the socket does not know it any more. */
  get address(): string {
    return this.#socket.remoteAddress ?? this.#settings.host;
  }

  /** Shakes hands and logs in; resolves when channels can be opened. */
  start(hostKeys: HostKeys, login: Login, prompter: Prompter): Promise<void> {
    const client = this.#client;
    const outgoing = new Outgoing(this.#socket);
    return new Promise((resolve, reject) => {
      client.on('error', (error) => this.#onError(error));
      client.on('end', () => {
        this.#cutChannels();
        abandon(this.#socket);
      });
      client.on('close', () => {
        this.#onClosed();
        reject(this.#reason);
      });
      client.on('handshake', ({ sc }) => {
        // Each exchange of keys ends with one, and with a new cipher.
        this.#incoming.encrypted(client, sc.cipher);
        const cipher = cipherOf(client);
        if (cipher !== null) outgoing.recycle(cipher);
        if (this.#state === 'handshake') this.#setState('authentication');
      });
      client.on('banner', (message) => prompter.info(printable(message, true).trimEnd()));
      client.on('change password', () => {
        this.fail(
          new ConnectError('authentication', `${this.#server} wants a new password: log in with ssh once`),
        );
      });
      client.on('ready', () => {
        if (this.#state !== 'authentication') return;
        this.#setState('open');
        this.#liveness = this.#watch();
        resolve();
      });
      try {
        client.connect(this.#config(hostKeys, login, prompter));
        checkClient(client);
      } catch (error) {
        this.#socket.destroy();
        reject(error);
      }
    });
  }

  /**
   * Ends the connection at once; what was written and is still under way is not delivered any more. The first
   * reason given is the one that is told.
   */
  fail(reason: unknown): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#reason ??= reason;
    abandon(this.#socket);
  }

  async openSftp(): Promise<Duplex> {
    const release = this.#incoming.keep();
    const channel = await this.#openChannel().catch((error: unknown) => {
      release();
      throw error;
    });
    const stream = new ChannelStream(channel, () => this.#incoming.keep());
    release();
    this.#channels.add(stream);
    // Whoever reads the stream is told through their own listener; before there is one, nothing may throw.
    stream.on('error', (error) => log('channel: %s', error.message));
    stream.once('close', () => this.#channels.delete(stream));
    channel.stderr.on('data', (data: Buffer) => {
      const text = printable(data.toString('utf8'), true);
      log('server: %s', text.trimEnd());
      this.#complaints = (this.#complaints + text).slice(-COMPLAINTS);
    });
    channel.on('exit', (code: number | null, signal?: string) =>
      log('sftp server exits: %o', code ?? signal),
    );
    return stream;
  }

  onClose(callback: (reason: Error | null) => void): void {
    if (this.#state === 'closed') queueMicrotask(() => callback(this.#closeReason()));
    else this.#closeCallbacks.push(callback);
  }

  probe(within: number): void {
    // What arrived while the machine slept is read first, so that it does not pass for an answer.
    setImmediate(() => this.#liveness?.probe(within));
  }

  onSilence(callback: (silent: boolean) => void): void {
    this.#silenceCallbacks.push(callback);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.onClose(() => resolve());
      if (this.#state === 'closed' || this.#state === 'closing') return;
      this.#setState('closing');
      this.#liveness?.stop();
      setTimeout(() => abandon(this.#socket), GOODBYE).unref();
      try {
        this.#client.end();
      } catch (error) {
        log('goodbye failed: %s', error instanceof Error ? error.message : error);
        abandon(this.#socket);
      }
    });
  }

  get #server(): string {
    return describeServer(this.#settings.host, this.#settings.port);
  }

  #setState(state: State): void {
    log('connection to %s: %s -> %s', this.#server, this.#state, state);
    this.#state = state;
  }

  #config(hostKeys: HostKeys, login: Login, prompter: Prompter): ConnectConfig {
    const settings = this.#settings;
    return {
      sock: this.#socket,
      username: settings.user,
      // The deadline of connect() is the one that counts: it knows about prompts.
      readyTimeout: 0,
      // Liveness asks instead: everything that arrives counts, and silence is told.
      keepaliveInterval: 0,
      algorithms: {
        cipher: prefer(cheapestCiphers(localCpuinfo())),
        serverHostKey: prefer(hostKeys.preferredAlgorithms()),
        compress: settings.compression
          ? ['zlib@openssh.com', 'zlib', 'none']
          : ['none', 'zlib@openssh.com', 'zlib'],
      },
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => {
        // When keys are exchanged anew, the answer must not come late: ssh2 takes the exchange for done meanwhile,
        // and what it sends then corrupts the connection.
        if (hostKeys.isAccepted(key)) return true;
        hostKeys.verify(key, this.address, prompter).then(
          () => this.#unlessEnded(() => verify(true)),
          (error) => this.fail(error),
        );
        return undefined;
      },
      authHandler: login.handler((error) => this.fail(error)),
      ...(log.enabled ? { debug: (message: string) => log('%s', printable(message)) } : {}),
    };
  }

  #watch(): Liveness {
    const { serverAliveInterval, serverAliveCountMax } = this.#settings;
    const liveness = new Liveness({
      clock: systemClock,
      interval: serverAliveInterval * 1000,
      countMax: serverAliveCountMax,
      ask: () => this.#unlessEnded(() => askForAnswer(this.#client)),
      onSilence: (silent) => {
        for (const callback of this.#silenceCallbacks) callback(silent);
      },
      onLost: () => this.fail(new ConnectError('lost', `${this.#server} stopped answering`)),
    });
    this.#incoming.watch(() => liveness.heard());
    return liveness;
  }

  /** An answer may come after the connection ended; ssh2 then throws on any use. */
  #unlessEnded(action: () => void): void {
    if (this.#state === 'closed' || this.#socket.destroyed) return;
    try {
      action();
    } catch (error) {
      this.fail(this.#explain(error instanceof Error ? error : new Error(String(error))));
    }
  }

  #onError(error: Error & { readonly level?: string }): void {
    log('ssh2: %s (%s)', error.message, error.level ?? 'no level');
    // A key that could not sign: the next one is tried.
    if (error.level === 'agent' || error.level === 'client-authentication') return;
    this.fail(this.#explain(error));
  }

  /** An error of ssh2, as what it means by now. */
  #explain(error: Error): ConnectError {
    const phase: Phase = this.#state === 'closing' || this.#state === 'closed' ? 'open' : this.#state;
    return explain(error, phase, this.#settings.host, this.#settings.port);
  }

  #onClosed(): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'closing') this.#reason = null;
    else this.#reason ??= this.#explain(new Error('the server closed it'));
    this.#setState('closed');
    this.#liveness?.stop();
    this.#cutChannels();
    for (const callback of this.#closeCallbacks.splice(0)) callback(this.#closeReason());
  }

  #closeReason(): Error | null {
    return this.#reason instanceof Error ? this.#reason : null;
  }

  #cutChannels(): void {
    const lost = new ConnectError('lost', `the connection to ${this.#server} is closed`);
    for (const channel of this.#channels) channel.disconnect(lost);
  }

  #openChannel(): Promise<ClientChannel> {
    const { sftpServer, connectTimeout } = this.#settings;
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (action: () => void) => {
        if (settled) return false;
        settled = true;
        clearTimeout(timer);
        action();
        return true;
      };
      const fail = (kind: 'lost' | 'timeout' | 'subsystem', message: string) => {
        settle(() => reject(new ConnectError(kind, message)));
      };
      const timer = setTimeout(() => {
        fail('timeout', `${this.#server} did not open the SFTP channel within ${connectTimeout} s`);
      }, connectTimeout * 1000);
      if (this.#state !== 'open') {
        fail('lost', `the connection to ${this.#server} is closed`);
        return;
      }
      const opened = (error: Error | undefined, channel: ClientChannel) => {
        if (error === undefined) {
          // Too late: nobody waits for this channel any more.
          if (!settle(() => resolve(channel))) channel.close();
        } else if (this.#state !== 'open') {
          fail('lost', `the connection to ${this.#server} was lost`);
        } else {
          fail('subsystem', refusedChannel(this.#server, sftpServer, error));
        }
      };
      this.onClose(() => fail('lost', `the connection to ${this.#server} was lost`));
      try {
        if (isCommand(sftpServer)) this.#client.exec(sftpServer, opened);
        else this.#client.subsys(sftpServer, opened);
      } catch (error) {
        fail(
          'lost',
          `the connection to ${this.#server} is closing: ${error instanceof Error ? error.message : error}`,
        );
      }
    });
  }
}

/** Whether `sftp_server` names a command, by the rule of sshfs. */
export function isCommand(sftpServer: string): boolean {
  return /[/ ]/.test(sftpServer);
}

function refusedChannel(server: string, sftpServer: string, error: Error): string {
  const why = printable(error.message);
  if (isCommand(sftpServer)) return `${server} will not run '${sftpServer}': ${why}`;
  return (
    `${server} has no SFTP subsystem '${sftpServer}' for us (${why}): ` +
    'enable it there (Subsystem sftp in sshd_config), or name its program with -o sftp_server=/path/to/sftp-server'
  );
}

/** ssh2's default list with `best` moved to its front. */
function prefer<T>(best: T[]): { remove: T[]; prepend: T[]; append: T[] } {
  return { remove: best, prepend: best, append: [] };
}
