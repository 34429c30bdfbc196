/**
 * Who speaks SSH where nobody has said: Remora itself, unless what is wanted takes the ssh program. What of that shows
 * only at the handshake (a server that offers nothing ssh2 knows, a host known by a certificate alone) leads to a
 * second try.
 */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { missingAlgorithms } from './algorithms.js';
import { whyByKeys } from './certificates.js';
import { ConnectError } from './errors.js';
import { foreignKey } from './openssh/keys.js';
import type { ConnectSettings, Surroundings } from './settings.js';

/** Why `settings` take the ssh program, in half a sentence ("because …"); null where they do not. */
export async function whyOpenSsh(
  settings: ConnectSettings,
  surroundings: Surroundings,
): Promise<string | null> {
  if (settings.sshCommand !== null) return 'ssh_command is given';
  const hosts = [settings, ...settings.route.hops];
  const foreign = await Promise.all(hosts.map((each) => foreignKey(each, surroundings)));
  const hasReadableKeys = foreign.every((key) => key === null);
  for (const each of hosts) {
    const reason =
      whyForSafety(each) ??
      missingAlgorithms(each) ??
      // It could not log in with the key that was named, so other ways to log in do not count.
      (hasReadableKeys
        ? ((await whyByWord(each, surroundings)) ?? (await whyByKeys(each, surroundings)))
        : null);
    if (reason !== null) return each === settings ? reason : `for ${each.originalHost}, ${reason}`;
  }
  return null;
}

/** What a host key is to be checked by, which the other transport would pass over. */
function whyForSafety({ knownHostsCommand, revokedHostKeys }: ConnectSettings): string | null {
  if (isGiven(knownHostsCommand)) return 'KnownHostsCommand is given';
  return isGiven(revokedHostKeys) ? 'RevokedHostKeys is given' : null;
}

async function whyByWord(settings: ConnectSettings, { environment }: Surroundings): Promise<string | null> {
  const { controlPath, controlMaster } = settings;
  if (controlPath !== null && controlMaster !== 'no') return `ControlMaster is ${controlMaster}`;
  if (controlPath !== null && (await isThere(controlPath))) return `ControlPath ${controlPath} is there`;
  if (isGiven(settings.pkcs11Provider)) return 'PKCS11Provider is given';
  if (settings.hostbasedAuthentication) return 'HostbasedAuthentication is on';
  if (settings.gssapiAuthentication && (await hasTicket(environment))) {
    return 'GSSAPIAuthentication is on and there is a ticket';
  }
  return null;
}

function isGiven(value: string | null): boolean {
  return value !== null && value.toLowerCase() !== 'none';
}

/** Whether the ssh program can take the way that `settings` want; of its own hops it can tell none of our proxies. */
export function knowsWay({ route: { hops, proxy } }: Pick<ConnectSettings, 'route'>): boolean {
  return hops.length === 0 || proxy === null || proxy.kind === 'command';
}

/** Why a failure of ssh2 would not be one of the ssh program; null where it would. */
export function whyAnother(error: unknown): string | null {
  if (!(error instanceof ConnectError)) return null;
  if (error.kind === 'host-certificate') return 'the host is known by a certificate';
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return error.kind === 'protocol' && /no matching/i.test(cause)
    ? 'the server offers no algorithm that the built-in transport knows'
    : null;
}

/** Whether `program` can be found as a process would be started. */
export async function hasProgram({ environment }: Surroundings, program = 'ssh'): Promise<boolean> {
  const directories = (environment.PATH ?? '/usr/bin:/bin').split(delimiter);
  const places = program.includes('/') ? [program] : directories.map((directory) => join(directory, program));
  const found = await Promise.all(places.map((place) => isThere(place, constants.X_OK)));
  return found.includes(true);
}

/** Kerberos's own default is a file in /tmp; a cache of another type (KEYRING:, KCM:) is asked by ssh alone. */
function hasTicket(environment: Surroundings['environment']): Promise<boolean> {
  const name = environment.KRB5CCNAME ?? `FILE:/tmp/krb5cc_${process.getuid?.() ?? 0}`;
  const [, file] = /^(?:FILE:)?(\/.*)$/.exec(name) ?? [];
  return file === undefined ? Promise.resolve(true) : isThere(file, constants.R_OK);
}

function isThere(path: string, mode = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
