/**
 * How many names files have: only listings tell. When others take one of several names from a file, or give it to
 * another, what the remaining ones show is a guess until their directories have been listed again.
 */
import { decodeText } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { type Path, parentOf } from '../base/path.js';
import type { Listings } from './listings.js';
import type { Namespace } from './namespace.js';

const log = logger('names');

/** Directories that are listed at a time; of others it shows when somebody lists them. */
const MAX_COUNTING = 64;

export class LinkCounts {
  readonly #names: Namespace;
  readonly #listings: Listings;
  /** Directories that are being listed; true: once more. */
  readonly #counting = new Map<Path, boolean>();

  constructor(names: Namespace, listings: Listings) {
    this.#names = names;
    this.#listings = listings;
  }

  /** Counts again for these names, as far as something is held of their directories. */
  doubt(paths: Iterable<Path>): void {
    for (const directory of new Set([...paths].map(parentOf))) void this.#count(directory);
  }

  /** Never rejects. */
  async #count(directory: Path): Promise<void> {
    const isCounting = this.#counting.has(directory);
    if (!isCounting && this.#counting.size >= MAX_COUNTING) return;
    this.#counting.set(directory, isCounting);
    if (isCounting) return;
    try {
      do {
        this.#counting.set(directory, false);
        if (this.#names.held(directory) !== undefined) await this.#listings.listAhead(directory);
      } while (this.#counting.get(directory));
    } catch (error) {
      log('%s: %s', decodeText(directory), error instanceof Error ? error.message : error);
    } finally {
      this.#counting.delete(directory);
    }
  }
}
