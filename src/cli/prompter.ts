/** The daemon's side of a conversation: questions go to the command over IPC, answers come back by number. */
import type { Prompter } from '../ssh/settings.js';
import { CommandError } from './exit.js';
import type { ToCommand } from './ipc.js';

export class RemotePrompter implements Prompter {
  readonly interactive: boolean;
  readonly #send: (message: ToCommand) => void;
  readonly #waiting = new Map<number, (text: string | null) => void>();
  #next = 1;

  constructor(interactive: boolean, send: (message: ToCommand) => void) {
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

  #ask(text: string, hidden: boolean): Promise<string> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (answer) => {
        if (answer === null) reject(new CommandError('interrupted', 'no answer'));
        else resolve(answer);
      });
      this.#send({ type: 'question', id, text, hidden });
    });
  }
}
