/**
 * The TCP connection below SSH: every address of the host is tried, and small packets leave at once. When it is
 * given up, nothing leaves any more.
 */
import { connect, type Socket } from 'node:net';
import { Incoming } from './incoming.js';

/** An address that is silent for this many milliseconds is left for the next one. */
const ADDRESS_TIMEOUT = 3000;

export interface Dialled {
  /** Paused, so that nothing is read before somebody listens. */
  readonly socket: Socket;
  readonly incoming: Incoming;
}

export async function dial(host: string, port: number, signal: AbortSignal): Promise<Dialled> {
  const incoming = new Incoming();
  const socket = connect({
    host,
    port,
    // Nagle's algorithm would hold back each small request until the answer to the one before.
    noDelay: true,
    keepAlive: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT,
    onread: incoming.onread,
  });
  incoming.attach(socket);
  socket.pause();
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      reject(firstOf(error));
    };
    const abort = () => fail(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
      resolve({ socket, incoming });
    });
    if (signal.aborted) abort();
  });
}

/**
 * Ends the connection so that nothing more of what was written to it reaches the other end: a request that is
 * delivered late, by a network that comes back, could undo what a newer one did. The kernel would go on trying
 * to send what it holds; a reset makes it forget that.
 */
export function abandon(socket: Socket): void {
  // While the kernel is being told that no more will be written, which takes a moment, it refuses a reset.
  const isEnding = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
  if (isEnding && !socket.destroyed) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/** Of the errors of several addresses, the first that says why: a refusal tells more than a missing route. */
function firstOf(error: Error): Error {
  if (!(error instanceof AggregateError)) return error;
  const errors: Error[] = error.errors.filter((each) => each instanceof Error);
  return errors.find((each) => 'code' in each && each.code === 'ECONNREFUSED') ?? errors[0] ?? error;
}
