/** The hosts that ssh knows by name: those of its configuration, with what that includes, and of known_hosts. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { matchesWildcard } from '../../base/wildcard.js';
import { expandHome } from '../../ssh/settings.js';

/** How deep files may include one another, as in ssh. */
const MAX_DEPTH = 16;

/** What could be a host's name; anything else is no help in a command. */
const NAME = /^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$/;

export interface NamesOfConfig {
  readonly hosts: readonly string[];
  readonly includes: readonly string[];
}

/** The names of `Host` lines, without patterns, and the files of `Include` lines. */
export function namesOfConfig(text: string): NamesOfConfig {
  const hosts: string[] = [];
  const includes: string[] = [];
  for (const line of text.split('\n')) {
    const [, keyword = '', rest = ''] = /^\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(line) ?? [];
    const words = [...rest.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
    if (keyword.toLowerCase() === 'host') hosts.push(...words.filter((word) => NAME.test(word)));
    if (keyword.toLowerCase() === 'include') includes.push(...words);
  }
  return { hosts, includes };
}

/** The names that known_hosts has in the open. */
export function namesOfKnownHosts(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const hosts = fields[0] === '@cert-authority' || fields[0] === '@revoked' ? '' : (fields[0] ?? '');
    return hosts
      .split(',')
      .map((host) => /^\[(.*)\]:\d+$/.exec(host)?.[1] ?? host)
      .filter((host) => NAME.test(host));
  });
}

/** Every name, once, sorted; files that cannot be read hold none. */
export async function knownHosts(home: string): Promise<readonly string[]> {
  const ssh = join(home, '.ssh');
  const seen = new Set<string>();
  const [own, machine, ...known] = await Promise.all([
    readConfig(join(ssh, 'config'), ssh, home, seen, 0),
    readConfig('/etc/ssh/ssh_config', '/etc/ssh', home, seen, 0),
    readText(join(ssh, 'known_hosts')),
    readText('/etc/ssh/ssh_known_hosts'),
  ]);
  return [...new Set([...own, ...machine, ...known.flatMap(namesOfKnownHosts)])].sort();
}

async function readConfig(
  path: string,
  base: string,
  home: string,
  seen: Set<string>,
  depth: number,
): Promise<readonly string[]> {
  if (depth > MAX_DEPTH || seen.has(path)) return [];
  seen.add(path);
  const { hosts, includes } = namesOfConfig(await readText(path));
  const files = await Promise.all(
    includes.map((each) => matchingFiles(resolve(base, expandHome(each, home)))),
  );
  const deeper = files.flat().map((file) => readConfig(file, base, home, seen, depth + 1));
  return [...hosts, ...(await Promise.all(deeper)).flat()];
}

/** A pattern in the last part of a path is enough for every `config.d`. */
async function matchingFiles(pattern: string): Promise<readonly string[]> {
  const last = basename(pattern);
  if (!/[*?]/.test(last)) return [pattern];
  const names = await readdir(dirname(pattern)).catch(() => []);
  return names.filter((name) => matchesWildcard(last, name)).map((name) => join(dirname(pattern), name));
}

function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
