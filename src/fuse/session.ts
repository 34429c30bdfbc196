/**
 * One mounted filesystem: requests of the kernel in, replies out, nothing here knows where the bytes come
 * from. Every request that wants a reply has one `Pending` in a table; a reply goes out only from `#settle`,
 * which takes it out of that table first, so there is exactly one, whatever a handler or an interrupt does.
 */
import { type Clock, systemClock } from '../base/clock.js';
import { deferred } from '../base/deferred.js';
import { ERRNO, errnoOf, FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { KernelCache, Operations } from '../fs/operations.js';
import { type Call, Calls } from './calls.js';
import { HANDLERS } from './handlers/table.js';
import { type Completion, decode, type State } from './handlers/types.js';
import { errnoWhenStopped, interruptibility } from './interrupts.js';
import { NodeTable } from './nodes.js';
import { KernelNotifier } from './notify.js';
import { OpenFiles } from './open-files.js';
import { PathGate } from './path-gate.js';
import { OPCODE, opcodeName, SIZEOF_IN_HEADER } from './protocol/constants.js';
import { encodeInitOut, type InitOptions, type InitOut, negotiate } from './protocol/init.js';
import { invalInode, outHeader } from './protocol/replies.js';
import {
  type InHeader,
  readBatchForgetIn,
  readForgetIn,
  readInHeader,
  readInitIn,
  readInterruptIn,
} from './protocol/requests.js';
import { WireReader } from './protocol/wire.js';
import { type Stoppable, Stopping, type StoppingSettings } from './stopping.js';
import type { CallStats, Failure } from './tally.js';

const log = logger('fuse');

/** Requests on what is open already: whoever was given the descriptor may make them, and the kernel itself. */
const BY_HANDLE: ReadonlySet<number> = new Set([
  OPCODE.READ,
  OPCODE.WRITE,
  OPCODE.FLUSH,
  OPCODE.FSYNC,
  OPCODE.RELEASE,
  OPCODE.READDIR,
  OPCODE.READDIRPLUS,
  OPCODE.FSYNCDIR,
  OPCODE.RELEASEDIR,
]);

/** Where replies and notifications go. */
export interface Transport {
  /** Writes one reply, all parts at once; false when the kernel no longer waits for it. Never throws. */
  reply(parts: readonly Uint8Array[]): boolean;
  /** Writes one notification off the event loop. */
  notify(message: Buffer): Promise<void>;
  /** Ends the connection to the kernel at once. */
  abort(): void;
}

/** How a connection to the kernel ends. */
export type EndReason = 'unmounted' | 'aborted';

/** 'new' until FUSE_INIT was answered; 'refused' when there is no common protocol. */
export type SessionState = 'new' | 'serving' | 'refused' | 'ended';

export interface SessionOptions extends StoppingSettings {
  readonly operations: Operations;
  readonly transport: Transport;
  readonly init?: InitOptions;
  readonly clock?: Clock;
  /** May this user begin anything here (allow_root)? What the kernel lets in, when left out. */
  readonly admits?: (uid: number) => boolean;
}

export interface OpcodeStats {
  readonly count: number;
  /** Sum of the times from request to reply. */
  readonly milliseconds: number;
}

export interface SessionStats {
  readonly state: SessionState;
  readonly inFlight: number;
  readonly nodes: number;
  readonly openFiles: number;
  readonly openDirectories: number;
  readonly queuedNotifications: number;
  readonly opcodes: Readonly<Record<string, OpcodeStats>>;
}

interface Pending extends Stoppable {
  readonly call: Call;
  onLetGo: (() => void) | null;
}

/** The kernel is told `errno` where that is not the error itself. */
type Outcome = { readonly completion: Completion } | { readonly error: unknown; readonly errno?: number };

export class FuseSession {
  readonly #state: State;
  readonly #transport: Transport;
  readonly #init: InitOptions;
  readonly #admits: (uid: number) => boolean;
  readonly #notifier: KernelNotifier;
  readonly #pending = new Map<number, Pending>();
  readonly #stopping: Stopping<Pending>;
  readonly #calls: Calls;
  readonly #ready = deferred<InitOut>();
  readonly #gone = deferred<EndReason>();
  readonly #done = deferred<EndReason>();
  #status: SessionState = 'new';

  constructor(options: SessionOptions) {
    this.#transport = options.transport;
    this.#init = options.init ?? {};
    this.#stopping = new Stopping(options, (pending) => {
      const errno = ERRNO[errnoWhenStopped(pending.header.opcode)];
      this.#settle(pending, { error: new FsError('EINTR'), errno });
      pending.onLetGo?.();
    });
    this.#admits = options.admits ?? (() => true);
    const nodes = new NodeTable();
    this.#calls = new Calls(nodes, options.clock ?? systemClock);
    this.#state = {
      operations: options.operations,
      nodes,
      open: new OpenFiles(),
      gate: new PathGate(),
      isPending: (unique) => this.#pending.has(unique),
      onLetGo: (unique, callback) => {
        const pending = this.#pending.get(unique);
        if (pending !== undefined) pending.onLetGo = callback;
      },
      expireEntry: (parent, name) => this.#notifier.expireEntry(parent, name),
      toldAbsent: (parent, name) => this.#notifier.absent(parent, name),
      dropTargets: (node) => this.#notifier.invalidateTargets(node),
      // A request may await this one: without pages, the kernel takes no lock that a request could hold.
      dropAttributes: (nodeid) => this.#transport.notify(invalInode(nodeid, false)).catch(() => undefined),
    };
    this.#notifier = new KernelNotifier(nodes, (message) => this.#transport.notify(message));
    // Whoever does not ask for it need not hear of it: `done` tells the end in any case.
    this.#ready.promise.catch(() => undefined);
  }

  /** What was negotiated, once the kernel has asked; rejects when there is no common protocol. */
  get ready(): Promise<InitOut> {
    return this.#ready.promise;
  }

  /** Resolves as soon as the connection to the kernel has ended. */
  get gone(): Promise<EndReason> {
    return this.#gone.promise;
  }

  /** Resolves when the connection has ended and every handle was released. */
  get done(): Promise<EndReason> {
    return this.#done.promise;
  }

  get kernelCache(): KernelCache {
    return this.#notifier;
  }

  stats(): SessionStats {
    const { nodes, open } = this.#state;
    return {
      state: this.#status,
      inFlight: this.#pending.size,
      nodes: nodes.size,
      openFiles: open.files,
      openDirectories: open.directories,
      queuedNotifications: this.#notifier.queued,
      opcodes: this.#calls.tally.sums(),
    };
  }

  /** How often each call was made, and how long it took. */
  calls(): Readonly<Record<string, CallStats>> {
    return this.#calls.tally.stats();
  }

  /** The last calls that failed, oldest first. */
  failures(): readonly Failure[] {
    return this.#calls.tally.failures();
  }

  #setStatus(status: SessionState, why: string): void {
    log('%s -> %s (%s)', this.#status, status, why);
    this.#status = status;
  }

  /**
   * Takes one whole request. Returns when all of its bytes were used, so the caller may reuse the buffer;
   * the reply comes through the transport, now or later. Never throws.
   */
  dispatch(bytes: Buffer): void {
    const reader = new WireReader(bytes);
    const header = readInHeader(reader);
    if (reader.failed) {
      log('a request of %d bytes has no header', bytes.length);
      return;
    }
    if (this.#takeSilent(header, reader)) {
      this.#calls.silent(bytes);
      return;
    }
    const pending: Pending = {
      header,
      call: this.#calls.begun(header, bytes),
      interruptibility: interruptibility(header.opcode, bytes),
      isInterrupted: false,
      graceTimer: null,
      onLetGo: null,
    };
    // Kernels before 6.3 have a killed program close its files uninterruptibly, and say nothing of that.
    if (header.opcode === OPCODE.FLUSH) this.#stopping.watch(pending);
    this.#pending.set(header.unique, pending);
    this.#run(header, reader, bytes.length).then(
      (completion) => this.#settle(pending, { completion }),
      (error: unknown) => {
        if (!(error instanceof FsError)) log('%s failed: %o', opcodeName(header.opcode), error);
        this.#settle(pending, { error });
      },
    );
  }

  /** Requests that have no reply. */
  #takeSilent(header: InHeader, reader: WireReader): boolean {
    switch (header.opcode) {
      case OPCODE.FORGET: {
        const { nlookup } = readForgetIn(reader);
        if (!reader.failed) this.#state.nodes.forget(header.nodeid, nlookup);
        return true;
      }
      case OPCODE.BATCH_FORGET:
        for (const { nodeid, nlookup } of readBatchForgetIn(reader)) {
          this.#state.nodes.forget(nodeid, nlookup);
        }
        return true;
      case OPCODE.INTERRUPT: {
        const { unique } = readInterruptIn(reader);
        if (!reader.failed) this.#interrupt(header, unique);
        return true;
      }
      default:
        return false;
    }
  }

  async #run(header: InHeader, reader: WireReader, length: number): Promise<Completion> {
    if (header.len !== length || header.len < SIZEOF_IN_HEADER) {
      throw new FsError('EINVAL', `a request of ${length} bytes says it has ${header.len}`);
    }
    if (header.opcode === OPCODE.INIT) return this.#initialize(reader);
    if (this.#status !== 'serving') throw new FsError('EIO', `request while ${this.#status}`);
    const handler = HANDLERS.get(header.opcode);
    if (!BY_HANDLE.has(header.opcode) && !this.#admits(header.uid)) throw new FsError('EACCES');
    if (handler === undefined) throw new FsError('ENOSYS', opcodeName(header.opcode));
    return handler(this.#state, header, reader);
  }

  #initialize(reader: WireReader): Completion {
    const init = decode(reader, readInitIn);
    const negotiation = negotiate(init, this.#init);
    if (negotiation.kind === 'refuse') {
      this.#setStatus('refused', negotiation.message);
      this.#ready.reject(new Error(negotiation.message));
      throw new FsError('EPROTO', negotiation.message);
    }
    const { out } = negotiation;
    if (negotiation.kind === 'accept') {
      this.#setStatus('serving', `protocol ${init.major}.${init.minor}, flags 0x${out.flags.toString(16)}`);
      this.#ready.resolve(out);
    }
    return { deliver: () => [encodeInitOut(out)] };
  }

  /** The only place that replies to a request. */
  #settle(pending: Pending, outcome: Outcome): void {
    const { header } = pending;
    if (this.#pending.get(header.unique) !== pending) {
      if ('completion' in outcome) {
        outcome.completion.abandon?.();
        outcome.completion.finish?.();
      } else if (outcome.error instanceof FsError) outcome.error.undelivered?.();
      return;
    }
    this.#pending.delete(header.unique);
    this.#stopping.ended(pending);
    if ('error' in outcome) {
      const { error, errno = errnoOf(error) } = outcome;
      this.#calls.failed(pending.call, error);
      const undelivered = error instanceof FsError ? error.undelivered : undefined;
      // A descriptor that is closed because its program ends: nobody looks at the answer. With the answer any program
      // may end, so this is found out before.
      const isHeard = undelivered === undefined || this.#stopping.isHeard(pending);
      const isSent = this.#reply(header, errno, []);
      if (!isSent || !isHeard) undelivered?.();
      return;
    }
    const { completion } = outcome;
    let parts: readonly Uint8Array[];
    try {
      parts = completion.deliver();
    } catch (error) {
      log('%s: no reply could be made: %o', opcodeName(header.opcode), error);
      completion.abandon?.();
      completion.finish?.();
      this.#calls.failed(pending.call, error);
      this.#reply(header, errnoOf(error), []);
      return;
    }
    this.#calls.answered(pending.call, parts);
    if (!this.#reply(header, 0, parts)) completion.abandon?.();
    completion.finish?.();
  }

  #reply(header: InHeader, errno: number, parts: readonly Uint8Array[]): boolean {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    return this.#transport.reply([outHeader(header.unique, errno, length), ...parts]);
  }

  #interrupt(interrupt: InHeader, unique: number): void {
    const pending = this.#pending.get(unique);
    if (pending === undefined) {
      // Read before the request it is about, or after its reply: the kernel tries again or finds it done.
      this.#reply(interrupt, ERRNO.EAGAIN, []);
      return;
    }
    this.#stopping.interrupted(pending);
  }

  /**
   * Lets the kernel go, whatever hangs: every waiting program gets ECONNABORTED, then the connection ends, and the
   * mount, still in the tree, is dead.
   */
  abort(): void {
    if (this.#status === 'ended') return;
    log('abort: %d requests wait', this.#pending.size);
    // Answered first: a notification under way may hold the descriptor open until they are.
    for (const pending of [...this.#pending.values()]) {
      this.#settle(pending, { error: new FsError('ECONNABORTED') });
    }
    this.#transport.abort();
  }

  /**
   * The kernel is gone: no request will be answered and no RELEASE will come any more. Releases every
   * handle, then resolves `done`.
   */
  async end(reason: EndReason): Promise<void> {
    if (this.#status === 'ended') return;
    this.#setStatus('ended', reason);
    this.#gone.resolve(reason);
    this.#ready.reject(new Error('the mount ended before the kernel asked for it'));
    this.#notifier.close();
    for (const pending of this.#pending.values()) this.#stopping.ended(pending);
    this.#pending.clear();
    const { operations, open } = this.#state;
    const { files, directories } = open.drain();
    const results = await Promise.allSettled([
      ...files.map((handle) => operations.release(handle)),
      ...directories.map((handle) => operations.releasedir(handle)),
    ]);
    for (const result of results) {
      if (result.status === 'rejected') log('release at the end: %o', result.reason);
    }
    this.#done.resolve(reason);
  }
}
