/**
 * Holds a file open that is replaced behind the mount's back. A descriptor shows the version that it was opened on,
 * whole, for as long as it can; when that file can no longer be had it is ESTALE, and then another version must
 * really be there. What is at the name is always one version, never older than one seen before.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from '../calls.js';
import { type Claim, firstWrong } from '../claims.js';
import type { Place, Worker } from './worker.js';

export const WATCHED = 'watched';
/** The version stands in front of its bytes. */
const HEADER = 16;
const READS = 50;

/** The file's bytes in its `version`; every version has another size. */
export const watchedStream = (seed: string, version: number): string => `${seed}/${WATCHED}-${version}`;
export const watchedSize = (version: number): number => 200_000 + 1_000 * (version % 500);
export const watchedHeader = (version: number): string => `version ${version}`.padEnd(HEADER);

export class Witness implements Worker {
  readonly #place: Place;
  #open: { readonly fd: number; readonly version: number; reads: number } | null = null;
  #newest = 0;
  /** The version whose descriptor went stale, until another one is seen. */
  #stale: number | null = null;

  constructor(place: Place) {
    this.#place = place;
  }

  step(): void {
    this.#open ??= this.#begin();
    const open = this.#open;
    if (open === null) return;
    this.#read(open);
    if (this.#open !== null && ++open.reads > READS) this.#end(open.fd);
  }

  settle(): boolean {
    if (this.#stale !== null) this.step();
    if (this.#open !== null) this.#end(this.#open.fd);
    return this.#stale === null;
  }

  claims(): readonly Claim[] {
    return [];
  }

  #begin(): { readonly fd: number; readonly version: number; reads: number } | null {
    const path = join(this.#place.directory, WATCHED);
    const opened = this.#attempt('open', () => openSync(path, 'r'));
    if (opened.errno !== null) return null;
    const fd = opened.value;
    const header = Buffer.alloc(HEADER);
    const read = this.#attempt('pread', () => readSync(fd, header, 0, HEADER, 0), isStale);
    if (read.errno !== null) {
      this.#end(fd);
      return null;
    }
    const version = Number(/^version (\d+) *$/.exec(header.toString('latin1'))?.[1] ?? Number.NaN);
    if (Number.isNaN(version))
      this.#place.calls.wrong(`${WATCHED}: begins with ${JSON.stringify(header.toString('latin1'))}`);
    if (version < this.#newest)
      this.#place.calls.wrong(`${WATCHED}: version ${version} after ${this.#newest}`);
    if (this.#stale !== null && version <= this.#stale) {
      this.#place.calls.wrong(`${WATCHED}: ESTALE for version ${this.#stale}, which is still there`);
    }
    this.#stale = null;
    this.#newest = Math.max(this.#newest, version);
    return { fd, version, reads: 0 };
  }

  #read({ fd, version }: { readonly fd: number; readonly version: number }): void {
    const size = watchedSize(version);
    const offset = this.#place.random.between(HEADER, size - 1);
    const bytes = Buffer.alloc(this.#place.random.between(1, 100_000));
    const read = this.#attempt('pread', () => readSync(fd, bytes, 0, bytes.length, offset), isStale);
    if (read.errno === 'ESTALE') {
      this.#stale = version;
      this.#end(fd);
      return;
    }
    if (read.errno !== null) return;
    const part = {
      offset: HEADER,
      length: size,
      streams: [watchedStream(this.#place.seed, version)],
      zero: false,
    };
    const at = firstWrong(part, bytes.subarray(0, read.value), offset);
    if (at !== null) this.#place.calls.wrong(`${WATCHED}: byte ${at} of version ${version} is wrong`);
    this.#place.calls.verified(read.value);
    this.#attempt('fstat', () => fstatSync(fd), isStale);
  }

  #end(fd: number): boolean {
    this.#open = null;
    return this.#attempt('close', () => closeSync(fd), isStale).errno === null;
  }

  #attempt<T>(call: string, make: () => T, expected?: (errno: string) => boolean): Answer<T> {
    return this.#place.calls.attempt(call, WATCHED, Date.now(), make, expected);
  }
}

const isStale = (errno: string) => errno === 'ESTALE';
