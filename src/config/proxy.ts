/** The values of `http_proxy` and `socks_proxy`, and of the file that has a proxy's user and password. */
import { OptionError } from './errors.js';
import { checkName } from './target.js';

export interface ProxyAddress {
  readonly kind: 'http' | 'socks' | 'socks4' | 'socks4a';
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  readonly user: string | null;
  readonly password: string | null;
}

const SCHEMES: Readonly<Record<string, ProxyAddress['kind']>> = {
  http: 'http',
  socks: 'socks',
  socks5: 'socks',
  socks5h: 'socks',
  socks4: 'socks4',
  socks4a: 'socks4a',
};

/**
 * `[SCHEME://][USER:PASSWORD@]HOST:PORT`; in user and password, %XX stands for a byte.
 * @throws OptionError, which does not repeat the password
 */
export function parseProxy(option: 'http_proxy' | 'socks_proxy', text: string): ProxyAddress {
  const match =
    /^(?:([a-z0-9]+):\/\/)?(?:([^:@]*)(?::(.*))?@)?(?:\[([^\]]+)\]|([^:@/[\]]+)):(\d{1,5})\/?$/is.exec(text);
  const usual = option === 'http_proxy' ? 'http' : 'socks';
  const kind = SCHEMES[(match?.[1] ?? usual).toLowerCase()];
  const host = match?.[4] ?? match?.[5];
  const port = Number(match?.[6]);
  if (host === undefined || port < 1 || port > 65535) {
    throw new OptionError(`option '${option}' is not of the form [USER:PASSWORD@]HOST:PORT`);
  }
  if (kind === undefined || (kind === 'http') !== (usual === 'http')) {
    throw new OptionError(`option '${option}' does not know the scheme '${match?.[1]}'`);
  }
  checkName('host', host);
  const user = decoded(option, match?.[2]);
  return { kind, host, port, user: user === '' ? null : user, password: decoded(option, match?.[3]) };
}

function decoded(option: string, text: string | undefined): string | null {
  if (text === undefined) return null;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new OptionError(`option '${option}': in user and password, write % as %25`);
  }
}

/**
 * User and password as corkscrew has them, on the first line of a file or in a variable.
 * @param origin of the text, for the error message
 * @throws OptionError, which does not repeat the text
 */
export function parseProxyAuth(text: string, origin: string): { user: string; password: string } {
  const [line = ''] = text.split(/\r?\n/, 1);
  const colon = line.indexOf(':');
  if (colon < 1) throw new OptionError(`${origin} does not hold USER:PASSWORD on its first line`);
  return { user: line.slice(0, colon), password: line.slice(colon + 1) };
}
