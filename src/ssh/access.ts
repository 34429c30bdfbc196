/**
 * Being let in by one server, once and again. A first login goes from a name to a logged-in connection, under one
 * deadline that stands still at prompts: dial, shake hands, check the host key, log in. It leaves behind what later
 * logins build on: `again` goes to the same address, for the very same host key, with what was proven; and
 * `reconnect` is a first login once more, with what is known by then.
 */
import type { AnyAuthMethod } from 'ssh2';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import { Authentication, type Login } from './authentication.js';
import type { Connection } from './connection.js';
import { Deadline, pausing } from './deadline.js';
import { dial } from './dial.js';
import { ConnectError, describeServer, explain } from './errors.js';
import { HostKeys } from './host-keys.js';
import { Replay } from './replay.js';
import type { ConnectSettings, Prompter, Surroundings } from './settings.js';
import { Ssh2Connection } from './ssh2-connection.js';

const log = logger('ssh');

/** What differs between logins. */
interface Way {
  /** Name or address to dial. */
  readonly address: string;
  readonly login: Login;
  readonly prompter: Prompter;
  readonly deadline: Deadline;
  readonly signal: AbortSignal | null;
}

export class Access {
  readonly #settings: ConnectSettings;
  readonly #surroundings: Surroundings;
  readonly #hostKeys: HostKeys;
  /** What the server accepted at the login before this one. */
  readonly #proof: AnyAuthMethod | null;

  private constructor(
    settings: ConnectSettings,
    surroundings: Surroundings,
    hostKeys: HostKeys,
    proof: AnyAuthMethod | null,
  ) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#hostKeys = hostKeys;
    this.#proof = proof;
  }

  /** To a server that was not met before. */
  static async first(settings: ConnectSettings, surroundings: Surroundings): Promise<Access> {
    return new Access(settings, surroundings, await HostKeys.load(settings, surroundings), null);
  }

  /** Makes a first connection; it can be used one time. */
  async enter(prompter: Prompter, signal: AbortSignal | null = null): Promise<Connection> {
    const deadline = this.#deadline();
    const asking = pausing(prompter, deadline, this.#settings.batchMode);
    const login = new Authentication(this.#settings, asking, this.#surroundings, this.#proof);
    const way = { address: this.#settings.host, login, prompter: asking, deadline, signal };
    const connection = await this.#establish(way);
    login.warn();
    const { proof } = login;
    if (proof !== null) {
      const { address } = connection;
      connection.again = (stop) => this.#repeat(address, proof, stop);
    }
    connection.reconnect = async (stop, person) => {
      const next = await this.#next(proof);
      return next.enter(person ?? mute, stop);
    };
    return connection;
  }

  #repeat(address: string, proof: AnyAuthMethod, signal: AbortSignal): Promise<Connection> {
    const login = new Replay(proof);
    return this.#establish({ address, login, prompter: mute, deadline: this.#deadline(), signal });
  }

  async #next(proof: AnyAuthMethod | null): Promise<Access> {
    const hostKeys = await this.#hostKeys.renewed(this.#surroundings);
    return new Access(this.#settings, this.#surroundings, hostKeys, proof);
  }

  #deadline(): Deadline {
    return new Deadline(this.#settings.connectTimeout * 1000);
  }

  async #establish({ address, login, prompter, deadline, signal }: Way): Promise<Ssh2Connection> {
    const { host, port, connectTimeout } = this.#settings;
    const expired = new AbortController();
    const aborted = AbortSignal.any(signal === null ? [expired.signal] : [expired.signal, signal]);
    deadline.start(() => {
      const server = describeServer(host, port);
      expired.abort(new ConnectError('timeout', `${server} did not let us in within ${connectTimeout} s`));
    });
    try {
      const { socket, incoming } = await dial(address, port, aborted).catch((error: unknown) => {
        throw aborted.aborted ? aborted.reason : explain(error, 'dialling', host, port);
      });
      const connection = new Ssh2Connection(this.#settings, socket, incoming);
      const cut = () => connection.fail(aborted.reason);
      aborted.addEventListener('abort', cut, { once: true });
      await connection.start(this.#hostKeys, login, prompter);
      aborted.removeEventListener('abort', cut);
      return connection;
    } finally {
      deadline.finish();
    }
  }
}

/** What the server says where nobody listens goes to the debug log. */
const mute: Prompter = {
  interactive: false,
  secret: () => Promise.reject(new Error('nobody to ask')),
  confirm: () => Promise.reject(new Error('nobody to ask')),
  info: (message) => log('%s', printable(message)),
};
