/** The host key that a server shows, against what is known of it. */
import { HostKeys, removal } from '../../ssh/host-keys.js';
import { fingerprint, keyTypeLabel, keyTypeOf } from '../../ssh/known-hosts.js';
import { type Check, type Found, failure, ok, skipped, warning } from './finding.js';
import { BY_PROGRAM, HANDSHAKE } from './handshake.js';
import type { Station } from './station.js';
import { turnToProgram } from './transport.js';

async function hostKey(station: Station): Promise<Found[]> {
  const { probe: result, settings, subject } = station;
  const isByProgram = subject.speaker === 'openssh';
  const key = result?.hostKey ?? null;
  if (key === null) {
    if (result === null || isByProgram) return [skipped(BY_PROGRAM)];
    const why = 'the handshake broke off before it came to that';
    return [
      failure(result.complaint ?? 'the server shows no host key', why, station.command('ssh', ' -vvv')),
    ];
  }
  const keys = await HostKeys.load(settings, subject.surroundings);
  const verdict = keys.judge(key);
  const shown = `${keyTypeLabel(keyTypeOf(key))} ${fingerprint(key)}`;
  switch (verdict.kind) {
    case 'known':
      return [ok(`${shown} is known (${verdict.entry.file}:${verdict.entry.line})`)];
    case 'revoked': {
      const what = `${shown} is revoked by ${verdict.entry.file}:${verdict.entry.line}`;
      const why =
        'whoever has this key may pretend to be the server: do not connect until it has another one; the old key removed:';
      return [failure(what, why, `${station.there}: sudo ssh-keygen -A && sudo systemctl restart ssh`)];
    }
    case 'changed': {
      const { file, line, keyType, key: before } = verdict.entry;
      const what = `the host key has changed: it is ${shown}, and ${file}:${line} has ${keyTypeLabel(keyType)} ${fingerprint(before)}`;
      const why = 'someone may be listening in, or the server was installed anew; only in that case:';
      return [failure(what, why, removal(verdict.entry, keys.name))];
    }
    case 'certified': {
      const where = `${verdict.entry.file}:${verdict.entry.line}`;
      if (turnToProgram(subject)) {
        return [ok(`${shown}; its certificate is checked by the ssh program`, `${where} names who signs it`)];
      }
      const why = `only the ssh program can check the certificate that ${where} speaks of`;
      return [failure(`${shown} is not known by itself`, why, '-o transport=openssh')];
    }
    case 'unknown':
      if (isByProgram && settings.knownHostsCommand !== null) return [skipped(BY_PROGRAM)];
      return [unknown(station, shown)];
  }
}

function unknown(station: Station, shown: string): Found {
  const { settings, subject } = station;
  const what = `the host key ${shown} is not known`;
  const remedy = station.command('ssh', ' -o StrictHostKeyChecking=ask');
  const accept =
    'compare the fingerprint with the one that the server’s owner tells, then connect once and accept it';
  switch (settings.strictHostKeyChecking) {
    case 'yes':
      return failure(what, `StrictHostKeyChecking is yes: ${accept}`, remedy);
    case 'ask':
      if (subject.prompter.interactive && !settings.batchMode) {
        return warning(what, 'you will be asked whether it is right', remedy);
      }
      return failure(what, `there is nobody to ask: ${accept}`, remedy);
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

export const HOST_KEY_CHECK: Check<Station> = {
  id: 'host-key',
  title: 'host key',
  needs: ['key-exchange'],
  deadline: HANDSHAKE,
  run: hostKey,
};
