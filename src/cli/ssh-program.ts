/** Asking the ssh program, without a shell, what its configuration says of a host. */
import { execFile } from 'node:child_process';
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import type { Jump } from '../config/proxy-jump.js';
import { parseSshDump, type SshDump } from '../config/ssh-config.js';
import { CommandError } from './exit.js';

const log = logger('ssh-config');

/** Milliseconds that ssh may take, which may run commands (Match exec) and ask name servers. */
const TIMEOUT = 30_000;

/** Characters of output that are read; what ssh prints is some 5,000. */
const MAX_OUTPUT = 2 ** 20;

export interface SshQuestion {
  /** `-F`; null for ssh's own choice. */
  readonly configFile: string | null;
  /** Values of `-o`. */
  readonly options: readonly string[];
  readonly destination: Jump;
}

/** ssh refuses to work for a user without an account, as containers have them; nobody's ssh_config counts then. */
const NO_ACCOUNT = /^No user exists for uid /;

/**
 * What `ssh -G` says; null where there is no ssh that could be asked.
 * @throws CommandError 'usage' with what ssh complains about, 'failure' when it does not answer
 */
export function askSsh(
  question: SshQuestion,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<SshDump | null> {
  const { configFile, options, destination } = question;
  const { user, host, port } = destination;
  const args = [
    '-T',
    '-G',
    ...(configFile === null ? [] : ['-F', configFile]),
    ...options.flatMap((option) => ['-o', option]),
    ...(user === null ? [] : ['-l', user]),
    ...(port === null ? [] : ['-p', String(port)]),
    '--',
    host,
  ];
  log('ssh %o', args);
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const settings = {
      env: { ...environment },
      timeout: TIMEOUT,
      maxBuffer: MAX_OUTPUT,
      encoding: 'utf8',
    } as const;
    const child = execFile('ssh', args, settings, (error, stdout, stderr) => {
      log('ssh took %d ms, and says: %s', Math.round(performance.now() - started), printable(stderr, true));
      if (error === null) resolve(parseSshDump(stdout));
      else if (error.code === 'ENOENT' || NO_ACCOUNT.test(stderr)) resolve(null);
      else if (error.killed === true) reject(new CommandError('failure', late(host)));
      else reject(new CommandError('usage', complaint(stderr, host), { cause: error }));
    });
    child.stdin?.end();
  });
}

function late(host: string): string {
  return `ssh -G ${printable(host)} did not answer within ${TIMEOUT / 1000} s: see Match exec in ssh_config`;
}

/** The first thing ssh says, which has the file and the line where it is about one. */
function complaint(stderr: string, host: string): string {
  const [first = 'it says nothing'] = stderr.split(/\r?\n/).filter((line) => line.trim() !== '');
  return `ssh cannot tell how to reach ${printable(host)}: ${printable(first).replace(/\.$/, '')}`;
}
