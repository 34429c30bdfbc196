/**
 * What a connection needs to know, and how it asks a person. The field names are those of the mount
 * options, so that the parsed options, with host, user and password added, are settings.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Route } from './route.js';

export interface ConnectSettings {
  /** Name or address to connect to, without the brackets of an IPv6 address. */
  readonly host: string;
  /** The host as it was typed, which may be an alias of ssh_config. */
  readonly originalHost: string;
  readonly port: number;
  /** Name to log in with. */
  readonly user: string;
  /** The password of `password_stdin`, tried once; null to ask. */
  readonly password: string | null;
  readonly transport: 'auto' | 'ssh2' | 'openssh';
  /** The program to run for ssh, with arguments separated by spaces; null for `ssh`. */
  readonly sshCommand: string | null;
  /** An SFTP server that is reached without SSH. */
  readonly directPort: number | null;
  /** SFTP is spoken over standard input and output. */
  readonly passive: boolean;
  readonly route: Route;
  readonly addressFamily: 'any' | 'inet' | 'inet6';
  readonly bindAddress: string | null;
  readonly bindInterface: string | null;
  readonly tcpKeepAlive: boolean;
  /** Private key files; no entry means the ones ssh tries by default, the entry `none` no file. */
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Certificates for those keys, which only the `ssh` program can use. */
  readonly certificateFiles: readonly string[];
  /** A socket, `SSH_AUTH_SOCK`, `$NAME` of another variable, or `none`. */
  readonly identityAgent: string;
  /** The ways to log in that may be tried, in their order. */
  readonly preferredAuthentications: readonly string[];
  readonly numberOfPasswordPrompts: number;
  readonly batchMode: boolean;
  readonly gssapiAuthentication: boolean;
  readonly hostbasedAuthentication: boolean;
  readonly pkcs11Provider: string | null;
  readonly securityKeyProvider: string | null;
  readonly controlMaster: 'no' | 'yes' | 'ask' | 'auto' | 'autoask';
  readonly controlPath: string | null;
  readonly strictHostKeyChecking: 'ask' | 'yes' | 'accept-new' | 'no' | 'off';
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  readonly hostKeyAlias: string | null;
  readonly checkHostIp: boolean;
  readonly hashKnownHosts: boolean;
  readonly knownHostsCommand: string | null;
  readonly revokedHostKeys: string | null;
  /** Algorithms to offer, best first, by ssh's names; no entry leaves them to the transport. */
  readonly ciphers: readonly string[];
  readonly kexAlgorithms: readonly string[];
  readonly macs: readonly string[];
  readonly hostKeyAlgorithms: readonly string[];
  readonly pubkeyAcceptedAlgorithms: readonly string[];
  /** Seconds for connecting and logging in, prompts not counted. */
  readonly connectTimeout: number;
  /** Seconds; 0 turns keepalives off. */
  readonly serverAliveInterval: number;
  readonly serverAliveCountMax: number;
  readonly compression: boolean;
  /** A subsystem name, or a command when it holds a slash or a space. */
  readonly sftpServer: string;
  /**
   * What the ssh program is told of `originalHost`, since it reads the configuration for itself: `-F`, and the values
   * of `-o` as they were given, with the User that the source names.
   */
  readonly configFile: string | null;
  readonly sshOptions: readonly string[];
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
  /** Is told of each attempt to log in, before its outcome is known. */
  readonly tried?: (attempt: LoginAttempt) => void;
}

export interface LoginAttempt {
  /** As the server names it (RFC 4252, section 5). */
  readonly method: string;
  /** The public key that is offered, as on the wire; null for another method. */
  readonly key: Buffer | null;
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
