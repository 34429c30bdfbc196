/**
 * Questions on the terminal. One small line editor in raw mode serves both hidden and visible answers, so
 * that Ctrl-C means the same everywhere and a password is never echoed, not even while it is pasted.
 * Without a terminal nothing is asked: whoever needs an answer must do without.
 */
import { openSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { printable } from '../base/printable.js';
import { CommandError } from './exit.js';

/** What is needed of a tty.ReadStream. */
export interface TerminalInput {
  setRawMode(on: boolean): unknown;
  setEncoding(encoding: 'utf8'): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
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
export function keystroke(text: string, key: string): Keystroke {
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

export class Terminal {
  readonly #input: TerminalInput;
  readonly #output: TerminalOutput;
  /** One question at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(input: TerminalInput, output: TerminalOutput) {
    this.#input = input;
    this.#output = output;
  }

  /** Asks without showing what is typed. Rejects with `interrupted` on Ctrl-C or Ctrl-D. */
  secret(question: string): Promise<string> {
    return this.#queue(question, false);
  }

  /** Asks and shows what is typed. */
  line(question: string): Promise<string> {
    return this.#queue(question, true);
  }

  #queue(question: string, echo: boolean): Promise<string> {
    const asked = this.#turn.then(() => this.#ask(question, echo));
    this.#turn = asked.catch(() => {});
    return asked;
  }

  #ask(question: string, echo: boolean): Promise<string> {
    const input = this.#input;
    return new Promise((resolve, reject) => {
      let text = '';
      let finished = false;
      const finish = (end: () => void): void => {
        finished = true;
        input.off('data', onData);
        input.off('end', abort);
        input.setRawMode(false);
        input.pause();
        this.#output.write('\n');
        end();
      };
      const abort = (): void => finish(() => reject(new CommandError('interrupted', 'interrupted')));
      const onData = (chunk: string): void => {
        for (const key of chunk) {
          if (finished) return;
          const stroke = keystroke(text, key);
          if (stroke === 'enter') finish(() => resolve(text));
          else if (stroke === 'interrupt' || stroke === 'end') abort();
          else {
            if (echo) this.#output.write(redraw(text, stroke.text));
            text = stroke.text;
          }
        }
      };
      // Raw before the question is seen: whoever answers at once must not be echoed.
      input.setRawMode(true);
      this.#output.write(printable(question, true));
      input.setEncoding('utf8');
      input.on('end', abort);
      input.on('data', onData);
      input.resume();
    });
  }
}

/** What to write so that a shown line `before` becomes `after`. */
function redraw(before: string, after: string): string {
  if (after.startsWith(before)) return after.slice(before.length);
  const erased = Array.from(before).length - Array.from(after).length;
  return '\b \b'.repeat(erased);
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
