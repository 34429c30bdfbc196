/** Puts a session on a mounted descriptor: all that a program needs to serve a filesystem. */
import type { Operations } from '../fs/operations.js';
import { FuseDevice } from './device.js';
import type { InitOptions } from './protocol/init.js';
import { FuseSession } from './session.js';

export interface ServeOptions {
  /** The descriptor that `mountFuse` answered; closed when the session ends. */
  readonly fd: number;
  readonly operations: Operations;
  readonly init?: InitOptions;
  /** See `SessionOptions`. */
  readonly isStalled?: () => boolean;
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
  });
  void device.serve((request) => session.dispatch(request)).then((reason) => session.end(reason));
  return session;
}
