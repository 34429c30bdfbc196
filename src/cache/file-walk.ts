/**
 * Which files will a program that reads a tree open next? It goes through a directory in one of the orders of
 * walk.ts, and into its subdirectories either where their names stand (tar, grep, cp, git) or after its files
 * (rsync); some leave hidden names out. One file opened behind another is a step if some such way leads from the one
 * to the other, past a few that were not wanted. Everything here is a pure rule; who reads ahead is in
 * `fs/files-ahead.ts`.
 */
import type { ByteString } from '../base/bytes.js';
import { isDirectory, isRegular } from '../base/mode.js';
import { isWithin, joinPath, nameOf, type Path, parentOf, ROOT } from '../base/path.js';
import type { Ordered } from './ordered.js';
import { ORDERS, type Order } from './walk.js';

/** How a program goes through a tree. */
export interface Way {
  readonly order: Order;
  /** When it enters a subdirectory: where its name stands among the others, or after all files. */
  readonly descent: 'inline' | 'after';
  /** Does it go into hidden names? */
  readonly hidden: boolean;
}

/** All ways that are recognised, likeliest first. */
export const WAYS: readonly Way[] = ORDERS.flatMap((order) =>
  [true, false].flatMap((hidden) =>
    (['inline', 'after'] as const).map((descent) => ({ order, descent, hidden })),
  ),
);

/** What is in a directory, in that order. Undefined if it was not listed, or is not worth sorting. */
export type Entries = (directory: Path, order: Order) => Ordered | undefined;

/** A step may pass over so many files: empty ones, or those whose name the program does not care for. */
const SKIPPED = 4;

/** So many directories are looked into for what comes next. */
const MAX_DIRECTORIES = 256;
/** And so many entries of them; for a single step, which is tried on many ways with each file that is opened, fewer. */
const MAX_ENTRIES = 10_000;
const MAX_ENTRIES_OF_STEP = 256;

/** How many files may be read ahead and not opened yet. */
export const FIRST_WINDOW = 8;
const LAST_WINDOW = 256;
/** Steps of one way after which files are read ahead. */
const FIRST_STEPS = 2;
const LAST_STEPS = 64;

/** The window after a file that was read ahead was opened: it triples with each round trip. */
export function grown(window: number): number {
  return Math.min(LAST_WINDOW, window + 2);
}

/** The window after a file was opened that was not foreseen. */
export function shrunk(window: number): number {
  return Math.max(FIRST_WINDOW, Math.floor(window / 2));
}

/** Steps that are wanted of a walk before files are read ahead, when lately so many were used and in vain. */
export function stepsWanted(used: number, inVain: number): number {
  return Math.min(LAST_STEPS, FIRST_STEPS + 2 * Math.max(0, inVain - used));
}

/** The deepest directory that holds both. */
export function commonDirectory(a: Path, b: Path): Path {
  let directory = parentOf(a);
  while (!isWithin(b, directory)) directory = parentOf(directory);
  return directory;
}

/** Those of `ways` on which `to` comes next after `from`. */
export function waysOf(from: Path, to: Path, ways: readonly Way[], entries: Entries): readonly Way[] {
  const root = commonDirectory(from, to);
  const orders = ORDERS.filter((order) => mayFollow(from, to, order, entries));
  return ways.filter((way) => {
    if (!orders.includes(way.order)) return false;
    let passed = 0;
    for (const path of filesAfter(from, root, way, entries, MAX_ENTRIES_OF_STEP)) {
      if (path === to) return true;
      passed += 1;
      if (passed > SKIPPED) return false;
    }
    return false;
  });
}

/** Where nobody has to look at what lies between: is `to` near behind `from`, if both are in one directory? */
function mayFollow(from: Path, to: Path, order: Order, entries: Entries): boolean {
  const directory = parentOf(from);
  if (parentOf(to) !== directory) return true;
  const ordered = entries(directory, order);
  if (ordered === undefined) return false;
  const distance = ordered.placeOf(nameOf(to)) - ordered.placeOf(nameOf(from));
  return distance > 0 && distance <= MAX_ENTRIES_OF_STEP;
}

/**
 * The regular files that come after `from` on a way through the tree `root`, as far as its directories are known:
 * what lies beyond one that was not listed comes later. `most`: entries that are looked at.
 */
export function* filesAfter(
  from: Path,
  root: Path,
  way: Way,
  entries: Entries,
  most = MAX_ENTRIES,
): Generator<Path> {
  const look: Look = { entries, directoriesLeft: MAX_DIRECTORIES, entriesLeft: most };
  for (let at = from; ; at = parentOf(at)) {
    const directory = parentOf(at);
    const goesOn = yield* through(directory, { name: nameOf(at), isFile: at === from }, way, look);
    if (!goesOn || directory === root || directory === ROOT) return;
  }
}

/** A look at a tree that ends somewhere. */
interface Look {
  readonly entries: Entries;
  directoriesLeft: number;
  entriesLeft: number;
}

/** Everything in and below a directory, or only what comes after one of its names; answers whether all is known. */
function* through(
  directory: Path,
  after: { readonly name: ByteString; readonly isFile: boolean } | null,
  way: Way,
  look: Look,
): Generator<Path, boolean> {
  look.directoriesLeft -= 1;
  const ordered = look.directoriesLeft < 0 ? undefined : look.entries(directory, way.order);
  if (ordered === undefined) return false;
  const { all } = ordered;
  const start = after === null ? 0 : ordered.placeOf(after.name) + 1;
  if (after !== null && start === 0) return false;
  const isInline = way.descent === 'inline';
  const filesFrom = isInline || after === null || after.isFile ? start : all.length;
  const directoriesFrom = isInline || after === null || !after.isFile ? start : 0;
  for (let at = filesFrom; at < all.length; at += 1) {
    look.entriesLeft -= 1;
    if (look.entriesLeft < 0) return false;
    const entry = all[at];
    if (entry === undefined || isLeftOut(entry.name, way)) continue;
    const path = joinPath(directory, entry.name);
    if (isRegular(entry.type)) yield path;
    else if (isInline && isDirectory(entry.type) && !(yield* through(path, null, way, look))) return false;
  }
  if (isInline) return true;
  for (let at = directoriesFrom; at < all.length; at += 1) {
    look.entriesLeft -= 1;
    if (look.entriesLeft < 0) return false;
    const entry = all[at];
    if (entry === undefined || !isDirectory(entry.type) || isLeftOut(entry.name, way)) continue;
    if (!(yield* through(joinPath(directory, entry.name), null, way, look))) return false;
  }
  return true;
}

function isLeftOut(name: ByteString, { hidden }: Way): boolean {
  return !hidden && name.startsWith('.');
}
