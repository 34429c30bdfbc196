/**
 * Appends to logs with O_APPEND. A log is one stream, so whatever was written is at its place or nowhere, and what
 * is confirmed is a length. After a failure the log is opened again, cut to what was confirmed, and goes on.
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, readWhole, type Step } from '../calls.js';
import { type Claim, contradiction, type Part, stream } from '../claims.js';
import { type Place, Remover, type Worker } from './worker.js';

const { O_WRONLY, O_CREAT, O_APPEND } = constants;
const RECORD = 20_000;
const BURST = 8;
const LONGEST = 2 ** 20;
const KEPT = 4;

export class Appender implements Worker {
  readonly #place: Place;
  readonly #remover: Remover;
  #log = 0;
  #fd: number | null = null;
  /** Where the next byte goes. */
  #end = 0;
  #confirmed = 0;
  /** How far bytes may have come. */
  #attempted = 0;
  /** When everything was confirmed for the last time. */
  #since = Date.now();
  /** Finished logs with their sizes. */
  readonly #finished = new Map<number, number>();

  constructor(place: Place) {
    this.#place = place;
    this.#remover = new Remover(place);
  }

  step(): void {
    const { random } = this.#place;
    if (!this.#open()) return;
    for (let records = random.between(1, BURST); records > 0; records--) {
      if (!this.#write(random.between(1, RECORD))) return;
    }
    if (!this.#confirm(random.chance(0.6))) return;
    if (random.chance(0.2)) this.#verify();
    if (this.#confirmed > LONGEST) this.#rotate();
    this.#remover.step();
  }

  settle(): boolean {
    const known = this.#fd === null && this.#attempted === this.#confirmed;
    return (known || (this.#open() && this.#confirm(false))) && this.#remover.step();
  }

  claims(): readonly Claim[] {
    const finished = [...this.#finished].map(([log, size]) => this.#claim(log, size, size));
    const current = this.#claim(this.#log, this.#confirmed, this.#attempted);
    return this.#attempted === 0 ? finished : [...finished, current];
  }

  #claim(log: number, confirmed: number, attempted: number): Claim {
    const streams = [this.#stream(log)];
    const parts: Part[] = [
      { offset: 0, length: confirmed, streams, zero: false },
      { offset: confirmed, length: attempted - confirmed, streams, zero: true },
    ];
    return { is: 'file', path: `log-${log}`, least: confirmed, most: attempted, parts };
  }

  #stream(log: number): string {
    return `${this.#place.seed}/log-${log}`;
  }

  /** Has a descriptor of a log that ends where it is confirmed. */
  #open(): boolean {
    if (this.#fd !== null) return true;
    const path = join(this.#place.directory, `log-${this.#log}`);
    const opened = this.#attempt('open', () => openSync(path, O_WRONLY | O_CREAT | O_APPEND, 0o644));
    if (opened.errno !== null) return false;
    const fd = opened.value;
    this.#fd = fd;
    this.#end = this.#confirmed;
    const stat = this.#attempt('fstat', () => fstatSync(fd));
    if (stat.errno !== null) return this.#giveUp(fd);
    const { size } = stat.value;
    if (size < this.#confirmed || size > this.#attempted) {
      const range = `${this.#confirmed} to ${this.#attempted}`;
      this.#place.calls.wrong(`log-${this.#log}: opened with ${size} bytes instead of ${range}`);
    }
    if (size === this.#confirmed) return true;
    const cut = this.#attempt('ftruncate', () => ftruncateSync(fd, this.#confirmed));
    return cut.errno === null || this.#giveUp(fd);
  }

  #write(length: number): boolean {
    const fd = this.#fd;
    if (fd === null) return false;
    this.#attempted = Math.max(this.#attempted, this.#end + length);
    const bytes = stream(this.#stream(this.#log), this.#end, length);
    const written = this.#attempt('write', () => writeSync(fd, bytes));
    if (written.errno !== null) return this.#giveUp(fd);
    this.#end += written.value;
    return true;
  }

  /** Everything written is on the server, or the descriptor is given up. */
  #confirm(stayOpen: boolean): boolean {
    const fd = this.#fd;
    if (fd === null) return false;
    if (!stayOpen) this.#fd = null;
    const answer = stayOpen
      ? this.#attempt('fsync', () => fsyncSync(fd))
      : this.#attempt('close', () => closeSync(fd));
    if (answer.errno !== null) return stayOpen ? this.#giveUp(fd) : false;
    this.#place.calls.confirmed(this.#end - this.#confirmed);
    this.#confirmed = this.#end;
    this.#attempted = this.#end;
    this.#since = Date.now();
    return true;
  }

  /** Always false: what was not confirmed is in doubt. */
  #giveUp(fd: number): false {
    this.#fd = null;
    this.#attempt('close', () => closeSync(fd));
    return false;
  }

  #verify(): void {
    const read = this.#attempt('read', (step) =>
      readWhole(join(this.#place.directory, `log-${this.#log}`), step),
    );
    if (read.errno !== null) return;
    const claim = this.#claim(this.#log, this.#confirmed, this.#attempted);
    const wrong = contradiction(claim, { is: 'file', bytes: read.value });
    if (wrong !== null) this.#place.calls.wrong(`read back: ${wrong}`);
    this.#place.calls.verified(read.value.length);
  }

  #rotate(): void {
    if (this.#fd !== null && !this.#confirm(false)) return;
    this.#finished.set(this.#log, this.#confirmed);
    this.#log++;
    this.#confirmed = 0;
    this.#attempted = 0;
    const [oldest] = this.#finished.keys();
    if (this.#finished.size <= KEPT || oldest === undefined) return;
    this.#finished.delete(oldest);
    this.#remover.add(`log-${oldest}`);
  }

  #attempt<T>(call: string, make: (step: Step) => T): Answer<T> {
    return this.#place.calls.attempt(call, `log-${this.#log}`, this.#since, make);
  }
}
