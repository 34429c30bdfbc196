/**
 * The requests that wait for a reply, by id. Ids are uint32 and wrap; one that is still in flight after a
 * whole turn is passed over.
 */
import type { Reply } from './replies.js';

/** One waiter: exactly one of its two methods is called, once. */
export interface Waiter {
  /** Takes the reply; throws `ProtocolError` when it is of a type that cannot answer the request. */
  settle(reply: Reply): void;
  fail(error: Error): void;
  /** May the reply take long because the request does (`deadline.ts`)? */
  readonly isLong: boolean;
}

export class PendingRequests {
  readonly #waiters = new Map<number, Waiter>();
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
    for (const [id, waiter] of this.#waiters) return { id, waiter };
    return undefined;
  }

  /** An id that no request in flight has. */
  claimId(): number {
    let id = this.#next;
    while (this.#waiters.has(id)) id = (id + 1) >>> 0;
    this.#next = (id + 1) >>> 0;
    return id;
  }

  add(id: number, waiter: Waiter): void {
    this.#waiters.set(id, waiter);
  }

  get(id: number): Waiter | undefined {
    return this.#waiters.get(id);
  }

  /** Removes and answers the waiter of `id`; undefined when none waits. */
  take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    if (this.#waiters.delete(id)) this.#answered += 1;
    return waiter;
  }

  failAll(error: Error): void {
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.fail(error);
  }
}
