/**
 * What a mount is linked to its server by, and how that is made again: the first SSH connection with the SFTP
 * channel for names, and the channels for data beside it. When the channel alone was lost, its connection may
 * still give another; else everything is logged in anew, without a person unless there is one.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { watchWake } from '../base/wake.js';
import type { BulkClients } from '../fs/bulk.js';
import { longestWait } from '../recovery/backoff.js';
import { RecoveringClient } from '../recovery/client.js';
import { type LinkStatus, Session } from '../recovery/session.js';
import type { SftpClient } from '../sftp/client.js';
import { Traffic } from '../sftp/traffic.js';
import { type Connection, connect } from '../ssh/connection.js';
import { ConnectError, LoginError, needsPerson } from '../ssh/errors.js';
import { type Prompter, processSurroundings } from '../ssh/settings.js';
import { DataChannels } from './data-channels.js';
import { firstConnection } from './first-connection.js';
import type { Job } from './ipc.js';
import { openSftp } from './sftp.js';
import { patience } from './wiring.js';

const log = logger('link');

/** Milliseconds that the server has for a sign of life after this machine has slept. */
const WAKE_PROBE = 5000;
/**
 * Milliseconds until a login that was accepted before, and is not now, is tried again: what it is looked up in may come
 * up later than sshd. It makes fewer than five failures in ten minutes, for which fail2ban locks an address out.
 */
const REPEATED_LOGIN = 3 * 60_000;

export interface LinkSettings {
  readonly job: Job;
  readonly clock: Clock;
  /** A line for the log of the mount. */
  report(text: string): void;
  /** What is being done, for `-v`. */
  step(text: string): void;
  /** The connection is in another state. */
  changed(status: LinkStatus): void;
}

export class Link implements BulkClients {
  /** What the mount is looked at with before it serves. */
  readonly first: SftpClient;
  /** What the mount works with from then on: it recovers. */
  readonly client: RecoveringClient;
  /** Of all connections that the mount ever had. */
  readonly traffic: Traffic;
  readonly #settings: LinkSettings;
  readonly #session: Session;
  readonly #stopWatching: () => void;
  #connection: Connection;
  /** The first connection stands. */
  #isConnected = true;
  /** It does not answer, although it was asked for a sign of life. */
  #isSilent = false;
  #channels: DataChannels;
  /** Those of earlier connections, while something is under way on them. */
  readonly #retiring = new Set<DataChannels>();
  #isClosed = false;

  private constructor(
    connection: Connection,
    channels: DataChannels,
    first: SftpClient,
    traffic: Traffic,
    settings: LinkSettings,
  ) {
    const { clock, report, changed, job } = settings;
    const { reconnect, reconnectMax } = job.options;
    this.first = first;
    this.traffic = traffic;
    this.#settings = settings;
    this.#connection = connection;
    this.#channels = channels;
    this.#session = new Session(first, {
      open: (signal) => this.#reopen(signal, null),
      needsPerson: (error) => error instanceof ConnectError && needsPerson(error.kind),
      repeatAfter: (error) => (error instanceof LoginError && error.isRepeat ? REPEATED_LOGIN : null),
      reconnect,
      reconnectMax,
      longestWait: longestPause(job),
      clock,
      report,
      changed,
    });
    this.client = new RecoveringClient(this.#session, first, {
      clock,
      report,
      timeout: patience(job.options),
    });
    this.#stopWatching = watchWake(clock, () => this.#woke());
    this.#listen(connection);
  }

  /** Connects for the first time. Rejects as `connect` and `openSftp` do. */
  static connect(prompter: Prompter, settings: LinkSettings): Promise<Link> {
    const { job } = settings;
    const { connectRetry, reconnectMax } = job.options;
    const tell = (text: string) => prompter.info(text);
    const retrying = connectRetry ? { max: reconnectMax, longestWait: longestPause(job), tell } : null;
    return firstConnection(() => Link.#once(prompter, settings), retrying);
  }

  static async #once(prompter: Prompter, settings: LinkSettings): Promise<Link> {
    const { options, settings: server } = settings.job;
    const connection = await connect(server, prompter, processSurroundings(), settings.step);
    const traffic = new Traffic(settings.clock);
    const channels = startChannels(connection, settings, traffic);
    try {
      const first = await openSftp(connection, options, traffic);
      return new Link(connection, channels, first, traffic, settings);
    } catch (error) {
      await Promise.all([connection.close(), channels.close()]);
      throw error;
    }
  }

  status(): LinkStatus {
    return this.#session.status();
  }

  /** The server is silent or gone, on whichever connection. */
  get isStalled(): boolean {
    const isSilent = [this.#channels, ...this.#retiring].some((channels) => channels.isSilent);
    return isSilent || this.#session.state !== 'connected';
  }

  get server(): string {
    return this.#connection.serverSoftware;
  }

  get hostKey(): string | null {
    return this.#connection.hostKey;
  }

  /** SSH connections, and channels for data. */
  get counts(): { readonly connections: number; readonly channels: number } {
    const { connections, channels } = this.#channels.counts;
    return { connections: 1 + connections, channels };
  }

  get clients(): readonly SftpClient[] {
    return this.#channels.clients;
  }

  /** A command's input and output, beside the SFTP channel; see `Connection.openCommand`. */
  openCommand(command: string, mayConnect: boolean): Promise<Duplex> {
    return this.#connection.openCommand(command, mayConnect);
  }

  want(): void {
    this.#channels.want();
  }

  /** Looks now whether the server is there, and tries now to reach it if it is not. */
  hurry(): void {
    this.#connection.probe(WAKE_PROBE);
    this.#session.hurry();
  }

  /**
   * Connects again with a person's help, or at once without. Resolves when the mount is connected; rejects with
   * why it is not.
   */
  reconnect(prompter: Prompter | null): Promise<void> {
    return this.#session.connect((signal) => this.#reopen(signal, prompter));
  }

  /** Says goodbye on every connection. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopWatching();
    // Else the end of its connection would be a loss, and the session would connect again.
    this.client.end();
    const channels = [this.#channels, ...this.#retiring];
    await Promise.all([this.#connection.close(), ...channels.map((each) => each.close())]);
  }

  async #reopen(signal: AbortSignal, prompter: Prompter | null): Promise<SftpClient> {
    const before = this.#connection;
    // Nothing that was sent on a silent connection may arrive later.
    if (this.#isSilent) before.probe(0);
    else if (this.#isConnected) {
      try {
        return await openSftp(before, this.#settings.job.options, this.traffic);
      } catch (error) {
        log('no further channel: %s', error instanceof Error ? error.message : error);
      }
    }
    if (before.reconnect === null)
      throw new ConnectError('authentication', 'this connection cannot be made anew');
    const connection = await before.reconnect(signal, prompter);
    try {
      const client = await openSftp(connection, this.#settings.job.options, this.traffic);
      this.#replace(connection);
      return client;
    } catch (error) {
      void connection.close();
      throw error;
    }
  }

  #replace(connection: Connection): void {
    const [before, channels] = [this.#connection, this.#channels];
    this.#connection = connection;
    this.#isConnected = true;
    this.#isSilent = false;
    this.#channels = startChannels(connection, this.#settings, this.traffic);
    this.#listen(connection);
    void before.close();
    this.#retiring.add(channels);
    void channels.retire().then(() => this.#retiring.delete(channels));
    if (this.#isClosed) void this.close();
  }

  #listen(connection: Connection): void {
    connection.onSilence((isSilent) => {
      if (connection !== this.#connection) return;
      this.#isSilent = isSilent;
      this.#session.setSilent(isSilent);
    });
    connection.onClose(() => {
      if (connection === this.#connection) this.#isConnected = false;
    });
  }

  #woke(): void {
    log('this machine has slept');
    this.#connection.probe(WAKE_PROBE);
    // Having slept is no reason to try what was given up.
    if (!this.#session.isGivenUp) this.#session.hurry();
  }
}

/** Milliseconds between two tries at most. */
function longestPause({ options, autossh }: Job): number {
  const given = autossh.longestPause ?? Number.POSITIVE_INFINITY;
  return Math.min(longestWait(patience(options)), given * 1000);
}

/** Not a moment after the connection: what is copied first would have to do without. */
function startChannels(
  connection: Connection,
  { job, clock, report }: LinkSettings,
  traffic: Traffic,
): DataChannels {
  const channels = new DataChannels(connection, {
    maxConns: job.options.maxConns,
    clock,
    open: (carrier) => openSftp(carrier, job.options, traffic),
    report,
  });
  channels.start();
  return channels;
}
