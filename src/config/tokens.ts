/**
 * The tokens and variables that values of ssh_config may hold (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES).
 * `ssh -G` expands some of them and leaves others, those of the key files among them, to whoever uses the value.
 */
import { createHash } from 'node:crypto';
import { OptionError } from './errors.js';

/** What tokens stand for. */
export interface TokenValues {
  /** %h: the host as it is connected to. */
  readonly host: string;
  /** %n: as it was typed. */
  readonly originalHost: string;
  readonly port: number;
  /** %r */
  readonly user: string;
  /** %k where it is not null. */
  readonly hostKeyAlias: string | null;
  /** %j, empty for none. */
  readonly proxyJump: string;
  readonly local: LocalValues;
}

/** What of this machine and its user tokens may stand for. */
export interface LocalValues {
  /** %d, and a leading `~` */
  readonly home: string;
  /** %u */
  readonly user: string;
  /** %i */
  readonly uid: number;
  /** %l; %L is what is before its first dot. */
  readonly hostname: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * `text` with its tokens, and `${NAME}` where `variables` is true, replaced.
 * @param keyword for the error message
 * @throws OptionError for a token or variable that does not exist
 */
export function expandTokens(keyword: string, text: string, values: TokenValues, variables = true): string {
  return text.replace(/%(.?)|\$\{([^}]*)\}/gs, (found, token: string | undefined, name: string) => {
    if (token !== undefined) {
      const value = tokenValue(token, values);
      if (value === null) throw new OptionError(`${keyword} '${text}' holds the unknown token '${found}'`);
      return value;
    }
    if (!variables) return found;
    const value = values.local.environment[name];
    if (value === undefined) {
      throw new OptionError(`${keyword} '${text}' needs the environment variable ${name}, which is not set`);
    }
    return value;
  });
}

function tokenValue(token: string, values: TokenValues): string | null {
  const { host, originalHost, port, user, hostKeyAlias, proxyJump, local } = values;
  switch (token) {
    case '%':
      return '%';
    case 'C': {
      const text = local.hostname + host + port + user + proxyJump;
      return createHash('sha1').update(text).digest('hex');
    }
    case 'd':
      return local.home;
    case 'h':
      return host;
    case 'i':
      return String(local.uid);
    case 'j':
      return proxyJump;
    case 'k':
      return hostKeyAlias ?? originalHost;
    case 'L':
      return local.hostname.replace(/\..*/s, '');
    case 'l':
      return local.hostname;
    case 'n':
      return originalHost;
    case 'p':
      return String(port);
    case 'r':
      return user;
    case 'u':
      return local.user;
    default:
      return null;
  }
}
