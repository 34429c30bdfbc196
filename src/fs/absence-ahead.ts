/**
 * Programs that make files ask first whether the name is taken: git, tar, cp, npm, once for each file. Where a
 * second name in a directory turns out to be missing, the directory is listed in the background, and from
 * then on the listing answers for missing names. Absence is trusted for a short time only, so while it is
 * asked for, the listing is renewed before that time has passed.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { type Path, parentOf } from '../base/path.js';
import type { Listings } from './listings.js';
import type { Namespace } from './namespace.js';

const log = logger('names');

/** Misses further apart than this, in milliseconds, have nothing to do with each other. */
const PAUSE = 5000;
/** Directories with more names are not listed for this: it would cost more than it saves. */
const MAX_NAMES = 1000;
/** Directories of which misses are remembered. */
const MAX_DIRECTORIES = 1024;

/** A directory where a name was missing at `at`; `refused` if it should not be listed again. */
interface Missed {
  readonly at: number;
  readonly refused: boolean;
}

export class AbsenceAhead {
  readonly #names: Namespace;
  readonly #listings: Listings;
  readonly #clock: Clock;
  readonly #negativeTtl: number;
  readonly #missed = new LRUCache<Path, Missed>({ max: MAX_DIRECTORIES });

  /** `negativeTtl`: milliseconds that absence is trusted for; 0 turns this off. */
  constructor(names: Namespace, listings: Listings, clock: Clock, negativeTtl: number) {
    this.#names = names;
    this.#listings = listings;
    this.#clock = clock;
    this.#negativeTtl = negativeTtl;
  }

  /** Somebody was told that `path` does not exist, for which the server was asked or not. */
  told(path: Path, wasAsked: boolean): void {
    if (this.#negativeTtl <= 0) return;
    const directory = parentOf(path);
    const now = this.#clock.monotonic();
    const before = this.#missed.get(directory);
    const isSecond = before !== undefined && now - before.at <= PAUSE;
    const listedAt = this.#names.held(directory)?.absenceProvedAt ?? null;
    // A name that is asked for again and again is remembered by itself.
    if (!wasAsked && (listedAt === null || !isSecond)) return;
    this.#missed.set(directory, { at: now, refused: isSecond && before.refused });
    if (!isSecond || before.refused || this.#listings.isListing(directory)) return;
    if (listedAt === null || this.#names.absenceLeft(directory) <= this.#negativeTtl / 2)
      void this.#list(directory);
  }

  async #list(directory: Path): Promise<void> {
    let refused = (this.#names.held(directory)?.size ?? 0) > MAX_NAMES;
    try {
      if (!refused) refused = (await this.#listings.listAhead(directory)) > MAX_NAMES;
    } catch (error) {
      log('listing for missing names: %s', error);
      refused = true;
    }
    if (refused) this.#missed.set(directory, { at: this.#clock.monotonic(), refused });
  }
}
