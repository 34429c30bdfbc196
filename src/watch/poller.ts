/**
 * Without a program on the server: the directories in use are looked at every few seconds, a bounded number of them, and
 * only while somebody uses the mount. Their times show that names came or went, not what became of the files.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../base/clock.js';
import type { Path } from '../base/path.js';

/** Milliseconds between two rounds. */
const INTERVAL = 5000;
/** Milliseconds after the last use in which rounds go on. */
const IN_USE = 60_000;
/** Directories of one round, and questions under way. */
const MOST = 200;
const AT_ONCE = 8;

export interface Polled {
  /** Directories of which anything is known, the one that was used last first. */
  recent(most: number): readonly Path[];
  /** Grows while the mount is used. */
  readonly uses: number;
  /** Looks whether names in the directory came or went. Never rejects. */
  poll(directory: Path): Promise<void>;
}

export class Poller {
  readonly #polled: Polled;
  readonly #clock: Clock;
  readonly #most: number;
  readonly #stop = new AbortController();
  #directories = 0;

  /** `most`: directories at most, if that is fewer than are looked at in any case. */
  constructor(polled: Polled, clock: Clock, most: number) {
    this.#polled = polled;
    this.#clock = clock;
    this.#most = Math.min(MOST, most);
    void this.#run();
  }

  /** How many were looked at in the last round. */
  get directories(): number {
    return this.#directories;
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let uses = 0;
    let usedAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      await delay(INTERVAL, undefined, { ref: false, signal }).catch(() => undefined);
      if (signal.aborted) return;
      const now = this.#clock.monotonic();
      if (this.#polled.uses !== uses) usedAt = now;
      uses = this.#polled.uses;
      if (now - usedAt < IN_USE) await this.#round();
    }
  }

  async #round(): Promise<void> {
    const directories = this.#polled.recent(this.#most);
    this.#directories = directories.length;
    const waiting = directories.values();
    const work = async () => {
      for (const directory of waiting) if (!this.#stop.signal.aborted) await this.#polled.poll(directory);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }
}
