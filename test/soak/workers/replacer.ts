/**
 * Writes whole files: in place (O_TRUNC), and as programs do that want no half file: a new one beside it, closed,
 * then renamed over. A file whose last write is not confirmed may hold anything of what it held and what it was to
 * hold; one that was renamed over holds the one or the other, whole.
 */
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, readWhole, type Step } from '../calls.js';
import { type Claim, contradiction, exactly, stream } from '../claims.js';
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
  | { readonly is: 'absent' }
  /** This, whole. */
  | { readonly is: 'sure'; readonly content: Content }
  /** One of these, whole. */
  | { readonly is: 'either'; readonly contents: readonly Content[] }
  /** Bytes and sizes of any of these, or no file. */
  | { readonly is: 'doubtful'; readonly contents: readonly Content[] };

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

  claims(): readonly Claim[] {
    return [...this.#holdings].flatMap(([name, holding]) => {
      if (holding.is === 'absent') return [{ is: 'absent', path: name } as const];
      return holding.is === 'sure' ? [exactly(name, holding.content.stream, holding.content.size)] : [];
    });
  }

  /** Writes and closes a file; what is known of it then stands in the holdings. */
  #write(name: string): boolean {
    const size = this.#place.random.between(0, LARGEST);
    const content = { stream: `${this.#place.seed}/${name}-${++this.#versions}`, size };
    const path = join(this.#place.directory, name);
    this.#holdings.set(name, {
      is: 'doubtful',
      contents: [...contentsOf(this.#holdings.get(name)), content],
    });
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
    const closed = this.#attempt('close', name, () => closeSync(fd));
    if (failed || closed.errno !== null) return false;
    this.#holdings.set(name, { is: 'sure', content });
    this.#place.calls.confirmed(size);
    this.#since = Date.now();
    return true;
  }

  #replace(name: string): void {
    const next = `${name}.new`;
    if (!this.#write(next)) return;
    const before = this.#holdings.get(name);
    const after = this.#holdings.get(next);
    if (after?.is !== 'sure') return;
    const paths = [next, name].map((each) => join(this.#place.directory, each)) as [string, string];
    const renamed = this.#attempt('rename', name, () => renameSync(...paths));
    if (renamed.errno === null) {
      this.#holdings.set(name, after).set(next, { is: 'absent' });
      return;
    }
    // Whether it happened shows when the file is written again, or read.
    const whole = before === undefined || before.is === 'sure' || before.is === 'either';
    const contents = [...contentsOf(before), after.content];
    this.#holdings.set(name, { is: whole && before !== undefined ? 'either' : 'doubtful', contents });
    this.#holdings.set(next, { is: 'doubtful', contents: [after.content] });
  }

  #verify(name: string): void {
    const holding = this.#holdings.get(name);
    if (holding === undefined) return;
    const absent = holding.is === 'absent' || holding.is === 'doubtful';
    const read = this.#attempt(
      'read',
      name,
      (step) => readWhole(join(this.#place.directory, name), step),
      (errno) => absent && errno === 'ENOENT',
    );
    if (read.errno !== null) return;
    const found = { is: 'file', bytes: read.value } as const;
    const wrong = allowed(name, holding).map((claim) => contradiction(claim, found));
    if (!wrong.includes(null)) this.#place.calls.wrong(`read back: ${wrong.join('; ')}`);
    this.#place.calls.verified(read.value.length);
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

/** The claims of which one must hold for a file that is there. */
function allowed(path: string, holding: Holding): readonly Claim[] {
  if (holding.is === 'absent') return [{ is: 'absent', path }];
  const contents = contentsOf(holding);
  if (holding.is !== 'doubtful') return contents.map(({ stream, size }) => exactly(path, stream, size));
  const most = Math.max(...contents.map(({ size }) => size));
  const streams = contents.map(({ stream }) => stream);
  return [{ is: 'file', path, least: 0, most, parts: [{ offset: 0, length: most, streams, zero: true }] }];
}
