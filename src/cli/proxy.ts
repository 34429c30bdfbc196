/** The proxy of the command line, with its user and password from wherever they are. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { OptionError } from '../config/errors.js';
import { parseProxy, parseProxyAuth } from '../config/proxy.js';
import type { GivenOptions } from '../config/schema.js';
import type { Route } from '../ssh/route.js';
import { expandHome } from '../ssh/settings.js';
import type { Place } from './host-settings.js';

/**
 * Null where none is given.
 * @throws OptionError for what makes no sense, and for a file that others may read
 */
export async function proxyOf(given: Partial<GivenOptions>, place: Place): Promise<Route['proxy']> {
  const { httpProxy = null, socksProxy = null, proxyCommand = null } = given;
  const named = [httpProxy, socksProxy, proxyCommand].filter((value) => value !== null && value !== 'none');
  if (named.length > 1) {
    throw new OptionError('only one of http_proxy, socks_proxy and ProxyCommand can be given');
  }
  if (socksProxy !== null) return parseProxy('socks_proxy', socksProxy);
  if (httpProxy === null) return null;
  const proxy = parseProxy('http_proxy', httpProxy);
  if (proxy.user !== null) return proxy;
  const { httpProxyAuth: file = null } = given;
  const { home, environment } = place.local;
  if (file !== null)
    return { ...proxy, ...(await readAuth(resolve(place.directory, expandHome(file, home)))) };
  const { CORKSCREW_AUTH: auth = '' } = environment;
  return auth === '' ? proxy : { ...proxy, ...parseProxyAuth(auth, 'CORKSCREW_AUTH') };
}

async function readAuth(file: string): Promise<{ user: string; password: string }> {
  let text: string;
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      throw new OptionError(`${file} holds a password that others can read: run chmod 600 '${file}'`);
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof OptionError) throw error;
    throw new OptionError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`);
  }
  return parseProxyAuth(text, file);
}
