/**
 * The rule of the network that the proxy plays: when do bytes that are sent now arrive? A link has a one-way
 * delay and, optionally, a bandwidth that all connections in that direction share; nothing else takes time,
 * so any number of bytes may be under way at once. Pure, in milliseconds.
 */

const BITS_PER_BYTE = 8;
/** Megabits per second to bits per millisecond. */
const BITS_PER_MS = 1000;

/** What may wait for its time at one connection in one direction, at least; far beyond any bandwidth × delay here. */
const MIN_BUFFER = 64 * 2 ** 20;

export class Link {
  readonly #delay: number;
  readonly #bytesPerMs: number;
  #free = 0;

  /** @param delay milliseconds one way; @param bandwidth megabits per second, null for no limit. */
  constructor(delay: number, bandwidth: number | null) {
    this.#delay = delay;
    this.#bytesPerMs =
      bandwidth === null ? Number.POSITIVE_INFINITY : (bandwidth * BITS_PER_MS) / BITS_PER_BYTE;
  }

  get limited(): boolean {
    return Number.isFinite(this.#bytesPerMs);
  }

  /** Sends `bytes` at `now`; answers when the last of them arrives. Never earlier than what was sent before. */
  arrival(bytes: number, now: number): number {
    this.#free = Math.max(this.#free, now) + bytes / this.#bytesPerMs;
    return this.#free + this.#delay;
  }

  /** Bytes of one connection that may be under way before its sender is told to wait. */
  get buffer(): number {
    const underWay = this.limited ? this.#bytesPerMs * this.#delay : 0;
    return Math.max(MIN_BUFFER, 2 * underWay);
  }
}
