/**
 * File content on this machine's disk (`cache_dir`), so that what was read once need not come over the link again, not
 * even after a remount. It is asked when a block is not in memory, and is given what the server answered.
 *
 * An entry is of use only for the state of the file that it was stored for: size, time, owner and permissions, as they
 * were just asked for. Whoever stores one sees to it that a change could not have been missed. It helps where it can and
 * never hurts: what cannot be read is not there, and a disk that fails is not used any more.
 */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteString } from '../../base/bytes.js';
import type { Clock } from '../../base/clock.js';
import { logger } from '../../base/log.js';
import { isWithinAbsolute } from '../../base/path.js';
import type { Piece } from '../pool.js';
import { codeOf, pathOf } from './directory.js';
import {
  blockLength,
  type CachedFile,
  CorruptEntry,
  decodeEntry,
  fileId,
  isSameState,
  STRETCH_BLOCKS,
} from './entry.js';
import { Reader } from './reader.js';
import { Writer } from './writer.js';

const log = logger('disk');

/** A file that would take more than this share of the cache is not kept: it would drive out all others. */
const LARGEST_SHARE = 0.5;
/** Trees that are remembered as doubtful. */
const MAX_DOUBTED = 1000;

/** `full`: nothing more is stored, what is there is used. */
export type DiskState = 'on' | 'full' | 'off';

export interface DiskStatus {
  readonly state: DiskState;
  /** Bytes on disk, about. */
  readonly bytes: number;
  readonly limit: number;
  /** Blocks that were found there, and that were not. */
  readonly hits: number;
  readonly misses: number;
}

export interface DiskSettings {
  /** Prepared by `prepareDirectory`. */
  readonly directory: string;
  /** Stands for the server and the login there. */
  readonly server: string;
  /** Bytes on disk. */
  readonly limit: number;
  /** Bytes in memory that may wait to be written. */
  readonly pendingLimit: number;
  readonly clock: Clock;
  /** Takes a line for the log of the mount. */
  readonly report: (text: string) => void;
}

export class DiskCache {
  readonly #settings: DiskSettings;
  readonly #reader: Reader;
  readonly #writer: Writer;
  /** What is below these paths is believed if it came after that time, in milliseconds since the epoch. */
  readonly #doubted = new Map<ByteString, number>();
  #state: DiskState = 'on';
  #hits = 0;
  #misses = 0;
  #saidCorrupt = false;

  constructor(settings: DiskSettings) {
    const { directory, limit, pendingLimit, clock } = settings;
    this.#settings = settings;
    this.#reader = new Reader(clock);
    this.#writer = new Writer({
      directory,
      limit,
      pendingLimit,
      clock,
      isBelieved: (path, since) => this.#isBelieved(path, since),
      failed: (error) => this.#failed(error),
    });
  }

  status(): DiskStatus {
    const { limit } = this.#settings;
    return {
      state: this.#state,
      bytes: this.#writer.bytes,
      limit,
      hits: this.#hits,
      misses: this.#misses,
    };
  }

  /**
   * Fills `targets`, each as long as a block, with the blocks of the file from `first` on. True when all of them were
   * there; otherwise what the targets hold means nothing. Never rejects.
   */
  async load(file: CachedFile, first: number, targets: readonly Buffer[]): Promise<boolean> {
    const isFound = await this.#load(file, first, targets).catch((error: unknown) => {
      this.#failed(error);
      return false;
    });
    if (isFound) this.#hits += targets.length;
    else this.#misses += targets.length;
    return isFound;
  }

  /** A block of the file as the server gave it, whose memory is held until it is on disk. */
  keep(file: CachedFile, index: number, block: Piece): void {
    const { size } = file.state;
    if (this.#state !== 'on' || size > this.#settings.limit * LARGEST_SHARE) return;
    if (!Number.isSafeInteger(size) || block.length !== blockLength(size, index)) return;
    this.#writer.keep(this.#idOf(file.path), file, index, block);
  }

  /** The name `path` is another file's now, or its file may look again as it did before: nothing known of it counts. */
  forget(path: ByteString): void {
    if (this.#state === 'on') this.#writer.forget(this.#idOf(path));
    else this.doubt(path);
  }

  /** What is known of `path` and all below does not count until it is known anew. */
  doubt(path: ByteString): void {
    if (this.#doubted.size >= MAX_DOUBTED) {
      this.#doubted.clear();
      this.#doubted.set('/' as ByteString, this.#settings.clock.now());
    }
    this.#doubted.set(path, this.#settings.clock.now());
  }

  /** Stores what waits, and ends. Never rejects. */
  async close(): Promise<void> {
    await this.#writer.flush();
    this.#writer.end();
  }

  async #load({ path, state }: CachedFile, first: number, targets: readonly Buffer[]): Promise<boolean> {
    if (this.#state === 'off' || this.#reader.isResting) return false;
    const file = this.#idOf(path);
    if (this.#writer.isForgotten(file.toString('hex'))) return false;
    return this.#reader.inTime(async (isWanted) => {
      for (let at = 0; at < targets.length; ) {
        const stretch = Math.floor((first + at) / STRETCH_BLOCKS);
        const place = (first + at) % STRETCH_BLOCKS;
        const parts = targets.slice(at, at + STRETCH_BLOCKS - place);
        const take = (bytes: Buffer) => {
          const found = decodeEntry(bytes, { file, stretch });
          if (!isWanted() || !isSameState(found.state, state)) return false;
          if (!this.#isBelieved(path, found.since)) return false;
          return parts.every((target, part) => (found.block(place + part)?.copy(target) ?? 0) > 0);
        };
        if (!(await this.#read(pathOf({ file, stretch }), take))) return false;
        at += parts.length;
      }
      return true;
    });
  }

  async #read(path: string, take: (bytes: Buffer) => boolean): Promise<boolean> {
    const whole = join(this.#settings.directory, path);
    try {
      return await this.#reader.read(whole, take);
    } catch (error) {
      if (error instanceof CorruptEntry) {
        this.#corrupt(path, error);
        await unlink(whole).catch((failure: unknown) => log('%s: %s', path, codeOf(failure)));
        return false;
      }
      const code = codeOf(error);
      // Too many open files is nothing that lasts.
      if (code === 'ENOENT' || code === 'EMFILE' || code === 'ENFILE') return false;
      throw error;
    }
  }

  #corrupt(path: string, error: CorruptEntry): void {
    const { directory, report } = this.#settings;
    log('%s is discarded: %s', path, error.message);
    if (!this.#saidCorrupt)
      report(`cache_dir ${directory}: an entry is damaged, and discarded: ${error.message}`);
    this.#saidCorrupt = true;
  }

  #idOf(path: ByteString): Buffer {
    return fileId(this.#settings.server, path);
  }

  #isBelieved(path: ByteString, since: number): boolean {
    for (const [tree, from] of this.#doubted) if (since <= from && isWithinAbsolute(path, tree)) return false;
    return true;
  }

  #failed(error: unknown): void {
    const code = codeOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT')
      this.#setState('full', 'its disk is full, so nothing more is stored');
    else this.#setState('off', `it is not used any more: ${error instanceof Error ? error.message : code}`);
  }

  #setState(state: 'full' | 'off', why: string): void {
    if (this.#state === state || this.#state === 'off') return;
    const { directory, report } = this.#settings;
    log('%s -> %s', this.#state, state);
    this.#state = state;
    this.#writer.end();
    report(`cache_dir ${directory}: ${why}`);
  }
}
