/**
 * Lanes: SFTP channels for file data, each with a server process of its own, on the connections that the pool
 * has for it. They are opened when a mount begins or there is data to move, and closed when there was none for
 * minutes; a server that gives fewer gets by with fewer, in silence. A connection that refused or ended a
 * channel is not asked for another one.
 */
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import type { BulkClients } from '../fs/bulk.js';
import type { SftpClient } from '../sftp/client.js';
import type { Connection } from '../ssh/connection.js';
import { ConnectionPool } from '../ssh/pool.js';

const log = logger('lanes');

/** Lanes in all, where there are not more connections: each adds a window of 2 MiB at the server's end. */
export const LANES = 6;
/** Milliseconds without data after which lanes and connections are closed, and how often that is looked at. */
const IDLE = 10 * 60_000;
const SWEEP = 60_000;
/** `want` looks no closer within this many milliseconds of the last time. */
const RENEW = 1000;

/** Nothing to move; something to move, or not long ago; the mount ends. */
type LanesState = 'resting' | 'working' | 'closed';

/** A channel on its way, or open. */
interface Lane {
  readonly connection: Connection;
  client: SftpClient | null;
}

export interface LanesSettings {
  /** Most connections of the mount; at least 1. */
  readonly maxConns: number;
  readonly clock: Clock;
  /** Opens an SFTP channel; bounded in time. */
  open(connection: Connection): Promise<SftpClient>;
  /** A line for the log of the mount. */
  report(text: string): void;
}

export class Lanes implements BulkClients {
  readonly #settings: LanesSettings;
  readonly #pool: ConnectionPool;
  readonly #lanes = new Set<Lane>();
  readonly #exhausted = new WeakSet<Connection>();
  #state: LanesState = 'resting';
  #clients: readonly SftpClient[] = [];
  #wantedAt: number;
  #timer: NodeJS.Timeout | null = null;

  /** Does nothing before `start` or `want`. */
  constructor(first: Connection, settings: LanesSettings) {
    const { maxConns, clock, report } = settings;
    this.#settings = settings;
    this.#wantedAt = clock.monotonic();
    this.#pool = new ConnectionPool(first, {
      maxConns,
      channels: LANES,
      clock,
      report,
      changed: () => this.#spread(),
    });
  }

  get clients(): readonly SftpClient[] {
    return this.#clients;
  }

  /** Connections for data, and open lanes. */
  get counts(): { readonly connections: number; readonly lanes: number } {
    return { connections: this.#pool.size, lanes: this.#clients.length };
  }

  /**
   * Logs in and opens lanes ahead, since both take longer than most files; and begins to look for what is idle.
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

  /** Ends every lane and every connection but the first. Never rejects. */
  async close(): Promise<void> {
    this.#setState('closed');
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const lane of this.#lanes) this.#end(lane);
    await this.#pool.close();
  }

  #setState(state: LanesState): void {
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

  /** Lanes on `connection`, those on their way included. */
  #on(connection: Connection): number {
    let count = 0;
    for (const lane of this.#lanes) if (lane.connection === connection) count++;
    return count;
  }

  async #open(connection: Connection): Promise<void> {
    const lane: Lane = { connection, client: null };
    this.#lanes.add(lane);
    try {
      const client = await this.#settings.open(connection);
      if (!this.#lanes.has(lane)) {
        client.end();
        return;
      }
      lane.client = client;
      this.#refresh();
      client.onClose((error) => this.#lost(lane, error));
    } catch (error) {
      this.#lost(lane, error);
    }
  }

  /** Refused or ended by the server. */
  #lost(lane: Lane, error: unknown): void {
    if (!this.#lanes.delete(lane)) return;
    this.#refresh();
    this.#exhausted.add(lane.connection);
    const left = this.#on(lane.connection);
    log(
      'a lane is lost, %d left on its connection: %s',
      left,
      error instanceof Error ? error.message : error,
    );
    if (left === 0) this.#pool.discard(lane.connection);
  }

  #end(lane: Lane): void {
    this.#lanes.delete(lane);
    this.#refresh();
    lane.client?.end();
  }

  #refresh(): void {
    this.#clients = [...this.#lanes].flatMap(({ client }) => client ?? []);
  }

  /** Ends lanes that nobody uses, when there was no data for long or their connection carries none any more. */
  #sweep(): void {
    const idle = this.#settings.clock.monotonic() - this.#wantedAt >= IDLE;
    if (idle && this.#state === 'working') this.#setState('resting');
    const carrying = new Set(this.#pool.carriers.map(({ connection }) => connection));
    for (const lane of this.#lanes) {
      if (isUnused(lane) && (idle || !carrying.has(lane.connection))) this.#end(lane);
    }
    if (idle) this.#pool.rest(new Set([...this.#lanes].map(({ connection }) => connection)));
  }
}

function isUnused({ client }: Lane): boolean {
  return client !== null && client.openHandles === 0 && client.inFlight === 0;
}
