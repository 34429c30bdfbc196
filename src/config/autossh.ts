/**
 * What autossh's users have set in their environment (autossh(1)), as far as a mount can honour it. A gate time in
 * seconds means nothing, since a first connection has come about or failed, with no time between. There is no port to
 * monitor and no ssh to start, so `AUTOSSH_PORT`, `AUTOSSH_PATH`, `AUTOSSH_FIRST_POLL` and the like mean nothing.
 */
import { resolve } from 'node:path';
import { OptionError } from './errors.js';

export interface Autossh {
  /** AUTOSSH_GATETIME of 0: a first connection that fails is tried again. */
  readonly connectRetry: boolean;
  /** AUTOSSH_MAXSTART: failed tries in a row after which nothing more is tried. */
  readonly reconnectMax: number | null;
  /** AUTOSSH_POLL: the longest pause between two tries, in seconds. */
  readonly longestPause: number | null;
  /** AUTOSSH_MAXLIFETIME: seconds after which the mount ends in order. */
  readonly maxLifetime: number | null;
  /** AUTOSSH_LOGFILE, absolute: the log of a mount in the background. */
  readonly logFile: string | null;
  /** AUTOSSH_PIDFILE, absolute: written when the mount is ready, removed when it has ended. */
  readonly pidFile: string | null;
  /** AUTOSSH_DEBUG, or an AUTOSSH_LOGLEVEL of 7. */
  readonly debug: boolean;
}

/** LOG_DEBUG (syslog(3)) */
const LOG_DEBUG = 7;

/**
 * @param directory that relative paths start from
 * @throws OptionError for a number that is none
 */
export function fromAutossh(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
): Autossh {
  const whole = (name: string): number | null => {
    const text = environment[name]?.trim() ?? '';
    if (text === '') return null;
    if (!/^-?\d{1,9}$/.test(text)) throw new OptionError(`${name}=${text} is not a whole number`);
    return Number(text);
  };
  // Zero and less mean "no bound", as without the variable.
  const bound = (name: string): number | null => {
    const value = whole(name);
    return value === null || value <= 0 ? null : value;
  };
  const file = (name: string) => (environment[name] ? resolve(directory, environment[name]) : null);
  return {
    connectRetry: whole('AUTOSSH_GATETIME') === 0,
    reconnectMax: bound('AUTOSSH_MAXSTART'),
    longestPause: bound('AUTOSSH_POLL'),
    maxLifetime: bound('AUTOSSH_MAXLIFETIME'),
    logFile: file('AUTOSSH_LOGFILE'),
    pidFile: file('AUTOSSH_PIDFILE'),
    debug: environment.AUTOSSH_DEBUG !== undefined || (whole('AUTOSSH_LOGLEVEL') ?? 0) >= LOG_DEBUG,
  };
}
