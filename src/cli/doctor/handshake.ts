/** What the server says before anybody logs in: that it is an SSH server, its algorithms, and its host key. */

import { HostKeys, removal } from '../../ssh/host-keys.js';
import { fingerprint, keyTypeLabel, keyTypeOf } from '../../ssh/known-hosts.js';
import type { Surroundings } from '../../ssh/settings.js';
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import type { HostCase } from './host-case.js';
import { compare, onlyPostQuantum } from './kexinit.js';
import { type Probe, probe } from './probe.js';
import { recognise } from './software.js';

/** Milliseconds for a handshake: a slow machine computes, a server may look up our name first (UseDNS). */
const HANDSHAKE = 12_000;

const THROUGH = 'the server is reached through others: see the login';

const surroundingsOf = ({ place }: HostCase): Surroundings => {
  return { home: place.local.home, environment: place.local.environment };
};

async function banner(subject: HostCase): Promise<Found[]> {
  if (!subject.isDirect) return [skipped(THROUGH)];
  const result = await probe(subject.settings, surroundingsOf(subject), HANDSHAKE);
  subject.probe = result;
  const { theirs } = result;
  if (theirs.software === null) return [notSsh(result, subject)];
  if (theirs.protocol !== '2.0' && theirs.protocol !== '1.99') {
    const what = `the server speaks SSH ${theirs.protocol}, which nobody should any more`;
    return [failure(what, null, 'on the server: install a newer SSH server')];
  }
  const { name, quirk } = recognise(theirs.software);
  const text = theirs.text.length === 0 ? '' : `; it says: ${theirs.text[0]}`;
  return [ok(`${name} (${theirs.software})${text}`, quirk)];
}

function notSsh({ theirs, ending }: Probe, subject: HostCase): Found {
  const { port } = subject.settings;
  const [said = ''] = theirs.text;
  if (/MaxStartups|Not allowed at this time/i.test(said) || (said === '' && ending === 'closed')) {
    const what =
      said === ''
        ? 'the server closes the connection before it says anything'
        : `the server refuses: ${said}`;
    const why =
      'too many logins are under way there (MaxStartups), or this address is blocked (fail2ban, PerSourcePenalties, hosts.deny)';
    return failure(
      what,
      why,
      'on the server: sudo journalctl -u ssh -n 50; raise MaxStartups in sshd_config',
    );
  }
  if (said === '') {
    const why = `something else listens at port ${port}, or the server is overloaded, or a firewall swallows what it says`;
    return failure('the connection stands, and the server is silent', why, subject.command('ssh', ' -vvv'));
  }
  const what = `it is not an SSH server: it answers ${JSON.stringify(said.slice(0, 80))}`;
  const kind = /^HTTP\//.test(said)
    ? 'a web server'
    : /^220[ -]/.test(said)
      ? 'a mail or FTP server'
      : 'another program';
  return failure(
    what,
    `${kind} listens at port ${port}`,
    subject.command('ssh').replace(/ -p \d+/, ' -p 22'),
  );
}

async function keyExchange({ probe: result }: HostCase): Promise<Found[]> {
  if (result === null) return [skipped(THROUGH)];
  const { theirs, ours, complaint } = result;
  if (theirs.kexinit === null || ours.kexinit === null) {
    const what = complaint ?? 'the server does not say which algorithms it has';
    return [
      failure(
        what,
        'the conversation broke off after the greeting',
        'on the server: sudo journalctl -u ssh -n 50',
      ),
    ];
  }
  const { missing, agreed, weak, postQuantum } = compare(ours.kexinit, theirs.kexinit);
  if (missing !== null) {
    const { kind, keyword, offered } = missing;
    const what = `no ${kind} algorithm in common: the server offers ${offered.join(', ') || 'none'}`;
    if (onlyPostQuantum(offered)) {
      return [failure(what, 'only the ssh program knows post-quantum key exchange', '-o transport=openssh')];
    }
    return [
      failure(what, `see ${keyword} of ssh_config and sshd_config`, `-o ${keyword}=+${offered[0] ?? ''}`),
    ];
  }
  const what = agreed.join(', ');
  if (weak.length > 0) {
    const why = `${weak.join(', ')} ${weak.length === 1 ? 'is' : 'are'} weak: the server is old, or set up so`;
    return [warning(what, why, 'on the server: sudo apt install --only-upgrade openssh-server')];
  }
  const why = postQuantum ? 'the server could do post-quantum key exchange, with -o transport=openssh' : null;
  return [ok(what, why)];
}

async function hostKey(subject: HostCase): Promise<Found[]> {
  const { probe: result, settings, prompter } = subject;
  if (result === null) return [skipped(THROUGH)];
  const key = result.hostKey;
  if (key === null)
    return [
      failure(result.complaint ?? 'the server shows no host key', null, subject.command('ssh', ' -vvv')),
    ];
  const keys = await HostKeys.load(settings, surroundingsOf(subject));
  const verdict = keys.judge(key);
  const shown = `${keyTypeLabel(keyTypeOf(key))} ${fingerprint(key)}`;
  switch (verdict.kind) {
    case 'known':
      return [ok(`${shown} is known (${verdict.entry.file}:${verdict.entry.line})`)];
    case 'revoked': {
      const where = `${verdict.entry.file}:${verdict.entry.line}`;
      const why =
        'whoever has this key may pretend to be the server: do not connect until it has another one';
      return [
        failure(
          `${shown} is revoked by ${where}`,
          why,
          'on the server: sudo ssh-keygen -A, with the old key removed',
        ),
      ];
    }
    case 'changed': {
      const { file, line, keyType, key: before } = verdict.entry;
      const what = `the host key has changed: it is ${shown}, and ${file}:${line} has ${keyTypeLabel(keyType)} ${fingerprint(before)}`;
      const why = 'someone may be listening in, or the server was installed anew; only in that case:';
      return [failure(what, why, removal(verdict.entry, keys.name))];
    }
    case 'certified': {
      const why = `only the ssh program can check the certificate that ${verdict.entry.file}:${verdict.entry.line} speaks of`;
      return [failure(`${shown} is not known by itself`, why, '-o transport=openssh')];
    }
    case 'unknown':
      return [unknown(subject, shown, prompter.interactive && !settings.batchMode)];
  }
}

function unknown(subject: HostCase, shown: string, interactive: boolean): Found {
  const { strictHostKeyChecking } = subject.settings;
  const what = `the host key ${shown} is not known`;
  const remedy = subject.command('ssh', ' -o StrictHostKeyChecking=ask');
  switch (strictHostKeyChecking) {
    case 'yes':
      return failure(
        what,
        'StrictHostKeyChecking is yes: compare the fingerprint, then connect once and accept it',
        remedy,
      );
    case 'ask':
      if (interactive) return warning(what, 'you will be asked whether it is right', remedy);
      return failure(
        what,
        'there is nobody to ask: compare the fingerprint, then connect once and accept it',
        remedy,
      );
    case 'accept-new':
      return ok(`${what}, and will be remembered at the first mount`);
    default:
      return warning(
        what,
        'StrictHostKeyChecking is off, so any key is trusted',
        '-o StrictHostKeyChecking=accept-new',
      );
  }
}

export const HANDSHAKE_CHECKS: readonly Check<HostCase>[] = [
  { id: 'banner', title: 'server', needs: ['tcp'], deadline: HANDSHAKE * 2, run: banner },
  { id: 'key-exchange', title: 'key exchange', needs: ['banner'], deadline: HANDSHAKE, run: keyExchange },
  { id: 'host-key', title: 'host key', needs: ['key-exchange'], deadline: HANDSHAKE, run: hostKey },
];
