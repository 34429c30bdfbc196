/**
 * One SFTP session that outlives its connection. When the client that carries it is lost, another one is asked
 * for, again and again with growing pauses, until it stands, until as many tries as allowed have failed, or
 * until only a person can help. A new client is shown to `prepare` first (which opens again what was open) and
 * serves only when that succeeded, so a connection lost in the middle of recovery is simply another loss.
 */
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import type { SftpClient } from '../sftp/client.js';
import { waitBefore } from './backoff.js';

const log = logger('link');

/** A session that is lost sooner, in milliseconds, is as good as a failed try. */
const STABLE = 3000;

/**
 * `connecting`: a try is under way. `connected`. `degraded`: the server has not given a sign of life when it was
 * asked for one. `offline`: the next try is to come, or nothing is tried any more. `closing`: the mount ends.
 */
export type LinkState = 'connecting' | 'connected' | 'degraded' | 'offline' | 'closing';

export interface LinkStatus {
  readonly state: LinkState;
  /** Milliseconds since the epoch: when it was connected, or lost, for the last time. */
  readonly since: number;
  /** Why it is not connected; null when it is. */
  readonly reason: string | null;
  /** Tries in a row that have failed. */
  readonly attempts: number;
  /** Milliseconds since the epoch; null while no further try is planned. */
  readonly retryAt: number | null;
  /** Another try would fail like the last one, or at least soon: `remora reconnect` asks on the terminal. */
  readonly needsPerson: boolean;
}

export interface SessionSettings {
  /** A new session with the same server and login; asks nobody. */
  open(signal: AbortSignal): Promise<SftpClient>;
  /** Would trying again only fail in the same way? */
  needsPerson(error: unknown): boolean;
  /** Where it may not, after a long while: milliseconds until it is tried all the same. Null, as if left out: never. */
  repeatAfter?(error: unknown): number | null;
  /** False: a lost session stays lost until somebody asks. */
  readonly reconnect: boolean;
  /** Tries in a row before nothing more is tried; 0: for ever. */
  readonly reconnectMax: number;
  /** Milliseconds between two tries at most; half a minute if left out. */
  readonly longestWait?: number;
  readonly clock: Clock;
  /** A line for the log of the mount. */
  report(text: string): void;
  /** Is told of every other state, by `status`. */
  changed?(status: LinkStatus): void;
  /** From 0 to 1. */
  readonly random?: () => number;
}

export interface SessionListener {
  /** Makes a new client ready; a rejection counts as a failed try. */
  prepare(client: SftpClient): Promise<void>;
  /** The state is another one; `client` tells whether there is a session. */
  changed(): void;
}

const NOBODY: SessionListener = { prepare: async () => undefined, changed: () => undefined };

export class Session {
  readonly #settings: SessionSettings;
  readonly #stop = new AbortController();
  #listener = NOBODY;
  #client: SftpClient | null;
  #state: LinkState = 'connected';
  #since: number;
  /** Monotonic: since when there is no session, or no sign of the server; null when all is well. */
  #downSince: number | null = null;
  /** Milliseconds of all outages that are over. */
  #outages = 0;
  #reason: string | null = null;
  #attempts = 0;
  /** When the present session, or the last one, began; and how many in a row were lost at once. */
  #usedAt: number;
  #flaps = 0;
  #retryAt: number | null = null;
  #needsPerson = false;
  /** Ends the pause before the next try. */
  #hurry: (() => void) | null = null;
  #isRecovering = false;
  /** Should the try that is under way fail, the next one follows at once. */
  #isHurried = false;
  /** Settles when no try is under way any more; never rejects. */
  #lastTry: Promise<void> = Promise.resolve();
  /** Nothing brings the session back soon but a person. */
  #isGivenUp = false;

  constructor(first: SftpClient, settings: SessionSettings) {
    this.#settings = settings;
    this.#client = first;
    this.#since = settings.clock.now();
    this.#usedAt = Number.NEGATIVE_INFINITY;
    this.#watch(first);
  }

  listen(listener: SessionListener): void {
    this.#listener = listener;
  }

  /** What carries the session; null while it is lost. */
  get client(): SftpClient | null {
    return this.#client;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Since when nothing is heard, in milliseconds of the monotonic clock; null while all is well. */
  get downSince(): number | null {
    return this.#downSince;
  }

  /** Milliseconds without a sign of the server so far, all outages together. */
  get downtime(): number {
    const now = this.#settings.clock.monotonic();
    return this.#outages + (this.#downSince === null ? 0 : now - this.#downSince);
  }

  /** Nothing is tried any more until somebody asks for it, or not for a long while. */
  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  status(): LinkStatus {
    return {
      state: this.#state,
      since: this.#since,
      reason: this.#reason,
      attempts: this.#attempts,
      retryAt: this.#retryAt,
      needsPerson: this.#needsPerson,
    };
  }

  /** The server is silent although it was asked for a sign of life, or is heard again. */
  setSilent(isSilent: boolean): void {
    if (isSilent && this.#state === 'connected') this.#setState('degraded', 'the server is silent');
    if (!isSilent && this.#state === 'degraded') this.#setState('connected', 'the server is heard again');
  }

  /** Gives the present session up, as if its connection had ended. */
  drop(reason: string): void {
    const client = this.#client;
    if (client === null) return;
    this.#lost(client, reason);
    client.end();
  }

  /** Tries at once, whatever was planned. Does nothing while connected. */
  hurry(): void {
    if (this.#hurry !== null) this.#hurry();
    else if (this.#isGivenUp) void this.#recover();
    else this.#isHurried = this.#isRecovering;
  }

  /**
   * Tries with `open` instead, with a person's help perhaps. Resolves when there is a session, whoever brought it
   * back; rejects with why this try failed.
   */
  async connect(open: SessionSettings['open']): Promise<void> {
    await this.#try(open);
    this.#hurry?.();
  }

  /** Ends the session for good. */
  close(): void {
    if (this.#state === 'closing') return;
    const client = this.#client;
    this.#client = null;
    this.#setState('closing', 'the mount ends');
    this.#stop.abort(new Error('the mount ends'));
    this.#hurry?.();
    client?.end();
  }

  #setState(state: LinkState, why: string): void {
    if (this.#state === 'closing' || this.#state === state) return;
    log('%s -> %s (%s)', this.#state, state, why);
    const { clock } = this.#settings;
    const wasUp = this.#state === 'connected';
    this.#state = state;
    if (state === 'connected') {
      this.#outages = this.downtime;
      this.#downSince = null;
    } else if (wasUp) this.#downSince = clock.monotonic();
    if (state === 'connected' || wasUp) this.#since = clock.now();
    this.#listener.changed();
    this.#settings.changed?.(this.status());
  }

  #watch(client: SftpClient): void {
    client.onClose((error) => this.#lost(client, error.message));
  }

  #lost(client: SftpClient, reason: string): void {
    if (this.#client !== client) return;
    const { reconnect, report, clock } = this.#settings;
    this.#flaps = clock.monotonic() - this.#usedAt < STABLE ? this.#flaps + 1 : 0;
    this.#client = null;
    this.#reason = reason;
    this.#isGivenUp = !reconnect;
    this.#setState('offline', reason);
    report(`${reason}; ${reconnect ? 'reconnecting' : 'remora reconnect connects again'}`);
    if (reconnect) void this.#recover();
  }

  /** Tries until there is a session again, or until further tries are of no use. */
  async #recover(): Promise<void> {
    if (this.#isRecovering) return;
    this.#isRecovering = true;
    this.#isGivenUp = false;
    this.#needsPerson = false;
    this.#attempts = 0;
    const { open, reconnectMax, longestWait, random = Math.random } = this.#settings;
    let atLeast = 0;
    while (this.#isWanted) {
      const wait = waitBefore(this.#attempts + this.#flaps + 1, random(), longestWait);
      await this.#pause(Math.max(wait, atLeast));
      if (!this.#isWanted) break;
      this.#setState('connecting', `try ${this.#attempts + 1}`);
      try {
        await this.#try(open);
      } catch (error) {
        if (!this.#isWanted) break;
        this.#attempts += 1;
        this.#reason = error instanceof Error ? error.message : String(error);
        const repeat = this.#judge(error);
        const isLast = repeat === null || (reconnectMax > 0 && this.#attempts >= reconnectMax);
        if (isLast) this.#isGivenUp = true;
        this.#setState('offline', this.#reason);
        if (isLast && repeat !== null) {
          const how = `given up after ${this.#attempts} tries: remora reconnect tries again`;
          this.#settings.report(`${this.#reason}; ${how}`);
        }
        if (isLast) break;
        atLeast = repeat;
      }
    }
    this.#isRecovering = false;
  }

  /** Milliseconds until another try makes sense, at least; null for never. */
  #judge(error: unknown): number | null {
    const wasNeeded = this.#needsPerson;
    this.#needsPerson = this.#settings.needsPerson(error);
    this.#isGivenUp = this.#needsPerson;
    if (!this.#needsPerson) return 0;
    const repeat = this.#settings.repeatAfter?.(error) ?? null;
    const also = repeat === null ? '' : `, and so does this process every ${repeat / 1000} s`;
    if (!wasNeeded) {
      this.#settings.report(`${this.#reason}; that needs a person: remora reconnect tries again${also}`);
    }
    return repeat;
  }

  get #isWanted(): boolean {
    return this.#client === null && this.#state !== 'closing';
  }

  async #pause(milliseconds: number): Promise<void> {
    const isHurried = this.#isHurried;
    this.#isHurried = false;
    if (isHurried) return;
    if (milliseconds <= 0) return;
    this.#retryAt = this.#settings.clock.now() + milliseconds;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#hurry = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    this.#hurry = null;
    this.#retryAt = null;
  }

  /**
   * One try after the other: two clients made ready at once would open the same files again, and a handle of one
   * means another file to the other.
   */
  #try(open: SessionSettings['open']): Promise<void> {
    const attempt = this.#lastTry.then(async () => {
      if (this.#isWanted) await this.#use(await open(this.#stop.signal));
    });
    this.#lastTry = attempt.catch(() => undefined);
    return attempt;
  }

  async #use(client: SftpClient): Promise<void> {
    try {
      await this.#listener.prepare(client);
      if (!this.#isWanted || client.state === 'closed') throw new Error('the connection was lost again');
    } catch (error) {
      client.end();
      throw error;
    }
    this.#client = client;
    this.#usedAt = this.#settings.clock.monotonic();
    this.#isGivenUp = false;
    this.#reason = null;
    this.#attempts = 0;
    this.#needsPerson = false;
    this.#setState('connected', 'a new session');
    this.#watch(client);
    this.#settings.report('connected again');
  }
}
