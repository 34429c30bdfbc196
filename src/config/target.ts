/**
 * The source of a mount: `[user@]host:[dir]`, with an IPv6 address in brackets. Host and user end up
 * beside options of other programs in error messages and copied commands, so neither may look like one.
 */
import { type ByteString, encodeText } from '../base/bytes.js';
import { ASCII_CONTROL } from '../base/control.js';
import { OptionError } from './errors.js';

export interface RemoteTarget {
  readonly user: string | null;
  /** Name or address as typed, without the brackets of an IPv6 address. */
  readonly host: string;
  /** As typed; relative to the home directory, which is the empty string. */
  readonly directory: ByteString;
}

const FORM = '[user@]host:[dir]';

/** @throws OptionError that says what is missing. */
export function parseTarget(text: string): RemoteTarget {
  // A user name holds neither ':' nor '/', so an '@' further on belongs to the directory.
  const match = /^(?:([^:/]*)@)?(\[[^\]]*\]|[^:@[\]]*):(.*)$/s.exec(text);
  const scheme = /^(ssh|sftp):\/\/([^/:]+)(?::\d+)?(\/.*)?$/.exec(text);
  if (scheme !== null) {
    const [, , login = '', path = ''] = scheme;
    throw new OptionError(`the source is not a URL: write '${login}:${path}', and the port with -p`);
  }
  if (match === null) throw new OptionError(explain(text));
  const user = match[1] ?? null;
  const bracketed = match[2] ?? '';
  const host = bracketed.startsWith('[') ? bracketed.slice(1, -1) : bracketed;
  if (host === '')
    throw new OptionError(`the source '${text}' names no host: it is ${FORM}${bracketHint(text)}`);
  if (user === '') throw new OptionError(`the source '${text}' has an empty user name: it is ${FORM}`);
  checkName('host', host);
  if (user !== null) checkName('user', user);
  return { user, host, directory: encodeText(match[3] ?? '') };
}

/** @throws OptionError for a host or user name that could be taken for an option, or hides characters. */
export function checkName(what: 'host' | 'user', name: string): void {
  if (name.startsWith('-')) throw new OptionError(`the ${what} name '${name}' must not begin with '-'`);
  if (name.includes(' ') || name.search(ASCII_CONTROL) >= 0)
    throw new OptionError(`the ${what} name '${name}' holds a space or control character`);
}

function explain(text: string): string {
  if (text.includes('[') !== text.includes(']')) {
    return `the source '${text}' has an unbalanced bracket: an IPv6 address is written [address]:dir`;
  }
  if (text.startsWith('/') || text.startsWith('.')) {
    return `the source '${text}' is a path of this machine: it is ${FORM}, and the mount point comes second`;
  }
  if (!text.includes(':')) {
    return `the source '${text}' has no ':': write '${text}:' for the home directory, or '${text}:/dir'`;
  }
  return `the source '${text}' is not of the form ${FORM}`;
}

function bracketHint(text: string): string {
  return text.startsWith(':') && text.length > 1 ? ', and an IPv6 address is written [address]:dir' : '';
}
