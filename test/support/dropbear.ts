/**
 * A real Dropbear server on loopback, for one user: its own host key and port, in the foreground, stopped by pid. Only
 * root can run it, since it logs in as that user. SFTP is another program's, `/usr/lib/sftp-server`.
 */
import type { ChildProcess } from 'node:child_process';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programPath } from './packages.js';
import { descendants, endProcesses } from './processes.js';
import { must, start, until } from './run.js';
import type { Scope } from './scope.js';
import { makeKey, type Server, writeKnownHosts } from './server.js';
import { accepts, freePort } from './sshd.js';
import type { SystemUser } from './user.js';

export type DropbearKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface DropbearOptions {
  /** Whose home gets the authorized key. */
  readonly user: SystemUser;
  readonly hostKey?: DropbearKeyType;
  /** Further arguments, such as `-c COMMAND`. */
  readonly args?: readonly string[];
}

const HOST = '127.0.0.1';

export class Dropbear implements Server {
  readonly host: string = HOST;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  readonly knownHosts: string;
  readonly #child: ChildProcess;

  private constructor(server: Server, child: ChildProcess) {
    this.port = server.port;
    this.user = server.user;
    this.keyFile = server.keyFile;
    this.knownHosts = server.knownHosts;
    this.#child = child;
  }

  static async start(
    scope: Scope,
    { user, hostKey = 'ed25519', args = [] }: DropbearOptions,
  ): Promise<Dropbear> {
    const directory = await scope.makeDirectory(`dropbear-${Math.random().toString(36).slice(2)}`);
    const keyFile = await makeKey(scope, join(directory, 'login_key').slice(scope.directory.length + 1));
    await authorize(user, await readFile(`${keyFile}.pub`, 'utf8'));
    const secret = join(directory, 'host_key');
    const publicKey = await makeDropbearKey(hostKey, secret);
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const log: string[] = [];
      const flags = ['-F', '-E', '-m', '-p', `${HOST}:${port}`, '-P', '', '-r', secret, ...args];
      const child = start(await programPath('dropbear'), flags, { env: scope.environment });
      child.stderr?.on('data', (chunk: Buffer) => log.push(chunk.toString('utf8')));
      const isListening = await until('dropbear to listen', async () => {
        if (child.exitCode !== null) return 'ended';
        return (await accepts(port)) && 'listening';
      });
      if (isListening === 'listening') {
        const knownHosts = await writeKnownHosts(join(directory, 'known_hosts'), HOST, port, publicKey);
        const dropbear = new Dropbear({ host: HOST, port, user: user.name, keyFile, knownHosts }, child);
        scope.defer('dropbear', () => dropbear.stop());
        return dropbear;
      }
      if (attempt === 3) throw new Error(`dropbear does not start:\n${log.join('')}`);
    }
  }

  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid !== undefined) await endProcesses([pid, ...(await descendants(pid))]);
  }
}

/** Makes a private key in Dropbear's own format; answers the line of its public key. */
export async function makeDropbearKey(type: DropbearKeyType, file: string): Promise<string> {
  const shown = await must('dropbearkey', ['-t', type, '-f', file]);
  const line = shown.split('\n').find((each) => /^(?:ssh|ecdsa)-\S+ AAAA/.test(each));
  if (line === undefined) throw new Error(`dropbearkey shows no public key:\n${shown}`);
  return line;
}

/** Lets the owner of a key log in as `user`, beside those who may already. */
export async function authorize(user: SystemUser, publicKey: string): Promise<void> {
  const directory = join(user.home, '.ssh');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chown(directory, user.uid, user.gid);
  const file = join(directory, 'authorized_keys');
  await writeFile(file, `${publicKey.trim()}\n`, { flag: 'a', mode: 0o600 });
  await chown(file, user.uid, user.gid);
}
