/**
 * A connection that is one byte stream: it carries a single SFTP channel, and they end together. Whether the server is
 * there is left to what makes the stream (the ssh program asks for signs of life itself) and to the time that a
 * request may take.
 */
import type { Duplex } from 'node:stream';
import { logger } from '../base/log.js';
import type { Connection } from './connection.js';
import { ConnectError } from './errors.js';

const log = logger('ssh');

/** How long the other end may take to answer a goodbye, in milliseconds. */
const GOODBYE = 2000;

export interface SingleConnectionParts {
  /** Ends with an error that says why. */
  readonly stream: Duplex;
  /** The other end, as a sentence names it. */
  readonly server: string;
  readonly serverSoftware: string;
  readonly complaints: () => string;
}

export class SingleConnection implements Connection {
  readonly maxChannels = 1;
  /** All set by whoever knows how it was made. */
  again: Connection['again'] = null;
  reconnect: Connection['reconnect'] = null;
  /** How commands are run beside the one channel. */
  command: Connection['openCommand'] | null = null;
  readonly serverSoftware: string;
  readonly hostKey = null;
  readonly #parts: SingleConnectionParts;
  readonly #callbacks: ((reason: Error | null) => void)[] = [];
  #state: 'unused' | 'open' | 'closing' | 'closed' = 'unused';
  #reason: Error | null = null;

  constructor(parts: SingleConnectionParts) {
    this.#parts = parts;
    this.serverSoftware = parts.serverSoftware;
    parts.stream.on('error', (error) => {
      this.#reason = error;
    });
    parts.stream.once('close', () => this.#closed());
    if (parts.stream.destroyed) queueMicrotask(() => this.#closed());
  }

  get complaints(): string {
    return this.#parts.complaints();
  }

  openSftp(): Promise<Duplex> {
    if (this.#state === 'unused') {
      this.#setState('open');
      return Promise.resolve(this.#parts.stream);
    }
    const { server } = this.#parts;
    const lost = new ConnectError('lost', `the connection to ${server} is closed`);
    const single = new ConnectError('subsystem', `this connection to ${server} carries one channel`);
    return Promise.reject(this.#state === 'open' ? single : (this.#reason ?? lost));
  }

  openCommand(command: string, mayConnect: boolean): Promise<Duplex> {
    if (this.command !== null) return this.command(command, mayConnect);
    const { server } = this.#parts;
    return Promise.reject(new ConnectError('subsystem', `this connection to ${server} carries one channel`));
  }

  onClose(callback: (reason: Error | null) => void): void {
    if (this.#state === 'closed') queueMicrotask(() => callback(this.#reason));
    else this.#callbacks.push(callback);
  }

  /** Nobody but a request can tell. */
  onSilence(): void {}

  /** There is nothing to ask; but where nothing more may be sent, that is seen to. */
  probe(within: number): void {
    if (within > 0) return;
    this.#parts.stream.destroy(new ConnectError('lost', `${this.#parts.server} stopped answering`));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.onClose(() => resolve());
      if (this.#state === 'closed' || this.#state === 'closing') return;
      this.#setState('closing');
      const { stream } = this.#parts;
      setTimeout(() => stream.destroy(), GOODBYE).unref();
      stream.end();
      // What still arrives is for nobody.
      stream.resume();
    });
  }

  #setState(state: 'open' | 'closing' | 'closed'): void {
    log('connection to %s: %s -> %s', this.#parts.server, this.#state, state);
    this.#state = state;
  }

  #closed(): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'closing') this.#reason = null;
    else this.#reason ??= new ConnectError('lost', `the connection to ${this.#parts.server} is closed`);
    this.#setState('closed');
    for (const callback of this.#callbacks.splice(0)) callback(this.#reason);
  }
}
