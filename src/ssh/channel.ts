/**
 * An SSH channel as a well-behaved byte stream. ssh2's own stream never calls back a write that meets a
 * closed channel, and throws from inside Node's stream machinery when it is touched after the connection
 * ended; this one fails every pending write, closes once, and says why.
 */
import { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { logger } from '../base/log.js';
import { ConnectError } from './errors.js';
import { PACKET } from './outgoing.js';
import { ChannelInternals } from './ssh2-internals.js';

const log = logger('ssh');

/** Unread bytes after which the channel is asked to stop. */
const BUFFER = 2 * 1024 * 1024;

/**
 * Bytes the server may send ahead (RFC 4254 §5.2). ssh2 grants 2 MiB, which caps a connection at 2 MiB a round
 * trip: 40 MB/s at 50 ms. It tops that up only below 1 MiB, so a larger grant of ours leaves it nothing to do.
 */
const RECEIVE_WINDOW = 16 * 1024 * 1024;
/** The window is topped up when this much was used. */
const GRANT = RECEIVE_WINDOW / 4;

type WriteCallback = (error?: Error | null) => void;

export class ChannelStream extends Duplex {
  readonly #channel: ClientChannel;
  readonly #internals: ChannelInternals;
  /** Tells that what arrives is kept until the returned function is called. */
  readonly #keep: () => () => void;
  #release: () => void;
  #connected = true;
  /** Ends the write that is under way; Node itself would leave it unanswered when the stream is destroyed. */
  #writing: WriteCallback | null = null;

  /** `keep`: memory that arrives is not to be used again until the function that it answers is called. */
  constructor(channel: ClientChannel, keep: () => () => void) {
    super({ readableHighWaterMark: BUFFER, writableHighWaterMark: PACKET * 8, allowHalfOpen: true });
    this.#channel = channel;
    this.#internals = new ChannelInternals(channel);
    this.#keep = keep;
    // Nobody reads yet.
    this.#release = keep();
    this.#widen();
    channel.on('data', (data: Buffer) => {
      if (this.destroyed) return;
      if (this.push(data)) this.#widen();
      else this.#pause();
      if (this.readableFlowing && this.readableLength === 0 && channel.readableLength === 0) this.#release();
    });
    channel.on('end', () => this.push(null));
    channel.on('close', () => this.#closed());
    channel.on('error', (error: Error) => this.destroy(error));
  }

  /** The connection is gone: nothing more can be sent, not even a close. */
  disconnect(reason: ConnectError): void {
    this.#connected = false;
    this.#internals.mute();
    this.destroy(reason);
  }

  #pause(): void {
    this.#release();
    this.#release = this.#keep();
    this.#channel.pause();
  }

  override _read(): void {
    this.#channel.resume();
    this.#widen();
  }

  /** Lets the server send more, once enough of what it may send has arrived and was taken. */
  #widen(): void {
    const window = this.#connected ? this.#internals.receiveWindow : null;
    if (window !== null && RECEIVE_WINDOW - window >= GRANT) this.#internals.widen(RECEIVE_WINDOW - window);
  }

  override _write(data: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#submit([data], callback);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: WriteCallback): void {
    this.#submit(coalesce(chunks.map(({ chunk }) => chunk)), callback);
  }

  #submit(batches: readonly Buffer[], callback: WriteCallback): void {
    if (!this.#connected || !this.#channel.writable) {
      if (this.#connected) this.#takeRest();
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
      for (const batch of batches.slice(0, -1)) this.#channel.write(batch);
      this.#channel.write(batches.at(-1) ?? Buffer.alloc(0), done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#connected) this.#channel.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#release();
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

  /** What the server said before it closed may say why: it is here before the failure is. */
  #takeRest(): void {
    let isTold = false;
    this.#channel.once('data', () => {
      isTold = true;
    });
    const rest: unknown = this.#channel.read();
    // A channel that has told of its end tells of no data any more.
    if (!isTold && Buffer.isBuffer(rest) && !this.readableEnded) this.push(rest);
  }

  /** The far end closed; what it sent before may still wait to be read. */
  #closed(): void {
    if (this.readableEnded || this.destroyed) this.destroy();
    else this.once('end', () => this.destroy());
  }
}

/**
 * The bytes of `chunks` in batches, cut so that each packet but the last is full. What fills packets by itself
 * is not copied; the smaller pieces of one packet are joined.
 */
export function coalesce(chunks: readonly Buffer[]): Buffer[] {
  const batches: Buffer[] = [];
  /** The pieces of a packet that is not full yet, and how much they hold. */
  let pieces: Buffer[] = [];
  let size = 0;
  const add = (piece: Buffer) => {
    if (piece.length === 0) return;
    pieces.push(piece);
    size += piece.length;
  };
  const flush = () => {
    const [only] = pieces;
    if (only !== undefined) batches.push(pieces.length === 1 ? only : Buffer.concat(pieces, size));
    pieces = [];
    size = 0;
  };
  for (const chunk of chunks) {
    const fill = Math.min(chunk.length, (PACKET - size) % PACKET);
    add(chunk.subarray(0, fill));
    if (size === PACKET) flush();
    const whole = chunk.length - ((chunk.length - fill) % PACKET);
    if (whole > fill) batches.push(chunk.subarray(fill, whole));
    add(chunk.subarray(whole));
  }
  flush();
  return batches;
}
