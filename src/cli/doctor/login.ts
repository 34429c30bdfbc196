/** Logging in to a server as a mount does, with the same transport, and the reason where that fails. */

import { quoted } from '../../base/shell.js';
import { Access } from '../../ssh/access.js';
import { type Connection, connect } from '../../ssh/connection.js';
import { ConnectError, LoginError } from '../../ssh/errors.js';
import type { ConnectSettings, LoginAttempt, Prompter } from '../../ssh/settings.js';
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import { BY_PROGRAM } from './handshake.js';
import { checkOf } from './hint.js';
import { type Keyring, readKeyring } from './keys.js';
import { type Evidence, explainRefusal, keyFindings, keysOf, originOf, SERVER_LOG } from './refusal.js';
import type { Station } from './station.js';

async function login(station: Station): Promise<Found[]> {
  const { subject, settings, isLast } = station;
  const isByProgram = subject.speaker === 'openssh';
  if (isByProgram && !isLast) return [skipped(BY_PROGRAM)];
  const keyring = await readKeyring(settings, subject.surroundings, subject.speaker);
  const attempts: LoginAttempt[] = [];
  station.login = { attempts, keyring };
  try {
    const password = isLast ? await subject.password() : null;
    const watching = watched(subject.prompter, (attempt) => void attempts.push(attempt));
    const given = { ...settings, password };
    if (isByProgram && password !== null) attempts.push({ method: 'password', key: null });
    station.connection = await enter(station, given, watching);
  } catch (error) {
    const isAboutSftp = error instanceof ConnectError && error.kind === 'subsystem';
    if (isByProgram && isAboutSftp) {
      subject.noSftp = error;
      return [...keyFindings(evidenceOf(station, null), 'warning'), ok(`${settings.user} is let in`)];
    }
    return refused(station, error, attempts, keyring);
  }
  if (settings.directPort !== null) return [ok('nobody logs in (directport)')];
  const local = keyFindings(evidenceOf(station, null), 'warning');
  if (isByProgram) return [...local, ok(`${settings.user} is let in, by the ssh program`)];
  const last = attempts.at(-1);
  const what = last?.key
    ? `with the key ${originOf(last.key, keyring)}`
    : `with ${last?.method ?? 'nothing at all'}`;
  const before = keysOf(attempts.slice(0, -1)).map((key) => {
    const why = 'the server does not know it, and counts each that is tried (MaxAuthTries)';
    return warning(`not with the key ${originOf(key, keyring)}`, why, '-o IdentitiesOnly=yes');
  });
  return [...local, ...before, ok(`${settings.user} is let in ${what}`)];
}

async function enter(
  { subject, hop }: Station,
  settings: ConnectSettings,
  prompter: Prompter,
): Promise<Connection> {
  const { surroundings } = subject;
  if (subject.speaker === 'openssh') return connect(unchanging(settings), prompter, surroundings);
  if (settings.directPort !== null) return connect(settings, prompter, surroundings);
  return (await Access.first(settings, surroundings, hop)).enter(prompter);
}

/**
 * For the ssh program: it reads the configuration for itself, of which the first value of a word counts, and is to
 * leave neither a host key nor a shared connection behind. (With no file at all it could not take a new key.)
 */
export function unchanging(settings: ConnectSettings): ConnectSettings {
  const files = settings.globalKnownHostsFiles
    .filter((file) => file !== 'none')
    .map((file) => (/\s/.test(file) ? `"${file}"` : file));
  const sshOptions = [
    'UserKnownHostsFile=/dev/null',
    `GlobalKnownHostsFile=${files.join(' ') || 'none'}`,
    'UpdateHostKeys=no',
    'ControlMaster=no',
    ...settings.sshOptions,
  ];
  return { ...settings, transport: 'openssh', sshOptions };
}

function evidenceOf(station: Station, accepted: readonly string[] | null): Evidence {
  const { subject, settings, there } = station;
  const { user, batchMode } = settings;
  if (station.login === null) throw new Error('nobody has tried to log in');
  return {
    ...station.login,
    accepted,
    interactive: subject.prompter.interactive && !batchMode,
    user,
    home: subject.place.local.home,
    there,
    now: Date.now(),
    command: (program, options) => station.command(program, options),
  };
}

/** Why nobody was let in. */
function refused(
  station: Station,
  error: unknown,
  attempts: readonly LoginAttempt[],
  keyring: Keyring,
): Found[] {
  const message = error instanceof Error ? error.message : String(error);
  if (station.subject.speaker !== 'openssh') {
    if (error instanceof LoginError) return explainRefusal(evidenceOf(station, error.accepted));
    return [brokenOff(error, message, station, attempts, keyring)];
  }
  const isRefusal =
    error instanceof ConnectError && (error.kind === 'authentication' || error.kind === 'key-file');
  if (!isRefusal || /Too many authentication failures/.test(message)) {
    return [brokenOff(error, message, station, attempts, keyring)];
  }
  const token = keyring.files.find(({ isOnToken }) => isOnToken);
  if (token !== undefined && /sign_and_send_pubkey|device not found/i.test(message)) {
    const why = `the server knows the key ${token.path}, and the token that has it did not sign: it is not plugged in, or was not touched; what is plugged in:`;
    return [{ ...failure(message, why, 'fido2-token -L'), id: 'key-token' }];
  }
  const accepted = error instanceof LoginError ? error.accepted : null;
  const hop = error instanceof LoginError ? refusingHop(error, station) : null;
  if (hop !== null) {
    const what = `${hop.name}, on the way, does not let ${hop.settings.user} in: ${message}`;
    return [failure(what, SERVER_LOG, hop.command())];
  }
  const evidence = evidenceOf(station, accepted);
  const takesKeys = accepted === null || accepted.includes('publickey');
  const offered = takesKeys ? presumed(keyring, station.settings) : [];
  return explainRefusal({ ...evidence, attempts: [...offered, ...attempts] });
}

/** The server before this one that the ssh program was refused by. */
function refusingHop({ onTheWay }: LoginError, { subject }: Station): Station | null {
  const found = subject.stations.find(({ settings: { user, host }, isLast }) => {
    return !isLast && user === onTheWay?.user && host === onTheWay.host;
  });
  return found ?? null;
}

/** The ssh program does not tell what it offers: what it would. */
function presumed({ files, held, certificates }: Keyring, settings: ConnectSettings): LoginAttempt[] {
  const offered = (key: Buffer): LoginAttempt => ({ method: 'publickey', key });
  const own = files.flatMap(({ state, blob }) => (state === 'usable' && blob !== null ? [blob] : []));
  const others = settings.identitiesOnly ? [] : held;
  // A certificate goes with a key, and is what the server would have let in.
  return certificates.length > 0 ? [] : [...own, ...others].map(offered);
}

/** Why the login came to no answer. What went wrong on the way, through proxies and hops, is named as such. */
function brokenOff(
  error: unknown,
  message: string,
  station: Station,
  attempts: readonly LoginAttempt[],
  { files }: Keyring,
): Found {
  if (/too many authentication failures/i.test(message)) {
    const tried = attempts.length === 0 ? 'too many' : String(attempts.length);
    const why = `${tried} attempts were made, and the server permits no more (MaxAuthTries): name the right key`;
    const key = files[0]?.path ?? '~/.ssh/id_ed25519';
    return failure(message, why, `-o IdentitiesOnly=yes -i ${quoted(key)}`);
  }
  const [, what, offer] = /no matching (.+?) found\. Their offer: (\S+?)(?:,|$)/.exec(message) ?? [];
  const keyword = KEYWORDS[what ?? ''];
  if (keyword !== undefined) {
    const why = `see ${keyword} of ssh_config and sshd_config`;
    return { ...failure(message, why, `-o ${keyword}=+${offer}`), id: 'key-exchange' };
  }
  const removal = /(ssh-keygen -f '[^']+' -R '[^']+')/.exec(message)?.[1];
  const id = error instanceof ConnectError ? (checkOf(error.kind) ?? 'login') : 'login';
  const isKey = error instanceof ConnectError && error.kind === 'host-key-unknown';
  const ask = isKey ? station.command('ssh', ' -o StrictHostKeyChecking=ask') : null;
  return { ...failure(message, SERVER_LOG, removal ?? ask ?? station.command('ssh', ' -vvv')), id };
}

/** What ssh calls the lists of ssh_config. */
const KEYWORDS: Readonly<Record<string, string>> = {
  'key exchange method': 'KexAlgorithms',
  'host key type': 'HostKeyAlgorithms',
  cipher: 'Ciphers',
  MAC: 'MACs',
};

/** A prompter's methods, which need their object, and what is tried. */
function watched(prompter: Prompter, tried: (attempt: LoginAttempt) => void): Prompter {
  return {
    interactive: prompter.interactive,
    secret: (question) => prompter.secret(question),
    confirm: (question) => prompter.confirm(question),
    info: (message) => prompter.info(message),
    tried,
  };
}

export const LOGIN_CHECK: Check<Station> = {
  id: 'login',
  title: 'login',
  needs: ['transport', 'tcp', 'proxy', 'banner', 'key-exchange', 'host-key', 'login'],
  deadline: null,
  run: login,
};
