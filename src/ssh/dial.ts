/**
 * A TCP connection: every address of the host is tried, and small packets leave at once. When it is given up,
 * nothing leaves any more.
 */
import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { printable } from '../base/printable.js';
import type { Carrier } from './carrier.js';
import { ConnectError } from './errors.js';
import { Incoming } from './incoming.js';
import type { ConnectSettings } from './settings.js';

/** An address that is silent for this many milliseconds is left for the next one. */
const ADDRESS_TIMEOUT = 3000;

const FAMILIES = { any: 0, inet: 4, inet6: 6 } as const;

/** How this machine's end is to be. */
export type DialSettings = Pick<
  ConnectSettings,
  'addressFamily' | 'bindAddress' | 'bindInterface' | 'tcpKeepAlive'
>;

/** A carrier that is a TCP connection, to the server or to a proxy. */
export interface TcpCarrier extends Carrier {
  readonly stream: Socket;
}

/** @throws what the socket says, a `ConnectError` about this machine's end, or why `signal` aborted. */
export async function dial(
  host: string,
  port: number,
  settings: DialSettings,
  signal: AbortSignal,
): Promise<TcpCarrier> {
  const from = await localAddress(settings);
  signal.throwIfAborted();
  const incoming = new Incoming();
  const socket = connect({
    host,
    port,
    family: from === null ? FAMILIES[settings.addressFamily] : isIP(from),
    ...(from === null ? {} : { localAddress: from }),
    // Nagle's algorithm would hold back each small request until the answer to the one before.
    noDelay: true,
    keepAlive: settings.tcpKeepAlive,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT,
    onread: incoming.onread,
  });
  incoming.attach(socket);
  socket.pause();
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      reject(firstOf(error));
    };
    const abort = () => fail(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
      const address = socket.remoteAddress ?? null;
      resolve({ stream: socket, incoming, address, abandon: () => abandon(socket) });
    });
  });
}

/**
 * The kernel would go on trying to send what it holds; a reset makes it forget that. What a proxy has taken over
 * by then is out of reach.
 */
export function abandon(socket: Socket): void {
  // While the kernel is being told that no more will be written, which takes a moment, it refuses a reset.
  const isEnding = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
  if (isEnding && !socket.destroyed) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/** BindAddress, or an address of BindInterface (ssh_config(5)); null for the kernel's choice. */
async function localAddress({
  bindAddress,
  bindInterface,
  addressFamily,
}: DialSettings): Promise<string | null> {
  const family = FAMILIES[addressFamily];
  if (bindAddress !== null) {
    if (isIP(bindAddress) !== 0) return bindAddress;
    const found = await lookup(bindAddress, { family }).catch(() => null);
    if (found !== null) return found.address;
    throw new ConnectError('unreachable', `BindAddress ${printable(bindAddress)} is no address`);
  }
  if (bindInterface === null) return null;
  const addresses = (networkInterfaces()[bindInterface] ?? []).map(({ address }) => address);
  const fitting = addresses.find((address) => {
    return !/^fe80:/i.test(address) && (family === 0 || isIP(address) === family);
  });
  if (fitting !== undefined) return fitting;
  const shown = printable(bindInterface);
  throw new ConnectError('unreachable', `BindInterface ${shown}: this machine has no such address`);
}

/** Of the errors of several addresses, the first that says why: a refusal tells more than a missing route. */
function firstOf(error: Error): Error {
  if (!(error instanceof AggregateError)) return error;
  const errors: Error[] = error.errors.filter((each) => each instanceof Error);
  return errors.find((each) => 'code' in each && each.code === 'ECONNREFUSED') ?? errors[0] ?? error;
}
