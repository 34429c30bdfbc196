/** What every kind of worker is: something that works in a directory of its own and says what must be true there. */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Calls } from '../calls.js';
import type { Claimed } from '../claims.js';
import type { Random } from '../random.js';

export interface Place {
  readonly calls: Calls;
  readonly random: Random;
  /** What makes the content of this worker its own. */
  readonly seed: string;
  /** The worker's directory, below the mount. */
  readonly directory: string;
  /** Is data on the server when close(2) returned? With durability=async only fsync(2) says so. */
  readonly closeConfirms: boolean;
}

export interface Worker {
  /** One small piece of work. */
  step(): void;
  /** Brings everything into a state that is known; false when a fault kept it from that. */
  settle(): boolean;
  /** What must be true now, by paths relative to the worker's directory. */
  claims(): readonly Claimed[];
}

/** Takes files away, so that a long run needs no more room than a short one. A removal in doubt is repeated. */
export class Remover {
  readonly #place: Place;
  readonly #waiting = new Map<string, boolean>();

  constructor(place: Place) {
    this.#place = place;
  }

  add(name: string): void {
    this.#waiting.set(name, false);
  }

  /** Goes on removing; false while something is left. */
  step(): boolean {
    for (const [name, tried] of this.#waiting) {
      const remove = () => unlinkSync(join(this.#place.directory, name));
      const answer = this.#place.calls.attempt(
        'unlink',
        name,
        Date.now(),
        remove,
        (errno) => tried && errno === 'ENOENT',
      );
      if (answer.errno === null || (tried && answer.errno === 'ENOENT')) this.#waiting.delete(name);
      else this.#waiting.set(name, true);
    }
    return this.#waiting.size === 0;
  }
}
