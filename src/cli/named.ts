/**
 * What the configuration file adds to what was typed: the mount that a name stands for, and options below those of the
 * command line. Precedence: command line, named mount, host section, defaults, ssh_config, Remora's own.
 */
import { lstat, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
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
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { expandHome } from '../ssh/settings.js';
import { configPaths, readConfigFiles } from './config-files.js';
import { CommandError } from './exit.js';
import { mountedPath } from './mountpoint.js';

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
export async function meantMountpoint(typed: string, env: NodeJS.ProcessEnv, uid: number): Promise<string> {
  if (typed.includes('/') || typed === '.' || typed === '..') return typed;
  const mounts = await findFuseMounts();
  const path = await mountedPath(typed, mounts);
  if (mounts.some(({ mountpoint }) => mountpoint === path)) return typed;
  const named = findMount(await readConfiguration(env, uid), typed);
  return named === null ? typed : expandHome(named.mountpoint, homeOf(env));
}

/** Makes the mount point of a named mount, for its owner alone; what else is wrong with it shows when it is checked. */
export async function makeMountpoint(path: string, tell: (text: string) => void): Promise<void> {
  const isMissing = await lstat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
  if (!isMissing) return;
  const made = await mkdir(path, { recursive: true, mode: 0o700 }).catch(() => undefined);
  if (made !== undefined) tell(`${path}: made the directory`);
}
