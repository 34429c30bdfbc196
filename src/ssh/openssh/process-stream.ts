/**
 * The standard input and output of a child process as one byte stream. It ends when the process has ended, with the
 * reason that is found then. Its event 'heard' tells of the first bytes. When it is destroyed, the process is killed
 * at once, so that nothing of what it holds is sent any more.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Duplex } from 'node:stream';
import { ConnectError } from '../errors.js';

/** Unread bytes after which the process is not read any more. */
const BUFFER = 2 * 1024 * 1024;
/** Unsent bytes after which a writer should wait. */
const UNSENT = 256 * 1024;
/** Milliseconds between the end of its input and SIGTERM. */
const GOODBYE = 1000;

type WriteCallback = (error?: Error | null) => void;

export class ProcessStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #kill: () => void;
  /** What is written ahead of its writer, and to be left out when they write it. */
  #ahead: Buffer;
  #writing: WriteCallback | null = null;
  #timer: NodeJS.Timeout | null = null;
  #hasEnded = false;

  /**
   * @param hello written at once; whoever writes to the stream begins with it, too
   * @param kill the process, if it has not ended, and what it has started
   * @param explain why the process ended
   */
  constructor(
    child: ChildProcessWithoutNullStreams,
    hello: Buffer,
    kill: () => void,
    explain: (code: number | null, signal: string | null) => Error,
  ) {
    super({ readableHighWaterMark: BUFFER, writableHighWaterMark: UNSENT });
    this.#child = child;
    this.#kill = kill;
    this.#ahead = hello;
    const { stdin, stdout } = child;
    // Why it takes no more is told by its end.
    stdin.on('error', () => {});
    stdout.on('error', () => {});
    stdout.once('data', () => this.emit('heard'));
    stdout.on('data', (data: Buffer) => {
      if (!this.destroyed && !this.push(data)) stdout.pause();
    });
    // What ssh leaves behind (a shared connection) may hold on to standard error.
    child.once('exit', () => setTimeout(() => child.stderr.destroy(), GOODBYE).unref());
    child.on('close', (code, signal) => this.#ended(explain(code, signal)));
    stdin.write(hello);
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(data: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#submit([data], callback);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], callback: WriteCallback): void {
    this.#submit(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  override _final(callback: WriteCallback): void {
    this.#child.stdin.end();
    this.#timer = setTimeout(() => this.#child.kill('SIGTERM'), GOODBYE).unref();
    callback();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (!this.#hasEnded) this.#kill();
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    this.#writing?.(error ?? new ConnectError('lost', 'the channel is closed'));
    callback(error);
  }

  #submit(chunks: readonly Buffer[], callback: WriteCallback): void {
    const { stdin } = this.#child;
    const done = (error?: Error | null) => {
      // A write that failed waits for the process to end, which has the reason.
      if (this.#writing !== done || (error && !this.destroyed)) return;
      this.#writing = null;
      callback(error);
    };
    this.#writing = done;
    const rest = chunks.map((chunk) => this.#unlessAhead(chunk));
    stdin.cork();
    for (const chunk of rest.slice(0, -1)) stdin.write(chunk);
    stdin.write(rest.at(-1) ?? Buffer.alloc(0), done);
    stdin.uncork();
  }

  #unlessAhead(chunk: Buffer): Buffer {
    if (this.#ahead.length === 0) return chunk;
    const count = Math.min(this.#ahead.length, chunk.length);
    this.#ahead = this.#ahead.subarray(count);
    return chunk.subarray(count);
  }

  /** What it wrote before may still wait to be read. */
  #ended(reason: Error): void {
    this.#hasEnded = true;
    if (this.readableLength === 0) this.destroy(reason);
    else {
      this.once('end', () => this.destroy(reason));
      this.push(null);
    }
  }
}
