/**
 * From what was typed to everything that a connection needs. The command line goes to `ssh -G` as it would to ssh, so
 * that precedence, lists that add up, and Match are ssh's own; what neither it nor a configuration file says is
 * Remora's default. Hosts of ProxyJump are resolved as ssh does: each by its own configuration, with the same `-F`
 * and nothing else of the command line. Where there is no ssh program, command line and defaults are all there is.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { hostname, type UserInfo, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { encodeText } from '../base/bytes.js';
import { OptionError } from '../config/errors.js';
import { filesFrom } from '../config/kinds.js';
import { completeOptions, type MountOptions, type ParsedOptions, type SshWord } from '../config/parse.js';
import { formatJump, type Jump } from '../config/proxy-jump.js';
import {
  type PuttyTarget,
  parsePuttyTarget,
  readPuttySession,
  sessionOptions,
  sessionWords,
} from '../config/putty-store.js';
import { optionsOf, type SshDump } from '../config/ssh-config.js';
import { parseTarget, type RemoteTarget } from '../config/target.js';
import { DIRECT, type Route } from '../ssh/route.js';
import { type ConnectSettings, expandHome } from '../ssh/settings.js';
import { describeWay, type HostSettings, hostSettings, type Place } from './host-settings.js';
import { proxyOf } from './proxy.js';
import { askSsh } from './ssh-program.js';

/** How many configurations may send a connection on to the next host. */
const MAX_DEPTH = 8;

const SYSTEM_CONFIG = '/etc/ssh/ssh_config';

export interface ResolvedTarget {
  readonly target: RemoteTarget;
  readonly options: MountOptions;
  /** Without a password. */
  readonly settings: ConnectSettings;
  /** What came out and how, in a line for `-v`. */
  readonly note: string;
}

export function processPlace(environment: NodeJS.ProcessEnv): Place {
  const account = findAccount();
  const home = environment.HOME || account.homedir;
  const local = { home, user: account.username, uid: account.uid, hostname: hostname(), environment };
  return { local, accountHome: account.homedir, directory: process.cwd() };
}

/** A process in a container may have no account; then its user is a number. */
export function findAccount(): Pick<UserInfo<string>, 'username' | 'uid' | 'homedir'> {
  try {
    return userInfo();
  } catch {
    const uid = process.getuid?.() ?? 0;
    return { username: String(uid), uid, homedir: '/' };
  }
}

/**
 * Everything about the source of a mount. A source of the form `putty:session:[dir]` is a saved session of PuTTY.
 * @throws OptionError, or CommandError with what ssh says against its configuration
 */
export async function resolveTarget(
  source: string,
  parsed: ParsedOptions,
  place: Place,
): Promise<ResolvedTarget> {
  const putty = parsePuttyTarget(source);
  if (putty !== null) return resolveSession(putty, parsed, place);
  const target = parseTarget(source);
  const { user, host } = target;
  const destination = { user, host, port: null };
  const configFile = await chooseConfigFile(parsed.given.configFile ?? null, place);
  const words = parsed.sshWords.filter(({ keyword }) => user === null || keyword !== 'User');
  const toAll = words.filter(({ effect }) => effect === 'option' || effect === 'resolution');

  const { environment } = place.local;
  const [dump, plain] = await Promise.all([
    askSsh({ configFile, options: toAll.map((word) => spelled(word, place)), destination }, environment),
    askSsh({ configFile: 'none', options: [], destination: { user: null, host, port: null } }, environment),
  ]);
  const proxy = await proxyOf(parsed.given, place);
  const resolver = new Resolver(place, configFile, parsed, plain, proxy);
  const { options, settings, jumps } = resolver.understand(destination, parsed.given, dump);
  const route = await resolver.route(jumps, options, [destination]);
  const sshOptions = [
    ...(user === null ? [] : [`User=${user}`]),
    ...words.map((word) => spelled(word, place)),
  ];
  const full = { ...settings, route, sshOptions };
  const way = describeWay(full);
  const note =
    dump === null
      ? `there is no ssh to ask, so no ssh_config counts: ${host} is ${way}`
      : `by ssh's configuration ${host} is ${way}`;
  return { target, options, settings: full, note };
}

/** A session of PuTTY says all there is to say; ssh's configuration counts for it as little as for PuTTY. */
async function resolveSession(
  { session: name, directory }: PuttyTarget,
  parsed: ParsedOptions,
  place: Place,
): Promise<ResolvedTarget> {
  const { environment, home } = place.local;
  const saved = await readPuttySession(name, environment, home);
  const isOtherWay = parsed.given.proxyJump !== undefined || parsed.given.proxyCommand !== undefined;
  const session = isOtherWay ? { ...saved, proxy: null } : saved;
  const { host, proxy } = session;
  const given = { ...sessionOptions(session), ...parsed.given };
  const isSocket = proxy !== null && proxy.kind !== 'jump' && proxy.kind !== 'command';
  const typed = await proxyOf(parsed.given, place);
  const first = typed ?? (isSocket ? proxy : null);
  const resolver = new Resolver(place, 'none', { ...parsed, given }, null, first);
  const destination = { user: null, host, port: null };
  const { options, settings, jumps } = resolver.understand(destination, given, null);
  const route = await resolver.route(jumps, options, [destination]);
  const { user, port } = settings;
  const full = {
    ...settings,
    route,
    configFile: 'none',
    sshOptions: [
      ...parsed.sshWords.map((word) => spelled(word, place)),
      ...sessionWords(session, parsed.given),
      `User=${user}`,
      `Port=${port}`,
    ],
  };
  const target = { user, host, directory: encodeText(directory) };
  return { target, options, settings: full, note: `the PuTTY session ${name} is ${describeWay(full)}` };
}

/** As a value of `-o`. The serving process works in `/`, and so does the ssh that it starts. */
function spelled({ keyword, value, namesFiles }: SshWord, { directory }: Place): string {
  return `${keyword}=${namesFiles ? filesFrom(directory, value) : value}`;
}

/**
 * The file for `-F`, or null where ssh finds the right ones by itself: it looks in the home directory of the account,
 * and a person who sets HOME means that one.
 */
async function chooseConfigFile(given: string | null, place: Place): Promise<string | null> {
  const { local, accountHome, directory } = place;
  if (given !== null) return given === 'none' ? given : resolve(directory, expandHome(given, local.home));
  if (resolve(local.home) === resolve(accountHome)) return null;
  for (const file of [join(local.home, '.ssh/config'), SYSTEM_CONFIG]) {
    if (await isReadable(file)) return file;
  }
  return 'none';
}

function isReadable(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** Options that are those of one host, and not of the hosts on the way to it. */
const OF_ONE_HOST: readonly string[] = [
  'hostName',
  'hostKeyAlias',
  'port',
  'user',
  'proxyJump',
  'proxyCommand',
] satisfies (keyof MountOptions)[];

class Resolver {
  readonly #place: Place;
  readonly #configFile: string | null;
  readonly #parsed: ParsedOptions;
  /** What ssh says of a host without any configuration; null where there is no ssh. */
  readonly #plain: SshDump | null;
  /** What leads to the first host, before any ProxyCommand. */
  readonly #proxy: Route['proxy'];

  constructor(
    place: Place,
    configFile: string | null,
    parsed: ParsedOptions,
    plain: SshDump | null,
    proxy: Route['proxy'],
  ) {
    this.#place = place;
    this.#configFile = configFile;
    this.#parsed = parsed;
    this.#plain = plain;
    this.#proxy = proxy;
  }

  /** `given` and what ssh made of it. */
  understand(destination: Jump, given: ParsedOptions['given'], dump: SshDump | null): HostSettings {
    if (dump === null || this.#plain === null) {
      return hostSettings(destination, completeOptions(given), false, this.#place);
    }
    // Of ProxyJump and ProxyCommand only one can count, and ssh has said which.
    const { proxyJump: _, proxyCommand: __, ...others } = given;
    const options = completeOptions({ ...others, ...optionsOf(dump, this.#plain) });
    const host = hostSettings(destination, options, true, this.#place);
    return { ...host, settings: { ...host.settings, configFile: this.#configFile } };
  }

  /** The way to the last host of `chain`. */
  async route(
    jumps: readonly Jump[],
    { proxyCommand, batchMode }: Pick<MountOptions, 'proxyCommand' | 'batchMode'>,
    chain: readonly Jump[],
  ): Promise<Route> {
    const [first, ...others] = jumps;
    if (first === undefined) {
      if (this.#proxy !== null) return { hops: [], proxy: this.#proxy };
      const isThere = proxyCommand !== null && proxyCommand.toLowerCase() !== 'none';
      return isThere ? { hops: [], proxy: { kind: 'command', command: proxyCommand } } : DIRECT;
    }
    const further = [...chain, first];
    checkChain(further);
    const [{ options, settings, jumps: jumpsBefore }, ...hosts] = await Promise.all([
      this.#hop(first, batchMode),
      ...others.map((jump) => this.#hop(jump, batchMode)),
    ]);
    // Only of the first host the own configuration says how it is reached; the others follow one another.
    const { hops, proxy } = await this.route(jumpsBefore, options, further);
    return { hops: [...hops, settings, ...hosts.map((host) => host.settings)], proxy };
  }

  async #hop(jump: Jump, batchMode: boolean): Promise<HostSettings> {
    const question = { configFile: this.#configFile, options: [], destination: jump };
    const dump = this.#plain === null ? null : await askSsh(question, this.#place.local.environment);
    const given = dump === null ? this.#givenForAll() : {};
    return this.understand(jump, batchMode ? { ...given, batchMode } : given, dump);
  }

  /** The command line is all there is to say how to log in to a hop. */
  #givenForAll(): ParsedOptions['given'] {
    return Object.fromEntries(
      Object.entries(this.#parsed.given).filter(([key]) => !OF_ONE_HOST.includes(key)),
    );
  }
}

/** Each of `chain` is reached through the next one. */
function checkChain(chain: readonly Jump[]): void {
  const names = chain.map((jump) => formatJump(jump).toLowerCase());
  const last = names.at(-1) ?? '';
  const path = names.join(' -> ');
  if (names.indexOf(last) < names.length - 1) throw new OptionError(`ProxyJump goes in a circle: ${path}`);
  if (names.length > MAX_DEPTH) throw new OptionError(`ProxyJump leads too far: ${path}`);
}
