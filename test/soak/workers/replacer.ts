/**
 * Writes whole files: in place (O_TRUNC), and as programs do that want no half file: a new one beside it, closed,
 * then renamed over. A file whose last write is not confirmed may hold anything of what it held and what it was to
 * hold; one that was renamed over holds the one or the other, whole. Where a close does not confirm, the same is true
 * if the mount tells that something failed; otherwise the file is what it was written to be, fsync or not.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, readWhole, type Step } from '../calls.js';
import { type Claim, type Claimed, deviation, type Excuse, exactly, stream, type Weaker } from '../claims.js';
import type { Place, Worker } from './worker.js';

const NAMES = ['one', 'two', 'three', 'four'];
const LARGEST = 700_000;
const PIECE = 131_072;

interface Content {
  readonly stream: string;
  readonly size: number;
}

/** What a file may hold. */
type Holding =
  | { readonly is: 'absent'; readonly otherwise: readonly Fallback[] }
  /** This, whole. */
  | { readonly is: 'sure'; readonly content: Content; readonly otherwise: readonly Fallback[] }
  /** One of these, whole. */
  | { readonly is: 'either'; readonly contents: readonly Content[]; readonly otherwise: readonly Fallback[] }
  /** Bytes and sizes of any of these, or no file. */
  | { readonly is: 'doubtful'; readonly contents: readonly Content[] };

/** What it may hold if the mount has told of a failure. */
interface Fallback {
  readonly holding: Holding;
  readonly unless: Excuse;
}

export class Replacer implements Worker {
  readonly #place: Place;
  readonly #holdings = new Map<string, Holding>();
  #versions = 0;
  #since = Date.now();

  constructor(place: Place) {
    this.#place = place;
  }

  step(): void {
    const { random } = this.#place;
    const name = random.pick(NAMES);
    if (random.chance(0.5)) this.#write(name);
    else this.#replace(name);
    if (random.chance(0.5)) this.#verify(random.pick(NAMES));
  }

  settle(): boolean {
    const unsure = [...this.#holdings].filter(
      ([, holding]) => holding.is === 'either' || holding.is === 'doubtful',
    );
    return unsure.every(([name]) => this.#write(name));
  }

  claims(): readonly Claimed[] {
    return [...this.#holdings].flatMap(([name, holding]) => {
      const [claim, ...others] = allowed(name, holding);
      return claim === undefined || others.length > 0
        ? []
        : [{ ...claim, otherwise: fallbacks(name, holding) }];
    });
  }

  /** Writes and closes a file; what is known of it then stands in the holdings. */
  #write(name: string): boolean {
    const { random, closeConfirms } = this.#place;
    const begun = Date.now();
    const size = random.between(0, LARGEST);
    const content = { stream: `${this.#place.seed}/${name}-${++this.#versions}`, size };
    const path = join(this.#place.directory, name);
    const doubtful: Holding = {
      is: 'doubtful',
      contents: [...contentsOf(this.#holdings.get(name)), content],
    };
    this.#holdings.set(name, doubtful);
    const opened = this.#attempt('open', name, () => openSync(path, 'w', 0o644));
    if (opened.errno !== null) return false;
    const fd = opened.value;
    let failed = false;
    for (let at = 0; at < size && !failed; ) {
      const bytes = stream(content.stream, at, Math.min(PIECE, size - at));
      const written = this.#attempt('write', name, () => writeSync(fd, bytes));
      if (written.errno !== null) failed = true;
      else at += written.value;
    }
    const isSynced = !closeConfirms && !failed && random.chance(0.3);
    if (isSynced) failed = this.#attempt('fsync', name, () => fsyncSync(fd)).errno !== null;
    const closed = this.#attempt('close', name, () => closeSync(fd));
    if (failed || closed.errno !== null) return false;
    const unless = { paths: [name], since: begun };
    const otherwise = closeConfirms || isSynced ? [] : [{ holding: doubtful, unless }];
    this.#holdings.set(name, { is: 'sure', content, otherwise });
    this.#place.calls.confirmed(size);
    this.#since = Date.now();
    return true;
  }

  #replace(name: string): void {
    const next = `${name}.new`;
    const begun = Date.now();
    if (!this.#write(next)) return;
    const before = this.#holdings.get(name);
    const after = this.#holdings.get(next);
    if (after?.is !== 'sure') return;
    const paths = [next, name].map((each) => join(this.#place.directory, each)) as [string, string];
    const renamed = this.#attempt('rename', name, () => renameSync(...paths));
    const contents = [...contentsOf(before), after.content];
    const unless = { paths: [name, next], since: begun };
    // What was in its place may itself not have been what it was taken for.
    const older = otherwiseOf(before).map(({ holding, unless }): Fallback => {
      return {
        holding: { is: 'doubtful', contents: [...contentsOf(holding), after.content] },
        unless,
      };
    });
    const isWhole = before?.is === 'sure' || before?.is === 'either';
    const either: Holding = isWhole
      ? { is: 'either', contents, otherwise: older }
      : { is: 'doubtful', contents };
    const beside: Holding = { is: 'doubtful', contents: [after.content] };
    if (renamed.errno !== null) {
      // Whether it happened shows when the file is written again, or read.
      this.#holdings.set(name, either).set(next, beside);
      return;
    }
    const isSure = this.#place.closeConfirms;
    const otherwise = isSure ? [] : [{ holding: either, unless }, ...older];
    this.#holdings
      .set(name, { ...after, otherwise })
      .set(next, { is: 'absent', otherwise: isSure ? [] : [{ holding: beside, unless }] });
  }

  #verify(name: string): void {
    const holding = this.#holdings.get(name);
    if (holding === undefined) return;
    const read = this.#attempt(
      'read',
      name,
      (step) => readWhole(join(this.#place.directory, name), step),
      (errno) => errno === 'ENOENT',
    );
    if (read.errno !== null && read.errno !== 'ENOENT') return;
    const bytes = read.errno === null ? read.value : null;
    const found = bytes === null ? ({ is: 'absent' } as const) : ({ is: 'file', bytes } as const);
    const wrong = deviation(allowed(name, holding), fallbacks(name, holding), found);
    if (wrong !== null) this.#place.calls.wrong(`read back: ${wrong.what}`, wrong.unless);
    this.#place.calls.verified(bytes?.length ?? 0);
  }

  #attempt<T>(
    call: string,
    name: string,
    make: (step: Step) => T,
    expected?: (errno: string) => boolean,
  ): Answer<T> {
    return this.#place.calls.attempt(call, name, this.#since, make, expected);
  }
}

function contentsOf(holding: Holding | undefined): readonly Content[] {
  if (holding === undefined || holding.is === 'absent') return [];
  return holding.is === 'sure' ? [holding.content] : holding.contents;
}

function otherwiseOf(holding: Holding | undefined): readonly Fallback[] {
  return holding === undefined || holding.is === 'doubtful' ? [] : holding.otherwise;
}

/** The claims of which one must hold. */
function allowed(path: string, holding: Holding): readonly Claim[] {
  if (holding.is === 'absent') return [{ is: 'absent', path }];
  const contents = contentsOf(holding);
  if (holding.is !== 'doubtful') return contents.map(({ stream, size }) => exactly(path, stream, size));
  const most = Math.max(...contents.map(({ size }) => size));
  const streams = contents.map(({ stream }) => stream);
  const part = { offset: 0, length: most, streams, zero: true };
  return [
    { is: 'file', path, least: 0, most, parts: [part] },
    { is: 'absent', path },
  ];
}

/** The weaker claims, of which one must hold if the mount has told of a failure. */
function fallbacks(path: string, holding: Holding): readonly Weaker[] {
  return otherwiseOf(holding).flatMap(({ holding, unless }) =>
    allowed(path, holding).map((claim) => ({ claim, unless })),
  );
}
