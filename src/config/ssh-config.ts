/**
 * What `ssh -G` says, as options. Every keyword is read by the reader of the option it is; what ssh says of an
 * empty configuration, too, nobody has said, so that Remora's own default stands. (Hence a `ServerAliveInterval 0`
 * in a file is no different from none: only the command line turns it off.)
 */
import { OptionError } from './errors.js';
import type { Option } from './kinds.js';
import { type MountOptions, sshKeywordOf } from './parse.js';
import { type GivenOptions, type OptionKey, SCHEMA } from './schema.js';

/** The lines of `ssh -G` by their keyword in lower case; a keyword may have several. */
export type SshDump = ReadonlyMap<string, readonly string[]>;

/** Where 'none' is how ssh writes that there is none; elsewhere it is a value, or nothing special. */
const NONE_IS_NOTHING: ReadonlySet<OptionKey> = new Set<OptionKey>([
  'connectTimeout',
  'controlPath',
  'knownHostsCommand',
  'pkcs11Provider',
  'proxyCommand',
  'proxyJump',
  'revokedHostKeys',
]);

/** What the ssh of Debian makes of ServerAliveInterval, in seconds, when BatchMode is on and nobody says anything. */
const DEBIAN_BATCH_INTERVAL = 300;

export function parseSshDump(text: string): SshDump {
  const dump = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, keyword, value] = /^(\S+) (.*)$/.exec(line) ?? [];
    if (keyword === undefined || value === undefined) continue;
    const name = keyword.toLowerCase();
    const values = dump.get(name);
    if (values === undefined) dump.set(name, [value]);
    else values.push(value);
  }
  return dump;
}

/**
 * The options that the configuration sets.
 * @param plain what the same ssh says of the same host without any configuration
 * @throws OptionError for a value that ssh takes and Remora does not, and for a host that is not to be reached
 */
export function optionsOf(dump: SshDump, plain: SshDump): Partial<GivenOptions> {
  const refusal = dump.get('refuseconnection')?.[0];
  if (refusal !== undefined) throw new OptionError(`ssh_config refuses this host: ${refusal}`);
  const values: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(SCHEMA) as [OptionKey, Option<unknown>][]) {
    const keyword = sshKeywordOf(option);
    const lines = keyword === null ? undefined : said(keyword.toLowerCase(), dump, plain);
    if (keyword === null || lines === undefined) continue;
    if (NONE_IS_NOTHING.has(key) && lines[0]?.toLowerCase() === 'none') continue;
    // As long as the network takes; Remora has a limit of its own then.
    if (key === 'connectTimeout' && lines[0] === '0') continue;
    for (const line of lines) values[key] = readLine(option, keyword, line, values[key]);
  }
  // Each value came from its own option's reader, so the record has the types the schema derives.
  const options = values as Partial<GivenOptions>;
  if (options.batchMode !== true || options.serverAliveInterval !== DEBIAN_BATCH_INTERVAL) return options;
  const { serverAliveInterval: _, ...others } = options;
  return others;
}

function said(name: string, dump: SshDump, plain: SshDump): readonly string[] | undefined {
  const lines = dump.get(name);
  const before = plain.get(name);
  const isSame =
    lines !== undefined && before?.length === lines.length && lines.every((line, at) => line === before[at]);
  return isSame && name !== 'hostname' ? undefined : lines;
}

function readLine(option: Option<unknown>, keyword: string, line: string, before: unknown): unknown {
  try {
    return option.read(keyword, line, before);
  } catch (error) {
    if (error instanceof OptionError) throw new OptionError(`ssh_config: ${error.message}`);
    throw error;
  }
}

/** The ways to log in, in their order, that no other option takes away. */
export function loginMethods(
  options: Pick<
    MountOptions,
    | 'preferredAuthentications'
    | 'pubkeyAuthentication'
    | 'kbdInteractiveAuthentication'
    | 'passwordAuthentication'
  >,
): readonly string[] {
  const off = new Set<string>();
  if (!options.pubkeyAuthentication) off.add('publickey');
  if (!options.kbdInteractiveAuthentication) off.add('keyboard-interactive');
  if (!options.passwordAuthentication) off.add('password');
  return options.preferredAuthentications.filter((method) => !off.has(method));
}
