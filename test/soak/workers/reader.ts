/**
 * Reads files that nobody changes, through descriptors that are held for long and new ones: every byte must be right
 * and no error but that of an outage may show, however often the connection went away in between.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from '../calls.js';
import { type Claim, exactly, firstWrong } from '../claims.js';
import type { Place, Worker } from './worker.js';

export const READ_SIZE = 24 * 2 ** 20 + 4321;
export const READ_NAMES: readonly string[] = ['still', 'deep'];
const PIECE = 400_000;

/** The stream that the file holds from the beginning. */
export const readStream = (seed: string, name: string): string => `${seed}/${name}`;

export class Reader implements Worker {
  readonly #place: Place;
  #open: { readonly name: string; readonly fd: number; at: number } | null = null;

  constructor(place: Place) {
    this.#place = place;
  }

  step(): void {
    const { random } = this.#place;
    this.#open ??= this.#begin(random.pick(READ_NAMES));
    if (this.#open === null) return;
    for (let pieces = random.between(1, 6); pieces > 0 && this.#open !== null; pieces--)
      this.#read(this.#open);
    if (random.chance(0.05)) this.#end();
  }

  settle(): boolean {
    return this.#open === null || this.#end();
  }

  claims(): readonly Claim[] {
    return READ_NAMES.map((name) => exactly(name, readStream(this.#place.seed, name), READ_SIZE));
  }

  #begin(name: string): { name: string; fd: number; at: number } | null {
    const opened = this.#attempt('open', name, () => openSync(join(this.#place.directory, name), 'r'));
    return opened.errno === null ? { name, fd: opened.value, at: 0 } : null;
  }

  #end(): boolean {
    const open = this.#open;
    if (open === null) return true;
    this.#open = null;
    return this.#attempt('close', open.name, () => closeSync(open.fd)).errno === null;
  }

  /** Mostly one piece after the other, sometimes one from anywhere. */
  #read(open: { readonly name: string; readonly fd: number; at: number }): void {
    const { random } = this.#place;
    const length = random.between(1, PIECE);
    const offset = random.chance(0.8) ? open.at : random.between(0, READ_SIZE);
    const bytes = Buffer.alloc(length);
    const read = this.#attempt('pread', open.name, () => readSync(open.fd, bytes, 0, length, offset));
    if (read.errno !== null) return;
    // A failure after the first part of a read shows as a short one.
    const expected = Math.min(length, READ_SIZE - offset);
    const part = {
      offset: 0,
      length: READ_SIZE,
      streams: [readStream(this.#place.seed, open.name)],
      zero: false,
    };
    const at = firstWrong(part, bytes.subarray(0, read.value), offset);
    if (read.value > expected || (read.value === 0 && expected > 0))
      this.#place.calls.wrong(`${open.name}: ${read.value} bytes at ${offset}, not ${expected}`);
    else if (at !== null) this.#place.calls.wrong(`${open.name}: byte ${at} is wrong`);
    this.#place.calls.verified(read.value);
    open.at = offset + read.value >= READ_SIZE ? 0 : offset + read.value;
  }

  #attempt<T>(call: string, name: string, make: () => T): Answer<T> {
    return this.#place.calls.attempt(call, name, Date.now(), make);
  }
}
