/**
 * The built command as a person runs it: with a home, a runtime and a state directory of its own, as root or
 * as somebody else. A mount made here knows its daemon, and unmounting it checks that nothing was left open,
 * unanswered or unsent.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import type { WatchStatus } from '../../src/cli/live.js';
import type { LinkStatus } from '../../src/recovery/session.js';
import type { Stage } from './global-setup.js';
import { endProcesses, isAlive, mountAt, waitForUnmount } from './processes.js';
import { type Finished, type Identity, type RunOptions, run, until } from './run.js';
import type { Scope } from './scope.js';
import { handOver, type Server } from './server.js';

/** The part of `remora list --json` and of the control socket's status that the tests look at. */
export interface MountStatus {
  readonly source: string;
  readonly mountpoint: string;
  readonly state: string;
  readonly pid: number;
  readonly link: LinkStatus;
  readonly connections: number;
  readonly lanes: number;
  readonly watch: WatchStatus | null;
  readonly filesystem: unknown;
  readonly kernel: unknown;
}

export interface MountRequest {
  /** Values of `-o`. */
  readonly options?: readonly string[];
  /** Further arguments. */
  readonly args?: readonly string[];
  /** Name of the mount point's directory; a new one when absent. */
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Node and the program's main file. */
export type Program = readonly [node: string, main: string];

const BUILT: Program = [process.execPath, resolve(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js')];

/** Only the test runner knows the stage, and this file is of use without it. */
async function stagedProgram(): Promise<Program> {
  const { inject } = await import('vitest');
  const stage: Stage = inject('stage');
  return [stage.node, join(stage.directory, 'dist', 'cli', 'main.js')];
}

/** Gauges that have to be zero once nobody uses a mount any more. */
const IDLE_GAUGES: ReadonlySet<string> = new Set([
  'inFlight',
  'openFiles',
  'openDirectories',
  'openHandles',
  'remoteHandles',
  'dirtyBytes',
  'lentBytes',
]);

export class Remora {
  readonly scope: Scope;
  readonly home: string;
  readonly as: Identity | undefined;
  readonly program: Program;
  #mountpoints = 0;

  private constructor(scope: Scope, home: string, as: Identity | undefined, program: Program) {
    this.scope = scope;
    this.home = home;
    this.as = as;
    this.program = program;
  }

  /** @param program what to run; the checkout's build, or for another user the stage's, when absent. */
  static async create(scope: Scope, as?: Identity, program?: Program): Promise<Remora> {
    const home = await scope.makeDirectory(
      `h-${as?.name ?? 'own'}-${Math.random().toString(36).slice(2, 6)}`,
      as,
    );
    return new Remora(scope, home, as, program ?? (as ? await stagedProgram() : BUILT));
  }

  get environment(): Record<string, string> {
    return {
      ...this.scope.environment,
      HOME: this.home,
      XDG_RUNTIME_DIR: this.home,
      XDG_STATE_HOME: join(this.home, 'state'),
    };
  }

  /** Runs the command to its end. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const [node, main] = this.program;
    const env = { ...this.environment, ...options.env };
    return run(node, [main, ...args], { as: this.as, ...options, env });
  }

  /** A directory of the user's to mount at. */
  async mountpoint(name = `m${++this.#mountpoints}`): Promise<string> {
    const parent = `${this.home.slice(this.scope.directory.length + 1)}`;
    return this.scope.makeDirectory(join(parent, name), this.as);
  }

  /** The arguments that log in to `server`: port, key, host key, no questions, and nothing of this machine's own. */
  async login(server: Server): Promise<readonly string[]> {
    const key = this.as
      ? await handOver(server.keyFile, this.as, join(this.home, `key-${server.port}`))
      : server.keyFile;
    const known = `ssh_config=none,UserKnownHostsFile=${server.knownHosts},GlobalKnownHostsFile=none,StrictHostKeyChecking=yes`;
    return ['-p', String(server.port), '-i', key, '-o', known];
  }

  /** Mounts `directory` of `server`, or throws what the command said. */
  async mount(server: Server, directory: string, request: MountRequest = {}): Promise<Mounted> {
    const mountpoint = await this.mountpoint(request.name);
    const options = (request.options ?? []).flatMap((option) => ['-o', option]);
    const source = `${server.user}@${server.host}:${directory}`;
    const args = [source, mountpoint, ...(await this.login(server)), ...options, ...(request.args ?? [])];
    const finished = await this.run(args, request.env ? { env: request.env } : {});
    if (finished.code !== 0) throw new Error(`mount: exit code ${finished.code}: ${finished.stderr}`);
    assert.equal(finished.stderr, '', 'a mount is silent');
    assert.ok(await mountAt(mountpoint), `${mountpoint} is mounted when the command returns`);
    return this.adopt(mountpoint);
  }

  /** Takes charge of a mount that was made in another way. */
  async adopt(mountpoint: string): Promise<Mounted> {
    const status = await until(`status of ${mountpoint}`, async () =>
      (await this.statuses()).find((each) => each.mountpoint === mountpoint),
    );
    const mounted = new Mounted(this, mountpoint, status.pid);
    this.scope.defer(`mount at ${mountpoint}`, () => mounted.discard());
    return mounted;
  }

  /** Ends what a test has left mounted, for the sake of the next. */
  async discard(): Promise<void> {
    for (const { mountpoint, pid } of await this.statuses()) {
      await new Mounted(this, mountpoint, pid).discard();
    }
  }

  /** The rows of `remora list --json` that are of this home; other files mount at the same time. */
  async listed(): Promise<readonly MountStatus[]> {
    const { stdout } = await this.run(['list', '--json']);
    const rows: readonly MountStatus[] = JSON.parse(stdout);
    return rows.filter(({ mountpoint }) => mountpoint.startsWith(`${this.home}/`));
  }

  /** What every daemon of this user says of itself. */
  async statuses(): Promise<readonly MountStatus[]> {
    const directory = join(this.home, 'remora');
    const sockets = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.sock'));
    const answers = await Promise.all(sockets.map((name) => askStatus(join(directory, name))));
    return answers.filter((answer) => answer !== null);
  }
}

export class Mounted {
  readonly remora: Remora;
  /** The mount point. */
  readonly directory: string;
  readonly pid: number;

  constructor(remora: Remora, directory: string, pid: number) {
    this.remora = remora;
    this.directory = directory;
    this.pid = pid;
  }

  async status(): Promise<MountStatus> {
    const statuses = await this.remora.statuses();
    const own = statuses.find((each) => each.mountpoint === this.directory);
    if (own === undefined) throw new Error(`no daemon answers for ${this.directory}`);
    return own;
  }

  /** Waits until nothing is open, asked or unsent; throws the gauges that stay. RELEASE comes after close(2). */
  async idle(): Promise<void> {
    let busy: Record<string, unknown> = {};
    await until('an idle mount', async () => {
      const { filesystem, kernel } = await this.status();
      busy = { ...gaugesAboveZero(filesystem), ...gaugesAboveZero(kernel) };
      return Object.keys(busy).length === 0;
    }).catch(() => assert.deepEqual(busy, {}, 'gauges are zero when nobody uses the mount'));
  }

  /** Unmounts as a person does; afterwards no mount and no process is there. */
  async unmount(): Promise<void> {
    await this.idle();
    const finished = await this.remora.run(['unmount', this.directory]);
    assert.equal(finished.code, 0, `unmount: ${finished.stderr}`);
    assert.equal(finished.stderr, '', 'an unmount is silent');
    assert.equal(await mountAt(this.directory), null, 'nothing is mounted after unmount');
    assert.equal(await isAlive(this.pid), false, 'the daemon has ended when unmount returns');
  }

  /** Waits until no mount and no daemon is there. */
  async ended(): Promise<void> {
    await waitForUnmount(this.directory);
    await until('the daemon to end', async () => !(await isAlive(this.pid)));
    assert.deepEqual(await this.remora.statuses(), []);
  }

  /** For the end of a test, whatever happened before. */
  async discard(): Promise<void> {
    if ((await mountAt(this.directory)) !== null) {
      await this.remora.run(['unmount', '--force', this.directory], { timeout: 30_000 });
    }
    if (await isAlive(this.pid)) await endProcesses([this.pid]);
  }
}

/** The gauges of the list above that are not zero, wherever they stand in the status. */
function gaugesAboveZero(status: unknown, path = ''): Record<string, unknown> {
  if (typeof status !== 'object' || status === null) return {};
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(status)) {
    if (IDLE_GAUGES.has(name) && value !== 0) found[path + name] = value;
    Object.assign(found, gaugesAboveZero(value, `${path}${name}.`));
  }
  return found;
}

function askStatus(socket: string): Promise<MountStatus | null> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    let text = '';
    const finish = (answer: MountStatus | null) => {
      connection.destroy();
      resolve(answer);
    };
    connection.setTimeout(5_000, () => finish(null));
    connection.on('error', () => finish(null));
    connection.on('connect', () => connection.write('{"op":"status"}\n'));
    connection.on('close', () => finish(null));
    connection.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (!text.includes('\n')) return;
      const reply = JSON.parse(text) as { ok: boolean; value: MountStatus };
      finish(reply.ok ? reply.value : null);
    });
  });
}
