/**
 * How ssh gets through a proxy that it does not speak to: its ProxyCommand is a program of ours, which asks at the
 * desk where to go and carries the bytes. Of the proxy, no more than a socket's name stands on a command line.
 */
import { fileURLToPath } from 'node:url';
import { quoted } from '../../base/shell.js';
import type { DialSettings } from '../dial.js';
import { ConnectError, type ConnectErrorKind } from '../errors.js';
import type { SocketProxy } from '../route.js';
import type { ConnectSettings } from '../settings.js';
import type { Question } from './desk.js';

/** What the program asks at the desk; none of ssh's own questions has this hint. */
export const RELAY_QUESTION: Question = { text: '', hint: 'relay' };

/** The answer to it, in JSON. */
export interface RelayJob extends DialSettings, Pick<ConnectSettings, 'host' | 'port' | 'connectTimeout'> {
  readonly proxy: SocketProxy;
}

/** Null where ssh finds the way by itself. */
export function relayJob(settings: ConnectSettings): RelayJob | null {
  const { proxy } = settings.route;
  if (proxy === null || proxy.kind === 'command') return null;
  const { host, port, connectTimeout, addressFamily, bindAddress, bindInterface, tcpKeepAlive } = settings;
  return { proxy, host, port, connectTimeout, addressFamily, bindAddress, bindInterface, tcpKeepAlive };
}

/** The program as a ProxyCommand, which ssh gives to the user's shell after replacing its tokens. */
export function relayCommand(socket: string): string {
  const program = fileURLToPath(new URL('./relay-program.js', import.meta.url));
  return [process.execPath, program, socket].map((word) => quoted(word).replaceAll('%', '%%')).join(' ');
}

/** How a way through a proxy can fail. */
const KINDS = [
  'resolve',
  'refused',
  'unreachable',
  'timeout',
  'proxy',
  'proxy-login',
  'protocol',
  'lost',
] as const satisfies readonly ConnectErrorKind[];

/** The line of standard error that says why there is no way. */
export function formatRelayFailure({ kind, message }: ConnectError): string {
  return `remora-relay ${kind}: ${message}`;
}

/** The failure that such a line tells; null for any other line. */
export function parseRelayFailure(line: string): ConnectError | null {
  const [, name, message = ''] = /^remora-relay (\S+): (.+)$/.exec(line) ?? [];
  const kind = KINDS.find((each) => each === name);
  return kind === undefined ? null : new ConnectError(kind, message);
}
