/**
 * What was read from the server goes to disk behind everybody's back, a few entries at a time: a stretch as soon as all
 * its blocks have come, or what there is of it after a moment. Blocks that wait are held in memory up to a bound, and
 * what comes beyond it is not kept: a cache may miss.
 *
 * An entry is written under another name and then renamed, so that whoever reads finds a whole one; two mounts that
 * write the same do not disturb each other. Nothing is forced to the disk: what a crash leaves has no valid checksum.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ByteString } from '../../base/bytes.js';
import type { Clock } from '../../base/clock.js';
import { logger } from '../../base/log.js';
import type { Piece } from '../pool.js';
import { codeOf, pathOf, removeFiles, sweep } from './directory.js';
import {
  blocksIn,
  type CachedFile,
  CorruptEntry,
  decodeEntry,
  type EntryName,
  encodeEntry,
  type FileState,
  isSameState,
  onDisk,
  STRETCH_BLOCKS,
} from './entry.js';

const log = logger('disk');

/** Entries that are written at a time: while much arrives, each of the four calls for one waits for its turn. */
const AT_ONCE = 2;
/** Milliseconds that an incomplete stretch is waited for. */
const LINGER = 1000;
/** The directory is looked at again when this share of the limit has been written: others may write there, too. */
const LOOK_AGAIN = 0.1;

/** A stretch that is to be written. */
interface Pending {
  readonly name: EntryName;
  /** Where the file is on the server. */
  readonly source: ByteString;
  /** Where the entry will be, relative to the cache. */
  readonly path: string;
  readonly state: FileState;
  /** Milliseconds since the epoch at which its first block came. */
  readonly since: number;
  readonly blocks: Map<number, Piece>;
}

export interface WriterSettings {
  readonly directory: string;
  /** Bytes on disk. */
  readonly limit: number;
  /** Bytes that may wait. */
  readonly pendingLimit: number;
  readonly clock: Clock;
  /** May what is known since then of what is at `source` be believed? */
  readonly isBelieved: (source: ByteString, since: number) => boolean;
  /** What writing failed with. */
  readonly failed: (error: unknown) => void;
}

export class Writer {
  readonly #settings: WriterSettings;
  /** Stretches that are not complete. */
  readonly #gathering = new Map<string, Pending>();
  /** Those that may be written. */
  readonly #due = new Map<string, Pending>();
  /** Files whose entries are to be removed, as hex digits. */
  readonly #forgotten = new Set<string>();
  #pendingBytes = 0;
  /** Bytes on disk, as far as it is known; null before anybody looked. */
  #bytes: number | null = null;
  #writtenSince = 0;
  /** The end is near: nothing that is not needed is begun, or gone on with. */
  #isLast = false;
  #timer: NodeJS.Timeout | null = null;
  #state: 'idle' | 'working' | 'ended' = 'idle';
  #work: Promise<void> = Promise.resolve();

  constructor(settings: WriterSettings) {
    this.#settings = settings;
    this.#wake();
  }

  /** Bytes on disk, about. */
  get bytes(): number {
    return this.#bytes ?? 0;
  }

  isForgotten(file: string): boolean {
    return this.#forgotten.has(file);
  }

  /** A block that came from the server; it is held until it is written. */
  keep(file: Buffer, { path: source, state }: CachedFile, index: number, block: Piece): void {
    if (this.#state === 'ended' || this.#pendingBytes + block.memory.length > this.#settings.pendingLimit)
      return;
    const name = { file, stretch: Math.floor(index / STRETCH_BLOCKS) };
    const path = pathOf(name);
    let pending = this.#due.get(path) ?? this.#gathering.get(path);
    if (pending !== undefined && !isSameState(pending.state, state)) {
      this.#drop(pending);
      pending = undefined;
    }
    if (pending === undefined) {
      pending = { name, source, path, state, since: this.#settings.clock.now(), blocks: new Map() };
      this.#gathering.set(path, pending);
    }
    const place = index % STRETCH_BLOCKS;
    if (pending.blocks.has(place)) return;
    pending.blocks.set(place, block.retain());
    this.#pendingBytes += block.memory.length;
    if (pending.blocks.size === blocksIn(state.size, name.stretch)) {
      this.#gathering.delete(path);
      this.#due.set(path, pending);
      this.#wake();
    } else this.#timer ??= setTimeout(() => this.#hurry(), LINGER).unref();
  }

  /** No entry of the file is to be believed; they are removed soon. */
  forget(file: Buffer): void {
    if (this.#state === 'ended') return;
    this.#forgotten.add(file.toString('hex'));
    for (const pending of [...this.#gathering.values(), ...this.#due.values()]) {
      if (pending.name.file.equals(file)) this.#drop(pending);
    }
    this.#wake();
  }

  /** Writes nothing any more, and lets go of what waits. */
  end(): void {
    this.#setState('ended');
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const pending of [...this.#gathering.values(), ...this.#due.values()]) this.#drop(pending);
  }

  /** Resolves when everything that waits has been written, as far as that is possible; then end it. Never rejects. */
  async flush(): Promise<void> {
    this.#isLast = true;
    this.#hurry();
    await this.#work;
  }

  #setState(state: 'idle' | 'working' | 'ended'): void {
    if (this.#state === 'ended' || this.#state === state) return;
    if (state === 'ended') log('nothing is written any more, %d bytes waited', this.#pendingBytes);
    this.#state = state;
  }

  /** Nothing is waited for any longer. */
  #hurry(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const [path, pending] of this.#gathering) this.#due.set(path, pending);
    this.#gathering.clear();
    this.#wake();
  }

  #drop(pending: Pending): void {
    if (this.#gathering.get(pending.path) === pending) this.#gathering.delete(pending.path);
    if (this.#due.get(pending.path) === pending) this.#due.delete(pending.path);
    for (const piece of pending.blocks.values()) {
      this.#pendingBytes -= piece.memory.length;
      piece.release();
    }
    pending.blocks.clear();
  }

  #wake(): void {
    if (this.#state !== 'idle') return;
    this.#setState('working');
    this.#work = this.#run().catch((error: unknown) => {
      this.#settings.failed(error);
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#state === 'working') {
        const next = [...this.#due.values()].slice(0, AT_ONCE);
        if (this.#forgotten.size > 0) await this.#removeForgotten();
        else if (this.#isTooMuch) await this.#look();
        else if (next.length > 0) await Promise.all(next.map((pending) => this.#write(pending)));
        else if (this.#bytes === null && !this.#isLast) await this.#look();
        else return;
      }
    } finally {
      this.#setState('idle');
    }
  }

  async #removeForgotten(): Promise<void> {
    const files = [...this.#forgotten];
    await removeFiles(this.#settings.directory, files);
    for (const file of files) this.#forgotten.delete(file);
  }

  get #isTooMuch(): boolean {
    const { limit } = this.#settings;
    return this.bytes > limit || this.#writtenSince > limit * LOOK_AGAIN;
  }

  async #look(): Promise<void> {
    const { directory, limit, clock } = this.#settings;
    // At the end, only what would be too much is still looked for.
    const isWanted = () => !this.#isLast || this.#isTooMuch;
    this.#bytes = await sweep(directory, limit, clock.now(), isWanted);
    this.#writtenSince = 0;
    log('%s bytes on disk', this.#bytes);
  }

  async #write(pending: Pending): Promise<void> {
    this.#due.delete(pending.path);
    try {
      const pieces = await this.#encoded(pending);
      const room = onDisk(lengthOf(pieces));
      await writeWhole(join(this.#settings.directory, pending.path), pieces);
      if (this.#bytes !== null) this.#bytes += room;
      this.#writtenSince += room;
    } finally {
      this.#drop(pending);
    }
  }

  /** An incomplete stretch is added to what lies there of the same state. */
  async #encoded({ name, source, path, state, since, blocks }: Pending): Promise<readonly Buffer[]> {
    const all = new Map([...blocks].map(([place, piece]) => [place, piece.data]));
    const count = blocksIn(state.size, name.stretch);
    if (all.size === count) return encodeEntry({ name, state, since, blocks: all });
    const bytes = await readFile(join(this.#settings.directory, path)).catch(() => null);
    try {
      const found = bytes === null ? null : decodeEntry(bytes, name);
      if (found === null || !isSameState(found.state, state)) throw new CorruptEntry('nothing to add to');
      if (!this.#settings.isBelieved(source, found.since)) throw new CorruptEntry('nothing to add to');
      for (let place = 0; place < count; place += 1) {
        const block = all.get(place) ?? found.block(place);
        if (block !== null) all.set(place, block);
      }
      return encodeEntry({ name, state, since: Math.min(since, found.since), blocks: all });
    } catch (error) {
      if (!(error instanceof CorruptEntry)) throw error;
      return encodeEntry({ name, state, since, blocks: all });
    }
  }
}

const lengthOf = (pieces: readonly Buffer[]) => pieces.reduce((sum, { length }) => sum + length, 0);

/** Writes a file as a whole or not at all. Its directory is made if it is missing. */
async function writeWhole(path: string, pieces: readonly Buffer[]): Promise<void> {
  const directory = dirname(path);
  const unfinished = join(directory, `${randomBytes(8).toString('hex')}.tmp`);
  const create = () => open(unfinished, 'wx', 0o600);
  const file = await create().catch(async (error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    await mkdir(directory, { mode: 0o700 }).catch((failure: unknown) => {
      if (codeOf(failure) !== 'EEXIST') throw failure;
    });
    return create();
  });
  try {
    try {
      const { bytesWritten } = await file.writev(pieces);
      // A disk that has just become full takes a part, and refuses only what comes next.
      if (bytesWritten < lengthOf(pieces))
        throw Object.assign(new Error('a short write'), { code: 'ENOSPC' });
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw error;
  }
}
