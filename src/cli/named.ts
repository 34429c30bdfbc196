/**
 * What the configuration file adds to what was typed: the mount that a name stands for, and options below those of the
 * command line. Precedence: command line, named mount, host section, defaults, ssh_config, Remora's own.
 */
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { logger } from '../base/log.js';
import {
  allMounts,
  type ConfigFile,
  findMount,
  type NamedMount,
  NO_OPTIONS,
  optionsForHost,
} from '../config/file.js';
import { nearest } from '../config/nearest.js';
import { mergeOptions, type ParsedOptions, parseOptions } from '../config/parse.js';
import { parsePuttyTarget } from '../config/putty-store.js';
import { type FuseMount, findFuseMounts } from '../fuse/mount/mounts.js';
import { expandHome } from '../ssh/settings.js';
import { configPaths, readConfigFiles } from './config-files.js';
import { CommandError } from './exit.js';
import { liesIn } from './holders.js';
import { isMissing, mountedPath } from './mountpoint.js';

const log = logger('config');

/** A mount with all that was said about it, short of ssh_config. */
export interface MountCall {
  readonly source: string;
  readonly mountpoint: string;
  readonly parsed: ParsedOptions;
  /** The mount point comes from the file, so it may be made. */
  readonly isNamed: boolean;
}

export function readConfiguration(env: NodeJS.ProcessEnv, uid: number): Promise<readonly ConfigFile[]> {
  return readConfigFiles(configPaths(env), uid);
}

const homeOf = (env: NodeJS.ProcessEnv): string => env.HOME || homedir();

/** What a source comes to, or what the mount of that name has; `typed` are the values of `-o`. */
export function understandSource(
  target: string,
  typed: readonly string[],
  files: readonly ConfigFile[],
): { readonly source: string; readonly parsed: ParsedOptions; readonly named: NamedMount | null } {
  const options = parseOptions(typed);
  const named = findMount(files, target);
  const source = named?.source ?? target;
  const forHost = optionsForHost(files, hostOf(source));
  return { source, parsed: [options, named?.options ?? NO_OPTIONS, forHost].reduce(mergeOptions), named };
}

/**
 * `remora target [mountpoint]` with what `files` say of it.
 * @throws CommandError `usage` for a name that no file knows, OptionError for a bad option
 */
export function understandMount(
  { target, mountpoint, options }: MountRequest,
  files: readonly ConfigFile[],
  env: NodeJS.ProcessEnv,
): MountCall {
  const { source, parsed, named } = understandSource(target, options, files);
  if (mountpoint !== null) return { source, mountpoint, parsed, isNamed: false };
  if (named === null) throw unknownName(target, files);
  return { source, mountpoint: expandHome(named.mountpoint, homeOf(env)), parsed, isNamed: true };
}

interface MountRequest {
  readonly target: string;
  readonly mountpoint: string | null;
  readonly options: readonly string[];
}

/** What host patterns are compared with: the host of a source as typed, or `putty:SESSION`. */
function hostOf(source: string): string {
  const putty = parsePuttyTarget(source);
  if (putty !== null) return `putty:${putty.session}`;
  const [, host = ''] = /^(?:[^:/]*@)?(\[[^\]]*\]|[^:]*)/.exec(source) ?? [];
  return host.replace(/^\[|\]$/g, '');
}

function unknownName(name: string, files: readonly ConfigFile[]): CommandError {
  const names = allMounts(files).map((mount) => mount.name);
  const guess = nearest(name, names);
  const hint =
    guess !== null
      ? `did you mean '${guess}'?`
      : names.length > 0
        ? `there are ${names.join(', ')}`
        : `no configuration file names one; a host is written '${name}:'`;
  return new CommandError('usage', `no mount is called '${name}': ${hint}`);
}

/**
 * The mount point that `typed` stands for: itself when it is a path or something is mounted there, else that of the
 * mount of this name, else itself.
 */
export function meantMountpoint(typed: string, env: NodeJS.ProcessEnv, uid: number): Promise<string> {
  return meant(typed, env, uid, async (path, mounts) => {
    return mounts.some(({ mountpoint }) => mountpoint === path);
  });
}

/** The same for a command that takes what lies in a mount, too: itself also when there is such a file in one. */
export function meantPath(typed: string, env: NodeJS.ProcessEnv, uid: number): Promise<string> {
  return meant(typed, env, uid, async (path, mounts) => {
    return mounts.some(({ mountpoint }) => liesIn(path, mountpoint)) && !(await isMissing(path));
  });
}

async function meant(
  typed: string,
  env: NodeJS.ProcessEnv,
  uid: number,
  isThere: (path: string, mounts: readonly FuseMount[]) => Promise<boolean>,
): Promise<string> {
  if (typed.includes('/') || typed === '.' || typed === '..') return typed;
  const mounts = await findFuseMounts();
  if (await isThere(await mountedPath(typed, mounts), mounts)) return typed;
  const named = findMount(await readConfiguration(env, uid), typed);
  return named === null ? typed : expandHome(named.mountpoint, homeOf(env));
}

/** The name of what is mounted at a mount point; a mistake in the file is told where it matters. */
export async function namesOfMounts(
  env: NodeJS.ProcessEnv,
  uid: number,
  mounts: readonly FuseMount[],
): Promise<ReadonlyMap<string, string>> {
  const files = await readConfiguration(env, uid).catch((error: unknown) => {
    log('no names: %o', error);
    return [];
  });
  const named = allMounts(files).map(async ({ name, mountpoint }) => {
    return [await mountedPath(expandHome(mountpoint, homeOf(env)), mounts), name] as const;
  });
  return new Map((await Promise.all(named)).reverse());
}

/** Makes the mount point of a named mount, for its owner alone; what else is wrong with it shows when it is checked. */
export async function makeMountpoint(path: string, tell: (text: string) => void): Promise<void> {
  if (!(await isMissing(path))) return;
  const made = await mkdir(path, { recursive: true, mode: 0o700 }).catch(() => undefined);
  if (made !== undefined) tell(`${path}: made the directory`);
}
