/**
 * Being let in by one server, once and again. A first login goes from a name to a logged-in connection, under one
 * deadline that stands still at prompts: reach it, shake hands, check the host key, log in. It leaves behind what later
 * logins build on: `again` goes to the same address, for the very same host key, with what was proven; and
 * `reconnect` is a first login once more, with what is known by then.
 *
 * A host that is reached through another one is let in to by way of that one's Access, and so on to the first: each
 * connection has its own connections to the hosts on its way, which end with it. Were they shared, one that is given
 * up could not take back what waits in them.
 */
import type { AnyAuthMethod } from 'ssh2';
import { Authentication, type Login } from './authentication.js';
import { Deadline, pausing } from './deadline.js';
import { ConnectError, describeServer } from './errors.js';
import { HostKeys } from './host-keys.js';
import { mute } from './mute.js';
import { reach } from './reach.js';
import { Replay } from './replay.js';
import type { ConnectSettings, Prompter, Surroundings } from './settings.js';
import { Ssh2Connection } from './ssh2-connection.js';

/** What differs between logins. */
interface Way {
  /** The connection to the last host on the way. */
  readonly hop: Ssh2Connection | null;
  /** Name or address to connect to. */
  readonly address: string;
  readonly login: Login;
  readonly prompter: Prompter;
  readonly deadline: Deadline;
  readonly signal: AbortSignal | null;
}

/** Connects to the last host on the way. */
type Before = (prompter: Prompter, signal: AbortSignal | null) => Promise<Ssh2Connection>;

export class Access {
  readonly #settings: ConnectSettings;
  readonly #surroundings: Surroundings;
  readonly #hostKeys: HostKeys;
  /** What the server accepted at the login before this one. */
  readonly #proof: AnyAuthMethod | null;
  readonly #before: Before | null;

  private constructor(
    settings: ConnectSettings,
    surroundings: Surroundings,
    hostKeys: HostKeys,
    proof: AnyAuthMethod | null,
    before: Before | null,
  ) {
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#hostKeys = hostKeys;
    this.#proof = proof;
    this.#before = before;
  }

  /**
   * To a server that was not met before.
   * @param hop the connection to the last host on the way, where it is there already; it belongs to the result
   */
  static async first(
    settings: ConnectSettings,
    surroundings: Surroundings,
    hop: Ssh2Connection | null = null,
  ): Promise<Access> {
    const { hops, proxy } = settings.route;
    const last = hops.at(-1);
    let before: Before | null = null;
    if (hop !== null) before = () => Promise.resolve(hop);
    else if (last !== undefined) {
      const way = { ...last, route: { hops: hops.slice(0, -1), proxy } };
      const access = await Access.first(way, surroundings);
      before = (prompter, signal) => access.enter(prompter, signal);
    }
    return new Access(settings, surroundings, await HostKeys.load(settings, surroundings), null, before);
  }

  /** Makes a first connection; it can be used one time. */
  async enter(prompter: Prompter, signal: AbortSignal | null = null): Promise<Ssh2Connection> {
    const hop = this.#before === null ? null : await this.#before(prompter, signal);
    const deadline = this.#deadline();
    const asking = pausing(prompter, deadline, this.#settings.batchMode);
    const login = new Authentication(this.#settings, asking, this.#surroundings, this.#proof);
    const way = { hop, address: this.#settings.host, login, prompter: asking, deadline, signal };
    const connection = await this.#establish(way);
    login.warn();
    const { proof } = login;
    const hopAgain = hop === null ? () => Promise.resolve(null) : hop.again;
    if (proof !== null && hopAgain !== null) {
      const { address } = connection;
      connection.again = async (stop) => this.#repeat(await hopAgain(stop), address, proof, stop);
    }
    connection.reconnect = async (stop, person) => {
      const next = await this.#next(proof, hop);
      return next.enter(person ?? mute, stop);
    };
    return connection;
  }

  #repeat(
    hop: Ssh2Connection | null,
    address: string,
    proof: AnyAuthMethod,
    signal: AbortSignal,
  ): Promise<Ssh2Connection> {
    const login = new Replay(proof);
    return this.#establish({ hop, address, login, prompter: mute, deadline: this.#deadline(), signal });
  }

  async #next(proof: AnyAuthMethod | null, hop: Ssh2Connection | null): Promise<Access> {
    const hostKeys = await this.#hostKeys.renewed(this.#surroundings);
    const enterHop = hop?.reconnect ?? null;
    const before: Before | null = enterHop && ((prompter, signal) => enterHop(signal, prompter));
    return new Access(this.#settings, this.#surroundings, hostKeys, proof, before);
  }

  #deadline(): Deadline {
    return new Deadline(this.#settings.connectTimeout * 1000);
  }

  async #establish({ hop, address, login, prompter, deadline, signal }: Way): Promise<Ssh2Connection> {
    const { host, port, connectTimeout } = this.#settings;
    const expired = new AbortController();
    const aborted = AbortSignal.any(signal === null ? [expired.signal] : [expired.signal, signal]);
    deadline.start(() => {
      const server = describeServer(host, port);
      expired.abort(new ConnectError('timeout', `${server} did not let us in within ${connectTimeout} s`));
    });
    const cutHop = () => hop?.fail(aborted.reason);
    aborted.addEventListener('abort', cutHop, { once: true });
    try {
      const carrier = await reach(this.#settings, address, hop, this.#surroundings, aborted).catch(
        (error: unknown) => {
          throw aborted.aborted ? aborted.reason : error;
        },
      );
      // In the meantime; nobody would be told of it any more.
      if (aborted.aborted) {
        carrier.abandon();
        throw aborted.reason;
      }
      const connection = new Ssh2Connection(this.#settings, carrier);
      const cut = () => connection.fail(aborted.reason);
      aborted.addEventListener('abort', cut, { once: true });
      await connection.start(this.#hostKeys, login, prompter);
      aborted.removeEventListener('abort', cut);
      return connection;
    } catch (error) {
      void hop?.close();
      throw error;
    } finally {
      aborted.removeEventListener('abort', cutHop);
      deadline.finish();
    }
  }
}
