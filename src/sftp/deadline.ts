/**
 * When is a server that owes replies given up? Not by a time for each request: behind a long queue on a slow
 * link an honest one waits for minutes. What counts is progress of the channel, any byte of a reply, and that
 * nobody is passed over. So a channel costs one timer while requests are in flight, and a request nothing.
 */
import type { Clock } from '../base/clock.js';
import { COPY_DATA, FSYNC, SSH_FXP_EXTENDED } from './constants.js';
import type { PendingRequests } from './pending.js';
import type { Request } from './requests.js';

/** How many times the timeout a request may take that works on a whole file, and any other of which bytes come. */
const PATIENCE = 10;

/** What is known of a channel on which requests wait; times in milliseconds of a monotonic clock. */
export interface Progress {
  /** When the last bytes came, or, later than that, the first of the requests in flight went out. */
  readonly heardAt: number;
  /** Since when the oldest request is the oldest, as far as that was looked at. */
  readonly oldestSince: number;
  /** May the oldest take its time (`isLong`)? */
  readonly isLong: boolean;
  /** Were younger requests answered since? A server that answers in order never does that. */
  readonly isPassedOver: boolean;
}

/** Does the request read or write a whole file on the server's disk? */
export function isLong(request: Request): boolean {
  return (
    request.type === SSH_FXP_EXTENDED && (request.extension === FSYNC || request.extension === COPY_DATA)
  );
}

/**
 * When the server is to be given up, if nothing changes until then, and why. A reply that has begun may take
 * `PATIENCE` timeouts to arrive: a server that sends a byte now and then would hold its caller for days.
 */
export function deadlineOf(
  progress: Progress,
  timeout: number,
): { readonly at: number; readonly since: number; readonly why: string } {
  const { heardAt, oldestSince } = progress;
  const most = timeout * PATIENCE;
  const patience = progress.isLong ? most : timeout;
  const silent = { at: heardAt + patience, since: heardAt, why: 'the server has not answered a request' };
  const passedOver = {
    at: oldestSince + (progress.isPassedOver ? patience : most),
    since: oldestSince,
    why: 'the server has left a request unanswered',
  };
  return passedOver.at < silent.at ? passedOver : silent;
}

export class Deadline {
  readonly #pending: PendingRequests;
  readonly #timeout: number;
  readonly #clock: Clock;
  readonly #expired: (reason: string) => void;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;
  #heardAt = 0;
  /** The oldest request, since when it was seen to be the oldest, and how many had been answered by then. */
  #oldest = { id: -1, since: 0, answered: 0 };

  /** `timeout` in milliseconds; `expired` is called once, with a sentence for a person. */
  constructor(pending: PendingRequests, timeout: number, clock: Clock, expired: (reason: string) => void) {
    this.#pending = pending;
    this.#timeout = timeout;
    this.#clock = clock;
    this.#expired = expired;
  }

  /** Bytes came, or the first request after a pause goes out. */
  heard(): void {
    this.#heardAt = this.#clock.monotonic();
    if (this.#timer === null && this.#pending.size > 0) this.#look();
  }

  stop(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Judges what is in flight and sets the timer for the next time; none while nothing is in flight. */
  #look(): void {
    this.#timer = null;
    const oldest = this.#pending.oldest();
    if (this.#isOver || oldest === undefined) return;
    const now = this.#clock.monotonic();
    const { answered } = this.#pending;
    if (this.#oldest.id !== oldest.id) this.#oldest = { id: oldest.id, since: now, answered };
    const progress: Progress = {
      heardAt: this.#heardAt,
      oldestSince: this.#oldest.since,
      isLong: oldest.waiter.isLong,
      isPassedOver: answered > this.#oldest.answered,
    };
    const { at, since, why } = deadlineOf(progress, this.#timeout);
    if (at <= now) {
      this.#isOver = true;
      this.#expired(`${why} for ${Math.round((now - since) / 1000)} s`);
      return;
    }
    // Looked at once a timeout at least, since whoever is passed over does not say so.
    const timer = setTimeout(
      // What came while this process was stopped or busy is read first.
      () => setImmediate(() => this.#look()),
      Math.min(at - now, this.#timeout),
    );
    this.#timer = timer.unref();
  }
}
