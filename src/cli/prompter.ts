/**
 * The daemon's side of a conversation: questions go to a command, over IPC or the control socket, answers come back by
 * number.
 */
import type { Prompter } from '../ssh/settings.js';
import { CommandError } from './exit.js';
import type { ToPerson } from './ipc.js';

export class RemotePrompter implements Prompter {
  readonly interactive: boolean;
  readonly #send: (message: ToPerson) => void;
  readonly #waiting = new Map<number, (text: string | null) => void>();
  #next = 1;
  #isAbandoned = false;

  constructor(interactive: boolean, send: (message: ToPerson) => void) {
    this.interactive = interactive;
    this.#send = send;
  }

  secret(question: string): Promise<string> {
    return this.#ask(question, true);
  }

  confirm(question: string): Promise<string> {
    return this.#ask(question, false);
  }

  info(message: string): void {
    this.#send({ type: 'info', text: message });
  }

  /** The answer to question `id` arrived; null when the person gave up. Unknown numbers are ignored. */
  answer(id: number, text: string | null): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.(text);
  }

  /** Nobody is there any more: every question, that waits or will come, counts as given up. */
  abandon(): void {
    this.#isAbandoned = true;
    for (const id of [...this.#waiting.keys()]) this.answer(id, null);
  }

  #ask(text: string, hidden: boolean): Promise<string> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      if (this.#isAbandoned) return reject(noAnswer());
      this.#waiting.set(id, (answer) => {
        if (answer === null) reject(noAnswer());
        else resolve(answer);
      });
      this.#send({ type: 'question', id, text, hidden });
    });
  }
}

function noAnswer(): CommandError {
  return new CommandError('interrupted', 'no answer');
}
