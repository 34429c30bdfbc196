/**
 * A saved session of PuTTY, as its file on Linux says it: lines `Name=value`. What it means for a connection is
 * worked out here, with PuTTY's own defaults; a way to connect that Remora does not have is an error, never left out.
 */
import { OptionError } from './errors.js';
import { checkName } from './target.js';

/** What stands between this machine and the host. */
export type PuttyProxy =
  | { readonly kind: 'command'; readonly command: string }
  | {
      readonly kind: 'http' | 'socks' | 'socks4' | 'socks4a';
      readonly host: string;
      readonly port: number;
      readonly user: string | null;
      readonly password: string | null;
    }
  /** Another SSH server. */
  | { readonly kind: 'jump'; readonly host: string; readonly port: number; readonly user: string | null };

export interface PuttySession {
  readonly host: string;
  readonly port: number;
  /** Null where the session leaves it open. */
  readonly user: string | null;
  /** Null for the keys that are tried by default. */
  readonly identityFile: string | null;
  readonly compression: boolean;
  readonly proxy: PuttyProxy | null;
}

/** `ProxyDNS` where the proxy is to look names up; else that is left to what is usual with it, or done here. */
const DNS_AT_PROXY = '2';

/** The numbers of `ProxyMethod`. */
const METHODS = [
  'none',
  'SOCKS 4',
  'SOCKS 5',
  'HTTP',
  'Telnet',
  'local command',
  'SSH',
  'SSH command',
  'SSH subsystem',
];

/**
 * @param name of the session, for error messages
 * @throws OptionError
 */
export function parsePuttySession(text: string, name: string): PuttySession {
  const session = new Values(text, name);
  const protocol = session.text('Protocol') || 'ssh';
  if (protocol !== 'ssh') throw session.error(`is for ${protocol}, not for SSH`);
  const [, login = null, host = ''] = /^(?:(.*)@)?(.*)$/s.exec(session.text('HostName')) ?? [];
  if (host === '') throw session.error('names no host');
  const user = login ?? (session.text('UserName') || null);
  checkName('host', host);
  if (user !== null) checkName('user', user);
  return {
    host,
    port: session.port('PortNumber', 22),
    user,
    identityFile: session.text('PublicKeyFile') || null,
    compression: session.text('Compression') === '1',
    proxy: isReachedDirectly(session, host) ? null : proxyOf(session),
  };
}

class Values {
  readonly #values = new Map<string, string>();
  readonly #name: string;

  constructor(text: string, name: string) {
    this.#name = name;
    for (const line of text.split(/\r?\n/)) {
      const equals = line.indexOf('=');
      if (equals > 0) this.#values.set(line.slice(0, equals), line.slice(equals + 1));
    }
  }

  text(key: string): string {
    return this.#values.get(key) ?? '';
  }

  port(key: string, fallback: number): number {
    const text = this.text(key) || String(fallback);
    if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65535) {
      throw this.error(`has a ${key} that is no port: '${text}'`);
    }
    return Number(text);
  }

  error(what: string): OptionError {
    return new OptionError(`the PuTTY session '${this.#name}' ${what}`);
  }
}

/** Hosts that PuTTY does not look for behind its proxy. */
function isReachedDirectly(session: Values, host: string): boolean {
  const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/i.test(host);
  if (isLocal && session.text('ProxyLocalhost') !== '1') return true;
  const excluded = session
    .text('ProxyExcludeList')
    .toLowerCase()
    .split(/[,\s]+/);
  const name = host.toLowerCase();
  return excluded.some((pattern) => {
    if (pattern.length > 1 && pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
    if (pattern.length > 1 && pattern.endsWith('*')) return name.startsWith(pattern.slice(0, -1));
    return pattern !== '' && pattern === name;
  });
}

function proxyOf(session: Values): PuttyProxy | null {
  const number = session.text('ProxyMethod') || '0';
  const method = METHODS[Number(number)] ?? number;
  const host = session.text('ProxyHost');
  const user = session.text('ProxyUsername') || null;
  const server = (fallback: number) => {
    if (host === '') throw session.error(`has a proxy (${method}) without a host`);
    checkName('host', host);
    return { host, port: session.port('ProxyPort', fallback), user };
  };
  switch (method) {
    case 'none':
      return null;
    case 'HTTP':
      return { kind: 'http', ...server(8080), password: session.text('ProxyPassword') || null };
    case 'SOCKS 4': {
      const kind = session.text('ProxyDNS') === DNS_AT_PROXY ? 'socks4a' : 'socks4';
      return { kind, ...server(1080), password: null };
    }
    case 'SOCKS 5':
      return { kind: 'socks', ...server(1080), password: session.text('ProxyPassword') || null };
    case 'SSH':
      return { kind: 'jump', ...server(22) };
    case 'local command':
      return { kind: 'command', command: commandOf(session, { proxyhost: host, user: user ?? '' }) };
    default:
      throw session.error(`goes through a proxy of a kind that Remora does not know (${method})`);
  }
}

/** PuTTY's command with the tokens of ssh_config's ProxyCommand. */
function commandOf(session: Values, given: { proxyhost: string; user: string }): string {
  const text = session.text('ProxyTelnetCommand');
  if (text.trim() === '') throw session.error('has a local command as proxy, which is empty');
  // Escapes are of use where the text is sent; in a command they are the shell's.
  return text.replace(/%([a-z]+|%)|%/g, (token, word?: string) => {
    switch (word) {
      case '%':
        return '%%';
      case 'host':
        return '%h';
      case 'port':
        return '%p';
      case 'proxyport':
        return String(session.port('ProxyPort', 80));
      case 'proxyhost':
      case 'user': {
        const value = given[word];
        if (!/^[\w.:@-]*$/.test(value)) throw session.error(`has a ${word} that a shell would misread`);
        return value;
      }
      case 'pass':
        throw session.error('would put its password on a command line, where others can read it');
      default:
        throw session.error(`has a local command with the unknown word '${token}'`);
    }
  });
}
