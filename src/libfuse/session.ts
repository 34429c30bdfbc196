/**
 * One filesystem served through fuse-native: callbacks in, answers out. Each call that wants an answer has one
 * `Pending` in a set; an answer goes out only from `#settle`, which takes it out first. A call holds a thread of
 * libfuse until it is answered, and no interrupt reaches us: what bounds it is the time that the filesystem waits.
 */
import { deferred } from '../base/deferred.js';
import { ERRNO, errnoOf, FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { KernelCache, Operations } from '../fs/operations.js';
import type { KernelSession } from '../fuse/driver.js';
import type { EndReason, SessionState, SessionStats } from '../fuse/session.js';
import { type CallStats, CallTally, type Failure } from '../fuse/tally.js';
import type { Answer, Callback } from './addon.js';
import { CallRecord } from './call-record.js';
import { type Completion, callbacksFor } from './calls.js';
import { Handles } from './handles.js';
import { InodeNumbers } from './inodes.js';

const log = logger('libfuse');

/** libfuse 2.9 through fuse-native knows no notifications: what the kernel may trust ends by its lifetime alone. */
const NO_NOTIFICATIONS: KernelCache = {
  invalidateEntry: () => undefined,
  invalidateAbsence: () => undefined,
  invalidateData: () => undefined,
  invalidateAttributes: () => undefined,
  invalidateTree: () => Promise.resolve(),
};

interface Pending {
  readonly opcode: string;
  readonly since: number;
  readonly answer: Answer;
}

type Outcome = { readonly completion: Completion } | { readonly error: unknown };

export class LibfuseSession implements KernelSession {
  readonly kernelCache = NO_NOTIFICATIONS;
  readonly #operations: Operations;
  readonly #files = new Handles();
  readonly #directories = new Handles();
  readonly #inodes = new InodeNumbers();
  readonly #pending = new Set<Pending>();
  readonly #tally = new CallTally();
  readonly #ready = deferred<void>();
  readonly #gone = deferred<EndReason>();
  readonly #done = deferred<EndReason>();
  #record: CallRecord | null = null;
  #state: SessionState = 'new';

  constructor(operations: Operations) {
    this.#operations = operations;
    this.#ready.promise.catch(() => undefined);
  }

  get ready(): Promise<unknown> {
    return this.#ready.promise;
  }

  get gone(): Promise<EndReason> {
    return this.#gone.promise;
  }

  get done(): Promise<EndReason> {
    return this.#done.promise;
  }

  stats(): SessionStats {
    return {
      state: this.#state,
      inFlight: this.#pending.size,
      nodes: 0,
      openFiles: this.#files.size,
      openDirectories: this.#directories.size,
      queuedNotifications: 0,
      opcodes: this.#tally.sums(),
    };
  }

  calls(): Readonly<Record<string, CallStats>> {
    return this.#tally.stats();
  }

  failures(): readonly Failure[] {
    return this.#tally.failures();
  }

  /** For fuse-native, whose callbacks each run within `during`. */
  callbacks(): Readonly<Record<string, Callback>> {
    return callbacksFor({
      operations: this.#operations,
      files: this.#files,
      directories: this.#directories,
      inodes: this.#inodes,
      run: (opcode, answer, work) => this.#run(opcode, answer, work),
    });
  }

  /** Runs one callback, whose call has the record `native`. */
  during(native: Buffer, callback: () => void): void {
    this.#record = new CallRecord(native);
    try {
      callback();
    } finally {
      this.#record = null;
    }
  }

  /** The kernel and libfuse have agreed. */
  serve(): void {
    if (this.#state !== 'new') return;
    this.#setState('serving', 'mounted');
    this.#ready.resolve();
  }

  #setState(state: SessionState, why: string): void {
    log('%s -> %s (%s)', this.#state, state, why);
    this.#state = state;
  }

  #run(opcode: string, answer: Answer, work: (record: CallRecord) => Promise<Completion>): void {
    const record = this.#record;
    if (this.#state === 'ended' || record === null) {
      answer(-ERRNO.ECONNABORTED);
      return;
    }
    const pending = { opcode, since: performance.now(), answer };
    this.#pending.add(pending);
    work(record).then(
      (completion) => this.#settle(pending, { completion }),
      (error: unknown) => {
        if (!(error instanceof FsError)) log('%s failed: %o', opcode, error);
        this.#settle(pending, { error });
      },
    );
  }

  /** The only place that answers a call. */
  #settle(pending: Pending, outcome: Outcome): void {
    const wasPending = this.#pending.delete(pending);
    if (wasPending) this.#count(pending, outcome);
    if ('error' in outcome) {
      if (wasPending) pending.answer(-errnoOf(outcome.error));
      else if (outcome.error instanceof FsError) outcome.error.undelivered?.();
      return;
    }
    const { completion } = outcome;
    if (wasPending) this.#deliver(pending, completion);
    else completion.abandon?.();
    completion.finish?.();
  }

  #deliver({ opcode, answer }: Pending, completion: Completion): void {
    let values: readonly [number, ...unknown[]];
    try {
      values = completion.deliver();
    } catch (error) {
      log('%s: no answer could be made: %o', opcode, error);
      completion.abandon?.();
      values = [-errnoOf(error)];
    }
    answer(...values);
  }

  #count({ opcode, since }: Pending, outcome: Outcome): void {
    const isError = 'error' in outcome;
    this.#tally.count(opcode, performance.now() - since, isError);
    if (isError) this.#tally.keep(opcode, outcome.error, Date.now(), () => null);
  }

  /** Every program that waits gets ECONNABORTED, and so does whoever calls from now on. */
  abort(): void {
    if (this.#state === 'ended') return;
    log('abort: %d calls wait', this.#pending.size);
    for (const pending of [...this.#pending]) {
      this.#settle(pending, { error: new FsError('ECONNABORTED') });
    }
    void this.end('aborted');
  }

  /** No call comes any more: releases every handle, then resolves `done`. */
  async end(reason: EndReason): Promise<void> {
    if (this.#state === 'ended') return;
    this.#setState('ended', reason);
    this.#gone.resolve(reason);
    this.#ready.reject(new Error('the mount ended before the kernel asked for it'));
    this.#pending.clear();
    await Promise.allSettled([
      ...this.#files.drain().map((handle) => this.#operations.release(handle)),
      ...this.#directories.drain().map((handle) => this.#operations.releasedir(handle)),
    ]);
    this.#done.resolve(reason);
  }
}
