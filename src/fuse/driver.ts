/** Puts a session on a mounted descriptor: all that a program needs to serve a filesystem. */
import type { KernelCache, Operations } from '../fs/operations.js';
import { FuseDevice } from './device.js';
import type { InitOptions } from './protocol/init.js';
import { type EndReason, FuseSession, type SessionStats } from './session.js';
import type { CallStats, Failure } from './tally.js';

/** What a driver's session is to whoever puts it together with a filesystem. */
export interface KernelSession {
  /** Resolves when programs can use the mount. */
  readonly ready: Promise<unknown>;
  /** Resolves as soon as the connection to the kernel has ended. */
  readonly gone: Promise<EndReason>;
  /** Resolves when, moreover, every handle was released. */
  readonly done: Promise<EndReason>;
  readonly kernelCache: KernelCache;
  stats(): SessionStats;
  /** Of programs, by the names of the opcodes. */
  calls(): Readonly<Record<string, CallStats>>;
  /** The last ones, oldest first. */
  failures(): readonly Failure[];
  /** Lets the programs go that wait; the mount stays in the tree, dead. */
  abort(): void;
}

export interface ServeOptions {
  /** The descriptor that `mountFuse` answered; closed when the session ends. */
  readonly fd: number;
  readonly operations: Operations;
  readonly init?: InitOptions;
  /** See `SessionOptions`. */
  readonly isStalled?: () => boolean;
  readonly admits?: (uid: number) => boolean;
}

/**
 * Starts serving. `session.ready` tells when the kernel has agreed, `session.done` when the mount is gone and
 * its descriptor closed. A program that exits before leaves a dead mount: it unmounts (or aborts) first, awaits
 * `done`, and exits then.
 */
export function serveFuse(options: ServeOptions): FuseSession {
  const device = new FuseDevice(options.fd);
  const session = new FuseSession({
    operations: options.operations,
    transport: device,
    ...(options.init === undefined ? {} : { init: options.init }),
    ...(options.isStalled === undefined ? {} : { isStalled: options.isStalled }),
    ...(options.admits === undefined ? {} : { admits: options.admits }),
  });
  void device.serve((request) => session.dispatch(request)).then((reason) => session.end(reason));
  return session;
}
