/**
 * From what was asked for to a job for the serving process: everything that can be judged before it starts is judged
 * here, for the command and for the library alike.
 */
import { printable } from '../base/printable.js';
import type { Autossh } from '../config/autossh.js';
import type { ParsedOptions } from '../config/parse.js';
import { koffi } from '../fuse/koffi.js';
import { type FuseMount, findFuseMounts } from '../fuse/mount/mounts.js';
import { checkOthers } from '../fuse/mount/privileges.js';
import { SystemAccounts } from './accounts.js';
import { prepareCacheDirectory } from './cache-directory.js';
import { ensurePrivateDirectory, runtimeDirectory } from './directories.js';
import { isRemora } from './discover.js';
import { CommandError } from './exit.js';
import { readIdTables } from './id-tables.js';
import type { Job } from './ipc.js';
import { checkMountpoint, mountedPath } from './mountpoint.js';
import { makeMountpoint } from './named.js';
import { processPlace, resolveTarget } from './resolve.js';
import { atPlace, detachDead } from './stale.js';

export interface MountWish {
  readonly source: string;
  readonly mountpoint: string;
  readonly parsed: ParsedOptions;
  readonly autossh: Autossh;
  /** The mount point comes from a configuration file: it is made where it is missing. */
  readonly isNamed: boolean;
  readonly verbose: boolean;
}

/** A job without what depends on who is there to be asked. The settings hold no password. */
export type PreparedJob = Omit<Job, 'interactive' | 'foreground' | 'attached'>;

const among = (mounts: readonly FuseMount[]) => (path: string) =>
  mounts.some(({ mountpoint }) => mountpoint === path);

/** A dead mount of ours makes way for its successor. */
async function clearPlace(
  typed: string,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: (text: string) => void,
): Promise<void> {
  const isOurs = (mount: FuseMount) => isRemora(mount) && (mount.userId === uid || uid === 0);
  const mounts = (await findFuseMounts()).filter(isOurs);
  const path = await mountedPath(typed, mounts);
  if (!among(mounts)(path)) return;
  const directory = runtimeDirectory(env, uid);
  await ensurePrivateDirectory(directory, uid);
  if (await atPlace(directory, path, () => detachDead(path, isOurs))) {
    tell(`${path}: removed the dead mount of an earlier process`);
  }
}

/**
 * @param tell is told what is found and done, where that is wanted
 * @throws OptionError, CommandError for a mount point that is none, or MountError where nothing can be mounted
 */
export async function prepareJob(
  { source, mountpoint: typed, isNamed, parsed, autossh, verbose }: MountWish,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: (text: string) => void,
): Promise<PreparedJob> {
  const resolved = await resolveTarget(source, parsed, processPlace(env));
  const { target, settings } = resolved;
  const { reconnectMax = autossh.reconnectMax ?? resolved.options.reconnectMax } = parsed.given;
  const { connectRetry = autossh.connectRetry } = parsed.given;
  const options = { ...resolved.options, reconnectMax, connectRetry };
  const say = verbose || options.verbose ? tell : () => {};
  say(printable(resolved.note));

  if (options.allowOther && options.allowRoot) {
    throw new CommandError('usage', 'allow_other and allow_root exclude each other');
  }
  if (options.allowOther || options.allowRoot) await checkOthers();
  if (options.allowOther && !options.defaultPermissions) {
    say('allow_other without default_permissions: every local user may do here what the login may');
  }
  const tables = await readIdTables(options, new SystemAccounts(), process.cwd());

  // Whoever has no driver is told so before anybody is asked anything.
  koffi();
  await clearPlace(typed, env, uid, say);
  const isMounted = among(await findFuseMounts());
  if (isNamed) await makeMountpoint(typed, say);
  const mountpoint = await checkMountpoint(typed, options.nonempty, isMounted);
  const cacheDir =
    options.cacheDir === null
      ? null
      : await prepareCacheDirectory(options.cacheDir, mountpoint, env, uid, process.cwd());
  return { target, source, mountpoint, options: { ...options, cacheDir }, tables, settings, autossh };
}
