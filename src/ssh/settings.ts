/**
 * What a connection needs to know, and how it asks a person. The field names are those of the mount
 * options, so that the parsed options, with host, user and password added, are settings.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface ConnectSettings {
  /** Name or address as typed, without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** Name to log in with. */
  readonly user: string;
  /** The password of `password_stdin`, tried once; null to ask. */
  readonly password: string | null;
  /** Private key files; none means the ones ssh tries by default. */
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** A socket, `SSH_AUTH_SOCK`, `$NAME` of another variable, or `none`. */
  readonly identityAgent: string;
  readonly preferredAuthentications: readonly string[];
  readonly numberOfPasswordPrompts: number;
  readonly batchMode: boolean;
  readonly strictHostKeyChecking: 'ask' | 'yes' | 'accept-new' | 'no' | 'off';
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  readonly hostKeyAlias: string | null;
  /** Seconds for connecting and logging in, prompts not counted. */
  readonly connectTimeout: number;
  /** Seconds; 0 turns keepalives off. */
  readonly serverAliveInterval: number;
  readonly serverAliveCountMax: number;
  readonly compression: boolean;
  /** A subsystem name, or a command when it holds a slash or a space. */
  readonly sftpServer: string;
}

/** How a connection asks and tells a person. A rejected answer (Ctrl-C, end of input) ends the attempt. */
export interface Prompter {
  /** Asks without echo. */
  secret(question: string): Promise<string>;
  /** Asks with echo. */
  confirm(question: string): Promise<string>;
  info(message: string): void;
  /** False where nobody can answer; then nothing is asked. */
  readonly interactive: boolean;
}

/** What of the process a connection looks at. */
export interface Surroundings {
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function processSurroundings(): Surroundings {
  return { home: homedir(), environment: process.env };
}

/** `path` with a leading `~` replaced by the home directory. */
export function expandHome(path: string, home: string): string {
  if (path === '~') return home;
  return path.startsWith('~/') ? join(home, path.slice(2)) : path;
}
