/**
 * An SSH channel as a well-behaved byte stream. ssh2's own stream never calls back a write that meets a
 * closed channel, and throws from inside Node's stream machinery when it is touched after the connection
 * ended; this one fails every pending write, closes once, and says why.
 */
import { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { logger } from '../base/log.js';
import { ConnectError } from './errors.js';

const log = logger('ssh');

/** Small writes that were corked together travel as one packet, up to this many bytes. */
const COALESCE = 32 * 1024;

/** Unread bytes after which the channel is asked to stop. */
const BUFFER = 2 * 1024 * 1024;

/**
 * Bytes the server may send ahead (RFC 4254 §5.2). ssh2 grants 2 MiB, which caps a connection at 2 MiB a round
 * trip: 40 MB/s at 50 ms. It tops that up only below 1 MiB, so a larger grant of ours leaves it nothing to do.
 */
const RECEIVE_WINDOW = 16 * 1024 * 1024;
/** The window is topped up when this much was used. */
const GRANT = RECEIVE_WINDOW / 4;

/** Parts of ssh2's channel that it does not publish: whether it still sends, and its receive window. */
interface ChannelInternals {
  readonly outgoing: { readonly id: number; state: string };
  readonly incoming: { window: number };
  readonly _client: { readonly _protocol: { channelWindowAdjust(id: number, bytes: number): void } };
}

export class ChannelStream extends Duplex {
  readonly #channel: ClientChannel;
  #connected = true;
  /** Ends the write that is under way; Node itself would leave it unanswered when the stream is destroyed. */
  #writing: ((error?: Error | null) => void) | null = null;

  constructor(channel: ClientChannel) {
    super({ readableHighWaterMark: BUFFER, writableHighWaterMark: COALESCE * 8, allowHalfOpen: true });
    this.#channel = channel;
    this.#widen();
    channel.on('data', (data: Buffer) => {
      if (this.destroyed) return;
      if (this.push(data)) this.#widen();
      else channel.pause();
    });
    channel.on('end', () => this.push(null));
    channel.on('close', () => this.#closed());
    channel.on('error', (error: Error) => this.destroy(error));
  }

  /** The connection is gone: nothing more can be sent, not even a close. */
  disconnect(reason: ConnectError): void {
    this.#connected = false;
    // Stops ssh2 from writing to a protocol that throws on every use by now.
    (this.#channel as unknown as ChannelInternals).outgoing.state = 'closed';
    this.destroy(reason);
  }

  override _read(): void {
    this.#channel.resume();
    this.#widen();
  }

  /** Lets the server send more, once enough of what it may send has arrived and was taken. */
  #widen(): void {
    const { incoming, outgoing, _client: client } = this.#channel as unknown as ChannelInternals;
    const grant = RECEIVE_WINDOW - incoming.window;
    if (!this.#connected || outgoing.state !== 'open' || grant < GRANT) return;
    incoming.window += grant;
    client._protocol.channelWindowAdjust(outgoing.id, grant);
  }

  override _write(data: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (!this.#connected || !this.#channel.writable) {
      callback(new ConnectError('lost', 'the channel is closed'));
      return;
    }
    const done = (error?: Error | null) => {
      if (this.#writing !== done) return;
      this.#writing = null;
      callback(error);
    };
    this.#writing = done;
    try {
      this.#channel.write(data, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    callback: (error?: Error | null) => void,
  ): void {
    const batches = coalesce(chunks.map(({ chunk }) => chunk));
    const writeNext = (error?: Error | null): void => {
      const batch = error ? undefined : batches.shift();
      if (batch === undefined) callback(error);
      else this._write(batch, 'binary', writeNext);
    };
    writeNext();
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#connected) this.#channel.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#connected) {
      this.#connected = false;
      try {
        this.#channel.resume();
        this.#channel.close();
      } catch (late) {
        log('closing a channel of an ended connection: %s', late instanceof Error ? late.message : late);
      }
    }
    this.#writing?.(error ?? new ConnectError('lost', 'the channel is closed'));
    callback(error);
  }

  /** The far end closed; what it sent before may still wait to be read. */
  #closed(): void {
    if (this.readableEnded || this.destroyed) this.destroy();
    else this.once('end', () => this.destroy());
  }
}

/** Joins neighbouring small chunks; a large one stays as it is, uncopied. */
export function coalesce(chunks: readonly Buffer[]): Buffer[] {
  const batches: Buffer[] = [];
  let run: Buffer[] = [];
  let size = 0;
  const flush = () => {
    const [only] = run;
    if (only !== undefined) batches.push(run.length === 1 ? only : Buffer.concat(run, size));
    run = [];
    size = 0;
  };
  for (const chunk of chunks) {
    if (size + chunk.length > COALESCE) flush();
    run.push(chunk);
    size += chunk.length;
  }
  flush();
  return batches;
}
