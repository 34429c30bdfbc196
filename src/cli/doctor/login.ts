/**
 * Logging in as a mount does, and from what was tried, what the server takes and what keys there are, the reason why
 * it lets nobody in. The reasoning is a pure function over that evidence.
 */
import { connect } from '../../ssh/connection.js';
import { ConnectError, LoginError } from '../../ssh/errors.js';
import { fingerprint, keyTypeLabel, keyTypeOf } from '../../ssh/known-hosts.js';
import type { LoginAttempt } from '../../ssh/settings.js';
import { type Check, type Found, failure, ok, warning } from './finding.js';
import { checkOf } from './hint.js';
import { type HostCase, quoted } from './host-case.js';
import { type Keyring, type LocalKey, readKeyring } from './keys.js';

/** What a login has shown. */
export interface Login {
  readonly attempts: readonly LoginAttempt[];
  readonly keyring: Keyring;
}

export interface Evidence extends Login {
  /** Methods that the server would have taken; null where that is not known. */
  readonly accepted: readonly string[] | null;
  /** Somebody can be asked. */
  readonly interactive: boolean;
  readonly user: string;
  /** The home directory of this side. */
  readonly home: string;
  /** `ssh -p 2222 bob@host`, and the same for another program with further options. */
  command(program?: string, options?: string): string;
}

const SERVER_LOG =
  'the server says why in its log: sudo journalctl -u ssh, /var/log/auth.log or /var/log/secure';
const MODES =
  'there, neither the home directory nor ~/.ssh nor authorized_keys may be writable by group or others (775 and 770 are wrong, 755 and 700 right)';

/** Where a key that was offered comes from. */
export function originOf(key: Buffer, { files, held }: Keyring): string {
  const file = files.find(({ blob }) => blob?.equals(key));
  const isHeld = held.some((each) => each.equals(key));
  const from = file === undefined ? 'the agent' : isHeld ? `${file.path} and the agent` : file.path;
  return `${keyTypeLabel(keyTypeOf(key))} ${fingerprint(key)} from ${from}`;
}

const keysOf = (attempts: readonly LoginAttempt[]) => attempts.flatMap(({ key }) => key ?? []);

/** What is wrong with key files of this side, in the order in which they would be tried. */
export function keyFindings(evidence: Evidence, verdict: 'failure' | 'warning'): Found[] {
  const { files, open } = evidence.keyring;
  const directories = open.map(({ path, mode }): Found => {
    const what = `others may write to ${path} (mode ${mode.toString(8)})`;
    return {
      ...warning(what, 'they could exchange the keys in it', `chmod go-w ${quoted(path)}`),
      id: 'key-directory',
    };
  });
  return [...files.flatMap((key) => keyFinding(key, evidence, verdict) ?? []), ...directories];
}

/** Null for a key that is as it should be. */
function keyFinding(key: LocalKey, evidence: Evidence, verdict: 'failure' | 'warning'): Found | null {
  const { keyring, interactive } = evidence;
  const path = quoted(key.path);
  const make = verdict === 'failure' ? failure : warning;
  switch (key.state) {
    case 'usable':
      return null;
    case 'exposed': {
      const why = 'a private key is for its owner alone: ssh ignores one that others can read';
      return { ...make(key.problem, why, `chmod 600 ${path}`), id: 'key-permissions' };
    }
    case 'missing': {
      // A configuration for several machines may name files that only some of them have.
      const hasOther = keyring.files.some(({ state }) => state === 'usable') || keyring.held.length > 0;
      const why = 'IdentityFile or -i names a file that is not there';
      const remedy = `ssh-keygen -t ed25519 -f ${path}`;
      return { ...(hasOther ? warning : make)(key.problem, why, remedy), id: 'key-missing' };
    }
    case 'locked': {
      if (interactive || keyring.held.some((each) => key.blob?.equals(each))) return null;
      const why = 'there is nobody to ask for its passphrase, and no agent holds it';
      return { ...make(key.problem, why, `ssh-add ${path}`), id: 'key-locked' };
    }
    case 'mismatched': {
      const why = 'so the server may have been given the public half of another key';
      const remedy = `ssh-keygen -y -f ${path} > ${quoted(`${key.path}.pub`)}`;
      return { ...make(key.problem, why, remedy), id: 'key-mismatch' };
    }
    case 'unusable':
      return { ...make(key.problem, null, `ssh-keygen -y -f ${path}`), id: 'key-unusable' };
  }
}

/** Why nobody was let in; the likeliest first. */
export function explainRefusal(evidence: Evidence): Found[] {
  const { accepted, attempts, keyring, user, command } = evidence;
  const takesKeys = accepted === null || accepted.includes('publickey');
  const local = keyFindings(evidence, takesKeys ? 'failure' : 'warning');
  const offered = keysOf(attempts);
  const said = attempts.some(({ method }) => method === 'password' || method === 'keyboard-interactive');
  const takes = accepted === null ? '' : `; the server takes ${accepted.join(', ') || 'nothing'}`;

  if (said && offered.length > 0) {
    const what = `neither the keys nor the password of ${user} are accepted${takes}`;
    const why = `there is no such user, or it may not log in (AllowUsers, DenyUsers, a shell that is not in /etc/shells), or the password is wrong; ${SERVER_LOG}`;
    return [
      ...local,
      { ...failure(what, why, 'on the server: sudo journalctl -u ssh -n 50'), id: 'account' },
    ];
  }
  if (said) {
    const why = `it is mistyped, or ${user} does not exist there or may not log in (AllowUsers); ${SERVER_LOG}`;
    const what = `the password of ${user} is not accepted${takes}`;
    return [{ ...failure(what, why, `on the server: sudo passwd ${user}`), id: 'password' }, ...local];
  }
  if (offered.length > 0) {
    const shown = offered.map((key) => originOf(key, keyring)).join('; ');
    const what = `the server knows none of the keys: ${shown}${takes}`;
    const why = `they are not in ~/.ssh/authorized_keys of ${user}, or sshd does not trust that file: ${MODES}; ${SERVER_LOG}; this side's: ${command('ssh', ' -vvv')}`;
    return [...local, { ...failure(what, why, copyCommand(evidence, offered)), id: 'key-refused' }];
  }
  if (!takesKeys) {
    const what = `the server takes ${accepted?.join(', ') || 'nothing'}, and nothing of that could be tried`;
    const why = evidence.interactive ? null : 'there is nobody to ask for a password';
    return [...local, { ...failure(what, why, command('ssh')), id: 'no-method' }];
  }
  return [...local, nothingToOffer(evidence, takes)];
}

function nothingToOffer({ keyring, home, interactive }: Evidence, takes: string): Found {
  const nobody = interactive ? '' : ', and nobody can be asked for a password';
  if (keyring.agent !== null && keyring.held.length === 0) {
    const what = `there is no key: the agent holds none${nobody}${takes}`;
    const why = 'an agent starts empty: keys are added to it after each login';
    return { ...failure(what, why, 'ssh-add'), id: 'agent-empty' };
  }
  const what = `there is no key in ${home}/.ssh, and no agent${nobody}${takes}`;
  const why = 'make a key, then bring its public half to the server with ssh-copy-id';
  return { ...failure(what, why, 'ssh-keygen -t ed25519'), id: 'no-key' };
}

/** Brings the first of the keys to the server. */
export function copyCommand(
  { keyring, command }: Pick<Evidence, 'keyring' | 'command'>,
  keys: readonly Buffer[],
): string {
  const file = keyring.files.find(({ blob }) => blob !== null && keys.some((key) => key.equals(blob)));
  return command('ssh-copy-id', file === undefined ? '' : ` -i ${quoted(`${file.path}.pub`)}`);
}

async function login(subject: HostCase): Promise<Found[]> {
  const { place, prompter, settings } = subject;
  const { home, environment } = place.local;
  const surroundings = { home, environment };
  const keyring = await readKeyring(settings, surroundings);
  const attempts: LoginAttempt[] = [];
  subject.login = { attempts, keyring };
  let isByProgram = settings.transport === 'openssh';
  const evidence = (accepted: readonly string[] | null): Evidence => {
    const { user, batchMode } = settings;
    const interactive = prompter.interactive && !batchMode;
    const command: Evidence['command'] = (program, options) => subject.command(program, options);
    return { attempts, keyring, accepted, interactive, user, home, command };
  };
  try {
    const password = await subject.password();
    const watching = {
      ...promptsOf(prompter),
      tried: (attempt: LoginAttempt) => void attempts.push(attempt),
    };
    const given = { ...settings, password };
    subject.connection = await connect(given, watching, surroundings, () => {
      isByProgram = true;
    });
  } catch (error) {
    if (isByProgram) attempts.unshift(...presumed(keyring));
    if (error instanceof LoginError) return explainRefusal(evidence(error.accepted));
    return [brokenOff(error, subject, attempts, keyring)];
  }
  if (isByProgram) {
    const what = `${settings.user} is let in, through the ssh program`;
    return [...keyFindings(evidence(null), 'warning'), ok(what)];
  }
  const last = attempts.at(-1);
  const refused = keysOf(attempts.slice(0, -1));
  const what = last?.key
    ? `with the key ${originOf(last.key, keyring)}`
    : `with ${last?.method ?? 'nothing at all'}`;
  const before = refused.map((key) => {
    return warning(`not with the key ${originOf(key, keyring)}`, null, null);
  });
  return [...keyFindings(evidence(null), 'warning'), ...before, ok(`${settings.user} is let in ${what}`)];
}

/** The ssh program does not say which keys it has offered: those that it could. */
function presumed({ files, held }: Keyring): LoginAttempt[] {
  const usable = files.flatMap(({ state, blob }) => (state === 'usable' && blob !== null ? [blob] : []));
  const others = held.filter((key) => !usable.some((each) => each.equals(key)));
  return [...usable, ...others].map((key) => ({ method: 'publickey', key }));
}

/** Why the login came to no answer. What went wrong on the way, through proxies and hops, is named as such. */
function brokenOff(
  error: unknown,
  subject: HostCase,
  attempts: readonly LoginAttempt[],
  { files }: Keyring,
): Found {
  const message = error instanceof Error ? error.message : String(error);
  if (attempts.length > 0 && /too many/i.test(message)) {
    const why = `${attempts.length} attempts were made, and the server permits no more (MaxAuthTries): name the right key`;
    const key = files[0]?.path ?? '~/.ssh/id_ed25519';
    return failure(message, why, `-o IdentitiesOnly=yes -i ${quoted(key)}`);
  }
  const id = error instanceof ConnectError ? checkOf(error.kind) : null;
  return { ...failure(message, SERVER_LOG, subject.command('ssh', ' -vvv')), id: id ?? 'login' };
}

/** A prompter's methods, which need their object. */
function promptsOf(prompter: HostCase['prompter']): HostCase['prompter'] {
  return {
    interactive: prompter.interactive,
    secret: (question) => prompter.secret(question),
    confirm: (question) => prompter.confirm(question),
    info: (message) => prompter.info(message),
  };
}

export const LOGIN_CHECKS: readonly Check<HostCase>[] = [
  {
    id: 'login',
    title: 'login',
    needs: ['tcp', 'banner', 'key-exchange', 'host-key'],
    deadline: null,
    run: login,
  },
];
