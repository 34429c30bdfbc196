/** A connection that a test plays: it logs in again, gives channels and is lost when the test says so. */
import type { Duplex } from 'node:stream';
import type { Connection } from '../../src/ssh/connection.js';

export class FakeConnection implements Connection {
  readonly maxChannels: number;
  readonly serverSoftware = 'fake';
  readonly hostKey = null;
  readonly complaints = '';
  readonly again: Connection['again'];
  readonly reconnect = null;
  state: 'open' | 'closed' = 'open';
  /** What gives channels; a fresh connection refuses. */
  open: () => Promise<Duplex> = () => Promise.reject(new Error('no channels here'));
  /** Tells whoever listens that the server is silent, or heard again. */
  tellSilence: (silent: boolean) => void = () => undefined;
  readonly #callbacks: ((reason: Error | null) => void)[] = [];

  constructor(again: Connection['again'] = null, maxChannels = Number.POSITIVE_INFINITY) {
    this.again = again;
    this.maxChannels = maxChannels;
  }

  openSftp(): Promise<Duplex> {
    return this.open();
  }

  openCommand(): Promise<Duplex> {
    return Promise.reject(new Error('no commands here'));
  }

  onClose(callback: (reason: Error | null) => void): void {
    this.#callbacks.push(callback);
  }

  onSilence(callback: (silent: boolean) => void): void {
    this.tellSilence = callback;
  }

  probe(): void {}

  async close(): Promise<void> {
    this.lose(null);
  }

  lose(reason: Error | null): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    for (const callback of this.#callbacks) callback(reason);
  }
}

/** A clock that stands still until it is moved. */
export class FakeClock {
  time = 1000;

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return this.time;
  }

  advance(milliseconds: number): void {
    this.time += milliseconds;
  }
}

/** Lets everything that is already settled run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
