/**
 * OpenSSH's `sftp` program, for whole files in sequence. One session stays open and takes commands on its
 * standard input, so that connecting is not in the time; `pwd` behind a command says when it has ended.
 */
import type { ChildProcess } from 'node:child_process';
import { present } from '../../src/base/assert.js';
import { descendants, endProcesses } from '../../test/support/processes.js';
import { run, start } from '../../test/support/run.js';
import { OverCap } from '../tools.js';
import type { Client, Connection, Peer } from './peer.js';

/** Seconds to connect. */
const CONNECT_CAP = 30;
/** What `pwd` prints. */
const DONE = 'Remote working directory';

export const sftp: Peer = {
  name: 'sftp',
  mounts: false,
  programs: { sftp: 'openssh-client' },

  async version(): Promise<string> {
    return (await run('ssh', ['-V'])).stderr.trim();
  },

  async connect({ scope, server, directory }: Connection): Promise<Client> {
    const options = [
      `IdentityFile=${server.keyFile}`,
      `UserKnownHostsFile=${server.knownHosts}`,
      'GlobalKnownHostsFile=/dev/null',
      'StrictHostKeyChecking=yes',
    ].flatMap((option) => ['-o', option]);
    const source = `${server.user}@${server.host}:${directory}`;
    const child = start(
      'sftp',
      ['-q', '-b', '-', '-F', '/dev/null', '-P', String(server.port), ...options, source],
      { env: scope.environment, stdin: 'pipe' },
    );
    const session = new SftpSession(child);
    scope.defer('sftp', () => session.close());
    await session.command('pwd', CONNECT_CAP);
    return session;
  },
};

class SftpSession implements Client {
  readonly directory = null;
  readonly #child: ChildProcess;
  readonly #pid: number;
  #text = '';
  #waiting: ((ended: boolean) => void) | null = null;
  #open = true;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#pid = present(child.pid, 'pid of sftp');
    child.stdin?.on('error', () => {});
    child.stdout?.on('data', (chunk: Buffer) => this.#hear(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.#hear(chunk));
    child.on('close', () => this.#waiting?.(true));
  }

  async processes(): Promise<readonly number[]> {
    return [this.#pid, ...(await descendants(this.#pid))];
  }

  read(name: string, _bytes: number, cap: number): Promise<number> {
    return this.command(`get ${name} /dev/null`, cap);
  }

  write(source: string, name: string, _bytes: number, cap: number): Promise<number> {
    return this.command(`put -f ${source} ${name}`, cap);
  }

  /** Runs one command; answers the seconds. */
  async command(line: string, cap: number): Promise<number> {
    const begin = performance.now();
    this.#text = '';
    const ended = await new Promise<boolean>((resolve, reject) => {
      const timer = setTimeout(() => reject(new OverCap(cap)), cap * 1000);
      this.#waiting = (closed) => {
        clearTimeout(timer);
        resolve(closed);
      };
      this.#child.stdin?.write(line === 'pwd' ? 'pwd\n' : `${line}\npwd\n`);
    });
    this.#waiting = null;
    if (ended) throw new Error(`sftp: ${this.#text.trim()}`);
    return (performance.now() - begin) / 1000;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await endProcesses(await this.processes());
  }

  #hear(chunk: Buffer): void {
    this.#text = `${this.#text}${chunk.toString('utf8')}`.slice(-4096);
    if (this.#text.includes(DONE)) this.#waiting?.(false);
  }
}
