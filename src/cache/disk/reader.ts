/**
 * Entries are read a few at a time, each whole and at once, into memory that is used again. A disk may be slow: one
 * that sleeps, or somebody's network. Whoever reads waits for it no longer than a moment, then the server is asked; and
 * when that happens again and again, the disk is left alone for a while. Once alone may be this machine's own delay.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '../../base/clock.js';
import { logger } from '../../base/log.js';
import { ENTRY_MAX } from './entry.js';

const log = logger('disk');

/** Entries that are read at a time: each may hold a thread of the pool, of which a program of others has but four. */
const AT_ONCE = 2;
/** Milliseconds that are waited for the next answer, whoever asked for it: those that wait for their turn get on. */
const PATIENCE = 100;
/** So many times one and the same waits as long. */
const TURNS = 10;
/** So many answers, one after the other, have to be late. */
const STRIKES = 3;
/** Milliseconds in which the disk is not asked then. */
const REST = 5000;
/** An entry that was used within so many milliseconds before need not be marked as used. */
const USED_LATELY = 60_000;

export class Reader {
  readonly #clock: Clock;
  readonly #free: Buffer[] = Array.from({ length: AT_ONCE }, () => Buffer.alloc(0));
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #restsUntil = Number.NEGATIVE_INFINITY;
  /** Entries that were read, or found not to be there. */
  #answers = 0;
  #strikes = 0;
  /** When the last of them was counted. */
  #struckAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It was late just now. */
  get isResting(): boolean {
    return this.#clock.monotonic() < this.#restsUntil;
  }

  /**
   * What `work` answers, or false when it takes too long; then `isWanted`, which it is called with, says no from then
   * on. Rejects as it does, in time.
   */
  inTime(work: (isWanted: () => boolean) => Promise<boolean>): Promise<boolean> {
    const asked = this.#clock.monotonic();
    let state: 'asked' | 'answered' | 'late' = 'asked';
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      const wait = (turn: number) => {
        const before = this.#answers;
        const look = () => {
          if (state === 'answered') return;
          if (this.#answers > before && turn < TURNS) return wait(turn + 1);
          state = 'late';
          resolve(false);
        };
        // Where this process was held up, the answer may be here already: it goes first.
        timer = setTimeout(() => setImmediate(look), PATIENCE);
      };
      wait(1);
    });
    const answer = work(() => state !== 'late').finally(() => {
      clearTimeout(timer);
      if (state === 'late') return;
      state = 'answered';
      this.#strikes = 0;
    });
    // One that is late and fails has nobody left to be told.
    answer.catch((error: unknown) => log('%s', error));
    late.then(() => this.#late(asked));
    return Promise.race([answer, late]);
  }

  /** What was asked before the last one was late waited at the same time. */
  #late(asked: number): void {
    log('no answer within %d ms', PATIENCE);
    if (asked < this.#struckAt) return;
    this.#struckAt = this.#clock.monotonic();
    this.#strikes += 1;
    if (this.#strikes >= STRIKES) this.#restsUntil = this.#struckAt + REST;
  }

  /** What `look` makes of the bytes of the file, which it may not keep. Rejects if it cannot be read. */
  async read<T>(path: string, look: (bytes: Buffer) => T): Promise<T> {
    const buffer = await this.#take();
    try {
      return await this.#readInto(buffer, path, look);
    } finally {
      this.#answers += 1;
      this.#give(buffer);
    }
  }

  async #readInto<T>(buffer: Buffer, path: string, look: (bytes: Buffer) => T): Promise<T> {
    const file = await open(path, 'r');
    try {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return look(buffer.subarray(0, bytesRead));
    } finally {
      void this.#leave(file);
    }
  }

  /** Marks it as used, at little cost, and closes it. */
  async #leave(file: FileHandle): Promise<void> {
    try {
      const { mtimeMs } = await file.stat();
      const now = this.#clock.now();
      if (now - mtimeMs > USED_LATELY) await file.utimes(now / 1000, now / 1000);
    } catch (error) {
      log('not marked as used: %s', error);
    }
    await file.close().catch((error: unknown) => log('close: %s', error));
  }

  /** Memory for one entry, and a byte more, which shows one that is too long. */
  async #take(): Promise<Buffer> {
    const buffer = this.#free.pop() ?? (await new Promise<Buffer>((resolve) => this.#waiting.push(resolve)));
    return buffer.length > 0 ? buffer : Buffer.allocUnsafeSlow(ENTRY_MAX + 1);
  }

  #give(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}
