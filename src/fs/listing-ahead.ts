/**
 * Lists directories before a program opens them. A walk is seen when a directory is opened right after its
 * parent, as the first of its children, or as the next after the one before; a single `ls` is none. Several may go
 * through one directory at the same time, each from where it was last (git has threads). From the first step on the
 * directories that come next are listed, as many as the walk's window: it grows with every one that
 * was used and shrinks when another was wanted instead, and what is listed and not used yet counts against it.
 * So a walk that ends early leaves little behind, and nothing is listed without somebody going on.
 */
import { LRUCache } from 'lru-cache';
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { nameOf, type Path, parentOf, ROOT } from '../base/path.js';
import { NOTHING, type Ordered } from '../cache/ordered.js';
import {
  type Descent,
  descentOf,
  FIRST_WINDOW,
  grown,
  type Order,
  orderOf,
  PAUSE,
  shrunk,
  upcoming,
  upcomingByLevel,
} from '../cache/walk.js';
import type { Listings } from './listings.js';
import type { Namespace } from './namespace.js';

const log = logger('names');

/** Listings under way at a time, of all walks. */
const MAX_IN_FLIGHT = 64;
/** Names in listings that were not used yet, of all walks. */
const MAX_NAMES = 50_000;
/** Beyond its window a walk looks past so many directories that are known already for one that is not. */
const HORIZON = 16;
/** Directories of which it is remembered that they were opened. */
const MAX_VISITS = 1024;
/** So many programs, or threads of one (git has up to 20), may go through one directory at the same time. */
const MAX_CURSORS = 20;

interface Walk {
  readonly root: Path;
  order: Order;
  descent: Descent;
  window: number;
  /** The directory opened last, and when. */
  position: Path;
  at: number;
  /** Listed ahead, or being so, and not used yet. */
  readonly ahead: Set<Path>;
  /** What could not be listed ahead is not tried again. */
  readonly failed: Set<Path>;
}

/** Somebody who goes from one child of a directory to the next. */
interface Cursor {
  /** The child opened last. */
  child: ByteString | null;
  walk: Walk | null;
}

interface Visit {
  readonly at: number;
  /** The one that went on last is first. */
  cursors: readonly Cursor[];
}

interface Ahead {
  readonly walk: Walk;
  readonly at: number;
  names: number;
}

export class ListingAhead {
  readonly #names: Namespace;
  readonly #listings: Listings;
  readonly #clock: Clock;
  /** For how long a listing can be used; 0: not at all. */
  readonly #lifetime: number;
  readonly #visits = new LRUCache<Path, Visit>({ max: MAX_VISITS });
  /** Oldest first. */
  readonly #ahead = new Map<Path, Ahead>();
  #heldNames = 0;
  #inFlight = 0;
  #used = 0;
  #unused = 0;

  constructor(names: Namespace, listings: Listings, clock: Clock, lifetime: number) {
    this.#names = names;
    this.#listings = listings;
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  /** A program opens this directory; its own listing was asked for already. */
  opened(path: Path): void {
    if (this.#lifetime <= 0) return;
    const now = this.#clock.monotonic();
    this.#sweep(now);
    const foreseen = this.#take(path);
    if (foreseen !== undefined) {
      this.#used += 1;
      foreseen.walk.window = grown(foreseen.walk.window);
    }
    const walk = this.#step(path, now);
    this.#visits.set(path, { at: now, cursors: [{ child: null, walk }] });
    if (walk === null) return;
    if (foreseen === undefined && this.#names.listed(path) === undefined) walk.window = shrunk(walk.window);
    walk.descent = descentOf(walk.position, path, walk.order, this.#subdirectories) ?? walk.descent;
    walk.position = path;
    walk.at = now;
    this.#fill(walk);
  }

  /** Is this directory the next one for somebody who goes through its parent? */
  isNext(path: Path): boolean {
    return path !== ROOT && this.#cursorAt(path, this.#clock.monotonic()) !== null;
  }

  /** Names of this directory were asked for: if it was listed ahead, that is as good as opening it. */
  used(path: Path): void {
    if (this.#ahead.has(path)) this.opened(path);
  }

  /** The listing of a directory that was opened is there: its children may come next. */
  listed(path: Path): void {
    for (const { walk } of this.#visits.peek(path)?.cursors ?? []) if (walk) this.#fill(walk);
  }

  /** The walk that opening `path` is a step of. */
  #step(path: Path, now: number): Walk | null {
    if (path === ROOT) return null;
    const parent = parentOf(path);
    const visit = this.#visits.get(parent);
    if (visit === undefined) return null;
    const name = nameOf(path);
    const going = visit.cursors.filter((cursor) => !isOver(cursor, visit, now));
    const here = going.find(({ child }) => child === name);
    if (here !== undefined) return here.walk;
    const next = this.#cursorAt(path, now);
    // Whoever jumps shows by the next step that he goes on from there.
    const cursor = next?.cursor ?? { child: name, walk: null };
    cursor.child = name;
    visit.cursors = [cursor, ...going.filter((other) => other !== cursor)].slice(0, MAX_CURSORS);
    if (next === null) return null;
    if (cursor.walk === null) cursor.walk = newWalk(parent, path, next.order, now);
    else cursor.walk.order = next.order;
    return cursor.walk;
  }

  /** The one that `path` comes next for, and in which order. */
  #cursorAt(path: Path, now: number): { readonly cursor: Cursor; readonly order: Order } | null {
    const parent = parentOf(path);
    const visit = this.#visits.peek(parent);
    for (const cursor of visit?.cursors ?? []) {
      if (visit === undefined || isOver(cursor, visit, now)) continue;
      const { child, walk } = cursor;
      const order = orderOf(parent, nameOf(path), child, walk?.order ?? 'listed', this.#subdirectories);
      if (order !== null) return { cursor, order };
    }
    return null;
  }

  #fill(walk: Walk): void {
    let passed = 0;
    const coming = walk.descent === 'depth' ? upcoming : upcomingByLevel;
    for (const path of coming(walk.position, walk.root, walk.order, this.#subdirectories)) {
      if (walk.ahead.size >= walk.window || passed > walk.window + HORIZON) return;
      if (this.#inFlight >= MAX_IN_FLIGHT || this.#heldNames >= MAX_NAMES) return;
      const isDone = this.#ahead.has(path) || walk.failed.has(path) || this.#names.listed(path) !== undefined;
      if (isDone || this.#listings.isListing(path)) passed += 1;
      else void this.#list(path, walk);
    }
  }

  async #list(path: Path, walk: Walk): Promise<void> {
    const ahead: Ahead = { walk, at: this.#clock.monotonic(), names: 0 };
    this.#ahead.set(path, ahead);
    walk.ahead.add(path);
    this.#inFlight += 1;
    try {
      const names = await this.#listings.listAhead(path);
      if (this.#ahead.get(path) === ahead) {
        ahead.names = names;
        this.#heldNames += names;
      }
    } catch (error) {
      log('listing ahead: %s', error);
      walk.failed.add(path);
      if (this.#ahead.get(path) === ahead) this.#take(path);
    }
    this.#inFlight -= 1;
    this.#fill(walk);
  }

  #take(path: Path): Ahead | undefined {
    const ahead = this.#ahead.get(path);
    if (ahead === undefined) return undefined;
    this.#ahead.delete(path);
    ahead.walk.ahead.delete(path);
    this.#heldNames -= ahead.names;
    return ahead;
  }

  /** What was not used while it could be was listed in vain. */
  #sweep(now: number): void {
    const before = this.#unused;
    for (const [path, { walk, at }] of this.#ahead) {
      if (now - at < this.#lifetime) break;
      this.#take(path);
      walk.window = FIRST_WINDOW;
      this.#unused += 1;
    }
    if (this.#unused > before) log('listed ahead: %d used, %d in vain', this.#used, this.#unused);
  }

  readonly #subdirectories = (path: Path, order: Order): Ordered =>
    this.#names.listed(path)?.subdirectories(path, order) ?? NOTHING;
}

function isOver({ walk }: Cursor, { at }: Visit, now: number): boolean {
  return now - Math.max(at, walk?.at ?? 0) > PAUSE;
}

function newWalk(root: Path, position: Path, order: Order, at: number): Walk {
  return {
    root,
    order,
    descent: 'depth',
    window: FIRST_WINDOW,
    position,
    at,
    ahead: new Set(),
    failed: new Set(),
  };
}
