/**
 * The command line of the ssh program. It reads its configuration for itself, so it is given what the person gave;
 * before that comes what a mount needs in any case (of an option that is given twice, ssh takes the first), and
 * behind it Remora's own defaults, which are resolved by then.
 */
import type { ConnectSettings } from '../settings.js';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

export type CommandSettings = Pick<
  ConnectSettings,
  | 'sshCommand'
  | 'configFile'
  | 'sshOptions'
  | 'originalHost'
  | 'sftpServer'
  | 'strictHostKeyChecking'
  | 'connectTimeout'
  | 'serverAliveInterval'
  | 'serverAliveCountMax'
>;

/** No terminal, no forwarding, no command of the configuration's own. */
const ALWAYS = [
  '-x',
  '-a',
  '-T',
  '-oClearAllForwardings=yes',
  '-oRemoteCommand=none',
  '-oPermitLocalCommand=no',
];

/**
 * @param asks somebody or something can answer ssh's questions
 * @param proxyCommand the way there, where ssh would not find it by itself
 */
export function sshCommandLine(
  settings: CommandSettings,
  asks: boolean,
  proxyCommand: string | null = null,
): Command {
  const { configFile, sshOptions, originalHost, sftpServer, strictHostKeyChecking } = settings;
  // A changed key is refused even then, as by the other transport.
  const takesAnyKey = strictHostKeyChecking === 'no' || strictHostKeyChecking === 'off';
  const [file = 'ssh', ...words] = splitCommand(settings.sshCommand ?? 'ssh');
  const defaults = {
    ConnectTimeout: settings.connectTimeout,
    ServerAliveInterval: settings.serverAliveInterval,
    ServerAliveCountMax: settings.serverAliveCountMax,
  };
  const options = [...sshOptions, ...Object.entries(defaults).map(([name, value]) => `${name}=${value}`)];
  return {
    file,
    args: [
      ...words,
      ...ALWAYS,
      `-oBatchMode=${asks ? 'no' : 'yes'}`,
      ...(takesAnyKey ? ['-oStrictHostKeyChecking=accept-new'] : []),
      ...(proxyCommand === null ? [] : ['-oProxyUseFdpass=no', `-oProxyCommand=${proxyCommand}`]),
      ...(configFile === null ? [] : ['-F', configFile]),
      ...options.flatMap((option) => ['-o', option]),
      ...(isCommand(sftpServer) ? [] : ['-s']),
      '--',
      originalHost,
      sftpServer,
    ],
  };
}

/** Words are separated by spaces, and `\ ` is a space within a word: the rule of sshfs, with no shell. */
export function splitCommand(command: string): string[] {
  return (command.match(/(?:\\ |[^ ])+/g) ?? []).map((word) => word.replaceAll('\\ ', ' '));
}

/** Whether `sftp_server` names a command, by the rule of sshfs. */
export function isCommand(sftpServer: string): boolean {
  return /[/ ]/.test(sftpServer);
}
