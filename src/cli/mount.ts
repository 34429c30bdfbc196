/**
 * `remora host: mountpoint`: everything that can be judged here is judged here (the arguments, the mount
 * point), then the serving process takes over and this side only lends it the terminal.
 */
import { fromAutossh } from '../config/autossh.js';
import type { MountArguments } from './arguments.js';
import { type Asker, findAsker } from './asker.js';
import { runDaemon } from './daemon-process.js';
import { doctorHint } from './doctor/hint.js';
import { driverOf } from './drivers.js';
import { CommandError, type ExitName, failureOf } from './exit.js';
import { prepareJob } from './job.js';
import { type MountCall, readConfiguration, understandMount } from './named.js';

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

export interface MountManner {
  readonly foreground: boolean;
  readonly debug: boolean;
  readonly verbose: boolean;
  /** Whom to ask; null where there is nobody. */
  readonly asker: () => Asker | null;
}

/** What was typed, with what the configuration files say of it. */
export async function mount(
  args: MountArguments,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: (text: string) => void,
): Promise<ExitName> {
  const call = understandMount(args, await readConfiguration(env, uid), env);
  return mountCall(call, { ...args, asker: () => findAsker(env) }, env, uid, tell).catch((error: unknown) => {
    const { exit, message } = failureOf(error);
    throw new CommandError(exit, message + doctorHint(exit, call.source), { cause: error });
  });
}

export async function mountCall(
  call: MountCall,
  manner: MountManner,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: (text: string) => void,
): Promise<ExitName> {
  const { source, parsed } = call;
  const autossh = fromAutossh(env, process.cwd());
  const { mountpoint, isNamed } = call;
  const wish = { source, mountpoint, isNamed, parsed, autossh, verbose: manner.verbose };
  const prepared = await prepareJob(wish, env, uid, tell);
  const { options, settings } = prepared;
  const asker = options.batchMode || options.passive ? null : manner.asker();
  const password = options.passwordStdin ? await askPassword(asker) : null;
  const foreground = manner.foreground || options.passive;
  const job = {
    ...prepared,
    settings: { ...settings, password },
    interactive: asker !== null,
    foreground,
    attached: foreground,
  };
  const verbose = manner.verbose || options.verbose;
  const debug = manner.debug || autossh.debug || options.debugLog;
  const ending = await runDaemon(job, { env, uid, debug, verbose, asker, tell });
  if (ending.text !== '') tell(ending.text + doctorHint(ending.exit, source, driverOf(options)));
  return ending.exit;
}
