/**
 * The log of a mount in the background. It never grows beyond its bound: what is full becomes the one older
 * generation, `<log>.1`. And it is never a reason to end: on a full disk lines are lost, nothing else.
 */
import { copyFileSync, fstatSync, ftruncateSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { logger } from '../base/log.js';

const log = logger('daemon');

/** Bytes of one generation. */
const SIZE_MAX = 1024 * 1024;

export class LogFile {
  readonly #fd: number;
  readonly #path: string;
  readonly #max: number;
  #size: number;

  /** `fd` is open for appending to `path`, whatever was written there before. */
  constructor(fd: number, path: string, max = SIZE_MAX) {
    this.#fd = fd;
    this.#path = path;
    this.#max = max;
    this.#size = fstatSync(fd).size;
  }

  write(text: string): void {
    const bytes = Buffer.from(text).subarray(0, this.#max);
    try {
      if (this.#size + bytes.length > this.#max) this.#turn();
      this.#size += writeSync(this.#fd, bytes);
    } catch {
      // There is nowhere left to say so.
    }
  }

  /** For the end: one that nothing was written to is not left behind. */
  removeIfEmpty(): void {
    try {
      if (fstatSync(this.#fd).size === 0) unlinkSync(this.#path);
    } catch (error) {
      log('log file: %o', error);
    }
  }

  /** Copied, not renamed: the descriptor is this process's standard error, where Node writes, too. */
  #turn(): void {
    const older = `${this.#path}.1`;
    try {
      copyFileSync(this.#path, older);
    } catch {
      rmSync(older, { force: true });
    }
    ftruncateSync(this.#fd, 0);
    this.#size = 0;
  }
}
