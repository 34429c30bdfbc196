/**
 * One direction of one connection through a proxy: bytes keep their order, wait side by side for the delay of
 * their {@link Link}, and are handed on. A receiver that does not read is passed on to the sender as
 * back-pressure once the buffer is full. What else may happen to bytes (split, spoilt, counted) is a function
 * of whoever owns the lane; it can be held, and it can be ended early.
 */
import type { Socket } from 'node:net';
import type { Link } from './link.js';

/** Bytes that enter a link of limited bandwidth at once. */
const PACKET = 8 * 1024;
/** Timers tick in whole milliseconds; what is due within half of one goes now. */
const TICK = 0.5;

export interface LaneRules {
  /** The link at this moment. */
  link(): Link;
  /** What becomes of bytes that arrive: the pieces to hand on, in their order. */
  treat?(bytes: Buffer): Iterable<Buffer>;
}

interface Waiting {
  readonly due: number;
  /** Null is the end of the stream. */
  readonly bytes: Buffer | null;
}

export class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #rules: LaneRules;
  #queue: Waiting[] = [];
  #head = 0;
  #queued = 0;
  #timer: NodeJS.Timeout | null = null;
  #blocked = false;
  #held = false;
  #ended = false;

  constructor(from: Socket, to: Socket, rules: LaneRules) {
    this.#from = from;
    this.#to = to;
    this.#rules = rules;
    from.on('data', (bytes: Buffer) => this.#accept(bytes));
    from.on('end', () => this.#push(null));
    to.on('drain', () => {
      this.#blocked = false;
      this.#deliver();
    });
    to.on('close', () => {
      this.#clear();
      this.#ended = true;
      // What the sender still says is read and forgotten, so that its own end is heard.
      from.resume();
    });
  }

  /** Bytes that wait. */
  get queued(): number {
    return this.#queued;
  }

  /** Nothing is handed on until it is released again; the sender notices only by back-pressure. */
  hold(held: boolean): void {
    this.#held = held;
    if (!held) this.#deliver();
  }

  /** Tells the receiver that this was all, and forgets whatever else the sender says. */
  end(): void {
    if (this.#ended) return;
    this.#clear();
    this.#ended = true;
    this.#to.end();
    this.#from.resume();
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#queue = [];
    this.#head = 0;
    this.#queued = 0;
  }

  #accept(bytes: Buffer): void {
    const { link, treat } = this.#rules;
    for (const piece of treat?.(bytes) ?? [bytes]) {
      const step = link().limited ? PACKET : Math.max(piece.length, 1);
      for (let at = 0; at < piece.length; at += step) this.#push(piece.subarray(at, at + step));
    }
    if (!this.#ended && this.#queued > link().buffer) this.#from.pause();
  }

  #push(bytes: Buffer | null): void {
    if (this.#ended) return;
    const size = bytes?.length ?? 0;
    this.#queued += size;
    this.#queue.push({ due: this.#rules.link().arrival(size, performance.now()), bytes });
    if (this.#timer === null) this.#deliver();
  }

  /** Hands on what is due, and sets the timer for what is not. */
  #deliver(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#blocked && !this.#held) {
      const next = this.#queue[this.#head];
      if (next === undefined) {
        this.#queue = [];
        this.#head = 0;
        break;
      }
      const rest = next.due - performance.now();
      if (rest > TICK) {
        this.#timer = setTimeout(() => this.#deliver(), Math.max(1, Math.floor(rest)));
        break;
      }
      this.#head++;
      if (next.bytes === null) {
        this.#ended = true;
        this.#to.end();
      } else {
        this.#queued -= next.bytes.length;
        this.#blocked = !this.#to.write(next.bytes);
      }
    }
    if (this.#from.isPaused() && this.#queued <= this.#rules.link().buffer / 2) this.#from.resume();
  }
}
