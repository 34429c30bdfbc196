/** What is known so far of the host that is examined: each check of it adds what it found out. */
import type { ParsedOptions } from '../../config/parse.js';
import type { SftpClient } from '../../sftp/client.js';
import type { Connection } from '../../ssh/connection.js';
import { type ConnectSettings, expandHome, type Prompter } from '../../ssh/settings.js';
import type { Place } from '../host-settings.js';
import type { ResolvedTarget } from '../resolve.js';
import type { Login } from './login.js';
import type { Probe } from './probe.js';

export class HostCase {
  readonly source: string;
  readonly parsed: ParsedOptions;
  readonly place: Place;
  readonly prompter: Prompter;
  /** Asks for it where `password_stdin` says so. */
  readonly password: () => Promise<string | null>;
  resolved: ResolvedTarget | null = null;
  /** Numeric, in the order in which they are tried. */
  addresses: readonly string[] = [];
  probe: Probe | null = null;
  login: Login | null = null;
  connection: Connection | null = null;
  client: SftpClient | null = null;

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

  /** What a mount would connect with, but nothing is written to known_hosts. */
  get settings(): ConnectSettings {
    const { settings } = this.target;
    const { userKnownHostsFiles, globalKnownHostsFiles } = settings;
    return {
      ...settings,
      userKnownHostsFiles: [],
      globalKnownHostsFiles: [...userKnownHostsFiles, ...globalKnownHostsFiles],
    };
  }

  get target(): ResolvedTarget {
    if (this.resolved === null) throw new Error('the configuration is not known yet');
    return this.resolved;
  }

  /** The machine that this one talks to itself; null where a command does. */
  get nearest(): { readonly host: string; readonly port: number } | null {
    const { route, host, port } = this.target.settings;
    const [first] = route.hops;
    if (route.proxy?.kind === 'command') return null;
    if (route.proxy !== null) return { host: route.proxy.host, port: route.proxy.port };
    return first === undefined ? { host, port } : { host: first.host, port: first.port };
  }

  /** Whether the server itself is what this machine talks to. */
  get isDirect(): boolean {
    const { route } = this.target.settings;
    return route.hops.length === 0 && route.proxy === null;
  }

  /** `ssh -p 2222 bob@host`, or the same for another program of the family. */
  command(program = 'ssh', options = ''): string {
    const { port, user, originalHost } = this.target.settings;
    const portFlag = port === 22 ? '' : ` -p ${port}`;
    return `${program}${portFlag}${options} ${user}@${originalHost}`;
  }

  homePath(path: string): string {
    return expandHome(path, this.place.local.home);
  }

  async close(): Promise<void> {
    this.client?.end();
    await this.connection?.close();
  }
}

/** A path as a shell takes it. */
export function quoted(path: string): string {
  return /^[\w@%+=:,./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
