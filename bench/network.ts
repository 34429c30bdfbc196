/**
 * The one server of a run, a real sshd on loopback, and the ways to it: directly without delay, and through
 * one proxy process for each round trip. The round trip that a proxy really gives is measured.
 */
import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { endProcesses } from '../test/support/processes.js';
import type { Scope } from '../test/support/scope.js';
import { type Server, writeKnownHosts } from '../test/support/server.js';
import { Sshd } from '../test/support/sshd.js';
import type { ProxyRequest } from './proxy.js';
import type { ProxyAnswer } from './proxy-process.js';
import { median } from './results.js';

const HOST = '127.0.0.1';
const ANSWER_TIMEOUT = 10_000;
const PINGS = 15;

export class Network {
  readonly #scope: Scope;
  readonly #sshd: Sshd;
  readonly #bandwidth: number | null;

  private constructor(scope: Scope, sshd: Sshd, bandwidth: number | null) {
    this.#scope = scope;
    this.#sshd = sshd;
    this.#bandwidth = bandwidth;
  }

  /** @param bandwidth megabits per second each way; null is unlimited. */
  static async start(scope: Scope, bandwidth: number | null): Promise<Network> {
    // Less would hide that it listens.
    const sshd = await Sshd.start(scope, { sftp: 'external', config: ['LogLevel INFO'] });
    return new Network(scope, sshd, bandwidth);
  }

  /** The server as it is reached with a round trip of `rtt` milliseconds. */
  async server(rtt: number): Promise<Server> {
    if (rtt === 0 && this.#bandwidth === null) return this.#sshd;
    const port = await this.#proxy(this.#sshd.port, rtt);
    const known = (await readFile(this.#sshd.knownHosts, 'utf8')).trim();
    const publicKey = known.slice(known.indexOf(' ') + 1);
    const file = join(this.#scope.directory, `known_hosts-${port}`);
    const { host, user, keyFile } = this.#sshd;
    return { host, port, user, keyFile, knownHosts: await writeKnownHosts(file, host, port, publicKey) };
  }

  /** The median round trip in milliseconds that a byte takes through the proxy to an echo and back. */
  async measure(rtt: number): Promise<number> {
    const echo = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, HOST, resolve));
    const address = echo.address();
    const target = address !== null && typeof address === 'object' ? address.port : 0;
    let socket: Socket | null = null;
    try {
      socket = connect({ host: HOST, port: await this.#proxy(target, rtt), noDelay: true });
      const times: number[] = [];
      for (let ping = 0; ping < PINGS; ping++) times.push(await roundTrip(socket));
      return median(times) ?? 0;
    } finally {
      socket?.destroy();
      echo.close();
    }
  }

  /** Starts a proxy in front of `target`; answers its port. */
  async #proxy(target: number, rtt: number): Promise<number> {
    const child = fork(join(import.meta.dirname, 'proxy-process.js'), [], {
      env: { ...process.env, ...this.#scope.environment },
      execArgv: [],
    });
    const { pid } = child;
    if (pid !== undefined) this.#scope.defer('proxy', () => endProcesses([pid]));
    let timer: NodeJS.Timeout | undefined;
    const answered = new Promise<ProxyAnswer>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the proxy does not start')), ANSWER_TIMEOUT);
      child.once('error', reject);
      child.once('exit', () => reject(new Error('the proxy has ended')));
      child.once('message', resolve);
    }).finally(() => clearTimeout(timer));
    child.send({ target, delay: rtt / 2, bandwidth: this.#bandwidth } satisfies ProxyRequest);
    return (await answered).port;
  }
}

function roundTrip(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const failed = (error: Error) => reject(error);
    const ended = () => reject(new Error('the proxy has ended'));
    socket.once('error', failed).once('close', ended);
    socket.once('data', () => {
      socket.off('error', failed).off('close', ended);
      resolve(performance.now() - begin);
    });
    socket.write('.');
  });
}
