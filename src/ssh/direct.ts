/** SFTP without SSH: over TCP to a server that is trusted (`directport`), or over standard input and output (`passive`). */
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Connection } from './connection.js';
import { ConnectError, describeServer, explain } from './errors.js';
import type { ConnectSettings } from './settings.js';
import { SingleConnection } from './single-connection.js';

const FAMILIES = { any: 0, inet: 4, inet6: 6 } as const;

/** @throws ConnectError */
export async function connectDirectly(
  settings: ConnectSettings,
  port: number,
  signal: AbortSignal | null = null,
): Promise<Connection> {
  const connection = await dialDirectly(settings, port, signal);
  connection.again = (stop) => dialDirectly(settings, port, stop);
  connection.reconnect = (stop) => connectDirectly(settings, port, stop);
  return connection;
}

async function dialDirectly(
  { host, connectTimeout, addressFamily, bindAddress }: ConnectSettings,
  port: number,
  signal: AbortSignal | null,
): Promise<SingleConnection> {
  const server = describeServer(host, port);
  const socket = new DirectSocket();
  const timer = setTimeout(() => {
    socket.destroy(new ConnectError('timeout', `${server} does not answer within ${connectTimeout} s`));
  }, connectTimeout * 1000);
  const abort = () => socket.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', resolve);
      socket.connect({
        host,
        port,
        family: FAMILIES[addressFamily],
        ...(bindAddress === null ? {} : { localAddress: bindAddress }),
        noDelay: true,
        keepAlive: true,
      });
      if (signal?.aborted) abort();
    });
  } catch (error) {
    throw signal?.aborted ? signal.reason : explain(error, 'dialling', host, port);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
  return new SingleConnection({
    stream: socket,
    server,
    serverSoftware: 'an SFTP server',
    complaints: () => '',
  });
}

/**
 * Cut off before its end, it is reset: what the kernel still holds must not reach a server that comes back, after
 * newer requests on another connection.
 */
class DirectSocket extends Socket {
  #isCut = false;

  override destroy(error?: Error): this {
    const isOver = this.destroyed || this.writableEnded || this.pending;
    if (this.#isCut || isOver || (error !== undefined && 'code' in error)) return super.destroy(error);
    this.#isCut = true;
    return this.resetAndDestroy();
  }
}

/**
 * Whoever started this process has connected it; when that ends, nothing can bring it back.
 * @throws ConnectError where they have not
 */
export function connectPassively(): Connection {
  const stream = standardStreams();
  return new SingleConnection({
    stream,
    server: 'the server at standard input and output',
    serverSoftware: 'an SFTP server',
    complaints: () => '',
  });
}

function standardStreams(): Duplex {
  try {
    // Node's own standard output blocks the process when it is a pipe that is full.
    const readable = new Socket({ fd: 0, readable: true, writable: false });
    const writable = new Socket({ fd: 1, readable: false, writable: true });
    return Duplex.from({ readable, writable });
  } catch (cause) {
    // A file or a device.
    const text = 'passive takes a pipe or a socket to an SFTP server as standard input and output';
    throw new ConnectError('protocol', text, { cause });
  }
}
