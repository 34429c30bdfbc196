/**
 * Makes, moves and takes away names, right ones and wrong ones, and compares every answer with the possible worlds:
 * a false EEXIST or ENOENT, a rename that happened twice or a removal that did not happen has no world to be true in.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { FULL, OUTAGE, readWhole, type Step } from '../calls.js';
import type { Claim } from '../claims.js';
import { appearance, described, type Operation, Worlds } from '../worlds.js';
import type { Place, Worker } from './worker.js';

const TOP = ['a', 'b', 'c', 'd'];
const NAMES = [...TOP, ...TOP.slice(0, 2).flatMap((name) => [`${name}/x`, `${name}/y`])];
/** More possible worlds than this are looked at before anything else is done. */
const MOST_WORLDS = 8;

export class Namer implements Worker {
  readonly #place: Place;
  readonly #worlds = new Worlds();
  #made = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  step(): void {
    const { random } = this.#place;
    const doubtful = this.#worlds.possible.length;
    if (doubtful > MOST_WORLDS || (doubtful > 1 && random.chance(0.5))) this.settle();
    else this.#carryOut(this.#next());
  }

  settle(): boolean {
    for (const path of NAMES) {
      if (this.#worlds.possible.length === 1) return true;
      this.#carryOut({ op: 'look', path });
    }
    return this.#worlds.possible.length === 1;
  }

  claims(): readonly Claim[] {
    const [world, ...others] = this.#worlds.possible;
    if (world === undefined || others.length > 0) return [];
    return NAMES.map((path) => claimed(path, appearance(world, path)));
  }

  #next(): Operation {
    const { random } = this.#place;
    const path = random.pick(NAMES);
    const [from, to] = [random.pick(NAMES), random.pick(NAMES)];
    switch (
      random.pick([
        'mkdir',
        'create',
        'fill',
        'remove',
        'symlink',
        'link',
        'rename',
        'rename',
        'list',
        'look',
      ])
    ) {
      case 'mkdir':
        return { op: 'mkdir', path };
      case 'create':
        return { op: 'create', path, file: ++this.#made };
      case 'fill':
        return {
          op: 'fill',
          path,
          text: `${this.#place.seed}-text-${String(++this.#made).padStart(8, '0')}`,
        };
      case 'remove':
        return { op: random.chance(0.5) ? 'unlink' : 'rmdir', path };
      case 'symlink':
        return { op: 'symlink', path, target: `nowhere-${++this.#made}` };
      case 'link':
        return this.#isLink(from) ? { op: 'look', path: from } : { op: 'link', from, to };
      case 'rename':
        return { op: 'rename', from, to };
      case 'list':
        return { op: 'list', path };
      default:
        return { op: 'look', path };
    }
  }

  /** Servers differ in whether a hard link to a symbolic link is one. */
  #isLink(path: string): boolean {
    return this.#worlds.possible.some(({ names }) => names.get(path)?.is === 'link');
  }

  #carryOut(operation: Operation): void {
    const uncertain = (errno: string) =>
      OUTAGE.has(errno) || (errno === FULL && (operation.op === 'fill' || operation.op === 'create'));
    const answer = this.#place.calls.attempt(
      operation.op,
      described(operation).slice(operation.op.length + 1),
      Date.now(),
      (step) => this.#call(operation, step),
      // What is no fault is judged by the worlds.
      (errno) => !uncertain(errno),
    );
    if (answer.errno !== null && uncertain(answer.errno)) {
      this.#worlds.doubt(operation);
      return;
    }
    const value = answer.errno === null ? answer.value : '';
    const wrong = this.#worlds.learn(operation, { errno: answer.errno, value });
    if (wrong !== null) this.#place.calls.wrong(wrong);
  }

  #call(operation: Operation, step: Step): string {
    const at = (path: string) => join(this.#place.directory, path);
    switch (operation.op) {
      case 'mkdir':
        mkdirSync(at(operation.path));
        return '';
      case 'rmdir':
        rmdirSync(at(operation.path));
        return '';
      case 'unlink':
        unlinkSync(at(operation.path));
        return '';
      case 'create':
        create(at(operation.path), step);
        return '';
      case 'fill':
        fill(at(operation.path), operation.text, this.#place.closeConfirms, step);
        return '';
      case 'symlink':
        symlinkSync(operation.target, at(operation.path));
        return '';
      case 'link':
        linkSync(at(operation.from), at(operation.to));
        return '';
      case 'rename':
        renameSync(at(operation.from), at(operation.to));
        return '';
      case 'list':
        return list(at(operation.path), step).sort().join(' ');
      case 'look':
        return look(at(operation.path), step);
    }
  }
}

function create(path: string, step: Step): void {
  const fd = step(() => openSync(path, 'wx', 0o644));
  step(() => closeSync(fd));
}

/** Overwrites in place: every text has the same length. Where that is not answered for sure, it is worth an fsync. */
function fill(path: string, text: string, closeConfirms: boolean, step: Step): void {
  const fd = step(() => openSync(path, 'r+'));
  try {
    step(() => writeSync(fd, text));
    if (!closeConfirms) step(() => fsyncSync(fd), 'fsync');
  } finally {
    step(() => closeSync(fd));
  }
}

function list(path: string, step: Step): string[] {
  const directory = step(() => opendirSync(path));
  try {
    const names: string[] = [];
    for (;;) {
      const entry = step(() => directory.readSync());
      if (entry === null) return names;
      names.push(entry.name);
    }
  } finally {
    step(() => directory.closeSync());
  }
}

function look(path: string, step: Step): string {
  const found = step(() => lstat(path));
  if (found === null) return 'absent';
  if (found.isDirectory()) return 'directory';
  if (found.isSymbolicLink()) return `link ${step(() => readlinkSync(path))}`;
  return `file ${readWhole(path, step).toString('latin1')}`;
}

/** Null where nothing is, whatever the reason. */
function lstat(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

function claimed(path: string, seen: string): Claim {
  if (seen === 'absent' || seen === 'directory') return { is: seen, path };
  const [kind = '', rest = ''] = [seen.slice(0, seen.indexOf(' ')), seen.slice(seen.indexOf(' ') + 1)];
  return kind === 'link' ? { is: 'link', path, target: rest } : { is: 'text', path, text: rest };
}
