/** The TCP connection below SSH: every address of the host is tried, and small packets leave at once. */
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

/** Of the errors of several addresses, the first that says why: a refusal tells more than a missing route. */
function firstOf(error: Error): Error {
  if (!(error instanceof AggregateError)) return error;
  const errors: Error[] = error.errors.filter((each) => each instanceof Error);
  return errors.find((each) => 'code' in each && each.code === 'ECONNREFUSED') ?? errors[0] ?? error;
}
