/**
 * What a handful of names may be. A call that returned says what it did; a call that failed because the server
 * was away may have been carried out or not. So the model is a set of possible worlds: each call is played in
 * all of them with Linux's rules, what it returned rules worlds out, and a failure of the network keeps both the
 * world in which it happened and the one in which it did not. A set that becomes empty is a wrong answer.
 */

export type Operation =
  | { readonly op: 'mkdir' | 'rmdir' | 'unlink' | 'list' | 'look'; readonly path: string }
  /** O_CREAT | O_EXCL: an empty file with identity `file`. */
  | { readonly op: 'create'; readonly path: string; readonly file: number }
  /** Puts `text` into the file that is there. */
  | { readonly op: 'fill'; readonly path: string; readonly text: string }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string }
  | { readonly op: 'link' | 'rename'; readonly from: string; readonly to: string };

export type Node =
  | { readonly is: 'directory' }
  | { readonly is: 'link'; readonly target: string }
  | { readonly is: 'file'; readonly file: number };

export interface World {
  readonly names: ReadonlyMap<string, Node>;
  /** Contents by the identity of the file, which several names may share. */
  readonly texts: ReadonlyMap<number, string>;
}

/** How a call ends in a world: with an errno, or with a value and the world that it leaves. */
export type Ending =
  | { readonly errno: string }
  | { readonly errno: null; readonly world: World; readonly value: string };

/** How a call really ended. */
export interface Outcome {
  readonly errno: string | null;
  readonly value: string;
}

export const EMPTY: World = { names: new Map(), texts: new Map() };

export class Worlds {
  #possible: readonly World[] = [EMPTY];

  /** The worlds of which one is the real one. */
  get possible(): readonly World[] {
    return this.#possible;
  }

  /** Takes in how a call ended; answers what is wrong with that, or null. */
  learn(operation: Operation, outcome: Outcome): string | null {
    const agreeing: World[] = [];
    for (const world of this.#possible) {
      const ending = play(world, operation);
      if (ending.errno !== outcome.errno) continue;
      if (ending.errno !== null) agreeing.push(world);
      else if (ending.value === outcome.value) agreeing.push(ending.world);
    }
    if (agreeing.length === 0) {
      const expected = this.#possible.map((world) => told(play(world, operation)));
      return `${described(operation)}: ${told(outcome)} instead of ${[...new Set(expected)].join(' or ')}`;
    }
    this.#possible = distinct(agreeing);
    return null;
  }

  /** Takes in that a call failed without an answer: it may have happened. */
  doubt(operation: Operation): void {
    const after = this.#possible.flatMap((world) => {
      const ending = play(world, operation);
      return ending.errno === null ? [ending.world] : [];
    });
    this.#possible = distinct([...this.#possible, ...after]);
  }
}

export function described(operation: Operation): string {
  return 'from' in operation
    ? `${operation.op} ${operation.from} ${operation.to}`
    : `${operation.op} ${operation.path}`;
}

const told = (ending: Outcome | Ending) =>
  ending.errno ?? (ending.value === '' ? 'success' : JSON.stringify(ending.value));

/** Each different world once, without the contents of files that have no name any more. */
function distinct(worlds: readonly World[]): readonly World[] {
  const found = new Map<string, World>();
  for (const { names, texts } of worlds) {
    const named = new Set([...names.values()].map((node) => (node.is === 'file' ? node.file : null)));
    const kept = [...texts].filter(([file]) => named.has(file)).sort(([one], [other]) => one - other);
    found.set(JSON.stringify([[...names].sort(), kept]), { names, texts: new Map(kept) });
  }
  return [...found.values()];
}

/** The rules of names on Linux, for root. */
export function play(world: World, operation: Operation): Ending {
  switch (operation.op) {
    case 'mkdir':
      return make(world, operation.path, { is: 'directory' });
    case 'symlink':
      return make(world, operation.path, { is: 'link', target: operation.target });
    case 'create': {
      const { path, file } = operation;
      return make({ ...world, texts: new Map(world.texts).set(file, '') }, path, { is: 'file', file });
    }
    case 'fill': {
      const node = find(world, operation.path);
      if (typeof node === 'string') return { errno: node };
      if (node.is === 'directory') return { errno: 'EISDIR' };
      // Every link of the model leads nowhere.
      if (node.is === 'link') return { errno: 'ENOENT' };
      return done({ ...world, texts: new Map(world.texts).set(node.file, operation.text) });
    }
    case 'unlink': {
      const node = find(world, operation.path);
      if (typeof node === 'string') return { errno: node };
      return node.is === 'directory' ? { errno: 'EISDIR' } : done(without(world, operation.path));
    }
    case 'rmdir': {
      const node = find(world, operation.path);
      if (typeof node === 'string') return { errno: node };
      if (node.is !== 'directory') return { errno: 'ENOTDIR' };
      return children(world, operation.path).length > 0
        ? { errno: 'ENOTEMPTY' }
        : done(without(world, operation.path));
    }
    case 'link': {
      const node = find(world, operation.from);
      if (typeof node === 'string') return { errno: node };
      const made = make(world, operation.to, node);
      return made.errno === null && node.is === 'directory' ? { errno: 'EPERM' } : made;
    }
    case 'rename':
      return rename(world, operation.from, operation.to);
    case 'list': {
      const node = find(world, operation.path);
      if (typeof node === 'string') return { errno: node };
      // A link leads nowhere, so to list it is to miss its target.
      if (node.is !== 'directory') return { errno: node.is === 'link' ? 'ENOENT' : 'ENOTDIR' };
      return { errno: null, world, value: children(world, operation.path).sort().join(' ') };
    }
    case 'look':
      return { errno: null, world, value: appearance(world, operation.path) };
  }
}

/** What lstat(2), readlink(2) and a read show of a path, as one text. */
export function appearance(world: World, path: string): string {
  const node = find(world, path);
  if (typeof node === 'string') return 'absent';
  switch (node.is) {
    case 'directory':
      return 'directory';
    case 'link':
      return `link ${node.target}`;
    case 'file':
      return `file ${world.texts.get(node.file) ?? ''}`;
  }
}

/** The node at `path`, or the errno of a path that does not resolve. */
function find(world: World, path: string): Node | string {
  const reason = unreachable(world, path);
  return reason ?? world.names.get(path) ?? 'ENOENT';
}

/** Why the directory that holds `path` cannot be entered. */
function unreachable(world: World, path: string): string | null {
  const parent = parentOf(path);
  if (parent === null) return null;
  const reason = unreachable(world, parent);
  if (reason !== null) return reason;
  const node = world.names.get(parent);
  if (node === undefined || node.is === 'link') return 'ENOENT';
  return node.is === 'directory' ? null : 'ENOTDIR';
}

function parentOf(path: string): string | null {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? null : path.slice(0, slash);
}

function children(world: World, path: string): string[] {
  return [...world.names.keys()]
    .filter((name) => parentOf(name) === path)
    .map((name) => name.slice(path.length + 1));
}

const done = (world: World): Ending => ({ errno: null, world, value: '' });

function without(world: World, path: string): World {
  const names = new Map(world.names);
  names.delete(path);
  return { ...world, names };
}

function make(world: World, path: string, node: Node): Ending {
  const reason = unreachable(world, path);
  if (reason !== null) return { errno: reason };
  if (world.names.has(path)) return { errno: 'EEXIST' };
  return done({ ...world, names: new Map(world.names).set(path, node) });
}

function rename(world: World, from: string, to: string): Ending {
  const reason = unreachable(world, from) ?? unreachable(world, to);
  if (reason !== null) return { errno: reason };
  const source = world.names.get(from);
  const target = world.names.get(to);
  if (source === undefined) return { errno: 'ENOENT' };
  if (from === to) return done(world);
  if (to.startsWith(`${from}/`)) return { errno: 'EINVAL' };
  if (from.startsWith(`${to}/`)) return { errno: 'ENOTEMPTY' };
  if (target !== undefined) {
    // Two names of one file: nothing happens.
    if (source.is === 'file' && target.is === 'file' && source.file === target.file) return done(world);
    if (source.is === 'directory' && target.is !== 'directory') return { errno: 'ENOTDIR' };
    if (source.is !== 'directory' && target.is === 'directory') return { errno: 'EISDIR' };
    if (target.is === 'directory' && children(world, to).length > 0) return { errno: 'ENOTEMPTY' };
  }
  const names = new Map<string, Node>();
  for (const [name, node] of world.names) if (name !== to) names.set(moved(name, from, to), node);
  return done({ ...world, names });
}

const moved = (name: string, from: string, to: string) =>
  name === from || name.startsWith(`${from}/`) ? to + name.slice(from.length) : name;
