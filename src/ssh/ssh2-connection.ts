/**
 * One SSH connection over ssh2, once the socket stands: it shakes hands and logs in, hands out SFTP channels
 * as byte streams, and tells once when it ends. Nothing that ssh2 emits can throw past it: every error has
 * a listener, and channels are cut off before the protocol below them goes.
 */
import type { Duplex } from 'node:stream';
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2';
import { systemClock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { offeredAlgorithms } from './algorithms.js';
import type { Login } from './authentication.js';
import type { Carrier } from './carrier.js';
import { ChannelStream } from './channel.js';
import type { Connection } from './connection.js';
import { ConnectError, describeServer, explain, type Phase } from './errors.js';
import type { HostKeys } from './host-keys.js';
import { fingerprint } from './known-hosts.js';
import { Liveness } from './liveness.js';
import { isCommand } from './openssh/command.js';
import { Outgoing } from './outgoing.js';
import type { ConnectSettings, Prompter } from './settings.js';
import { askForAnswer, checkClient, cipherOf, serverSoftwareOf } from './ssh2-internals.js';

const log = logger('ssh');

/** How long the server may take to answer a goodbye, in milliseconds. */
const GOODBYE = 1000;

/** How much of what the server's programs complain about is kept for an error message, in characters. */
const COMPLAINTS = 1000;

type State = Exclude<Phase, 'dialling'> | 'closing' | 'closed';

/** A channel that is wanted. */
interface ChannelRequest {
  readonly what: string;
  ask(opened: (error: Error | undefined, channel: ClientChannel) => void): void;
  refused(error: Error): ConnectError;
}

/** A `Connection` from its handshake on. */
export class Ssh2Connection implements Connection {
  readonly maxChannels = Number.POSITIVE_INFINITY;
  /** Both set by whoever knows how the login went. */
  again: ((signal: AbortSignal) => Promise<Ssh2Connection>) | null = null;
  reconnect: ((signal: AbortSignal | null, prompter: Prompter | null) => Promise<Ssh2Connection>) | null =
    null;
  readonly #settings: ConnectSettings;
  readonly #carrier: Carrier;
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
  #hostKey: string | null = null;

  constructor(settings: ConnectSettings, carrier: Carrier) {
    this.#settings = settings;
    this.#carrier = carrier;
  }

  get serverSoftware(): string {
    return printable(serverSoftwareOf(this.#client));
  }

  get hostKey(): string | null {
    return this.#hostKey;
  }

  get complaints(): string {
    return this.#complaints.trim();
  }

  /** The numeric address of the server, or its name where only somebody on the way knows that. */
  get address(): string {
    return this.#carrier.address ?? this.#settings.host;
  }

  /** Shakes hands and logs in; resolves when channels can be opened. */
  start(hostKeys: HostKeys, login: Login, prompter: Prompter): Promise<void> {
    const client = this.#client;
    const outgoing = new Outgoing(this.#carrier.stream);
    return new Promise((resolve, reject) => {
      client.on('error', (error) => this.#onError(error));
      client.on('end', () => {
        this.#cutChannels();
        this.#carrier.abandon();
      });
      client.on('close', () => {
        this.#onClosed();
        reject(this.#reason);
      });
      client.on('handshake', ({ sc }) => {
        // Each exchange of keys ends with one, and with a new cipher.
        this.#carrier.incoming.encrypted(client, sc.cipher);
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
        this.#carrier.abandon();
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
    this.#carrier.abandon();
  }

  async openSftp(): Promise<Duplex> {
    const { sftpServer } = this.#settings;
    const { channel, stream } = await this.#openChannel({
      what: 'the SFTP channel',
      ask: (opened) => {
        if (isCommand(sftpServer)) this.#client.exec(sftpServer, opened);
        else this.#client.subsys(sftpServer, opened);
      },
      refused: (error) => new ConnectError('subsystem', refusedChannel(this.#server, sftpServer, error)),
    });
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

  async openCommand(command: string): Promise<Duplex> {
    const { channel, stream } = await this.#openChannel({
      what: 'a channel for a command',
      ask: (opened) => this.#client.exec(command, opened),
      refused: (error) => {
        const why = printable(error.message);
        return new ConnectError('subsystem', `${this.#server} runs no commands for this login: ${why}`);
      },
    });
    channel.stderr.on('data', (data: Buffer) => log('command: %s', printable(data.toString('utf8'), true)));
    return stream;
  }

  /**
   * A TCP connection from the server to another host, as a channel whose reader must be done with a chunk when its
   * listener returns. Rejects with a `ConnectError`.
   */
  async openTunnel(host: string, port: number): Promise<Duplex> {
    const target = describeServer(host, port);
    const { stream } = await this.#openChannel({
      what: `a connection to ${target}`,
      ask: (opened) => this.#client.forwardOut('127.0.0.1', 0, host, port, opened),
      refused: (error) => refusedTunnel(this.#server, target, error),
    });
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
      setTimeout(() => this.#carrier.abandon(), GOODBYE).unref();
      try {
        this.#client.end();
      } catch (error) {
        log('goodbye failed: %s', error instanceof Error ? error.message : error);
        this.#carrier.abandon();
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
      sock: this.#carrier.stream,
      username: settings.user,
      // The deadline of connect() is the one that counts: it knows about prompts.
      readyTimeout: 0,
      // Liveness asks instead: everything that arrives counts, and silence is told.
      keepaliveInterval: 0,
      algorithms: offeredAlgorithms(settings, hostKeys.preferredAlgorithms()),
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => {
        // When keys are exchanged anew, the answer must not come late: ssh2 takes the exchange for done meanwhile,
        // and what it sends then corrupts the connection.
        this.#hostKey = fingerprint(key);
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
    this.#carrier.incoming.watch(() => liveness.heard());
    return liveness;
  }

  /** An answer may come after the connection ended; ssh2 then throws on any use. */
  #unlessEnded(action: () => void): void {
    if (this.#state === 'closed' || this.#carrier.stream.destroyed) return;
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

  async #openChannel(request: ChannelRequest): Promise<{ channel: ClientChannel; stream: ChannelStream }> {
    const release = this.#carrier.incoming.keep();
    try {
      const channel = await this.#requestChannel(request);
      const stream = new ChannelStream(channel, () => this.#carrier.incoming.keep());
      this.#channels.add(stream);
      // Whoever reads the stream is told through their own listener; before there is one, nothing may throw.
      stream.on('error', (error) => log('channel: %s', error.message));
      stream.once('close', () => this.#channels.delete(stream));
      return { channel, stream };
    } finally {
      release();
    }
  }

  #requestChannel({ what, ask, refused }: ChannelRequest): Promise<ClientChannel> {
    const { connectTimeout } = this.#settings;
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (action: () => void) => {
        if (settled) return false;
        settled = true;
        clearTimeout(timer);
        action();
        return true;
      };
      const fail = (error: ConnectError) => settle(() => reject(error));
      const lost = (how: string) =>
        fail(new ConnectError('lost', `the connection to ${this.#server} ${how}`));
      const timer = setTimeout(() => {
        fail(new ConnectError('timeout', `${this.#server} did not open ${what} within ${connectTimeout} s`));
      }, connectTimeout * 1000);
      if (this.#state !== 'open') {
        lost('is closed');
        return;
      }
      this.onClose(() => lost('was lost'));
      try {
        ask((error, channel) => {
          if (error === undefined) {
            // Too late: nobody waits for this channel any more.
            if (!settle(() => resolve(channel))) channel.close();
          } else if (this.#state !== 'open') lost('was lost');
          else fail(refused(error));
        });
      } catch (error) {
        lost(`is closing: ${error instanceof Error ? error.message : error}`);
      }
    });
  }
}

function refusedChannel(server: string, sftpServer: string, error: Error): string {
  const why = printable(error.message);
  if (isCommand(sftpServer)) return `${server} will not run '${sftpServer}': ${why}`;
  return (
    `${server} has no SFTP subsystem '${sftpServer}' for us (${why}): ` +
    'enable it there (Subsystem sftp in sshd_config), or name its program with -o sftp_server=/path/to/sftp-server'
  );
}

/** The number of SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254 §5.1). */
const PROHIBITED = 1;

function refusedTunnel(
  server: string,
  target: string,
  error: Error & { readonly reason?: unknown },
): ConnectError {
  if (error.reason === PROHIBITED) {
    const where = 'see AllowTcpForwarding and PermitOpen in its sshd_config';
    return new ConnectError('refused', `${server} does not let us go on to ${target}: ${where}`);
  }
  const why = printable(error.message.replace(/^.*Channel open failure: /, ''));
  const kind = /refused/i.test(why) ? 'refused' : 'unreachable';
  return new ConnectError(kind, `${server} cannot reach ${target}: ${why || 'it does not say why'}`);
}
