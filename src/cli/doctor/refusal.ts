/**
 * From what was tried, what the server takes and what keys there are, the reason why it lets nobody in: pure, the
 * likeliest first.
 */

import { quoted } from '../../base/shell.js';
import { fingerprint, keyTypeLabel, keyTypeOf } from '../../ssh/known-hosts.js';
import type { LoginAttempt } from '../../ssh/settings.js';
import { certificateFault } from './certificate.js';
import { type Found, failure, warning } from './finding.js';
import { addToAgent, bringToServer, showPublic } from './key-commands.js';
import type { Keyring, LocalKey } from './keys.js';
import type { Login } from './station.js';

export interface Evidence extends Login {
  /** Methods that the server would have taken; null where that is not known. */
  readonly accepted: readonly string[] | null;
  /** Somebody can be asked. */
  readonly interactive: boolean;
  readonly user: string;
  /** The home directory of this side. */
  readonly home: string;
  /** As the beginning of a remedy: `on the server`. */
  readonly there: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** `ssh -p 2222 bob@host`, and the same for another program with further options. */
  command(program?: string, options?: string): string;
}

type Severity = 'failure' | 'warning';

export const SERVER_LOG =
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

export const keysOf = (attempts: readonly LoginAttempt[]): readonly Buffer[] =>
  attempts.flatMap(({ key }) => key ?? []);

/** What is wrong with key files of this side, in the order in which they would be tried. */
export function keyFindings(evidence: Evidence, severity: Severity): Found[] {
  const { files, certificates, open } = evidence.keyring;
  const make = severity === 'failure' ? failure : warning;
  const expired = certificates.flatMap((certificate): Found[] => {
    const fault = certificateFault(certificate, evidence.user, evidence.now);
    if (fault === null) return [];
    const what = `the certificate ${certificate.path} lets nobody in: ${fault}`;
    const why = 'who has signed it must sign the key again; what it holds:';
    return [{ ...make(what, why, `ssh-keygen -L -f ${quoted(certificate.path)}`), id: 'certificate' }];
  });
  const directories = open.map(({ path, mode }): Found => {
    const what = `others may write to ${path} (mode ${mode.toString(8)})`;
    return {
      ...warning(what, 'they could exchange the keys in it', `chmod go-w ${quoted(path)}`),
      id: 'key-directory',
    };
  });
  return [...expired, ...files.flatMap((key) => keyFinding(key, evidence, severity) ?? []), ...directories];
}

/** Null for a key that is as it should be. */
function keyFinding(key: LocalKey, evidence: Evidence, severity: Severity): Found | null {
  const { keyring, interactive } = evidence;
  const path = quoted(key.path);
  const make = severity === 'failure' ? failure : warning;
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
      const why =
        'IdentityFile or -i names a file that is not there; a new key, to be brought to the server:';
      const remedy = `ssh-keygen -t ed25519 -f ${path}`;
      return { ...(hasOther ? warning : make)(key.problem, why, remedy), id: 'key-missing' };
    }
    case 'locked': {
      if (interactive || keyring.held.some((each) => key.blob?.equals(each))) return null;
      const why = 'there is nobody to ask for its passphrase, and no agent holds it';
      return { ...make(key.problem, why, addToAgent(key)), id: 'key-locked' };
    }
    case 'mismatched': {
      const why = 'so the server may have been given the public half of another key';
      const remedy = `${showPublic(key)} > ${quoted(`${key.path}.pub`)}`;
      return { ...make(key.problem, why, remedy), id: 'key-mismatch' };
    }
    case 'unusable': {
      const why = key.isOnToken
        ? 'the built-in transport knows no security tokens'
        : 'it is damaged, or of a kind that cannot be used; what its own program makes of it:';
      const remedy = key.isOnToken ? '-o transport=auto' : showPublic(key);
      return { ...make(key.problem, why, remedy), id: 'key-unusable' };
    }
  }
}

/** Why nobody was let in; the likeliest first. */
export function explainRefusal(evidence: Evidence): Found[] {
  const { accepted, attempts, keyring, user, command, there } = evidence;
  const takesKeys = accepted === null || accepted.includes('publickey');
  const local = keyFindings(evidence, takesKeys ? 'failure' : 'warning');
  const offered = keysOf(attempts);
  const said = attempts.some(({ method }) => method === 'password' || method === 'keyboard-interactive');
  const takes = accepted === null ? '' : `; the server takes ${accepted.join(', ') || 'nothing'}`;

  if (said && offered.length > 0) {
    const what = `neither the keys nor the password of ${user} are accepted${takes}`;
    const why = `there is no such user, or it may not log in (AllowUsers, DenyUsers, a shell that is not in /etc/shells), or the password is wrong; ${SERVER_LOG}`;
    return [...local, { ...failure(what, why, `${there}: sudo journalctl -u ssh -n 50`), id: 'account' }];
  }
  if (said) {
    const why = `it is mistyped, or ${user} does not exist there or may not log in (AllowUsers); ${SERVER_LOG}`;
    const what = `the password of ${user} is not accepted${takes}`;
    const remedy = `${there}: sudo passwd ${quoted(user)}`;
    return [{ ...failure(what, why, remedy), id: 'password' }, ...local];
  }
  if (keyring.certificates.length > 0 && takesKeys) {
    const [{ path = '' } = {}] = keyring.certificates;
    const what = `the server does not take the certificate ${path}${takes}`;
    const why = `it does not trust who has signed it (TrustedUserCAKeys), or not for ${user} (its principals, AuthorizedPrincipalsFile); ${SERVER_LOG}; what it holds:`;
    return [...local, { ...failure(what, why, `ssh-keygen -L -f ${quoted(path)}`), id: 'certificate' }];
  }
  if (offered.length > 0) {
    const shown = offered.map((key) => originOf(key, keyring)).join('; ');
    const what = `the server knows none of the keys: ${shown}${takes}`;
    const why = `they are not in ~/.ssh/authorized_keys of ${user}, or sshd does not trust that file: ${MODES}; or the account may not log in (locked, expired, AllowUsers); ${SERVER_LOG}; this side's: ${command('ssh', ' -vvv')}`;
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
  return bringToServer(file ?? null, command);
}
