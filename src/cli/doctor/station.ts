/**
 * One SSH server on the way to a host, or the host itself: the same is looked at of each of them. The next one is
 * reached through the login to this one, so that nobody is asked twice.
 */
import type { Duplex } from 'node:stream';
import { quoted } from '../../base/shell.js';
import { formatJump } from '../../config/proxy-jump.js';
import type { Connection } from '../../ssh/connection.js';
import { reach } from '../../ssh/reach.js';
import type { Route } from '../../ssh/route.js';
import type { ConnectSettings, LoginAttempt } from '../../ssh/settings.js';
import { Ssh2Connection } from '../../ssh/ssh2-connection.js';
import type { HostCase } from './host-case.js';
import type { Keyring } from './keys.js';
import type { Probe } from './probe.js';
import { loginCommand } from './shell.js';

/** What a login has shown. */
export interface Login {
  readonly attempts: readonly LoginAttempt[];
  readonly keyring: Keyring;
}

/** A way to a server, as yet without SSH. */
export interface Way {
  readonly stream: Duplex;
  /** The server's own, numeric; null where only somebody on the way knows it. */
  readonly address: string | null;
  end(): void;
}

/** A proxy that is spoken to over a socket. */
export type SocketProxy = Exclude<Route['proxy'], null | { readonly kind: 'command' }>;

/** Words of the command line that another program needs as well to come to the same host, and to be let in. */
const SHARED: readonly string[] = [
  'AddressFamily',
  'BindAddress',
  'BindInterface',
  'HostKeyAlias',
  'HostName',
  'IdentitiesOnly',
  'IdentityAgent',
  'IdentityFile',
  'CertificateFile',
  'ProxyCommand',
  'UserKnownHostsFile',
];

export class Station {
  readonly subject: HostCase;
  /** With the way to it, as far as that is other servers' and a proxy's. */
  readonly settings: ConnectSettings;
  readonly before: Station | null;
  probe: Probe | null = null;
  login: Login | null = null;
  connection: Connection | null = null;

  constructor(subject: HostCase, settings: ConnectSettings, before: Station | null) {
    this.subject = subject;
    this.settings = settings;
    this.before = before;
  }

  get isLast(): boolean {
    return this.subject.stations.at(-1) === this;
  }

  /** As it was typed. */
  get name(): string {
    return this.settings.originalHost;
  }

  /** Where a person has to go to mend something, as the beginning of a remedy. */
  get there(): string {
    return this.isLast ? 'on the server' : `on ${this.name}`;
  }

  /** The login to the server before this one; null where there is none. */
  get hop(): Ssh2Connection | null {
    const connection = this.before?.connection;
    return connection instanceof Ssh2Connection ? connection : null;
  }

  /** This one can be talked to before anybody has logged in to it. */
  get isInReach(): boolean {
    return this.before === null || this.hop !== null;
  }

  /** @throws ConnectError, or why `signal` aborted */
  async open(signal: AbortSignal): Promise<Way> {
    const { settings, hop, subject } = this;
    if (hop !== null) {
      const stream = await hop.openTunnel(settings.host, settings.port);
      return { stream, address: null, end: () => stream.destroy() };
    }
    const carrier = await reach(settings, settings.host, null, subject.surroundings, signal);
    return { ...carrier, end: () => carrier.abandon() };
  }

  /** A command that comes to this server by the same way: `ssh -p 2222 bob@host`; `options` stand as they are. */
  command(program = 'ssh', options = ''): string {
    const { user, port, originalHost } = this.settings;
    return loginCommand({ user, port, host: originalHost, words: this.#words() }, program, options);
  }

  /** That runs `command` there; two shells read it, the one here and the one there. */
  remote(command: string): string {
    return `${this.command()} ${quoted(command)}`;
  }

  #words(): string[] {
    const { given, sshWords } = this.subject.parsed;
    const { hops, proxy } = this.settings.route;
    const own = this.isLast ? sshWords.filter(({ keyword }) => SHARED.includes(keyword)) : [];
    const words = own.map(({ keyword, value }) => `${keyword}=${value}`);
    if (hops.length > 0) words.push(`ProxyJump=${hops.map(jump).join(',')}`);
    else if (proxy !== null && proxy.kind !== 'command') words.push(`ProxyCommand=${proxyCommand(proxy)}`);
    const file = given.configFile ?? null;
    return [...(file === null ? [] : ['-F', file]), ...words.flatMap((word) => ['-o', word])];
  }
}

function jump({ user, originalHost, port }: ConnectSettings): string {
  return formatJump({ user, host: originalHost, port: port === 22 ? null : port });
}

/** What goes through such a proxy for a program that knows none: netcat of OpenBSD, which Debian and others have. */
export function proxyCommand({ kind, host, port }: SocketProxy): string {
  const protocol = { http: 'connect', socks: '5', socks4: '4', socks4a: '4' }[kind];
  return `nc -X ${protocol} -x ${quoted(formatJump({ user: null, host, port }))} %h %p`;
}
