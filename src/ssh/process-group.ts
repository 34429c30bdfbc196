/** A process that was started as the leader of a group (`detached`), and all that it has started in it. */
import { logger } from '../base/log.js';

const log = logger('ssh');

export class ProcessGroup {
  /** Null once it does not matter any more, and its number may be another's. */
  #pid: number | null;

  /** @param pid of the leader; undefined where it did not start */
  constructor(pid: number | undefined) {
    this.#pid = pid ?? null;
  }

  /** All of it at once, since what it has read could be sent on later. */
  kill(): void {
    if (this.#pid === null) return;
    try {
      process.kill(-this.#pid, 'SIGKILL');
    } catch (error) {
      log('%s', error instanceof Error ? error.message : error);
    }
  }

  /** After so many milliseconds. */
  killWithin(milliseconds: number): void {
    setTimeout(() => this.kill(), milliseconds).unref();
  }

  /** For the end: kills what is left of it. */
  finish(): void {
    this.kill();
    this.#pid = null;
  }
}
