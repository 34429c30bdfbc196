/** Programs of a scope that listen: proxies, tunnels. */
import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { endProcesses } from './processes.js';
import { start, until } from './run.js';
import type { Scope } from './scope.js';
import { accepts, freePort } from './sshd.js';

/** A program that is there once `port` accepts connections. */
export async function service(
  scope: Scope,
  program: string,
  args: readonly string[],
  port: number,
): Promise<ChildProcess> {
  const child = start(program, args, { env: scope.environment });
  scope.defer(program, async () => {
    if (child.pid !== undefined) await endProcesses([child.pid]);
  });
  await until(`${program} to listen`, () => accepts(port));
  return child;
}

/** The arguments of a tinyproxy on loopback, with further lines of its configuration. */
export async function tinyproxyArguments(
  scope: Scope,
  port: number,
  lines: readonly string[],
): Promise<string[]> {
  const file = join(scope.directory, `tinyproxy-${port}.conf`);
  const all = ['Listen 127.0.0.1', `Port ${port}`, 'Timeout 600', 'MaxClients 20', ...lines];
  await writeFile(file, `${all.join('\n')}\n`);
  return ['-d', '-c', file];
}

/** A tinyproxy; answers its port. */
export async function tinyproxy(scope: Scope, ...lines: readonly string[]): Promise<number> {
  const port = await freePort();
  await service(scope, 'tinyproxy', await tinyproxyArguments(scope, port, lines), port);
  return port;
}

/** A SOCKS 5 proxy that takes anybody and answers each request with one reply code; answers its port. */
export async function refusingSocks(scope: Scope, reply: number): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', () => socket.end(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0])));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer('SOCKS proxy', () => new Promise((resolve) => server.close(() => resolve())));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
