/**
 * Appends to logs with O_APPEND. A log is one stream, so whatever was written is at its place or nowhere, and what
 * is confirmed is a length. After a failure the log is opened again, cut to what was confirmed, and goes on. What only
 * a close has answered that does not confirm may be lost all the same, if the mount tells that; then another log begins.
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, readWhole, type Step } from '../calls.js';
import { type Claim, type Claimed, deviation, type Excuse, type Part, stream } from '../claims.js';
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
  /** How far that is beyond doubt. */
  #synced = 0;
  /** How far bytes may have come. */
  #attempted = 0;
  /** When everything was confirmed for the last time. */
  #since = Date.now();
  /** What is claimed of the logs that are finished. */
  readonly #finished = new Map<number, Claimed>();

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

  claims(): readonly Claimed[] {
    const finished = [...this.#finished.values()];
    return this.#attempted === 0 ? finished : [...finished, this.#claimed()];
  }

  #claimed(): Claimed {
    const claim = this.#claim(this.#confirmed);
    if (this.#synced === this.#confirmed) return claim;
    return { ...claim, otherwise: [{ claim: this.#claim(this.#synced), unless: this.#excuse() }] };
  }

  /** The log is there as far as `sure`, and beyond that it may have holes. */
  #claim(sure: number): Claim {
    const streams = [this.#stream()];
    const parts: Part[] = [
      { offset: 0, length: sure, streams, zero: false },
      { offset: sure, length: this.#attempted - sure, streams, zero: true },
    ];
    return { is: 'file', path: this.#name, least: sure, most: this.#attempted, parts };
  }

  /** No other log has this name. */
  #excuse(): Excuse {
    return { paths: [this.#name], since: 0 };
  }

  get #name(): string {
    return `log-${this.#log}`;
  }

  #stream(): string {
    return `${this.#place.seed}/${this.#name}`;
  }

  /** Has a descriptor of a log that ends where it is confirmed. */
  #open(): boolean {
    if (this.#fd !== null) return true;
    const path = join(this.#place.directory, this.#name);
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
      const isExcusable = this.#synced <= size && size < this.#confirmed;
      const what = `${this.#name}: opened with ${size} bytes instead of ${range}`;
      this.#place.calls.wrong(what, isExcusable ? this.#excuse() : null);
      if (isExcusable) {
        this.#begin();
        return this.#giveUp(fd);
      }
    }
    if (size === this.#confirmed) return true;
    const cut = this.#attempt('ftruncate', () => ftruncateSync(fd, this.#confirmed));
    return cut.errno === null || this.#giveUp(fd);
  }

  #write(length: number): boolean {
    const fd = this.#fd;
    if (fd === null) return false;
    this.#attempted = Math.max(this.#attempted, this.#end + length);
    const bytes = stream(this.#stream(), this.#end, length);
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
    const isSure = stayOpen || this.#place.closeConfirms;
    if (isSure && this.#synced === this.#confirmed) this.#synced = this.#end;
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
    const read = this.#attempt('read', (step) => readWhole(join(this.#place.directory, this.#name), step));
    if (read.errno !== null) return;
    const claim = this.#claimed();
    const wrong = deviation([claim], claim.otherwise ?? [], { is: 'file', bytes: read.value });
    if (wrong !== null) this.#place.calls.wrong(`read back: ${wrong.what}`, wrong.unless);
    this.#place.calls.verified(read.value.length);
  }

  #rotate(): void {
    if (this.#fd !== null && !this.#confirm(false)) return;
    this.#begin();
  }

  /** Another log. */
  #begin(): void {
    this.#finished.set(this.#log, this.#claimed());
    this.#log++;
    this.#confirmed = 0;
    this.#synced = 0;
    this.#attempted = 0;
    const [oldest] = this.#finished.keys();
    if (this.#finished.size <= KEPT || oldest === undefined) return;
    this.#finished.delete(oldest);
    this.#remover.add(`log-${oldest}`);
  }

  #attempt<T>(call: string, make: (step: Step) => T): Answer<T> {
    return this.#place.calls.attempt(call, this.#name, this.#since, make);
  }
}
