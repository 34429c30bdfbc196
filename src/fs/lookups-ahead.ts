/**
 * Names that programs ask for one by one: git its index, a build its sources, tar and npm whether what they make is
 * there. When the server has to be asked for a second name of a directory, or for the first one by somebody who goes from
 * directory to directory, the directory is listed as well, and the listing answers for all further names; who asks for
 * one meanwhile waits for it, if that takes no longer than an answer of its own.
 *
 * It answers for missing names only if a second one turned out to be missing: what another machine makes shall not be
 * denied for the sake of its neighbours. Absence is trusted for a short time only, so while it is asked for, the listing
 * is renewed before that time has passed. One name that is missing in one directory after the other (.gitignore) is asked
 * for ahead in those that come next.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { joinPath, nameOf, type Path, parentOf, ROOT } from '../base/path.js';
import { NOTHING, type Ordered } from '../cache/ordered.js';
import { ORDERS, type Order, PAUSE, upcoming } from '../cache/walk.js';
import type { ListingAhead } from './listing-ahead.js';
import type { Listings } from './listings.js';
import type { Namespace } from './namespace.js';
import type { Attributes } from './operations.js';
import type { FsOptions } from './options.js';

const log = logger('names');

/** Directories with more names are not listed for this: it would cost more than it saves. */
const MAX_NAMES = 1000;
/** Directories of which questions are remembered. */
const MAX_DIRECTORIES = 1024;

/** A name that is missing in one directory after the other is asked for in so many of the next. */
const PROBES = 8;
/** A step from one to the other may pass over so many directories. */
const SKIPPED = 4;

/** What was asked of a directory lately. */
interface Asked {
  readonly name: ByteString;
  /** The last name that turned out to be missing. */
  readonly missing: ByteString | null;
  readonly at: number;
  /** It should not be listed again. */
  readonly refused: boolean;
  /** Somebody goes through it, which is as good as opening it. */
  readonly entered: boolean;
}

const FIRST = { name: nameOf(ROOT), missing: null, refused: false, entered: false } as const;

export class LookupsAhead {
  readonly #names: Namespace;
  readonly #listings: Listings;
  readonly #walks: ListingAhead;
  readonly #clock: Clock;
  readonly #negativeTtl: number;
  readonly #isOn: boolean;
  /** Where changes are posted, a listing waits for those of its directory, and nobody shall wait for it. */
  readonly #isPatient: boolean;
  readonly #asked = new LRUCache<Path, Asked>({ max: MAX_DIRECTORIES });
  #lastMiss: { readonly directory: Path; readonly name: ByteString; readonly at: number } | null = null;
  /** Names asked for ahead, and when. */
  readonly #probed = new LRUCache<Path, number>({ max: MAX_DIRECTORIES });

  constructor(
    names: Namespace,
    listings: Listings,
    walks: ListingAhead,
    clock: Clock,
    { statTtl, dirTtl, negativeTtl, posts }: FsOptions,
  ) {
    this.#names = names;
    this.#listings = listings;
    this.#walks = walks;
    this.#clock = clock;
    this.#negativeTtl = negativeTtl;
    this.#isOn = statTtl > 0 && dirTtl > 0;
    this.#isPatient = !posts;
  }

  /** What the server says of `path`, of which nothing is known. */
  async ask(path: Path): Promise<Attributes | null> {
    if (path === ROOT || !this.#isOn) return this.#names.answers.ask(path);
    const directory = parentOf(path);
    const before = this.#lately(directory);
    const isSecond = before !== undefined && before.name !== nameOf(path);
    if (isSecond || this.#walks.isNext(directory)) this.#enter(directory);
    this.#note(directory, { name: nameOf(path) });
    const listing = this.#listings.settled(directory);
    // Where one name after the other is missing, a listing may tell nothing: it is not waited for.
    const isMissing = before !== undefined && before.missing === before.name;
    if (listing !== null && this.#isPatient && !isMissing) {
      await listing;
      const known = this.#names.known(path);
      if (known !== undefined) return known.value;
    }
    // Sent first: a listing takes two round trips.
    const answer = this.#names.answers.ask(path);
    const { entered, refused } = this.#lately(directory) ?? FIRST;
    const isListed = this.#listings.isListing(directory) || this.#names.listed(directory) !== undefined;
    if (entered && !refused && !isListed) this.#list(directory, false);
    const attributes = await answer;
    if (attributes === null) {
      this.#missed(directory, nameOf(path));
      this.#probe(directory, nameOf(path));
    }
    return attributes;
  }

  /** A program was told what is known of `path`, without a question. */
  told(path: Path, attributes: Attributes | null): void {
    if (path === ROOT || !this.#isOn) return;
    const directory = parentOf(path);
    const before = this.#lately(directory);
    if (before !== undefined && before.name !== nameOf(path)) this.#enter(directory);
    this.#walks.used(directory);
    // A name that is asked for again and again is remembered by itself.
    const isByListing = (this.#names.held(directory)?.absenceProvedAt ?? null) !== null;
    if (attributes === null && isByListing) this.#missed(directory, nameOf(path));
    if (attributes === null) this.#probe(directory, nameOf(path));
  }

  #enter(directory: Path): void {
    if (this.#lately(directory)?.entered) return;
    this.#note(directory, { entered: true });
    this.#walks.opened(directory);
  }

  /** `name` is missing in `directory`: if it was in the one before, it is asked for in the next ones. */
  #probe(directory: Path, name: ByteString): void {
    const now = this.#clock.monotonic();
    const last = this.#lastMiss;
    this.#lastMiss = { directory, name, at: now };
    if (this.#negativeTtl <= 0 || last === null || now - last.at > PAUSE) return;
    if (last.name !== name || last.directory === directory) return;
    const after = (from: Path, order: Order, count: number) =>
      take(upcoming(from, ROOT, order, this.#subdirectories), count);
    const order = ORDERS.find((each) => after(last.directory, each, SKIPPED).includes(directory));
    if (order === undefined) return;
    for (const next of after(directory, order, PROBES)) {
      const path = joinPath(next, name);
      const at = this.#probed.get(path) ?? Number.NEGATIVE_INFINITY;
      if (now - at <= PAUSE || this.#names.known(path) !== undefined) continue;
      this.#probed.set(path, now);
      this.#names.answers.ask(path).catch((error: unknown) => log('asking ahead: %s', error));
    }
  }

  readonly #subdirectories = (path: Path, order: Order): Ordered =>
    this.#names.listed(path)?.subdirectories(path, order) ?? NOTHING;

  #missed(directory: Path, name: ByteString): void {
    if (this.#negativeTtl <= 0) return;
    const before = this.#lately(directory);
    this.#note(directory, { missing: name });
    const isSecond = before !== undefined && before.missing !== null && before.missing !== name;
    if (!isSecond || before.refused) return;
    this.#names.held(directory)?.useForAbsence();
    if (this.#names.absenceLeft(directory) <= this.#negativeTtl / 2) this.#list(directory, true);
  }

  /** What was asked of the directory, if that is not long ago. */
  #lately(directory: Path): Asked | undefined {
    const asked = this.#asked.get(directory);
    return asked !== undefined && this.#clock.monotonic() - asked.at <= PAUSE ? asked : undefined;
  }

  #note(directory: Path, news: Partial<Asked>): void {
    const before = this.#lately(directory) ?? FIRST;
    this.#asked.set(directory, { ...before, ...news, at: this.#clock.monotonic() });
  }

  #list(directory: Path, provesAbsence: boolean): void {
    if (!this.#listings.isListing(directory)) void this.#listNow(directory, provesAbsence);
    else if (provesAbsence) this.#listings.useForAbsence(directory);
  }

  async #listNow(directory: Path, provesAbsence: boolean): Promise<void> {
    let refused = (this.#names.held(directory)?.size ?? 0) > MAX_NAMES;
    try {
      if (!refused) {
        const size = await this.#listings.listAhead(directory, { limit: MAX_NAMES, provesAbsence });
        // What is empty tells nothing, not even of missing names.
        refused = size > MAX_NAMES || size === 0;
      }
    } catch (error) {
      log('listing for names: %s', error);
      refused = true;
    }
    if (refused) this.#note(directory, { refused });
  }
}

function take(paths: Iterable<Path>, count: number): readonly Path[] {
  const taken: Path[] = [];
  for (const path of paths) {
    taken.push(path);
    if (taken.length >= count) break;
  }
  return taken;
}
