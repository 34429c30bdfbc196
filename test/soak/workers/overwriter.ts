/**
 * Writes over the blocks of one file, in any order, in runs of any length, with block sizes that fit no page. Each
 * write has a stream of its own. What a block may hold is what was confirmed last and everything written since: an
 * older write that comes late, or a newer one that is missing, is a block with bytes of none of them.
 */
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, readWhole, type Step } from '../calls.js';
import { type Claim, contradiction, firstWrong, type Part, stream } from '../claims.js';
import type { Place, Worker } from './worker.js';

const { O_RDWR, O_CREAT } = constants;
const BLOCK = 3_000;
const BLOCKS = 200;
const SIZE = BLOCK * BLOCKS;
const RUN = 40;
const BURST = 12;

interface Block {
  /** The confirmed stream. */
  sure: string;
  /** Streams written since, of which any byte may have arrived. */
  maybe: string[];
  /** Whether the last of them was written without an error that could be its own. */
  sound: boolean;
}

export class Overwriter implements Worker {
  readonly #place: Place;
  readonly #name: string;
  #fd: number | null = null;
  #written = 0;
  #since = Date.now();
  /** Null before the whole file was confirmed once. */
  #blocks: Block[] | null = null;

  constructor(place: Place, name = 'blocks') {
    this.#place = place;
    this.#name = name;
  }

  step(): void {
    const { random } = this.#place;
    if (!this.#open()) return;
    for (let burst = random.between(1, BURST); burst > 0; burst--) {
      const first = random.between(0, BLOCKS - 1);
      if (!this.#write(first, Math.min(random.between(1, RUN), BLOCKS - first))) return;
      if (random.chance(0.2) && !this.#readBack(random.between(0, BLOCKS - 1))) return;
    }
    this.#confirm(random.chance(0.6));
    if (random.chance(0.1)) this.#verify();
  }

  /** Writes what is in doubt once more. */
  settle(): boolean {
    const doubtful = (this.#blocks ?? []).flatMap(({ maybe }, block) => (maybe.length > 0 ? [block] : []));
    if (doubtful.length === 0 && this.#fd === null)
      return this.#blocks !== null || (this.#open() && this.#confirm(false));
    if (!this.#open()) return false;
    return doubtful.every((block) => this.#write(block, 1)) && this.#confirm(false);
  }

  claims(): readonly Claim[] {
    return this.#blocks === null ? [] : [this.#claim(this.#blocks)];
  }

  #claim(blocks: readonly Block[]): Claim {
    const parts = blocks.map((block, index) => part(block, index));
    return { is: 'file', path: this.#name, least: SIZE, most: SIZE, parts };
  }

  #path(): string {
    return join(this.#place.directory, this.#name);
  }

  /** Opens the file; the first time, every block is written and confirmed. */
  #open(): boolean {
    if (this.#fd !== null) return true;
    const opened = this.#attempt('open', () => openSync(this.#path(), O_RDWR | O_CREAT, 0o644));
    if (opened.errno !== null) return false;
    this.#fd = opened.value;
    if (this.#blocks !== null) return true;
    const blocks = Array.from({ length: BLOCKS }, () => ({ sure: '', maybe: [], sound: true }));
    this.#blocks = blocks;
    if (this.#write(0, BLOCKS) && this.#confirm(true)) return true;
    this.#blocks = null;
    return false;
  }

  #write(first: number, count: number): boolean {
    const { fd, blocks } = { fd: this.#fd, blocks: this.#blocks };
    if (fd === null || blocks === null) return false;
    const name = `${this.#place.seed}/${this.#name}-${++this.#written}`;
    const touched = blocks.slice(first, first + count);
    for (const block of touched) block.maybe.push(name);
    const bytes = stream(name, first * BLOCK, count * BLOCK);
    for (let done = 0; done < bytes.length; ) {
      const at = first * BLOCK + done;
      const written = this.#attempt('pwrite', () => writeSync(fd, bytes, done, bytes.length - done, at));
      if (written.errno !== null) return this.#giveUp(fd);
      done += written.value;
    }
    for (const block of touched) block.sound = true;
    return true;
  }

  #readBack(index: number): boolean {
    const { fd, blocks } = { fd: this.#fd, blocks: this.#blocks };
    const block = blocks?.[index];
    if (fd === null || block === undefined) return false;
    const bytes = Buffer.alloc(BLOCK);
    const read = this.#attempt('pread', () => readSync(fd, bytes, 0, BLOCK, index * BLOCK));
    if (read.errno !== null) return this.#giveUp(fd);
    if (read.value === 0) this.#place.calls.wrong(`${this.#name}: no bytes of block ${index}`);
    const at = firstWrong(visible(block, index), bytes.subarray(0, read.value), index * BLOCK);
    if (at !== null) this.#place.calls.wrong(`${this.#name}: read back byte ${at} wrong`);
    this.#place.calls.verified(read.value);
    return true;
  }

  #confirm(stayOpen: boolean): boolean {
    const { fd, blocks } = { fd: this.#fd, blocks: this.#blocks };
    if (fd === null || blocks === null) return false;
    if (!stayOpen) this.#fd = null;
    const answer = stayOpen
      ? this.#attempt('fsync', () => fsyncSync(fd))
      : this.#attempt('close', () => closeSync(fd));
    if (answer.errno !== null) {
      this.#doubt();
      return stayOpen ? this.#giveUp(fd) : false;
    }
    for (const block of blocks) {
      const last = block.maybe.at(-1);
      if (last === undefined || !block.sound) continue;
      block.sure = last;
      block.maybe = [];
      this.#place.calls.confirmed(BLOCK);
    }
    this.#since = Date.now();
    return true;
  }

  #giveUp(fd: number): false {
    this.#fd = null;
    this.#doubt();
    this.#attempt('close', () => closeSync(fd));
    return false;
  }

  /** An error may be that of any write which is not confirmed. */
  #doubt(): void {
    for (const block of this.#blocks ?? []) if (block.maybe.length > 0) block.sound = false;
  }

  #verify(): void {
    if (this.#blocks === null) return;
    const read = this.#attempt('read', (step) => readWhole(this.#path(), step));
    if (read.errno !== null) return;
    const wrong = contradiction(this.#claim(this.#blocks), { is: 'file', bytes: read.value });
    if (wrong !== null) this.#place.calls.wrong(`read back: ${wrong}`);
    this.#place.calls.verified(read.value.length);
  }

  #attempt<T>(call: string, make: (step: Step) => T): Answer<T> {
    return this.#place.calls.attempt(call, this.#name, this.#since, make);
  }
}

/** What the server may hold in a block. */
function part({ sure, maybe }: Block, index: number): Part {
  return { offset: index * BLOCK, length: BLOCK, streams: [sure, ...maybe], zero: false };
}

/** What a read may show: the last write, unless something went wrong with it. */
function visible(block: Block, index: number): Part {
  const last = block.maybe.at(-1);
  if (last === undefined || !block.sound) return part(block, index);
  return { offset: index * BLOCK, length: BLOCK, streams: [last], zero: false };
}
