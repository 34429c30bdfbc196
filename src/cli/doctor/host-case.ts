/** What is known so far of the host that is examined: each check of it adds what it found out. */
import type { ParsedOptions } from '../../config/parse.js';
import type { SftpClient } from '../../sftp/client.js';
import type { ConnectSettings, Prompter, Surroundings } from '../../ssh/settings.js';
import type { Place } from '../host-settings.js';
import type { ResolvedTarget } from '../resolve.js';
import { Station } from './station.js';

/** Who speaks SSH, as `transport` has it. */
export type Speaker = 'ssh2' | 'openssh';

export class HostCase {
  readonly source: string;
  readonly parsed: ParsedOptions;
  readonly place: Place;
  readonly prompter: Prompter;
  /** Asks for it where `password_stdin` says so. */
  readonly password: () => Promise<string | null>;
  /** Of the machine that is talked to first; numeric, in the order in which they are tried. */
  addresses: readonly string[] = [];
  speaker: Speaker = 'ssh2';
  /** A mount would turn to the ssh program where ssh2 does not do. */
  mayTurnToProgram = false;
  client: SftpClient | null = null;
  /** Why there is no SFTP, where that showed at the login. */
  noSftp: unknown = null;
  #resolved: ResolvedTarget | null = null;
  #stations: readonly Station[] = [];

  constructor(
    source: string,
    parsed: ParsedOptions,
    place: Place,
    prompter: Prompter,
    password: () => Promise<string | null>,
  ) {
    this.source = source;
    this.parsed = parsed;
    this.place = place;
    this.prompter = prompter;
    this.password = password;
  }

  get resolved(): ResolvedTarget | null {
    return this.#resolved;
  }

  set resolved(resolved: ResolvedTarget) {
    this.#resolved = resolved;
    const { proxy, hops } = resolved.settings.route;
    const stations: Station[] = [];
    for (const settings of [...hops, resolved.settings]) {
      const way = { hops: stations.map((each) => each.settings), proxy };
      stations.push(new Station(this, { ...unwriting(settings), route: way }, stations.at(-1) ?? null));
    }
    this.#stations = stations;
  }

  get target(): ResolvedTarget {
    if (this.#resolved === null) throw new Error('the configuration is not known yet');
    return this.#resolved;
  }

  /** The servers on the way in their order, of which the last is the host itself. */
  get stations(): readonly Station[] {
    return this.#stations;
  }

  /** The host itself. */
  get last(): Station {
    const last = this.#stations.at(-1);
    if (last === undefined) throw new Error('the configuration is not known yet');
    return last;
  }

  /** What a mount would connect with, but nothing is written to known_hosts. */
  get settings(): ConnectSettings {
    return this.last.settings;
  }

  get surroundings(): Surroundings {
    const { home, environment } = this.place.local;
    return { home, environment };
  }

  /** The machine that this one talks to itself; null where a command does, or somebody else has done it. */
  get nearest(): { readonly what: string; readonly host: string; readonly port: number } | null {
    const { settings } = this.target;
    const { route, host, port, directPort, passive } = settings;
    const [first] = route.hops;
    if (passive) return null;
    if (directPort !== null) return { what: '', host, port: directPort };
    if (route.proxy?.kind === 'command') return null;
    if (route.proxy !== null) {
      const { kind, host: proxy, port: proxyPort } = route.proxy;
      return { what: kind === 'http' ? 'the HTTP proxy ' : 'the SOCKS proxy ', host: proxy, port: proxyPort };
    }
    return first === undefined ? { what: '', host, port } : { what: '', host: first.host, port: first.port };
  }

  async close(): Promise<void> {
    this.client?.end();
    for (const station of this.#stations.toReversed()) await station.connection?.close();
  }
}

/** The same, with known_hosts files that are only read. */
function unwriting(settings: ConnectSettings): ConnectSettings {
  const { userKnownHostsFiles, globalKnownHostsFiles } = settings;
  return {
    ...settings,
    userKnownHostsFiles: [],
    globalKnownHostsFiles: [...userKnownHostsFiles, ...globalKnownHostsFiles],
  };
}
