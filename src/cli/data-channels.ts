/**
 * SFTP channels for file data, each with a server process of its own, on the connections that the pool has for
 * it: the lanes that an open file may take. They are opened when a mount begins or there is data to move, and closed
 * when there was none for minutes; a server that gives fewer gets by with fewer, in silence. A connection that refused
 * or ended a channel is not asked for another one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import type { BulkClients } from '../fs/bulk.js';
import type { SftpClient } from '../sftp/client.js';
import type { Connection } from '../ssh/connection.js';
import { ConnectionPool } from '../ssh/pool.js';

const log = logger('lanes');

/** Channels in all, where there are not more connections: each adds a window of 2 MiB at the server's end. */
export const CHANNELS = 6;
/** Milliseconds without data after which channels and connections are closed, and how often that is looked at. */
const IDLE = 10 * 60_000;
const SWEEP = 60_000;
/** How often, in milliseconds, it is looked at what is still under way when others have taken over. */
const RETIRING = 50;
/** `want` looks no closer within this many milliseconds of the last time. */
const RENEW = 1000;

/** Nothing to move; something to move, or not long ago; the mount ends. */
type State = 'resting' | 'working' | 'closed';

/** A channel on its way, or open. */
interface Channel {
  readonly connection: Connection;
  client: SftpClient | null;
}

export interface DataChannelsSettings {
  /** Most connections of the mount; at least 1. */
  readonly maxConns: number;
  readonly clock: Clock;
  /** Opens an SFTP channel; bounded in time. */
  open(connection: Connection): Promise<SftpClient>;
  /** A line for the log of the mount. */
  report(text: string): void;
}

export class DataChannels implements BulkClients {
  readonly #settings: DataChannelsSettings;
  readonly #pool: ConnectionPool;
  readonly #channels = new Set<Channel>();
  readonly #exhausted = new WeakSet<Connection>();
  #state: State = 'resting';
  #clients: readonly SftpClient[] = [];
  #wantedAt: number;
  #timer: NodeJS.Timeout | null = null;

  /** Does nothing before `start` or `want`. */
  constructor(first: Connection, settings: DataChannelsSettings) {
    const { maxConns, clock, report } = settings;
    this.#settings = settings;
    this.#wantedAt = clock.monotonic();
    this.#pool = new ConnectionPool(first, {
      maxConns,
      channels: CHANNELS,
      clock,
      report,
      changed: () => this.#spread(),
    });
  }

  get clients(): readonly SftpClient[] {
    return this.#clients;
  }

  /** Connections for data, and open channels. */
  get counts(): { readonly connections: number; readonly channels: number } {
    return { connections: this.#pool.size, channels: this.#clients.length };
  }

  /** What is under way on some channel may never be answered. */
  get isSilent(): boolean {
    return this.#pool.isSilent;
  }

  /**
   * Logs in and opens channels ahead, since both take longer than most files; and begins to look for what is idle.
   * A mount that is not used gives them back like any other.
   */
  start(): void {
    if (this.#state === 'closed') return;
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP).unref();
    // The first demand must not count as one that was just made.
    this.#wantedAt = this.#settings.clock.monotonic() - RENEW;
    if (this.#state === 'resting') this.#setState('working');
    this.#pool.warm();
    this.#spread();
  }

  want(): void {
    const now = this.#settings.clock.monotonic();
    if (this.#state === 'closed' || (this.#state === 'working' && now - this.#wantedAt < RENEW)) return;
    this.#wantedAt = now;
    if (this.#state === 'resting') this.#setState('working');
    this.#pool.want();
    this.#spread();
  }

  /**
   * Another first connection has others of its own: nothing new begins here, and what is under way ends in peace,
   * since a server may carry out what a cut channel had been sent after its repetition elsewhere. Never rejects.
   */
  async retire(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    if (this.#timer !== null) clearInterval(this.#timer);
    while (this.#channels.size > 0) {
      for (const channel of this.#channels) if ((channel.client?.inFlight ?? 0) === 0) this.#end(channel);
      await delay(RETIRING);
    }
    await this.#pool.close();
  }

  /** Ends every channel and every connection but the first. Never rejects. */
  async close(): Promise<void> {
    this.#setState('closed');
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const channel of this.#channels) this.#end(channel);
    await this.#pool.close();
  }

  #setState(state: State): void {
    log('%s -> %s', this.#state, state);
    this.#state = state;
  }

  /** Opens what the carriers should have and have not. */
  #spread(): void {
    if (this.#state !== 'working') return;
    for (const { connection, share } of this.#pool.carriers) {
      for (let n = this.#on(connection); n < share && !this.#exhausted.has(connection); n++) {
        void this.#open(connection);
      }
    }
  }

  /** Channels on `connection`, those on their way included. */
  #on(connection: Connection): number {
    let count = 0;
    for (const channel of this.#channels) if (channel.connection === connection) count++;
    return count;
  }

  async #open(connection: Connection): Promise<void> {
    const channel: Channel = { connection, client: null };
    this.#channels.add(channel);
    try {
      const client = await this.#settings.open(connection);
      if (!this.#channels.has(channel)) {
        client.end();
        return;
      }
      channel.client = client;
      this.#refresh();
      client.onClose((error) => this.#lost(channel, error));
    } catch (error) {
      this.#lost(channel, error);
    }
  }

  /** Refused or ended by the server. */
  #lost(channel: Channel, error: unknown): void {
    if (!this.#channels.delete(channel)) return;
    this.#refresh();
    this.#exhausted.add(channel.connection);
    const left = this.#on(channel.connection);
    log(
      'a channel is lost, %d left on its connection: %s',
      left,
      error instanceof Error ? error.message : error,
    );
    if (left === 0) this.#pool.discard(channel.connection);
  }

  #end(channel: Channel): void {
    this.#channels.delete(channel);
    this.#refresh();
    channel.client?.end();
  }

  #refresh(): void {
    this.#clients = [...this.#channels].flatMap(({ client }) => client ?? []);
  }

  /** Ends channels that nobody uses, when there was no data for long or their connection carries none any more. */
  #sweep(): void {
    const idle = this.#settings.clock.monotonic() - this.#wantedAt >= IDLE;
    if (idle && this.#state === 'working') this.#setState('resting');
    const carrying = new Set(this.#pool.carriers.map(({ connection }) => connection));
    for (const channel of this.#channels) {
      if (isUnused(channel) && (idle || !carrying.has(channel.connection))) this.#end(channel);
    }
    if (idle) this.#pool.rest(new Set([...this.#channels].map(({ connection }) => connection)));
  }
}

function isUnused({ client }: Channel): boolean {
  return client !== null && client.openHandles === 0 && client.inFlight === 0;
}
