/**
 * Why the ssh program ended: from what it wrote to standard error and its exit code to the failure that the embedded
 * transport would have told. Hosts on the way are reached by an ssh of their own, which writes to the same place first.
 */
import { printable } from '../../base/printable.js';
import { ConnectError, type ConnectErrorKind, LoginError } from '../errors.js';
import { parseRelayFailure } from './relay.js';

/** In the order in which they count: the cause before what follows from it. */
const MESSAGES: readonly (readonly [RegExp, ConnectErrorKind])[] = [
  [/REVOKED HOST KEY|marked as revoked|revoked by file/i, 'host-key-revoked'],
  [/HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed/i, 'host-key-changed'],
  [/No .*host key is known for|Host key verification failed/i, 'host-key-unknown'],
  [/Could not resolve hostname|Name or service not known/i, 'resolve'],
  [/Connection refused/i, 'refused'],
  [/No route to host|(Network|Host) is unreachable|Cannot assign requested address/i, 'unreachable'],
  [/timed out/i, 'timeout'],
  [/Permission denied \(/, 'authentication'],
  [/Too many authentication failures|No more authentication methods/i, 'authentication'],
  [/subsystem request failed|exec request failed/i, 'subsystem'],
  [
    /Unable to negotiate|no matching|Bad configuration option|bad configuration options|Bad owner or permissions|banner exchange: .*invalid format|banner line contains|not allowed before banner/i,
    'protocol',
  ],
];

/** Not the reason, but what ssh says around it. */
const NOISE = /^(@+$|@ {2,}|Warning: Permanently added|\*\* )/;

/** A connection that ended before the server had said what it is; through a command it has no address. */
const NO_HANDSHAKE = /^(kex_exchange_identification|banner exchange): /;
const NO_ADDRESS = /UNKNOWN port 65535/;
/** The last host on the way could not connect to the server. */
const FORWARDING_FAILED = /^stdio forwarding failed/;

/** ssh's own failures; any other code is the one of the server's program. */
const SSH_FAILED = 255;

export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** What was written to standard error, its end at least. */
  readonly stderr: string;
  /** The SFTP server had answered. */
  readonly wasOpen: boolean;
}

/** What is known of the login that was tried. */
export interface LoginFacts {
  /** As a sentence names it. */
  readonly server: string;
  /** Somebody could be asked for a password. */
  readonly asks: boolean;
  /** A question of the server was answered. */
  readonly hasAnswered: boolean;
  /** It has succeeded before, with the same answers. */
  readonly isRepeat: boolean;
}

export function explainEnding({ code, signal, stderr, wasOpen }: Ending, facts: LoginFacts): ConnectError {
  const lines = stderr.split(/\r?\n/).map((line) => printable(line.trim()));
  const said = lines.filter((line) => line !== '' && !NOISE.test(line));
  const last = said.at(-1) ?? '';
  const { server } = facts;
  if (wasOpen)
    return new ConnectError('lost', `the connection to ${server} was lost: ${last || ended(code, signal)}`);

  const relayed = said.map(parseRelayFailure).find((error) => error !== null);
  if (relayed !== undefined) return relayed;
  for (const [pattern, kind] of MESSAGES) {
    const line = lines.find((each) => pattern.test(each));
    if (line === undefined) continue;
    if (kind === 'authentication') return refusal(line, said, facts);
    const place = isOnTheWay(said) ? `a host on the way to ${server}` : server;
    return new ConnectError(kind, sentence(kind, place, line, said));
  }
  if (said.some((line) => NO_HANDSHAKE.test(line))) return noHandshake(said, server);
  if (code !== null && code !== SSH_FAILED) {
    const why = last === '' ? '' : `: ${last}`;
    return new ConnectError(
      'subsystem',
      `no SFTP on ${server}: its program ended with exit code ${code}${why}`,
    );
  }
  return new ConnectError('lost', `ssh did not reach ${server}: ${last || ended(code, signal)}`);
}

function ended(code: number | null, signal: string | null): string {
  return signal === null ? `ssh ended with exit code ${code}` : `ssh was ended by ${signal}`;
}

/** It was not the server itself that failed: no connection to it had begun. */
function isOnTheWay(said: readonly string[]): boolean {
  return said.some((line) => NO_ADDRESS.test(line)) && !said.some((line) => FORWARDING_FAILED.test(line));
}

/** Nobody was let in: by which host, what it would have taken, and which keys of this side could not be used. */
function refusal(line: string, said: readonly string[], facts: LoginFacts): LoginError {
  const [, user, host, methods] = /^(\S+)@(\S+): Permission denied \(([^)]*)\)/.exec(line) ?? [];
  const accepted = methods?.split(',') ?? null;
  const isOther = user !== undefined && host !== undefined && isOnTheWay(said);
  const onTheWay = isOther ? { user, host } : null;
  const server = onTheWay?.host ?? facts.server;
  const problems = said.flatMap((each) => keyProblem(each) ?? []);
  const parts = [
    user === undefined
      ? `${server} ended the login: ${line}`
      : `permission denied: ${user} may not log in to ${server}`,
    ...(accepted === null ? [] : [`the server accepts ${accepted.join(', ')}`]),
    ...problems,
  ];
  const wantsAnswer = accepted?.some((method) => method !== 'publickey') === true;
  if (wantsAnswer && !facts.asks) parts.push('there is nobody to ask for a password');
  const kind = problems.length > 0 && !facts.hasAnswered ? 'key-file' : 'authentication';
  return new LoginError(kind, parts.join('; '), { accepted, isRepeat: facts.isRepeat, onTheWay });
}

/** What ssh says of a key that it could not use, as a part of a sentence. */
function keyProblem(line: string): string | null {
  const [, unread, why] = /^Load key "(.+)": (.+)$/.exec(line) ?? [];
  if (unread !== undefined) {
    return why === 'bad permissions'
      ? `the key file ${unread} can be read by others and is not used; run: chmod 600 '${unread}'`
      : `the key file ${unread} cannot be read by ssh: ${why}`;
  }
  const [, missing] =
    /^no such identity: (.+): No such file or directory$/.exec(line) ??
    /^Warning: Identity file (.+) not accessible: No such file or directory\.$/.exec(line) ??
    [];
  if (missing !== undefined) return `the key file ${missing} does not exist`;
  return /^sign_and_send_pubkey: /.test(line) ? line : null;
}

function noHandshake(said: readonly string[], server: string): ConnectError {
  if (!said.some((line) => NO_ADDRESS.test(line))) {
    const why = 'it is no SSH server, or has too many clients';
    return new ConnectError('protocol', `${server} closed the connection before the SSH handshake: ${why}`);
  }
  const words = said.filter((line) => !NO_HANDSHAKE.test(line) && !NO_ADDRESS.test(line));
  const why = words.length === 0 ? '' : `: ${words.at(-1)}`;
  return new ConnectError('proxy', `the ProxyCommand for ${server} ended${why}`);
}

function sentence(kind: ConnectErrorKind, server: string, line: string, said: readonly string[]): string {
  switch (kind) {
    case 'host-key-changed': {
      // Offending ED25519 key in /home/me/.ssh/known_hosts:3
      const where = said.find((each) => /^Offending .* in /.test(each));
      const found = /^Offending (?:key in |.* key in )(.+):(\d+)/.exec(where ?? '');
      const place = found === null ? '' : ` (${found[1]}:${found[2]})`;
      const [, name] =
        /^Host key for (\S+) has changed/.exec(said.find((each) => /^Host key for /.test(each)) ?? '') ?? [];
      const removal =
        found === null || name === undefined
          ? ''
          : `; in that case ssh-keygen -f '${found[1]}' -R '${name}' forgets the old key`;
      return (
        `the host key of ${server} is another than the known one${place}: someone may be listening in, or the server ` +
        `was installed anew${removal}`
      );
    }
    case 'host-key-revoked': {
      const found = said.find((each) => /marked as revoked|revoked by file/.test(each));
      return `${server} shows a host key that is revoked${found === undefined ? '' : `: ${found}`}`;
    }
    case 'host-key-unknown':
      return `the host key of ${server} is not known, or was not accepted: ssh says '${line}'; connect once with ssh, or use -o StrictHostKeyChecking=accept-new`;
    case 'subsystem':
      return (
        `${server} gives us no SFTP (${line}): enable it there (Subsystem sftp in sshd_config), or name its program ` +
        'with -o sftp_server=/path/to/sftp-server'
      );
    default:
      return `ssh cannot connect to ${server}: ${line.replace(/^ssh: /, '')}`;
  }
}
