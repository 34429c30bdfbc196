/**
 * A program on the server that watches directories for us, spoken to by one interface: our script (`ScriptHelper`)
 * is told of each directory as it comes; `inotifywait` takes its directories when it starts, so `InotifywaitHelper`
 * starts another one with the new list, at a low rate, and lets the one before go when the new one watches: nothing
 * is missed in between, and what both tell does no harm.
 */
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ascii, type ByteString, bytesOf } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { escaped, type Message, parseLine, parseSpoken, REFUSAL, type Spoken } from './messages.js';
import { FIND_WATCHER, GREETING, RUN_INOTIFYWAIT } from './program.js';

const log = logger('watch');

/** Milliseconds for a program to greet: behind a login shell that has much to read. */
const GREETING_TIMEOUT = 15_000;
/** Milliseconds that a program may take to end. */
const GOODBYE = 1000;
/** Bytes of a login shell's own words before the greeting, and of one line of a program. */
const MAX_PREAMBLE = 64 * 1024;
const MAX_LINE = 64 * 1024;
/** Milliseconds between two starts of `inotifywait`. */
const RESTART = 3000;

/** Runs a command on the server; the stream is its standard input and output. */
export type Open = (command: string) => Promise<Duplex>;

export interface HelperEvents {
  told(message: Message): void;
  /** It is over, for this reason; nothing more is told. */
  ended(reason: string): void;
}

export interface Helper {
  /** The program's name. */
  readonly program: string;
  /** Watches the directory `path` of the server; `id` names it from then on. */
  add(id: number, path: ByteString): void;
  remove(id: number): void;
  /** Asks for an answer behind all that is to be told of what happened until now. */
  ask(id: number): void;
  end(): void;
}

/** There is nothing on the server that could watch, or no way to run it. */
export class NoHelper extends Error {}

/** Finds out what the server has, and starts it. Throws `NoHelper`, or what `open` rejects with. */
export async function startHelper(open: Open, events: HelperEvents): Promise<Helper> {
  const { lines, program } = await Lines.greeted(await open(FIND_WATCHER));
  if (program === 'python3') return new ScriptHelper(lines, events);
  lines.end();
  if (program === 'inotifywait') return new InotifywaitHelper(open, events);
  const isFull = / \d+$/.test(program);
  throw new NoHelper(
    isFull ? 'the server is out of inotify instances' : 'the server has neither python3 nor inotifywait',
  );
}

/** A stream as lines of bytes. */
class Lines {
  readonly #stream: Duplex;
  #rest: Buffer = Buffer.alloc(0);
  #isOver = false;
  #onLine: (line: ByteString) => void = () => undefined;
  #onEnd: (reason: string) => void = () => undefined;

  private constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('error', (error) => this.fail(error.message));
    stream.once('end', () => this.fail('it ended'));
    stream.once('close', () => this.fail('it ended'));
  }

  /** Waits for the greeting. Throws `NoHelper` for whatever does not greet. */
  static greeted(stream: Duplex): Promise<{ readonly lines: Lines; readonly program: string }> {
    const lines = new Lines(stream);
    return new Promise((resolve, reject) => {
      let preamble = 0;
      const refuse = (reason: string) => {
        clearTimeout(timer);
        lines.end();
        reject(new NoHelper(`the server runs no commands for this login (${reason})`));
      };
      const timer = setTimeout(() => refuse('no greeting'), GREETING_TIMEOUT);
      lines.#onEnd = refuse;
      lines.#onLine = (line) => {
        preamble += line.length;
        if (line.startsWith(GREETING)) {
          clearTimeout(timer);
          lines.#onLine = () => undefined;
          lines.#onEnd = () => undefined;
          // At once: what follows in the same chunk is for whoever listens then.
          resolve({ lines, program: line.slice(GREETING.length) });
          lines.#stream.pause();
        } else if (preamble > MAX_PREAMBLE) refuse('it says something else');
      };
    });
  }

  /** Hands over all lines that come from now on, and why the stream ended, once. */
  listen(onLine: (line: ByteString) => void, onEnd: (reason: string) => void): void {
    this.#onLine = onLine;
    this.#onEnd = onEnd;
    if (this.#isOver) queueMicrotask(() => onEnd('it ended'));
    this.#stream.resume();
    this.#take(Buffer.alloc(0));
  }

  say(line: ByteString): void {
    if (!this.#isOver && this.#stream.writable) this.#stream.write(Buffer.from(`${line}\n`, 'latin1'));
  }

  end(): void {
    this.#isOver = true;
    this.#stream.end();
    // What still comes is for nobody.
    this.#stream.resume();
    setTimeout(() => this.#stream.destroy(), GOODBYE).unref();
  }

  fail(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream.destroy();
    this.#onEnd(reason);
  }

  #take(chunk: Buffer): void {
    // The channel's memory is used again, so nothing of the chunk may stay.
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (!this.#isOver && !this.#stream.isPaused()) {
      const end = this.#rest.indexOf(10);
      if (end < 0) break;
      const line = bytesOf(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(end + 1);
      this.#onLine(line);
    }
    if (this.#rest.length > MAX_LINE && !this.#stream.isPaused()) this.fail('it says too much');
  }
}

class ScriptHelper implements Helper {
  readonly program = 'python3';
  readonly #lines: Lines;

  constructor(lines: Lines, events: HelperEvents) {
    this.#lines = lines;
    const onLine = (line: ByteString) => {
      const message = parseLine(line);
      if (message === null) lines.fail('it says what it should not');
      else events.told(message);
    };
    lines.listen(onLine, (reason) => events.ended(reason));
  }

  add(id: number, path: ByteString): void {
    this.#lines.say(ascii(`+${id} ${escaped(path)}`));
  }

  remove(id: number): void {
    this.#lines.say(ascii(`-${id}`));
  }

  ask(id: number): void {
    this.#lines.say(ascii(`?${id}`));
  }

  end(): void {
    this.#lines.end();
  }
}

/** One `inotifywait`, and what it was given. */
interface Run {
  readonly lines: Lines;
  readonly ids: ReadonlyMap<ByteString, number>;
  /** Of each path those ids whose directory is the same: only one of its paths is ever told. */
  readonly same: Map<ByteString, readonly number[]>;
}

type Kind = Extract<Spoken, { readonly kind: 'type' }>;

class InotifywaitHelper implements Helper {
  readonly program = 'inotifywait';
  readonly #open: Open;
  readonly #events: HelperEvents;
  readonly #ids = new Map<ByteString, number>();
  #run: Run | null = null;
  #state: 'idle' | 'starting' | 'ended' = 'idle';
  /** Directories were added that no run knows of yet. */
  #isBehind = false;

  constructor(open: Open, events: HelperEvents) {
    this.#open = open;
    this.#events = events;
  }

  add(id: number, path: ByteString): void {
    // It takes one path a line.
    if (path.includes('\n')) {
      this.#events.told({ kind: 'refused', id, errno: REFUSAL.ENOENT });
      return;
    }
    this.#ids.set(path, id);
    this.#isBehind = true;
    if (this.#state === 'idle') void this.#restart();
  }

  remove(id: number): void {
    for (const [path, known] of this.#ids) if (known === id) this.#ids.delete(path);
  }

  ask(id: number): void {
    this.#run?.lines.say(ascii(`.${id}`));
  }

  end(): void {
    this.#setState('ended');
    this.#run?.lines.end();
  }

  #setState(state: 'idle' | 'starting' | 'ended'): void {
    log('inotifywait: %s -> %s', this.#state, state);
    this.#state = state;
  }

  #fail(reason: string): void {
    if (this.#state === 'ended') return;
    this.end();
    this.#events.ended(reason);
  }

  async #restart(): Promise<void> {
    this.#setState('starting');
    while (this.#isBehind && this.#state !== 'ended') {
      try {
        await this.#start();
      } catch (error) {
        this.#fail(error instanceof Error ? error.message : String(error));
      }
      await delay(RESTART, undefined, { ref: false });
    }
    if (this.#state === 'starting') this.#setState('idle');
  }

  /** Resolves when the directories are watched, or another list has to be tried. */
  async #start(): Promise<void> {
    const stream = await this.#open(RUN_INOTIFYWAIT);
    // Taken now, with all that was added meanwhile.
    this.#isBehind = false;
    const ids = new Map(this.#ids);
    stream.write(Buffer.from(`${[...ids.keys()].join('\n')}\n\n`, 'latin1'));
    const { lines } = await Lines.greeted(stream);
    if (this.#state === 'ended') return lines.end();
    const run = { lines, ids, same: new Map<ByteString, readonly number[]>() };
    const kinds: Kind[] = [];
    await new Promise<void>((resolve) => {
      const hear = (said: Spoken) => {
        if (said.kind === 'type') kinds.push(said);
        else if (said.kind === 'established') {
          this.#took(run, kinds);
          resolve();
        } else if (said.kind === 'missing' || said.kind === 'limit') {
          // It ends by itself.
          this.#refuse(ids, said);
        } else this.#hear(run, said);
      };
      lines.listen(
        (line) => hear(parseSpoken(line)),
        (reason) => {
          resolve();
          if (this.#run === run) this.#fail(reason);
        },
      );
    });
  }

  #took(run: Run, kinds: readonly Kind[]): void {
    const before = this.#run;
    this.#run = run;
    before?.lines.end();
    const byInode = new Map<string, number[]>();
    let at = 0;
    for (const [path, id] of run.ids) {
      const { type, inode } = kinds[at] ?? { type: 0, inode: '' };
      at += 1;
      const same = byInode.get(inode) ?? [];
      same.push(id);
      if (inode !== '') byInode.set(inode, same);
      run.same.set(path, same);
      if (before?.ids.get(path) !== id && this.#ids.get(path) === id) {
        this.#events.told({ kind: 'watched', id, type, quiet: 0 });
      }
    }
  }

  #refuse(
    ids: ReadonlyMap<ByteString, number>,
    said: Extract<Spoken, { readonly kind: 'missing' | 'limit' }>,
  ): void {
    this.#isBehind = true;
    const known = this.#run?.ids;
    for (const [path, id] of ids) {
      const isMeant = said.kind === 'limit' ? known?.get(path) !== id : path === said.directory;
      if (!isMeant) continue;
      this.#ids.delete(path);
      this.#events.told({
        kind: 'refused',
        id,
        errno: said.kind === 'limit' ? REFUSAL.ENOSPC : REFUSAL.ENOENT,
      });
    }
  }

  #hear(run: Run, said: Spoken): void {
    if (said.kind === 'answer') this.#events.told(said);
    else if (said.kind === 'overflow') this.#events.told(said);
    else if (said.kind === 'changed') {
      const ids = run.same.get(said.directory);
      if (ids === undefined) this.#events.told({ kind: 'overflow' });
      else for (const id of ids) this.#events.told({ kind: 'changed', id, change: said.change });
    }
  }
}
