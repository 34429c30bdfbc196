/**
 * The network between client and server: accepts connections on loopback, passes them on to a port, and holds
 * every byte back for the one-way delay of its {@link Link}. Bytes keep their order and wait side by side, not
 * one after the other. A receiver that does not read is passed on to the sender as back-pressure once the
 * buffer is full. In a run it is a process of its own (proxy-process.ts).
 */
import { connect, createServer, type Server } from 'node:net';
import { Lane } from '../test/support/faults/lane.js';
import { Link } from '../test/support/faults/link.js';

export interface ProxyRequest {
  /** Port of loopback to pass on to. */
  readonly target: number;
  /** Milliseconds, each way. */
  readonly delay: number;
  /** Megabits per second in each direction; null is unlimited. */
  readonly bandwidth: number | null;
}

const HOST = '127.0.0.1';
/** Starts to listen; answers the server and its port. */
export function startProxy(
  request: ProxyRequest,
): Promise<{ readonly server: Server; readonly port: number }> {
  const up = new Link(request.delay, request.bandwidth);
  const down = new Link(request.delay, request.bandwidth);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const behind = connect({ host: HOST, port: request.target, allowHalfOpen: true, noDelay: true });
    new Lane(client, behind, { link: () => up });
    new Lane(behind, client, { link: () => down });
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      // A reset is passed on at once; an ordinary end travels with the delay, behind the last bytes.
      one.on('error', () => other.resetAndDestroy());
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') resolve({ server, port: address.port });
    });
  });
}
