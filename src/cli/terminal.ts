/**
 * Questions on the terminal. One small line editor in raw mode serves both hidden and visible answers, so
 * that Ctrl-C means the same everywhere and a password is never echoed, not even while it is pasted.
 * Without a terminal nothing is asked: whoever needs an answer must do without.
 */
import { closeSync, openSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { printable } from '../base/printable.js';
import { CommandError } from './exit.js';

/** What is needed of a tty.ReadStream. */
export interface TerminalInput {
  setRawMode(on: boolean): unknown;
  setEncoding(encoding: 'utf8'): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  on(event: 'end' | 'error', listener: () => void): unknown;
  off(event: 'data', listener: (text: string) => void): unknown;
  off(event: 'end', listener: () => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface TerminalOutput {
  write(text: string): unknown;
}

/** Longest answer, in characters. */
const ANSWER_MAX = 4096;

/** What one key does to the line: a new text, or the end of the question. */
export type Keystroke = { readonly text: string } | 'enter' | 'interrupt' | 'end';

/** The effect of one character of terminal input; control characters that mean nothing are ignored. */
function keystroke(text: string, key: string): Keystroke {
  switch (key) {
    case '\r':
    case '\n':
      return 'enter';
    case '\x03':
      return 'interrupt';
    case '\x04':
      return text === '' ? 'end' : { text };
    case '\x7f':
    case '\b':
      return { text: Array.from(text).slice(0, -1).join('') };
    case '\x15':
      return { text: '' };
    default:
      return { text: key < ' ' || text.length >= ANSWER_MAX ? text : text + key };
  }
}

/** The question on the screen. */
interface Asking {
  readonly echo: boolean;
  text: string;
  readonly resolve: (answer: string) => void;
  readonly reject: (error: CommandError) => void;
}

export class Terminal {
  readonly #input: TerminalInput;
  readonly #output: TerminalOutput;
  /** Ctrl-C while nothing is asked. */
  readonly #onInterrupt: () => void;
  /** One question at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #question: Asking | null = null;
  /** Typed before it was asked for. */
  #ahead = '';
  /** From the first question until `release` the terminal is raw: what is typed in between is not echoed either. */
  #isHeld = false;

  constructor(input: TerminalInput, output: TerminalOutput, onInterrupt: () => void = raiseInterrupt) {
    this.#input = input;
    // Closed under us: who waits for an answer gets none.
    input.on('error', () => this.#onEnd());
    this.#output = output;
    this.#onInterrupt = onInterrupt;
  }

  /** Asks without showing what is typed. Rejects with `interrupted` on Ctrl-C or Ctrl-D. */
  secret(question: string): Promise<string> {
    return this.#queue(question, false);
  }

  /** Asks and shows what is typed. */
  line(question: string): Promise<string> {
    return this.#queue(question, true);
  }

  /** Gives the terminal back as it was; the next question takes it again. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#input.off('data', this.#onData);
    this.#input.off('end', this.#onEnd);
    this.#input.setRawMode(false);
    this.#input.pause();
  }

  #queue(question: string, echo: boolean): Promise<string> {
    const asked = this.#turn.then(() => this.#ask(question, echo));
    this.#turn = asked.catch(() => {});
    return asked;
  }

  #ask(text: string, echo: boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      // Raw before the question is seen: whoever answers at once must not be echoed.
      this.#hold();
      this.#output.write(printable(text, true));
      this.#question = { echo, text: '', resolve, reject };
      const ahead = this.#ahead;
      this.#ahead = '';
      this.#onData(ahead);
    });
  }

  #hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#input.setRawMode(true);
    this.#input.setEncoding('utf8');
    this.#input.on('end', this.#onEnd);
    this.#input.on('data', this.#onData);
    this.#input.resume();
  }

  readonly #onEnd = (): void => this.#finish((question) => question.reject(interruption()));

  readonly #onData = (chunk: string): void => {
    for (const key of chunk) {
      const question = this.#question;
      if (question === null) {
        if (key === '\x03') this.#onInterrupt();
        else if (this.#ahead.length < ANSWER_MAX) this.#ahead += key;
        continue;
      }
      const stroke = keystroke(question.text, key);
      if (stroke === 'enter') this.#finish(({ text, resolve }) => resolve(text));
      else if (stroke === 'interrupt' || stroke === 'end') this.#onEnd();
      else {
        if (question.echo) this.#output.write(redraw(question.text, stroke.text));
        question.text = stroke.text;
      }
    }
  };

  #finish(end: (question: Asking) => void): void {
    const question = this.#question;
    this.#question = null;
    if (question === null) return;
    this.#output.write('\n');
    end(question);
  }
}

function interruption(): CommandError {
  return new CommandError('interrupted', 'interrupted');
}

/** A raw terminal makes no signal of Ctrl-C, so whoever listens for it is told by hand. */
function raiseInterrupt(): void {
  process.kill(process.pid, 'SIGINT');
}

/** What to write so that a shown line `before` becomes `after`. */
function redraw(before: string, after: string): string {
  if (after.startsWith(before)) return after.slice(before.length);
  const erased = Array.from(before).length - Array.from(after).length;
  return '\b \b'.repeat(erased);
}

/** May a person at a terminal press Ctrl-C? */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/**
 * The terminal a person sits at: standard input when it is one, otherwise /dev/tty (standard input may carry
 * a password or belong to a script). Null when there is none.
 */
export function openTerminal(): Terminal | null {
  if (process.stdin.isTTY) return new Terminal(process.stdin, process.stderr);
  try {
    return new Terminal(new ReadStream(openSync('/dev/tty', 'r+')), process.stderr);
  } catch {
    return null;
  }
}
