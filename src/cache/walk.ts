/**
 * Which directories will a program that walks a tree list next? Programs go depth first, or level by level, and through
 * the children of a directory as it lists them (find, tar, grep, rm), sorted (ls -R, rsync), sorted as parts of whole
 * paths (git's index) or by inode number (cp); some leave hidden ones out. Everything here is a pure rule; who lists
 * ahead is in `fs/listing-ahead.ts`.
 */
import type { ByteString } from '../base/bytes.js';
import { joinPath, nameOf, type Path, parentOf, ROOT } from '../base/path.js';
import type { Ordered } from './ordered.js';

/** The orders in which programs visit what is in a directory, likeliest first. */
export const ORDERS = ['listed', 'sorted', 'paths', 'inodes'] as const;
export type Order = (typeof ORDERS)[number];

/** Whether what lies in a directory is visited before its siblings, or after all directories of its level. */
export type Descent = 'depth' | 'breadth';

/** The subdirectories of a directory, none if it was not listed, or is not worth sorting. */
export type Subdirectories = (directory: Path, order: Order) => Ordered;

/** A walk whose last step is longer ago than this, in milliseconds, is over. */
export const PAUSE = 5000;

/** How many directories may be listed ahead and not used yet. */
export const FIRST_WINDOW = 4;
const LAST_WINDOW = 64;

/** The window after one listed ahead was used: by one for each, it doubles with each round trip. */
export function grown(window: number): number {
  return Math.min(LAST_WINDOW, window + 1);
}

/** The window after a directory was wanted that was not foreseen. */
export function shrunk(window: number): number {
  return Math.max(FIRST_WINDOW, Math.floor(window / 2));
}

/** Does `name` come next after `previous` (null or gone: is it the first), if hidden names may be left out? */
function isNext(name: ByteString, previous: ByteString | null, names: Ordered): boolean {
  const at = names.placeOf(name);
  const after = previous === null ? -1 : names.placeOf(previous);
  if (at <= after) return false;
  for (let between = after + 1; between < at; between += 1) {
    if (!names.all[between]?.name.startsWith('.')) return false;
  }
  return true;
}

/** The order in which `name` follows `previous` among the children of `directory`, preferably `order`; or null. */
export function orderOf(
  directory: Path,
  name: ByteString,
  previous: ByteString | null,
  order: Order,
  subdirectories: Subdirectories,
): Order | null {
  const follows = (each: Order) => isNext(name, previous, subdirectories(directory, each));
  return follows(order) ? order : (ORDERS.find(follows) ?? null);
}

/** What a step from the directory `from` to `to` shows of how a program descends; null for nothing. */
export function descentOf(
  from: Path,
  to: Path,
  order: Order,
  subdirectories: Subdirectories,
): Descent | null {
  if (parentOf(to) === from) return 'depth';
  const isSibling = from !== to && from !== ROOT && parentOf(to) === parentOf(from);
  return isSibling && subdirectories(from, order).all.length > 0 ? 'breadth' : null;
}

/** What comes after `from` in a walk of the tree `root`, level by level, as far as its directories are known. */
export function* upcomingByLevel(
  from: Path,
  root: Path,
  order: Order,
  subdirectories: Subdirectories,
): Generator<Path> {
  function* childrenOf(directories: Iterable<Path>): Generator<Path> {
    for (const directory of directories) {
      for (const { name } of subdirectories(directory, order).all) yield joinPath(directory, name);
    }
  }
  /** What is behind `at` on its level. */
  function* behind(at: Path): Generator<Path> {
    if (at === root || at === ROOT) return;
    yield* siblingsAfter(at, order, subdirectories);
    yield* childrenOf(behind(parentOf(at)));
  }
  /** The whole level of `at`. */
  function* level(at: Path): Generator<Path> {
    if (at === root || at === ROOT) yield at;
    else yield* childrenOf(level(parentOf(at)));
  }
  yield* behind(from);
  yield* childrenOf(level(from));
}

/** What comes after `from` in a walk of the tree `root`, depth first, as far as its directories are known. */
export function* upcoming(
  from: Path,
  root: Path,
  order: Order,
  subdirectories: Subdirectories,
): Generator<Path> {
  yield* below(from, order, subdirectories);
  for (let at = from; at !== root && at !== ROOT; at = parentOf(at)) {
    for (const sibling of siblingsAfter(at, order, subdirectories)) {
      yield* withBelow(sibling, order, subdirectories);
    }
  }
}

/** All of them if `path` itself is gone. */
function* siblingsAfter(path: Path, order: Order, subdirectories: Subdirectories): Generator<Path> {
  const parent = parentOf(path);
  const siblings = subdirectories(parent, order);
  for (let next = siblings.placeOf(nameOf(path)) + 1; next < siblings.all.length; next += 1) {
    const sibling = siblings.all[next];
    if (sibling !== undefined) yield joinPath(parent, sibling.name);
  }
}

function* below(directory: Path, order: Order, subdirectories: Subdirectories): Generator<Path> {
  for (const { name } of subdirectories(directory, order).all) {
    yield* withBelow(joinPath(directory, name), order, subdirectories);
  }
}

function* withBelow(directory: Path, order: Order, subdirectories: Subdirectories): Generator<Path> {
  yield directory;
  yield* below(directory, order, subdirectories);
}
