/**
 * The ProxyCommand that carries ssh through a proxy (see relay.ts). It ends with either side, and resets the
 * connection when it is ssh that ends: what it still holds must not reach the server after newer requests of another.
 */
import { Socket } from 'node:net';
import { ConnectError, describeServer } from '../errors.js';
import { overProxy } from '../reach.js';
import { askDesk } from './desk.js';
import { formatRelayFailure, RELAY_QUESTION, type RelayJob } from './relay.js';

async function relay(desk: string): Promise<void> {
  const answer = await askDesk(desk, RELAY_QUESTION);
  if (answer === null) throw new ConnectError('lost', 'the mount has ended');
  const job: RelayJob = JSON.parse(answer);
  const expired = new AbortController();
  const timer = setTimeout(() => {
    const text = `no way to ${describeServer(job.host, job.port)} within ${job.connectTimeout} s`;
    expired.abort(new ConnectError('timeout', text));
  }, job.connectTimeout * 1000);
  const { stream, abandon } = await overProxy(job.proxy, job, expired.signal);
  clearTimeout(timer);
  // Node's own standard output blocks the process when it is a pipe that is full.
  const output = new Socket({ fd: 1, readable: false, writable: true });
  const end = () => {
    abandon();
    process.exit();
  };
  process.on('SIGHUP', end);
  process.stdin.on('end', end).on('error', end).pipe(stream, { end: false });
  output.on('error', end).on('finish', end);
  stream.on('error', end).pipe(output);
}

relay(process.argv[2] ?? '').catch((error: unknown) => {
  const text = error instanceof Error ? error.message : String(error);
  const failure = error instanceof ConnectError ? error : new ConnectError('unreachable', text);
  process.stderr.write(`${formatRelayFailure(failure)}\n`, () => process.exit(1));
});
