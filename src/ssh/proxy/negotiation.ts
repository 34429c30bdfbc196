/**
 * Talking to a proxy on a socket before it belongs to SSH: an answer may come in pieces, and what comes behind it,
 * such as the server's banner in the same segment, is left for the next reader.
 */
import type { Socket } from 'node:net';

/** An answer, and how many bytes it took. */
export interface Parsed<T> {
  readonly value: T;
  readonly used: number;
}

/**
 * Sends `request` and reads the answer to it. `socket` is paused, and is so afterwards.
 * @param parse null while the answer is not whole; may throw, and has to bound how long an answer may be
 * @throws what `parse` throws, the socket's error, or why `signal` aborted; the socket is destroyed then
 */
export function ask<T>(
  socket: Socket,
  request: Buffer,
  parse: (data: Buffer) => Parsed<T> | null,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let data: Buffer = Buffer.alloc(0);
    const end = () => {
      socket.pause();
      socket.off('data', take).off('error', fail).off('end', closed).off('close', closed);
      signal.removeEventListener('abort', abort);
    };
    const fail = (error: unknown) => {
      end();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const abort = () => fail(signal.reason);
    const closed = () => fail(new Error('it closed the connection'));
    const take = (chunk: Buffer) => {
      data = Buffer.concat([data, chunk]);
      let parsed: Parsed<T> | null;
      try {
        parsed = parse(data);
      } catch (error) {
        fail(error);
        return;
      }
      if (parsed === null) return;
      end();
      if (parsed.used < data.length) socket.unshift(data.subarray(parsed.used));
      resolve(parsed.value);
    };
    socket.on('data', take).on('error', fail).on('end', closed).on('close', closed);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    else {
      socket.write(request);
      socket.resume();
    }
  });
}
