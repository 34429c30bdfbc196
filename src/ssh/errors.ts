/**
 * What can go wrong between "mount this" and an open SFTP channel, each with a sentence for a person. The
 * kind tells a caller whether trying again can help; the message names host and port as they were typed.
 */
import { printable } from '../base/printable.js';

export type ConnectErrorKind =
  | 'resolve'
  | 'refused'
  | 'unreachable'
  | 'timeout'
  /** A proxy makes no connection, or a ProxyCommand fails. */
  | 'proxy'
  /** A proxy wants another user and password. */
  | 'proxy-login'
  | 'host-key-unknown'
  | 'host-key-changed'
  | 'host-key-revoked'
  /** Only a certificate can tell whether the host key is right: for the `ssh` program. */
  | 'host-certificate'
  | 'authentication'
  | 'key-file'
  | 'subsystem'
  | 'protocol'
  | 'lost';

export class ConnectError extends Error {
  readonly kind: ConnectErrorKind;

  constructor(kind: ConnectErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectError';
    this.kind = kind;
  }
}

/** Everything was tried, and nobody was let in. */
export class LoginError extends ConnectError {
  /** What the server would have taken; null where it has not said. */
  readonly accepted: readonly string[] | null;
  /** What it took before was among it: the server may not be ready again, and take it later. */
  readonly isRepeat: boolean;
  /** The login that was refused, where it was the ssh program's to a host on the way. */
  readonly onTheWay: { readonly user: string; readonly host: string } | null;

  constructor(
    kind: 'key-file' | 'authentication',
    message: string,
    { accepted, isRepeat, onTheWay = null }: Pick<LoginError, 'accepted' | 'isRepeat'> & Partial<LoginError>,
  ) {
    super(kind, message);
    this.name = 'LoginError';
    this.accepted = accepted;
    this.isRepeat = isRepeat;
    this.onTheWay = onTheWay;
  }
}

const FOR_A_PERSON: ReadonlySet<ConnectErrorKind> = new Set([
  'host-key-unknown',
  'host-key-changed',
  'host-key-revoked',
  'host-certificate',
  'proxy-login',
  'authentication',
  'key-file',
]);

/** Whether only a person can mend it: another try would fail in the same way, or look like an attack. */
export function needsPerson(kind: ConnectErrorKind): boolean {
  return FOR_A_PERSON.has(kind);
}

const OF_THE_NETWORK: ReadonlySet<ConnectErrorKind> = new Set([
  'resolve',
  'refused',
  'unreachable',
  'timeout',
  'lost',
  'proxy',
]);

/** Whether it may be otherwise as soon as the network, or the server, is up. */
export function isOfNetwork(kind: ConnectErrorKind): boolean {
  return OF_THE_NETWORK.has(kind);
}

/** How far a connection has come; the same failure means different things at different times. */
export type Phase = 'dialling' | 'handshake' | 'authentication' | 'open';

/** A host and port as a sentence has them: `example.com`, or `example.com port 2222`. */
export function describeServer(host: string, port: number): string {
  return port === 22 ? printable(host) : `${printable(host)} port ${port}`;
}

interface Fault extends Error {
  readonly code?: unknown;
}

/** Turns an error of a socket or of ssh2 into ours. */
export function explain(error: unknown, phase: Phase, host: string, port: number): ConnectError {
  if (error instanceof ConnectError) return error;
  const fault: Fault = error instanceof Error ? error : new Error(String(error));
  const server = describeServer(host, port);
  const code = typeof fault.code === 'string' ? fault.code : '';
  const make = (kind: ConnectErrorKind, message: string) => new ConnectError(kind, message, { cause: fault });

  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) {
    const hint = code === 'EAI_AGAIN' ? 'the name server does not answer' : 'there is no such name';
    return make('resolve', `cannot find the host ${printable(host)}: ${hint}`);
  }
  switch (code) {
    case 'ECONNREFUSED':
      return make('refused', `${server} refuses the connection: is an SSH server running there?`);
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ENETDOWN':
    case 'EADDRNOTAVAIL':
      return make('unreachable', `${server} cannot be reached: there is no route to it`);
    case 'EACCES':
    case 'EPERM':
      return make('unreachable', `${server} cannot be reached: this machine does not permit it`);
    case 'ETIMEDOUT':
      return make(phase === 'open' ? 'lost' : 'timeout', `${server} does not answer`);
    default:
      return explainByPhase(fault, phase, server, make);
  }
}

function explainByPhase(
  fault: Fault,
  phase: Phase,
  server: string,
  make: (kind: ConnectErrorKind, message: string) => ConnectError,
): ConnectError {
  const text = printable(fault.message);
  switch (phase) {
    case 'open':
      return make('lost', `the connection to ${server} was lost: ${text}`);
    case 'authentication':
      // ssh2 gives the reason number of SSH_MSG_DISCONNECT (RFC 4253, section 11.1) as the code.
      if (typeof fault.code === 'number') return make('authentication', `${server} ended the login: ${text}`);
      return make('lost', `the connection to ${server} was lost during the login: ${text}`);
    default:
      if (fault.message.startsWith('Connection lost before handshake')) {
        return make(
          'protocol',
          `${server} closed the connection before the SSH handshake: it is no SSH server, or has too many clients`,
        );
      }
      return make('protocol', `the SSH handshake with ${server} failed: ${text}`);
  }
}
