/**
 * Who answers ssh's questions: first what is known already (the password that was given, and what a person answered
 * at a login before), then a person. A question that nobody can answer ends the login, since ssh would go on with an
 * empty answer, which the server counts.
 */
import { printable } from '../../base/printable.js';
import { ConnectError, LoginError } from '../errors.js';
import type { ConnectSettings, Prompter } from '../settings.js';
import type { Question } from './desk.js';
import type { LoginFacts } from './reasons.js';

/** A password, or what unlocks a key; codes and PINs are good for one time, or dangerous to repeat. */
const REPEATABLE = /^Enter passphrase for |'s password: ?$/;
const HOST_KEY = /\(yes\/no/;
/** About a key of this side; what else is asked, the server wants to know. */
const LOCAL = /^Enter (passphrase|PIN) for /;
const PASSWORD = /^\S+'s password: ?$/;

/** Who asks, as ssh writes it: `bob@box's password: `, or `(bob@box) ` before a question of the server's own. */
const ASKER = /^\(?\S*@(\S+?)(?:\) |'s password)/;

type Server = Pick<ConnectSettings, 'host' | 'originalHost' | 'hostKeyAlias' | 'route'>;

/** What has been answered, for the logins that come later. */
export class Answers {
  /** The password of `password_stdin`, which is for the server and for no host on the way. */
  readonly #password: string | null;
  readonly #server: Server;
  readonly #given = new Map<string, string>();
  /** A login took answers that cannot be given again. */
  takesPerson = false;

  constructor(password: string | null, server: Server) {
    this.#password = password;
    this.#server = server;
  }

  get isEmpty(): boolean {
    return this.#password === null && this.#given.size === 0;
  }

  find(question: string): string | null {
    const isForPassword = /password/i.test(question) && this.#isOfServer(question);
    return this.#given.get(question) ?? (isForPassword ? this.#password : null);
  }

  /** Before OpenSSH 8.5 the server's own questions did not say who asks; then it can only be one without hops. */
  #isOfServer(question: string): boolean {
    const { host, originalHost, hostKeyAlias, route } = this.#server;
    const asker = ASKER.exec(question)?.[1]?.toLowerCase();
    if (asker === undefined) return route.hops.length === 0;
    return [host, originalHost, hostKeyAlias].some((name) => name?.toLowerCase() === asker);
  }

  keep(answers: ReadonlyMap<string, string>): void {
    for (const [question, answer] of answers) this.#given.set(question, answer);
  }
}

/** The questions of one login. */
export class Conversation {
  readonly #answers: Answers;
  readonly #prompter: Prompter;
  readonly #login: Pick<LoginFacts, 'server' | 'isRepeat'>;
  readonly #tried = new Set<string>();
  readonly #fresh = new Map<string, string>();
  #tookPerson = false;
  #hasAnswered = false;

  constructor(answers: Answers, prompter: Prompter, login: Pick<LoginFacts, 'server' | 'isRepeat'>) {
    this.#answers = answers;
    this.#prompter = prompter;
    this.#login = login;
  }

  /** ssh's questions can be answered at all. */
  get isPossible(): boolean {
    return this.#prompter.interactive || !this.#answers.isEmpty;
  }

  /** A question of the server was answered. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** @throws ConnectError where nobody can answer, or what the prompter was rejected with */
  async answer({ text, hint }: Question): Promise<string | null> {
    const shown = printable(text, true);
    if (hint === 'none') {
      this.#prompter.info(shown);
      return null;
    }
    const isHostKey = HOST_KEY.test(text);
    const isOfServer = !isHostKey && hint === '' && !LOCAL.test(text);
    const known = this.#tried.has(text) ? null : this.#answers.find(text);
    if (known === null && !this.#prompter.interactive) throw this.#unanswered(isHostKey, text);
    this.#tried.add(text);
    if (isOfServer) {
      this.#hasAnswered = true;
      const method = PASSWORD.test(text) ? 'password' : 'keyboard-interactive';
      this.#prompter.tried?.({ method, key: null });
    }
    if (known !== null) return known;
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
    const { server, isRepeat } = this.#login;
    if (isHostKey) {
      return new ConnectError(
        'host-key-unknown',
        `the host key of ${server} is not known, and there is nobody to ask`,
      );
    }
    const asked = printable(question.trim().split('\n').at(-1) ?? '');
    const why = this.#tried.has(question)
      ? `${server} does not accept the answer to '${asked}'`
      : `there is nobody to answer '${asked}' of ${server}`;
    return new LoginError('authentication', `permission denied: ${why}`, { accepted: null, isRepeat });
  }
}
