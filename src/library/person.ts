/** Whoever answers for the person: a function of the program that uses the library. */
import type { Listener } from '../cli/control-client.js';
import type { ToPerson } from '../cli/ipc.js';
import { RemotePrompter } from '../cli/prompter.js';
import type { Prompter } from '../ssh/settings.js';

/** A question of the login: a password, a passphrase, a code, or whether to trust a host key. */
export interface Question {
  readonly text: string;
  /** The answer is a secret. */
  readonly hidden: boolean;
}

/** Answers a question; null gives up, and so does a rejection. */
export type Ask = (question: Question) => string | null | Promise<string | null>;

export interface PersonSettings {
  /** Asked what the server wants to know; without it nothing is asked, and the login does without. */
  readonly ask?: Ask;
  /** Told what a person should know, and what a mount writes in its log: one line each. */
  readonly log?: (text: string) => void;
}

/** Answers questions, and passes on what is told. Never rejects. */
export function listenerOf({ ask, log }: PersonSettings): Listener {
  return async (message: ToPerson) => {
    if (message.type === 'info') {
      log?.(message.text);
      return null;
    }
    const { id, text, hidden } = message;
    let answer: string | null = null;
    try {
      answer = (await ask?.({ text, hidden })) ?? null;
    } catch {
      // Whoever asked is told that there is no answer; the program knows why.
    }
    return { type: 'answer', id, text: answer };
  };
}

/** For a login in this process. */
export function prompterOf(settings: PersonSettings): Prompter {
  const listener = listenerOf(settings);
  const prompter = new RemotePrompter(settings.ask !== undefined, (message) => {
    void listener(message).then((answer) => {
      if (answer !== null) prompter.answer(answer.id, answer.text);
    });
  });
  return prompter;
}
