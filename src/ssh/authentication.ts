/**
 * Logging in (RFC 4252). The strategy is one generator that reads from top to bottom: ask what the server
 * takes, then offer, in the preferred order, whatever is left of keys and passwords. What was good at an earlier
 * login comes before all that. ssh2 calls for the next attempt and hands in what the server still accepts.
 */
import type {
  AnyAuthMethod,
  AuthenticationType,
  AuthHandlerMiddleware,
  KeyboardInteractiveAuthMethod,
  ParsedKey,
} from 'ssh2';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { agentKeys, agentSocket, SingleKeyAgent } from './agents.js';
import { acceptsKey } from './algorithms.js';
import { type ConnectError, describeServer, LoginError } from './errors.js';
import { KeyFormatError } from './foreign-key.js';
import { defaultKeyFiles, type Identity, type KeyProblem, loadIdentity } from './key-files.js';
import { type ConnectSettings, expandHome, type Prompter, type Surroundings } from './settings.js';

const log = logger('ssh');

type Attempts = AsyncGenerator<AnyAuthMethod, void, void>;

/** A way to log in: hands ssh2 one attempt after the other, or gives up and says why. */
export interface Login {
  /** ssh2's authHandler; `giveUp` is told, once, why no further attempt is made. */
  handler(giveUp: (error: unknown) => void): AuthHandlerMiddleware;
}

/** Logs in with whatever is at hand, and asks a person for the rest. */
export class Authentication implements Login {
  readonly #settings: ConnectSettings;
  readonly #prompter: Prompter;
  readonly #surroundings: Surroundings;
  /** What an earlier login was granted for. */
  readonly #former: AnyAuthMethod | null;
  /** The password that was given beforehand and is still to be tried. */
  readonly #password: string | null;
  readonly #attempted = new Map<string, number>();
  readonly #problems: string[] = [];
  /** Problems that nobody has heard of; the sentence of a failed login tells them as well. */
  readonly #untold: KeyProblem[] = [];
  #accepted: readonly string[] = [];
  #giveUp: (error: unknown) => void = () => {};
  #latest: AnyAuthMethod | null = null;
  /** Something was proven and was not enough: the server wants several factors. */
  #severalFactors = false;

  constructor(
    settings: ConnectSettings,
    prompter: Prompter,
    surroundings: Surroundings,
    former: AnyAuthMethod | null,
  ) {
    this.#settings = settings;
    this.#prompter = prompter;
    this.#surroundings = surroundings;
    this.#former = former;
    const isTried = former?.type === 'password' && former.password === settings.password;
    this.#password = isTried ? null : settings.password;
  }

  handler(giveUp: (error: unknown) => void): AuthHandlerMiddleware {
    this.#giveUp = giveUp;
    const strategy = this.#strategy();
    return (accepted: readonly AuthenticationType[] | null, partial, next) => {
      if (accepted !== null) this.#accepted = accepted;
      if (partial === true) this.#severalFactors = true;
      strategy.next().then(
        ({ value, done }) => {
          if (done) return this.#giveUp(this.#failure());
          this.#latest = value;
          next(value);
        },
        (error) => this.#giveUp(error),
      );
    };
  }

  /**
   * After a login that went well: the one attempt that would do so again without a person, or null. Answers
   * to the server's own questions, and anything that was one factor of several, may be good for one time only.
   */
  get proof(): AnyAuthMethod | null {
    return this.#severalFactors || this.#latest?.type === 'keyboard-interactive' ? null : this.#latest;
  }

  async *#strategy(): Attempts {
    if (this.#former !== null) yield* this.#offer(this.#former);
    if (this.#accepted.length === 0) yield this.#none();
    const sources = new Map<string, Attempts>([
      ['publickey', this.#publicKeys()],
      ['keyboard-interactive', this.#interactive()],
      ['password', this.#passwords()],
    ]);
    for (;;) {
      const name = this.#settings.preferredAuthentications.find((each) => {
        return sources.has(each) && this.#accepted.includes(each);
      });
      const attempt = name === undefined ? null : await sources.get(name)?.next();
      if (name === undefined || !attempt) return;
      if (attempt.done) sources.delete(name);
      else yield* this.#offer(attempt.value);
    }
  }

  async *#offer(method: AnyAuthMethod): Attempts {
    const name = method.type === 'agent' ? 'publickey' : method.type;
    this.#attempted.set(name, (this.#attempted.get(name) ?? 0) + 1);
    const agent = method.type === 'agent' && method.agent instanceof SingleKeyAgent ? method.agent : null;
    const signatures = agent?.signatures;
    this.#prompter.tried?.({ method: name, key: agent?.key.getPublicSSH() ?? null });
    yield method;
    // ssh2 keeps to itself what the server answers to an agent's key, also that the key was right and
    // something more is wanted (a partial success). Where the key was known, ask again.
    if (agent?.signatures !== signatures) {
      this.#severalFactors = true;
      yield this.#none();
    }
  }

  /** An attempt that only asks what the server takes. */
  #none(): AnyAuthMethod {
    return { type: 'none', username: this.#settings.user };
  }

  async *#publicKeys(): Attempts {
    const { identityFiles, identitiesOnly, identityAgent, user } = this.#settings;
    const explicit = identityFiles.length > 0;
    const identities = await this.#loadIdentities();
    const socket = agentSocket(identityAgent, this.#surroundings);
    const held = socket === null ? [] : await agentKeys(socket);

    const named = new Set(
      identities.map((each) => publicId(each.kind === 'open' ? each.key : each.publicKey)),
    );
    const matching = held.filter((agent) => named.has(publicId(agent.key)));
    const others = identitiesOnly ? [] : held.filter((agent) => !matching.includes(agent));
    // Keys that were asked for by name come before an agent's, or a full agent would use up the server's
    // patience (MaxAuthTries) before them.
    const ordered = explicit
      ? [...matching, ...identities, ...others]
      : [...matching, ...others, ...identities];

    const former = this.#former?.type === 'agent' ? this.#former.agent : null;
    const offered = new Set(former instanceof SingleKeyAgent ? [publicId(former.key)] : []);
    for (const each of ordered) {
      const agent = each instanceof SingleKeyAgent ? each : await this.#asAgent(each);
      if (agent === null || !acceptsKey(this.#settings, agent.key.type)) continue;
      const id = publicId(agent.key);
      if (offered.has(id)) continue;
      offered.add(id);
      yield { type: 'agent', username: user, agent };
    }
  }

  async #loadIdentities(): Promise<Identity[]> {
    const { identityFiles } = this.#settings;
    const { home } = this.#surroundings;
    const explicit = identityFiles.length > 0;
    const named = identityFiles.filter((path) => path !== 'none').map((path) => expandHome(path, home));
    const paths = explicit ? named : defaultKeyFiles(home);
    const identities: Identity[] = [];
    for (const path of paths) {
      const loaded = await loadIdentity(path, !explicit);
      if (loaded?.kind === 'problem') this.#report(loaded);
      else if (loaded !== null) identities.push(loaded);
    }
    return identities;
  }

  #report(problem: KeyProblem): void {
    this.#problems.push(problem.message);
    this.#untold.push(problem);
  }

  /** Once a login went well: warns of keys that are there and could not be used. */
  warn(): void {
    this.#tell(this.#untold.filter(({ isMissing }) => isMissing !== true));
  }

  #tell(problems: readonly KeyProblem[]): void {
    for (const { message } of problems) this.#prompter.info(`Warning: ${message}`);
    this.#untold.length = 0;
  }

  /** A key file as something that signs; null when it cannot. */
  async #asAgent(identity: Identity): Promise<SingleKeyAgent | null> {
    switch (identity.kind) {
      case 'public':
        return null;
      case 'open':
        return new SingleKeyAgent(identity.key, async (data, { hash }) => signed(identity.key, data, hash));
      case 'locked': {
        const { publicKey } = identity;
        let unlocked: ParsedKey | null = null;
        const sign = async (data: Buffer, hash?: string) => {
          unlocked ??= await this.#unlock(identity);
          return signed(unlocked, data, hash);
        };
        if (publicKey !== null) return new SingleKeyAgent(publicKey, (data, { hash }) => sign(data, hash));
        try {
          unlocked = await this.#unlock(identity);
          return new SingleKeyAgent(unlocked, (data, { hash }) => sign(data, hash));
        } catch (error) {
          if (error instanceof LockedKeyError) return null;
          throw error;
        }
      }
    }
  }

  async #unlock(identity: Identity & { readonly kind: 'locked' }): Promise<ParsedKey> {
    const { path } = identity;
    if (!this.#prompter.interactive) {
      this.#problems.push(`the key ${path} is encrypted and there is nobody to ask for its passphrase`);
      throw new LockedKeyError(path);
    }
    for (let tries = 0; tries < this.#settings.numberOfPasswordPrompts; tries++) {
      const passphrase = await this.#ask(() => this.#prompter.secret(`Enter passphrase for key '${path}': `));
      if (passphrase === '') break;
      const key = await identity.unlock(passphrase).catch((error: unknown) => {
        if (!(error instanceof KeyFormatError)) throw error;
        this.#problems.push(`the key file ${path} ${error.message}`);
        throw new LockedKeyError(path);
      });
      if (key !== null) return key;
      this.#prompter.info('Bad passphrase.');
    }
    this.#problems.push(`the key ${path} was not unlocked`);
    throw new LockedKeyError(path);
  }

  async *#passwords(): Attempts {
    const { user, host, numberOfPasswordPrompts } = this.#settings;
    if (this.#password !== null) {
      yield { type: 'password', username: user, password: this.#password };
      return;
    }
    if (!this.#prompter.interactive) return;
    const question = `${printable(user)}@${printable(host)}'s password: `;
    for (let tries = 0; tries < numberOfPasswordPrompts; tries++) {
      if (tries > 0) this.#prompter.info('Permission denied, please try again.');
      const answer = await this.#ask(() => this.#prompter.secret(question));
      yield { type: 'password', username: user, password: answer };
    }
  }

  async *#interactive(): Attempts {
    const { user, numberOfPasswordPrompts } = this.#settings;
    const password = this.#password;
    if (password === null && !this.#prompter.interactive) return;
    const times = password === null ? numberOfPasswordPrompts : 1;
    for (let tries = 0; tries < times; tries++) {
      if (tries > 0) this.#prompter.info('Permission denied, please try again.');
      let given = password;
      let asked = false;
      const prompt: KeyboardInteractiveAuthMethod['prompt'] = (
        name,
        instructions,
        _lang,
        prompts,
        finish,
      ) => {
        asked = true;
        const questions = prompts.map((each) => ({ text: each.prompt, echo: each.echo ?? false }));
        let answers: Promise<string[]>;
        if (given === null) {
          answers = this.#answer(name, instructions, questions);
        } else {
          // A password fits one hidden question and nothing else; a second round gets empty answers.
          const fits = questions.length === 1 && questions[0]?.echo === false;
          answers = Promise.resolve(questions.map(() => (fits ? (given ?? '') : '')));
          given = '';
        }
        answers.then(finish).catch((error) => this.#giveUp(error));
      };
      yield { type: 'keyboard-interactive', username: user, prompt };
      // A server that refuses without a question would do so every time.
      if (!asked) return;
    }
  }

  async #answer(
    name: string,
    instructions: string,
    questions: readonly { readonly text: string; readonly echo: boolean }[],
  ): Promise<string[]> {
    for (const text of [name, instructions]) {
      if (text.trim() !== '') this.#prompter.info(printable(text, true).trimEnd());
    }
    const { user, host } = this.#settings;
    const answers: string[] = [];
    for (const { text, echo } of questions) {
      // Who asks stands in front, as ssh has it: a server may not pass its question off as another's.
      const question = `(${printable(user)}@${printable(host)}) ${printable(text)}`;
      answers.push(await (echo ? this.#prompter.confirm(question) : this.#prompter.secret(question)));
    }
    return answers;
  }

  /** A prompt that is broken off (Ctrl-C) ends the login, wherever it was asked. */
  async #ask(question: () => Promise<string>): Promise<string> {
    this.#tell(this.#untold.slice());
    try {
      return await question();
    } catch (error) {
      this.#giveUp(error);
      throw error;
    }
  }

  #failure(): ConnectError {
    const { user, host, port } = this.#settings;
    const tried = [...this.#attempted].map(([name, times]) => {
      if (name === 'publickey') return `${name} (${times === 1 ? '1 key' : `${times} keys`})`;
      return times === 1 ? name : `${name} (${times} times)`;
    });
    const parts = [
      `permission denied: ${printable(user)} may not log in to ${describeServer(host, port)}`,
      tried.length === 0 ? 'there was nothing to try' : `tried ${tried.join(', ')}`,
      `the server accepts ${printable(this.#accepted.join(', ')) || 'nothing'}`,
      ...this.#problems,
    ];
    if (
      !this.#prompter.interactive &&
      this.#password === null &&
      this.#accepted.some((name) => name !== 'publickey')
    ) {
      parts.push('there is nobody to ask for a password');
    }
    log('authentication failed after %o', tried);
    return new LoginError(
      this.#problems.length > 0 && !this.#attempted.has('password') ? 'key-file' : 'authentication',
      parts.join('; '),
      { accepted: this.#accepted, isRepeat: this.#former !== null && !this.#severalFactors },
    );
  }
}

/** The key stays locked: the attempt fails, the login goes on with the next one. */
class LockedKeyError extends Error {
  constructor(path: string) {
    super(`${path} is locked`);
    this.name = 'LockedKeyError';
  }
}

function signed(key: ParsedKey, data: Buffer, hash: string | undefined): Buffer {
  const signature: Buffer | Error = key.sign(data, hash);
  if (signature instanceof Error) throw signature;
  return signature;
}

/** Tells public keys apart; an unknown one is like no other. */
function publicId(key: ParsedKey | null): string {
  return key === null ? '' : key.getPublicSSH().toString('base64');
}
