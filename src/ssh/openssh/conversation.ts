/**
 * Who answers ssh's questions: first what is known already (the password that was given, and what a person answered
 * at a login before), then a person. A question that nobody can answer ends the login, since ssh would go on with an
 * empty answer, which the server counts.
 */
import { printable } from '../../base/printable.js';
import { ConnectError } from '../errors.js';
import type { Prompter } from '../settings.js';
import type { SshQuestion } from './askpass.js';

/** A password, or what unlocks a key; codes and PINs are good for one time, or dangerous to repeat. */
const REPEATABLE = /^Enter passphrase for |'s password: ?$/;
const HOST_KEY = /\(yes\/no/;

/** What has been answered, for the logins that come later. */
export class Answers {
  /** The password of `password_stdin`. */
  readonly #password: string | null;
  readonly #given = new Map<string, string>();
  /** A login took answers that cannot be given again. */
  takesPerson = false;

  constructor(password: string | null) {
    this.#password = password;
  }

  get isEmpty(): boolean {
    return this.#password === null && this.#given.size === 0;
  }

  find(question: string): string | null {
    const password = /password/i.test(question) ? this.#password : null;
    return this.#given.get(question) ?? password;
  }

  keep(answers: ReadonlyMap<string, string>): void {
    for (const [question, answer] of answers) this.#given.set(question, answer);
  }
}

/** The questions of one login. */
export class Conversation {
  readonly #answers: Answers;
  readonly #prompter: Prompter;
  readonly #server: string;
  readonly #tried = new Set<string>();
  readonly #fresh = new Map<string, string>();
  #tookPerson = false;

  constructor(answers: Answers, prompter: Prompter, server: string) {
    this.#answers = answers;
    this.#prompter = prompter;
    this.#server = server;
  }

  /** ssh's questions can be answered at all. */
  get isPossible(): boolean {
    return this.#prompter.interactive || !this.#answers.isEmpty;
  }

  /** @throws ConnectError where nobody can answer, or what the prompter was rejected with */
  async answer({ text, hint }: SshQuestion): Promise<string | null> {
    const shown = printable(text, true);
    if (hint === 'none') {
      this.#prompter.info(shown);
      return null;
    }
    const known = this.#tried.has(text) ? null : this.#answers.find(text);
    this.#tried.add(text);
    if (known !== null) return known;
    const isHostKey = HOST_KEY.test(text);
    if (!this.#prompter.interactive) throw this.#unanswered(isHostKey, shown);
    if (isHostKey || hint === 'confirm') return this.#prompter.confirm(shown);
    const answer = await this.#prompter.secret(shown);
    if (REPEATABLE.test(text)) this.#fresh.set(text, answer);
    else this.#tookPerson = true;
    return answer;
  }

  /** The login succeeded with these answers. */
  succeeded(): void {
    this.#answers.keep(this.#fresh);
    this.#answers.takesPerson = this.#tookPerson;
  }

  #unanswered(isHostKey: boolean, question: string): ConnectError {
    if (isHostKey) {
      return new ConnectError(
        'host-key-unknown',
        `the host key of ${this.#server} is not known, and there is nobody to ask`,
      );
    }
    const asked = question.trim().split('\n').at(-1) ?? '';
    return new ConnectError(
      'authentication',
      `${this.#server} takes an answer that nobody can give: '${asked}'`,
    );
  }
}
