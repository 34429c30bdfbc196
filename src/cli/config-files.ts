/**
 * The configuration files there are: the user's, then the machine's. A file that somebody else may change could make
 * Remora run commands (ProxyCommand, ssh_command), so it is refused rather than passed over.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConfigFile, parseConfigFile } from '../config/file.js';
import { CommandError } from './exit.js';

const MACHINE_FILE = '/etc/remora/config.toml';

/** Longest file that is read, in bytes. */
const MAX_SIZE = 2 ** 20;

/** Where the files may be, those that count first in front. */
export function configPaths(env: NodeJS.ProcessEnv): readonly string[] {
  const home = env.HOME || homedir();
  const base = env.XDG_CONFIG_HOME?.startsWith('/') ? env.XDG_CONFIG_HOME : join(home, '.config');
  return [join(base, 'remora', 'config.toml'), MACHINE_FILE];
}

/**
 * The files of `paths` that exist.
 * @throws OptionError for what is wrong in one, CommandError `usage` for one that cannot be read or trusted
 */
export async function readConfigFiles(paths: readonly string[], uid: number): Promise<readonly ConfigFile[]> {
  const files = await Promise.all(paths.map((path) => readConfigFile(path, uid)));
  return files.filter((file) => file !== null);
}

async function readConfigFile(path: string, uid: number): Promise<ConfigFile | null> {
  // Opening must not wait, whatever stands at the path.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw refusal(path, `cannot be read (${error.code})`);
    },
  );
  if (handle === null) return null;
  try {
    // Of the open file, so that what is judged is what is read.
    const stats = await handle.stat();
    const { uid: owner, mode, size } = stats;
    if (!stats.isFile()) throw refusal(path, 'is not a file');
    if (owner !== uid && owner !== 0) throw refusal(path, 'belongs to another user, so it is not used');
    if ((mode & 0o022) !== 0)
      throw refusal(path, `can be changed by others, so it is not used: chmod go-w ${path}`);
    if (size > MAX_SIZE) throw refusal(path, 'is too long for a configuration');
    return parseConfigFile(await handle.readFile('utf8'), path, (mode & 0o077) === 0);
  } finally {
    await handle.close();
  }
}

const refusal = (path: string, what: string) => new CommandError('usage', `${path} ${what}`);
