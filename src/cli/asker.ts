/**
 * Who answers questions: the person at the terminal or, where there is none, the program that SSH_ASKPASS names, by
 * the rules of ssh(1), since people have it set up for ssh already.
 */
import { execFile } from 'node:child_process';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { CommandError } from './exit.js';
import type { Answer, Question } from './ipc.js';
import { openTerminal } from './terminal.js';

const log = logger('askpass');

/** Characters that an answer may have. */
const ANSWER_MAX = 4096;

type Environment = Readonly<Record<string, string | undefined>>;

export interface Asker {
  /** Asks without showing what is typed. Rejects with `interrupted` when the person gives up. */
  secret(question: string): Promise<string>;
  /** Asks and shows what is typed. */
  line(question: string): Promise<string>;
  /** Gives back what was taken to ask; the next question takes it again. */
  release(): void;
}

/** The program to ask by, if any; one that is preferred or forced comes before a terminal. */
export function askpassOf(
  { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: require, DISPLAY, WAYLAND_DISPLAY }: Environment,
  hasTerminal: boolean,
): string | null {
  if (!program || require === 'never') return null;
  if (require === 'force') return program;
  const hasScreen = Boolean(DISPLAY || WAYLAND_DISPLAY);
  return hasScreen && (require === 'prefer' || !hasTerminal) ? program : null;
}

/** Null where nobody can be asked. */
export function findAsker(environment: Environment): Asker | null {
  const preferred = askpassOf(environment, true);
  if (preferred !== null) return new AskpassProgram(preferred, environment);
  const terminal = openTerminal();
  if (terminal !== null) return terminal;
  const program = askpassOf(environment, false);
  return program === null ? null : new AskpassProgram(program, environment);
}

/** Lends one way to ask to several who ask, which takes it back when the last of them has released it. */
export function shareAsker(find: () => Asker | null): () => Asker | null {
  let asker: Asker | null | undefined;
  let lent = 0;
  return () => {
    asker ??= find();
    if (asker === null) return null;
    const shared = asker;
    let isHeld = true;
    lent++;
    const release = () => {
      if (isHeld && --lent === 0) shared.release();
      isHeld = false;
    };
    return { secret: (text) => shared.secret(text), line: (text) => shared.line(text), release };
  };
}

/** Asks; the answer's text is null where there is nobody, or when they gave up. */
export async function answerBy(asker: Asker | null, { id, text, hidden }: Question): Promise<Answer> {
  const asked = hidden ? asker?.secret(text) : asker?.line(text);
  return { type: 'answer', id, text: (await asked?.catch(() => null)) ?? null };
}

/** Started once for each question, with the question as its argument; it prints the answer. */
class AskpassProgram implements Asker {
  readonly #program: string;
  readonly #environment: Environment;

  constructor(program: string, environment: Environment) {
    this.#program = program;
    this.#environment = environment;
  }

  secret(question: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { env: { ...this.#environment }, maxBuffer: ANSWER_MAX, encoding: 'utf8' } as const;
      const child = execFile(this.#program, [printable(question, true)], options, (error, stdout) => {
        if (error === null) resolve(stdout.split(/\r?\n/, 1)[0] ?? '');
        else {
          // Not the error, which may hold what was printed.
          log('%s: %s', this.#program, error.code);
          reject(
            new CommandError('interrupted', `${printable(this.#program)} (SSH_ASKPASS) gives no answer`),
          );
        }
      });
      child.stdin?.end();
    });
  }

  line(question: string): Promise<string> {
    return this.secret(question);
  }

  release(): void {}
}
