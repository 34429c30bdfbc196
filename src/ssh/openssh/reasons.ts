/** Why the ssh program ended: from what it wrote to standard error and its exit code to one sentence. */
import { printable } from '../../base/printable.js';
import { ConnectError, type ConnectErrorKind } from '../errors.js';

/** In the order in which they count: the cause before what follows from it. */
const MESSAGES: readonly (readonly [RegExp, ConnectErrorKind])[] = [
  [/REVOKED HOST KEY|marked as revoked|revoked by file/i, 'host-key-revoked'],
  [/HOST IDENTIFICATION HAS CHANGED|Host key for .* has changed/i, 'host-key-changed'],
  [/No .*host key is known for|Host key verification failed/i, 'host-key-unknown'],
  [/Could not resolve hostname|Name or service not known/i, 'resolve'],
  [/Connection refused/i, 'refused'],
  [/No route to host|(Network|Host) is unreachable|Cannot assign requested address/i, 'unreachable'],
  [/timed out/i, 'timeout'],
  [/bad permissions|UNPROTECTED PRIVATE KEY/i, 'key-file'],
  [
    /Permission denied|Too many authentication failures|No more authentication methods|sign_and_send_pubkey/i,
    'authentication',
  ],
  [/subsystem request failed|exec request failed/i, 'subsystem'],
  [
    /Unable to negotiate|no matching|Bad configuration option|bad configuration options|Bad owner or permissions|banner exchange/i,
    'protocol',
  ],
];

/** Not the reason, but what ssh says around it. */
const NOISE = /^(@+$|@ {2,}|Warning: Permanently added|\*\* )/;

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

/** @param server as a sentence names it */
export function explainEnding({ code, signal, stderr, wasOpen }: Ending, server: string): ConnectError {
  const lines = stderr.split(/\r?\n/).map((line) => printable(line.trim()));
  const said = lines.filter((line) => line !== '' && !NOISE.test(line));
  const last = said.at(-1) ?? '';
  if (wasOpen)
    return new ConnectError('lost', `the connection to ${server} was lost: ${last || ended(code, signal)}`);

  for (const [pattern, kind] of MESSAGES) {
    const line = lines.find((each) => pattern.test(each));
    if (line !== undefined) return new ConnectError(kind, sentence(kind, server, line, said));
  }
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
    case 'host-key-unknown':
      return `the host key of ${server} is not known: ssh says '${line}'`;
    case 'subsystem':
      return (
        `${server} gives us no SFTP (${line}): enable it there (Subsystem sftp in sshd_config), or name its program ` +
        'with -o sftp_server=/path/to/sftp-server'
      );
    default:
      return `ssh cannot connect to ${server}: ${line}`;
  }
}
