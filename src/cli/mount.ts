/**
 * `remora host: mountpoint`: everything that can be judged here is judged here (the arguments, the mount
 * point), then the serving process takes over and this side only lends it the terminal.
 */

import { printable } from '../base/printable.js';
import { fromAutossh } from '../config/autossh.js';
import { parseOptions } from '../config/parse.js';
import { type FuseMount, findFuseMounts } from '../fuse/mount/mounts.js';
import type { MountArguments } from './arguments.js';
import { type Asker, findAsker } from './asker.js';
import { runDaemon } from './daemon-process.js';
import { ensurePrivateDirectory, runtimeDirectory } from './directories.js';
import { isRemora } from './discover.js';
import { doctorHint } from './doctor/hint.js';
import { CommandError, type ExitName } from './exit.js';
import { checkMountpoint, mountedPath } from './mountpoint.js';
import { processPlace, resolveTarget } from './resolve.js';
import { atPlace, detachDead } from './stale.js';

/** Longest password that standard input may carry, in bytes; PAM takes less. */
const PASSWORD_MAX = 4096;

/** The first line of `input` without its end. */
export async function readPassword(input: AsyncIterable<Buffer | string>): Promise<string> {
  let text = Buffer.alloc(0);
  for await (const chunk of input) {
    text = Buffer.concat([text, Buffer.from(chunk)]);
    if (text.includes('\n') || text.length > PASSWORD_MAX) break;
  }
  const [line = ''] = text.toString('utf8').split(/\r?\n/, 1);
  if (line === '' || Buffer.byteLength(line) > PASSWORD_MAX) {
    throw new CommandError('usage', 'password_stdin: standard input holds no password on its first line');
  }
  return line;
}

export async function askPassword(asker: Asker | null): Promise<string> {
  if (process.stdin.isTTY && asker !== null) {
    return asker.secret('Password: ').finally(() => asker.release());
  }
  return readPassword(process.stdin);
}

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

export async function mount(
  args: MountArguments,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: (text: string) => void,
): Promise<ExitName> {
  const parsed = parseOptions(args.options);
  const autossh = fromAutossh(env, process.cwd());
  const resolved = await resolveTarget(args.target, parsed, processPlace(env));
  const { target, settings, note } = resolved;
  const { reconnectMax = autossh.reconnectMax ?? resolved.options.reconnectMax } = parsed.given;
  const { connectRetry = autossh.connectRetry } = parsed.given;
  const options = { ...resolved.options, reconnectMax, connectRetry };
  if (args.verbose) tell(printable(note));

  await clearPlace(args.mountpoint, env, uid, args.verbose ? tell : () => {});
  const isMounted = among(await findFuseMounts());
  const mountpoint = await checkMountpoint(args.mountpoint, options.nonempty, isMounted);
  const asker = options.batchMode || options.passive ? null : findAsker(env);
  const password = options.passwordStdin ? await askPassword(asker) : null;
  const job = {
    target,
    source: args.target,
    mountpoint,
    options,
    settings: { ...settings, password },
    interactive: asker !== null,
    foreground: args.foreground || options.passive,
    autossh,
  };
  const { verbose } = args;
  const debug = args.debug || autossh.debug;
  const ending = await runDaemon(job, { env, uid, debug, verbose, asker, tell });
  if (ending.text !== '') tell(ending.text + doctorHint(ending.exit, args.target));
  return ending.exit;
}
