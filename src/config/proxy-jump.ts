/** The hosts of ProxyJump: `[user@]host[:port]` or `ssh://[user@]host[:port]`, separated by commas. */
import { OptionError } from './errors.js';
import { checkName } from './target.js';

export interface Jump {
  readonly user: string | null;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number | null;
}

/**
 * In the order in which they are passed; none for `none`.
 * @throws OptionError that names the part that is wrong
 */
export function parseProxyJump(text: string): Jump[] {
  if (text.toLowerCase() === 'none') return [];
  return text.split(',').map((part) => parseJump(part.trim(), text));
}

function parseJump(part: string, text: string): Jump {
  const match = /^(?:ssh:\/\/)?(?:(.*)@)?(?:\[([^\]]+)\]|([^:@[\]/]+))(?::(\d+))?\/?$/i.exec(part);
  const port = match?.[4] === undefined ? null : Number(match[4]);
  const host = match?.[2] ?? match?.[3];
  if (match === null || host === undefined || match[1] === '' || (port !== null && !isPort(port))) {
    throw new OptionError(
      `ProxyJump '${text}': '${part}' is not of the form [user@]host[:port], with commas between hosts`,
    );
  }
  const user = match[1] ?? null;
  checkName('host', host);
  if (user !== null) checkName('user', user);
  return { user, host, port };
}

const isPort = (port: number) => port >= 1 && port <= 65535;

export function formatJump({ user, host, port }: Jump): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${user === null ? '' : `${user}@`}${shown}${port === null ? '' : `:${port}`}`;
}
