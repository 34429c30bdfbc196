/**
 * A carrier's stream over another stream, or over two for the two directions: what is read goes through `Incoming`
 * as it does from a socket, and what is written in one burst is passed on in one. Memory that is written is done with
 * when its callback comes, as with a socket.
 */
import { Duplex, type Readable, type Writable } from 'node:stream';
import type { Incoming } from './incoming.js';

type Callback = (error?: Error | null) => void;

export class Relay extends Duplex {
  readonly #source: Readable;
  readonly #sink: Writable;
  readonly #incoming: Incoming;
  #isReading = false;
  /** The write that is under way; a stream that is destroyed may leave it unanswered. */
  #writing: Callback | null = null;

  /**
   * Whoever makes it ends or destroys it when `source` ends or either fails, since they know the reason; a write
   * that fails waits for that.
   */
  constructor(source: Readable, sink: Writable, incoming: Incoming) {
    super({ allowHalfOpen: true });
    this.#source = source;
    this.#sink = sink;
    this.#incoming = incoming;
    incoming.attach(this);
  }

  /** The other side has said all. */
  finish(): void {
    if (!this.destroyed && !this.readableEnded) this.push(null);
  }

  override _read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#source.on('data', (data: Buffer) => this.#incoming.feed(data));
    this.#source.resume();
  }

  override _write(data: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#sink.write(data, this.#done(callback));
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: Callback): void {
    this.#sink.cork();
    for (const { chunk } of chunks.slice(0, -1)) this.#sink.write(chunk);
    this.#sink.write(chunks.at(-1)?.chunk ?? Buffer.alloc(0), this.#done(callback));
    this.#sink.uncork();
  }

  override _final(callback: Callback): void {
    if (!this.#sink.destroyed) this.#sink.end();
    callback();
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#source.destroy();
    this.#sink.destroy();
    this.#writing?.(error ?? new Error('closed'));
    this.#writing = null;
    callback(error);
  }

  #done(callback: Callback): Callback {
    this.#writing = callback;
    return (error) => {
      if (this.#writing !== callback || error instanceof Error) return;
      this.#writing = null;
      callback();
    };
  }
}
