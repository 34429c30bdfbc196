/**
 * A real OpenSSH server on loopback: own host key, own configuration, own port. As root it takes logins for
 * root and for a test's user, with keys and passwords; as a plain user it runs as oneself and takes that
 * user's key. It stays in the foreground, so that it and all its sessions can be stopped by their pids.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { programPath } from './packages.js';
import { descendants, endProcesses, isAlive } from './processes.js';
import { start, until } from './run.js';
import type { Scope } from './scope.js';
import { makeKey, type Server, writeKnownHosts } from './server.js';
import { isRoot } from './user.js';

export interface SshdOptions {
  /** 'internal', 'external' (the sftp-server program), or any command; null has no SFTP subsystem. */
  readonly sftp?: 'internal' | 'external' | string | null;
  /** Lines of sshd_config, further ones or instead of those below. */
  readonly config?: readonly string[];
  /** Login name of {@link Server}; this process's own when absent. */
  readonly user?: string;
  /** A network namespace to run in, and an address there to listen on. */
  readonly network?: { readonly namespace: string; readonly address: string };
}

const HOST = '127.0.0.1';

export class Sshd implements Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  readonly knownHosts: string;
  /** The private host key, read whenever the server starts. */
  readonly hostKey: string;
  readonly #serve: () => Promise<ChildProcess | null>;
  readonly #log: string[];
  #child: ChildProcess;
  /** Processes of sessions that have outlived their listener. */
  readonly #orphans = new Set<number>();

  private constructor(
    server: Server,
    hostKey: string,
    child: ChildProcess,
    serve: () => Promise<ChildProcess | null>,
    log: string[],
  ) {
    this.host = server.host;
    this.port = server.port;
    this.user = server.user;
    this.keyFile = server.keyFile;
    this.knownHosts = server.knownHosts;
    this.hostKey = hostKey;
    this.#child = child;
    this.#serve = serve;
    this.#log = log;
  }

  static async start(scope: Scope, options: SshdOptions = {}): Promise<Sshd> {
    const directory = await scope.makeDirectory(`sshd-${Math.random().toString(36).slice(2)}`);
    if (isRoot) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    const hostKey = await makeKey(scope, join(directory, 'host_key').slice(scope.directory.length + 1));
    const keyFile = await makeKey(scope, join(directory, 'login_key').slice(scope.directory.length + 1));
    const authorized = join(directory, 'authorized_keys');
    await writeFile(authorized, await readFile(`${keyFile}.pub`), { mode: 0o644 });
    const config = join(directory, 'sshd_config');
    const subsystem = await sftpSubsystem(options.sftp === undefined ? 'internal' : options.sftp);

    const host = options.network?.address ?? HOST;
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const lines = [
        `ListenAddress ${host}:${port}`,
        `HostKey ${hostKey}`,
        `AuthorizedKeysFile ${authorized}`,
        'PidFile none',
        'UsePAM no',
        'StrictModes no',
        'PermitRootLogin yes',
        'PubkeyAuthentication yes',
        'PasswordAuthentication yes',
        'KbdInteractiveAuthentication no',
        'MaxStartups 1000',
        'PrintMotd no',
        'UseDNS no',
        'LogLevel VERBOSE',
        // As in a shell below another one: bash then leaves out the login's ~/.bashrc, which may do anything.
        'SetEnv SHLVL=1',
        ...subsystem,
      ];
      await writeFile(config, `${replaced(lines, options.config ?? []).join('\n')}\n`);
      const log: string[] = [];
      const within = options.network === undefined ? [] : ['ip', 'netns', 'exec', options.network.namespace];
      const serve = () => listen(within, config, scope.environment, log);
      const child = await serve();
      if (child !== null) {
        const knownHosts = await writeKnownHosts(
          join(directory, 'known_hosts'),
          host,
          port,
          await readFile(`${hostKey}.pub`, 'utf8'),
        );
        const user = options.user ?? userInfo().username;
        const sshd = new Sshd({ host, port, user, keyFile, knownHosts }, hostKey, child, serve, log);
        scope.defer('sshd', () => sshd.stop());
        return sshd;
      }
      // The port can have been taken in the meantime; anything else fails again and is told.
      if (attempt === 3) throw new Error(`sshd does not start:\n${log.join('')}`);
    }
  }

  /** What sshd has logged so far. */
  get log(): string {
    return this.#log.join('');
  }

  /** Pids of the processes that serve sessions. */
  async sessions(): Promise<readonly number[]> {
    const { pid } = this.#child;
    const roots = pid === undefined ? [...this.#orphans] : [pid, ...this.#orphans];
    const below = (await Promise.all(roots.map(descendants))).flat();
    for (const orphan of this.#orphans) if (!(await isAlive(orphan))) this.#orphans.delete(orphan);
    return [...new Set([...this.#orphans, ...below])];
  }

  /** Ends the listener, as a stopped service does: sessions go on, new connections are refused. */
  async halt(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) return;
    for (const session of await this.sessions()) this.#orphans.add(session);
    await endProcesses([pid], 'SIGKILL');
  }

  /** Listens again on the same port, with whatever host key is there now. */
  async resume(): Promise<void> {
    // Somebody's outgoing connection may have the port for a moment.
    this.#child = await until(`sshd to listen on ${this.port} again`, this.#serve);
  }

  async stop(): Promise<void> {
    const sessions = await this.sessions();
    const { pid } = this.#child;
    await endProcesses(pid === undefined ? sessions : [pid, ...sessions]);
  }
}

/** Starts the server; null when it ended instead of listening. */
async function listen(
  within: readonly string[],
  config: string,
  env: Readonly<Record<string, string>>,
  log: string[],
): Promise<ChildProcess | null> {
  const [program = '', ...args] = [...within, await programPath('sshd'), '-D', '-e', '-f', config];
  const child = start(program, args, { env });
  const before = log.length;
  child.stderr?.on('data', (chunk: Buffer) => log.push(chunk.toString('utf8')));
  const listening = await until(
    'sshd to listen',
    async () =>
      child.exitCode !== null
        ? 'ended'
        : log.slice(before).join('').includes('Server listening') && 'listening',
    30_000,
  ).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return listening === 'listening' && child.exitCode === null ? child : null;
}

/** `lines` without the keywords that `others` set, and `others`. */
function replaced(lines: readonly string[], others: readonly string[]): readonly string[] {
  const keyword = (line: string) => line.split(/\s/, 1)[0];
  return [...lines.filter((line) => !others.some((other) => keyword(other) === keyword(line))), ...others];
}

async function sftpSubsystem(sftp: string | null): Promise<readonly string[]> {
  if (sftp === null) return [];
  if (sftp === 'internal') return ['Subsystem sftp internal-sftp'];
  return [`Subsystem sftp ${sftp === 'external' ? await programPath('sftp-server') : sftp}`];
}

/** A TCP port of loopback that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      probe.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** True when something accepts connections on the port. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
