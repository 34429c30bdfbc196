/**
 * What passes over the SFTP channels of one mount, whichever connection they are on: bytes both ways, how often each
 * request was made and how long its answer took, and how far away the server is. Nothing is asked for that: the
 * quickest answer of lately to a small request that had the channel to itself is one round trip.
 */
import type { Clock } from '../base/clock.js';
import { type Durations, Histogram } from '../base/histogram.js';
import { Meter } from '../base/meter.js';
import * as constants from './constants.js';
import type { Request } from './requests.js';

/** Milliseconds for which the quickest round trip counts: a route may change. */
const MEMORY = 60_000;

/** `SSH_FXP_READ` is told as `READ`. */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants).flatMap(([name, value]) =>
    name.startsWith('SSH_FXP_') && typeof value === 'number' ? [[value, name.slice('SSH_FXP_'.length)]] : [],
  ),
);

function nameOf(request: Request): string {
  if (request.type === constants.SSH_FXP_EXTENDED) return request.extension;
  return NAMES.get(request.type) ?? String(request.type);
}

/** A request on its way. */
export interface Sent {
  readonly name: string;
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  /** Its answer takes no longer than the way there and back, and a look at the disk. */
  readonly isProbe: boolean;
}

/** Bytes, bytes a second, and milliseconds. */
export interface TrafficStatus {
  readonly received: number;
  readonly sent: number;
  readonly receiveRate: number;
  readonly sendRate: number;
  /** Null before anything was measured. */
  readonly roundTrip: number | null;
}

const CARRIES_DATA: ReadonlySet<number> = new Set([
  constants.SSH_FXP_READ,
  constants.SSH_FXP_WRITE,
  constants.SSH_FXP_READDIR,
  constants.SSH_FXP_EXTENDED,
]);

export class Traffic {
  readonly #clock: Clock;
  readonly #in = new Meter();
  readonly #out = new Meter();
  readonly #requests = new Map<string, Histogram>();
  #roundTrip: { readonly milliseconds: number; readonly at: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `bytes` of requests go out. */
  sent(bytes: number): void {
    this.#out.add(bytes, this.#clock.monotonic());
  }

  /** `bytes` of answers came. */
  received(bytes: number): void {
    this.#in.add(bytes, this.#clock.monotonic());
  }

  /** `isAlone`: nothing else is in flight on its channel. */
  asked(request: Request, isAlone: boolean): Sent {
    const isProbe = isAlone && !CARRIES_DATA.has(request.type);
    return { name: nameOf(request), at: this.#clock.monotonic(), isProbe };
  }

  answered({ name, at, isProbe }: Sent): void {
    const now = this.#clock.monotonic();
    const milliseconds = now - at;
    let histogram = this.#requests.get(name);
    if (histogram === undefined) {
      histogram = new Histogram();
      this.#requests.set(name, histogram);
    }
    histogram.add(milliseconds);
    if (!isProbe) return;
    const known = this.#roundTrip;
    if (known === null || milliseconds <= known.milliseconds || now - known.at > MEMORY) {
      this.#roundTrip = { milliseconds, at: now };
    }
  }

  status(): TrafficStatus {
    const now = this.#clock.monotonic();
    return {
      received: this.#in.total,
      sent: this.#out.total,
      receiveRate: this.#in.rate(now),
      sendRate: this.#out.rate(now),
      roundTrip: this.#roundTrip?.milliseconds ?? null,
    };
  }

  /** By the names of the specification, without `SSH_FXP_`; an extension by its own. */
  requests(): Readonly<Record<string, Durations>> {
    return Object.fromEntries([...this.#requests].map(([name, histogram]) => [name, histogram.durations()]));
  }
}
