/** Where PuTTY on Linux keeps sessions and host keys, and how it names the files: the rules, and the reading. */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OptionError } from './errors.js';
import { nearest } from './nearest.js';
import { completeOptions, type ParsedOptions } from './parse.js';
import { formatJump } from './proxy-jump.js';
import { type PuttySession, parsePuttySession } from './putty-session.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** A source of the form `putty:SESSION:[dir]`. */
export interface PuttyTarget {
  readonly session: string;
  /** As typed. */
  readonly directory: string;
}

export interface FoundPuttySession extends PuttySession {
  /** PuTTY's own known host keys; it may not exist. */
  readonly hostKeysFile: string;
}

/** Null for any other source. */
export function parsePuttyTarget(source: string): PuttyTarget | null {
  const match = /^putty:([^:]+):(.*)$/s.exec(source);
  return match === null ? null : { session: match[1] ?? '', directory: match[2] ?? '' };
}

/** The name of a session's file: all but the plainest bytes as `%XX`. */
export function sessionFileName(session: string): string {
  return [...Buffer.from(session, 'utf8')]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9+@._-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** The session of a file; null for a file that is none. */
export function sessionOfFile(name: string): string | null {
  try {
    return decodeURIComponent(name);
  } catch {
    return null;
  }
}

/** PuTTY's own directories, the first that is there counts; with `PUTTYDIR` only that one. */
export function puttyDirectories(environment: Environment, home: string): string[] {
  const { PUTTYDIR, XDG_CONFIG_HOME } = environment;
  if (PUTTYDIR) return [PUTTYDIR];
  return [join(XDG_CONFIG_HOME || join(home, '.config'), 'putty'), join(home, '.putty')];
}

/**
 * Reads a session by its name.
 * @throws OptionError that says which sessions are meant or where they were looked for
 */
export async function readPuttySession(
  session: string,
  environment: Environment,
  home: string,
): Promise<FoundPuttySession> {
  const directory = await firstThere(puttyDirectories(environment, home));
  const sessions = environment.PUTTYSESSIONS || join(directory, 'sessions');
  const file = sessionFileName(session);
  const text = await readFile(join(sessions, file), 'utf8').catch(() => null);
  if (text === null || file === '.' || file === '..') throw await missing(session, sessions);
  const hostKeysFile = environment.PUTTYSSHHOSTKEYS || join(directory, 'sshhostkeys');
  return { ...parsePuttySession(text, session), hostKeysFile };
}

/**
 * The session as if its words had been given as options: the ones that are given count before them. A proxy that is
 * reached over a socket is no option, but a part of the way.
 */
export function sessionOptions(session: FoundPuttySession): ParsedOptions['given'] {
  const { port, user, identityFile, compression, proxy, hostKeysFile } = session;
  return {
    port,
    compression,
    ...(user === null ? {} : { user }),
    // A percent sign is one here, and the beginning of a token there.
    ...(identityFile === null ? {} : { identityFiles: [identityFile.replaceAll('%', '%%')] }),
    ...(proxy?.kind === 'jump' ? { proxyJump: formatJump(proxy) } : {}),
    ...(proxy?.kind === 'command' ? { proxyCommand: proxy.command } : {}),
    globalKnownHostsFiles: [...completeOptions({}).globalKnownHostsFiles, hostKeysFile],
  };
}

/** What the ssh program is to be told of the session, as values of `-o`, where `given` does not say otherwise. */
export function sessionWords(session: FoundPuttySession, given: ParsedOptions['given']): string[] {
  const { identityFiles: [key] = [], proxyJump, proxyCommand } = sessionOptions(session);
  return [
    ...(key === undefined || given.identityFiles !== undefined ? [] : [`IdentityFile="${key}"`]),
    ...(session.compression && given.compression === undefined ? ['Compression=yes'] : []),
    ...(proxyJump ? [`ProxyJump=${proxyJump}`] : []),
    ...(proxyCommand ? [`ProxyCommand=${proxyCommand}`] : []),
  ];
}

async function firstThere(directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    const isThere = await access(directory).then(
      () => true,
      () => false,
    );
    if (isThere) return directory;
  }
  return directories[0] ?? '';
}

async function missing(session: string, directory: string): Promise<OptionError> {
  const files = await readdir(directory).catch((): string[] => []);
  const names = files.flatMap((file) => sessionOfFile(file) ?? []);
  const meant = nearest(session, names);
  const hint = meant === null ? '' : `; did you mean '${meant}'?`;
  return new OptionError(`there is no PuTTY session '${session}' in ${directory}${hint}`);
}
