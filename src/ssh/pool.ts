/**
 * The connections of one mount. The first one carries the talk; up to `maxConns - 1` more carry data, logged in
 * one after the other without a person. What cannot be had is done without, and nobody hears of it: where no
 * further login succeeds, the first connection carries the data as well. A login that a second try would only
 * repeat (or make look like an attack) is not tried again; after any other failure, and after a loss, the next
 * one waits for a demand and for a time that doubles. The pool knows connections, not what travels on them.
 */
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import type { Connection } from './connection.js';
import { ConnectError, needsPerson } from './errors.js';

const log = logger('pool');

/** Milliseconds until the next login after the first failure in a row, and at most. */
const FIRST_WAIT = 30_000;
const LONGEST_WAIT = 30 * 60_000;
/** A connection that lasted this many milliseconds was no failure. */
const STABLE = 60_000;

/**
 * What may be done about another connection: it may be logged in; it is being; not before some time has passed;
 * never; never, because the first connection has ended or the mount does.
 */
export type PoolState = 'ready' | 'connecting' | 'waiting' | 'refused' | 'stopped';

/** A connection that carries data, and how many channels should do so. */
export interface Carrier {
  readonly connection: Connection;
  readonly share: number;
}

export interface PoolSettings {
  /** Most connections, the first included; at least 1. */
  readonly maxConns: number;
  /** Channels for data in all, where there are not more connections than that. */
  readonly channels: number;
  readonly clock: Clock;
  /** A line for the log of the mount. */
  report(text: string): void;
  /** The carriers are others than before. */
  changed(): void;
}

export class ConnectionPool {
  readonly #first: Connection;
  readonly #settings: PoolSettings;
  readonly #stop = new AbortController();
  /** Connections for data, oldest first, with the time of their login. */
  readonly #data = new Map<Connection, number>();
  /** Those of them whose server has not given a sign of life when it was asked for one. */
  readonly #silent = new Set<Connection>();
  #state: PoolState;
  #wanted = 0;
  #failures = 0;
  #retryAt = 0;
  #carriers: readonly Carrier[];

  constructor(first: Connection, settings: PoolSettings) {
    this.#first = first;
    this.#settings = settings;
    this.#state = settings.maxConns > 1 && first.again !== null ? 'ready' : 'refused';
    this.#carriers = this.#distribute();
    first.onClose(() => this.#setState('stopped', 'the first connection ended'));
  }

  /** Connections that stand for data, beside the first. */
  get size(): number {
    return this.#data.size;
  }

  /** What was asked for on one of them may never be answered. */
  get isSilent(): boolean {
    return this.#silent.size > 0;
  }

  /** What carries data at this moment; empty while the first connection for data is still to come. */
  get carriers(): readonly Carrier[] {
    return this.#carriers;
  }

  /** There will be data one day: one connection is made ready for it. */
  warm(): void {
    this.#wanted = Math.max(this.#wanted, 1);
    this.#advance();
  }

  /** There is data: all connections are made ready. Cheap; called again and again, it also retries. */
  want(): void {
    this.#wanted = this.#settings.maxConns - 1;
    this.#advance();
  }

  /** There was no data for a long time: closes the connections that are not `busy`. */
  rest(busy: ReadonlySet<Connection>): void {
    this.#wanted = 0;
    for (const connection of this.#data.keys()) if (!busy.has(connection)) this.#drop(connection);
  }

  /** The server lets `connection` in and then gives it no channel. */
  discard(connection: Connection): void {
    if (!this.#data.has(connection)) return;
    this.#drop(connection);
    this.#setBack('it carries no channel');
  }

  /** Closes every connection but the first. Never rejects. */
  async close(): Promise<void> {
    this.#setState('stopped', 'closed');
    this.#stop.abort(new ConnectError('lost', 'the mount ends'));
    await Promise.all([...this.#data.keys()].map((connection) => connection.close()));
  }

  #setState(state: PoolState, why: string): void {
    if (this.#state === 'stopped' || (this.#state === 'refused' && state !== 'stopped')) return;
    log('%s -> %s (%s), %d connections for data', this.#state, state, why, this.#data.size);
    this.#state = state;
    this.#refresh();
  }

  #advance(): void {
    const { again } = this.#first;
    if (this.#state === 'waiting' && this.#settings.clock.monotonic() >= this.#retryAt) {
      this.#setState('ready', 'waited long enough');
    }
    if (this.#state === 'ready' && this.#data.size < this.#wanted && again !== null) void this.#logIn(again);
  }

  async #logIn(again: NonNullable<Connection['again']>): Promise<void> {
    this.#setState('connecting', `${this.#wanted} wanted`);
    try {
      const connection = await again(this.#stop.signal);
      if (this.#stop.signal.aborted) {
        await connection.close();
        return;
      }
      this.#data.set(connection, this.#settings.clock.monotonic());
      this.#setState('ready', 'logged in');
      connection.onSilence((isSilent) => {
        if (isSilent) this.#silent.add(connection);
        else this.#silent.delete(connection);
      });
      connection.onClose((reason) => this.#lost(connection, reason));
    } catch (error) {
      this.#failed(error);
    }
    this.#advance();
  }

  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const kind = error instanceof ConnectError ? error.kind : 'lost';
    if (!needsPerson(kind)) {
      this.#wait(message);
      return;
    }
    this.#setState('refused', message);
    if (kind.startsWith('host-key')) {
      this.#settings.report(`${message}; the mount goes on with the connection that it has`);
    }
  }

  /** Not again before a time that doubles with each failure in a row. */
  #wait(why: string): void {
    this.#failures++;
    const wait = Math.min(FIRST_WAIT * 2 ** (this.#failures - 1), LONGEST_WAIT);
    this.#retryAt = this.#settings.clock.monotonic() + wait;
    this.#setState('waiting', `${why}; not before ${wait / 1000} s have passed`);
  }

  #lost(connection: Connection, reason: Error | null): void {
    this.#silent.delete(connection);
    const since = this.#data.get(connection);
    if (since === undefined) return;
    this.#data.delete(connection);
    this.#refresh();
    if (this.#settings.clock.monotonic() - since >= STABLE) this.#failures = 0;
    this.#setBack(reason?.message ?? 'the server closed it');
  }

  /** A connection was of no use. A login that is under way will tell how the server is now. */
  #setBack(why: string): void {
    if (this.#state !== 'connecting') this.#wait(why);
  }

  #drop(connection: Connection): void {
    this.#data.delete(connection);
    this.#refresh();
    void connection.close();
  }

  #refresh(): void {
    this.#carriers = this.#distribute();
    this.#settings.changed();
  }

  #distribute(): readonly Carrier[] {
    const { maxConns, channels } = this.#settings;
    const mayGrow = this.#state === 'ready' || this.#state === 'connecting';
    if (this.#data.size > 0) {
      const counts = shares(channels, mayGrow ? maxConns - 1 : this.#data.size);
      return [...this.#data.keys()].map((connection, i) => {
        return { connection, share: Math.min(counts[i] ?? 1, connection.maxChannels) };
      });
    }
    // One channel of the first connection is for the talk.
    const share = Math.min(channels, this.#first.maxChannels - 1);
    const isFirst = !mayGrow && this.#state !== 'stopped' && share > 0;
    return isFirst ? [{ connection: this.#first, share }] : [];
  }
}

/** `channels` spread over `connections` as evenly as they go, one each at least. */
export function shares(channels: number, connections: number): readonly number[] {
  return Array.from({ length: connections }, (_, i) => {
    return Math.max(1, Math.floor((channels + connections - 1 - i) / connections));
  });
}
