/**
 * The requests that wait for a reply, by id. Ids are uint32 and wrap; one that is still in flight after a
 * whole turn is passed over.
 */
import type { Reply } from './replies.js';
import type { Sent } from './traffic.js';

/** One waiter: exactly one of its two methods is called, once. */
export interface Waiter {
  /** Takes the reply; throws `ProtocolError` when it is of a type that cannot answer the request. */
  settle(reply: Reply): void;
  fail(error: Error): void;
  /** May the reply take long because the request does (`deadline.ts`)? */
  readonly isLong: boolean;
}

/** A request without its reply. */
export interface InFlight {
  readonly waiter: Waiter;
  readonly sent: Sent;
}

export class PendingRequests {
  readonly #waiters = new Map<number, InFlight>();
  #next: number;
  #answered = 0;

  /** `first`: the id to begin with, 0 to 2^32 - 1. */
  constructor(first = 0) {
    this.#next = first;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** How many waiters were taken. */
  get answered(): number {
    return this.#answered;
  }

  /** Who waits longest. */
  oldest(): { readonly id: number; readonly waiter: Waiter } | undefined {
    for (const [id, { waiter }] of this.#waiters) return { id, waiter };
    return undefined;
  }

  /** An id that no request in flight has. */
  claimId(): number {
    let id = this.#next;
    while (this.#waiters.has(id)) id = (id + 1) >>> 0;
    this.#next = (id + 1) >>> 0;
    return id;
  }

  add(id: number, request: InFlight): void {
    this.#waiters.set(id, request);
  }

  get(id: number): Waiter | undefined {
    return this.#waiters.get(id)?.waiter;
  }

  /** Removes and answers what waits by the number `id`; undefined when nothing does. */
  take(id: number): InFlight | undefined {
    const request = this.#waiters.get(id);
    if (this.#waiters.delete(id)) this.#answered += 1;
    return request;
  }

  failAll(error: Error): void {
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const { waiter } of waiters) waiter.fail(error);
  }
}
