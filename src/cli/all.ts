/** `--all`: every mount that the configuration file names, or every mount there is, some at a time. */

import { sep } from 'node:path';
import { allMounts, type NamedMount } from '../config/file.js';
import { parseOptions } from '../config/parse.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import type { MountAllArguments } from './arguments.js';
import { findAsker, shareAsker } from './asker.js';
import { runtimeDirectory } from './directories.js';
import { findDaemons, isRemora, listMounts } from './discover.js';
import { doctorHint } from './doctor/hint.js';
import { CommandError, type ExitName, failureOf } from './exit.js';
import { mountCall } from './mount.js';
import { isDeadMount, mountedPath } from './mountpoint.js';
import { type MountCall, readConfiguration, understandMount } from './named.js';
import { Progress } from './progress.js';
import { unmount } from './unmount.js';

/** How many mounts are made at a time; sshd takes ten logins (MaxStartups). */
const AT_A_TIME = 4;

type Tell = (text: string) => void;

/** Mounts what is not mounted yet. The answer is the first failure, in the order of the file. */
export async function mountAll(
  { options, verbose }: MountAllArguments,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: Tell,
): Promise<ExitName> {
  // A mistake on the command line is nobody's own.
  parseOptions(options);
  const files = await readConfiguration(env, uid);
  const mounts = allMounts(files).filter(({ noauto }) => !noauto);
  const lend = shareAsker(() => findAsker(env));
  const mountOne = async ({ name, source }: NamedMount): Promise<ExitName> => {
    const say: Tell = (text) => tell(`${name}: ${text}`);
    try {
      const call = understandMount({ target: name, mountpoint: null, options }, files, env);
      checkAlone(call, name);
      if (await isServed(call, env, uid)) return 'ok';
      const how = { foreground: false, debug: false, verbose, asker: lend };
      return await mountCall(call, how, env, uid, say);
    } catch (error) {
      const { exit, message } = failureOf(error);
      say(message + doctorHint(exit, source));
      return exit;
    }
  };
  return firstFailure(await someAtATime(mounts, mountOne));
}

/** What takes standard input or the foreground for itself cannot be one of several. */
function checkAlone({ parsed: { given } }: MountCall, name: string): void {
  const word = given.passive === true ? 'passive' : given.passwordStdin === true ? 'password_stdin' : null;
  if (word !== null) throw new CommandError('usage', `with ${word} it is mounted alone: remora ${name}`);
}

/** Whether a process serves a mount there, though it may be known in another runtime directory only. */
async function isServed({ mountpoint }: MountCall, env: NodeJS.ProcessEnv, uid: number): Promise<boolean> {
  const mounts = await findFuseMounts();
  const path = await mountedPath(mountpoint, mounts);
  if ((await findDaemons(runtimeDirectory(env, uid), path)).length > 0) return true;
  const isThere = mounts.some((mount) => mount.mountpoint === path && isRemora(mount));
  return isThere && !(await isDeadMount(path));
}

/** Unmounts every mount of the user. */
export async function unmountAll(
  force: boolean,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: Tell,
): Promise<ExitName> {
  const rows = await listMounts(env, uid, Date.now());
  const unmountOne = (mountpoint: string): Promise<ExitName> =>
    unmount({ mountpoint, force }, env, uid, tell, new Progress(process.stderr)).then(
      () => 'ok',
      (error: unknown) => {
        const { exit, message } = failureOf(error);
        tell(message);
        return exit;
      },
    );
  const paths = rows.map(({ mountpoint }) => mountpoint);
  return firstFailure(await innerFirst(paths, unmountOne));
}

/** The results of `end` for each of `paths`, sorted as they are; a path waits for those within it. */
export async function innerFirst<R>(
  paths: readonly string[],
  end: (path: string) => Promise<R>,
): Promise<readonly R[]> {
  const ends = new Map<string, Promise<R>>();
  for (const path of paths.toReversed()) {
    const within = [...ends].filter(([each]) => each.startsWith(path + sep)).map(([, ended]) => ended);
    ends.set(
      path,
      Promise.all(within).then(() => end(path)),
    );
  }
  return (await Promise.all(ends.values())).toReversed();
}

const firstFailure = (exits: readonly ExitName[]): ExitName => exits.find((exit) => exit !== 'ok') ?? 'ok';

/** The results of `run` for each of `items`, in their order. */
async function someAtATime<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await run(item);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return results;
}
