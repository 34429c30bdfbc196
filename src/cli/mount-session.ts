/**
 * The life of one mount inside the serving process: connect, check the remote directory, mount, serve, end.
 * Every step leaves behind how it is undone; whatever happens, the undoing runs in reverse, each part with a
 * bound, so that a failure leaves nothing mounted and a clean end has sent everything that was written.
 */
import { userInfo } from 'node:os';
import { encodeText } from '../base/bytes.js';
import { systemClock } from '../base/clock.js';
import { deferred } from '../base/deferred.js';
import { logger } from '../base/log.js';
import { FileSystem } from '../fs/filesystem.js';
import type { Unsent } from '../fs/open-file.js';
import { serveFuse } from '../fuse/driver.js';
import { MountError } from '../fuse/mount/errors.js';
import { type Mounted, mountFuse } from '../fuse/mount/mount.js';
import { findFuseMount } from '../fuse/mount/mounts.js';
import { raiseReadAhead } from '../fuse/mount/readahead.js';
import type { FuseSession } from '../fuse/session.js';
import type { SftpClient } from '../sftp/client.js';
import { type Connection, connect } from '../ssh/connection.js';
import type { Prompter } from '../ssh/settings.js';
import { ControlServer, type MountStatus } from './control.js';
import type { Ending } from './daemon-process.js';
import { DataChannels } from './data-channels.js';
import { withDeadline } from './deadline.js';
import { ensurePrivateDirectory, runtimeDirectory, socketName } from './directories.js';
import { CommandError, failureOf } from './exit.js';
import { formatUnsent } from './format.js';
import type { Job } from './ipc.js';
import { findLogin, findRoot, requestedPath } from './remote-root.js';
import { openSftp } from './sftp.js';
import { fsOptions, identityOf, kernelMount } from './wiring.js';

const log = logger('session');

/** Milliseconds for sending what was written, when the mount ends, and when it is forced to. */
const FLUSH_TIMEOUT = 10 * 60_000;
const FORCED_FLUSH_TIMEOUT = 2000;
/** Milliseconds for each step of taking things down. */
const UNDO_TIMEOUT = 5000;

export type MountState =
  | 'starting'
  | 'connecting'
  | 'checking'
  | 'mounting'
  | 'serving'
  | 'disconnected'
  | 'stopping'
  | 'ended';

export interface SessionEvents {
  /** A line for the log. */
  report(text: string): void;
  /** What is being done, for `-v`. */
  step(text: string): void;
  /** The mount can be used. */
  ready(): void;
}

/** What serves a mount once it is ready. */
interface Serving {
  readonly filesystem: FileSystem;
  readonly session: FuseSession;
  readonly mounted: Mounted;
  readonly connection: Connection;
  readonly client: SftpClient;
  readonly channels: DataChannels;
  readonly since: number;
}

export class MountSession {
  readonly #job: Job;
  readonly #prompter: Prompter;
  readonly #events: SessionEvents;
  readonly #undo: { readonly name: string; readonly run: () => unknown }[] = [];
  readonly #stopped = deferred<void>();
  readonly #forced = deferred<void>();
  #state: MountState = 'starting';
  #stopRequested = false;

  constructor(job: Job, prompter: Prompter, events: SessionEvents) {
    this.#job = job;
    this.#prompter = prompter;
    this.#events = events;
  }

  #setState(state: MountState, why: string): void {
    log('%s -> %s (%s)', this.#state, state, why);
    this.#state = state;
  }

  /** Ends the mount. With `force` neither the server nor programs that hold files are waited for. */
  stop(force: boolean): void {
    this.#stopRequested = true;
    this.#stopped.resolve();
    if (force) this.#forced.resolve();
  }

  /** Serves until the mount ends, and answers how it did. Never rejects. */
  async run(): Promise<Ending> {
    const begun = this.#begin();
    let ending: Ending;
    try {
      const serving = await this.#unlessStopped(begun);
      this.#setState('serving', 'ready');
      this.#events.ready();
      serving.client.onClose((error) => this.#lost(error));
      ending = await this.#serve(serving);
    } catch (error) {
      log('failed: %o', error);
      // A mount that is just being made must be known before it can be undone.
      if (this.#state === 'mounting') await Promise.race([begun.catch(() => {}), after(UNDO_TIMEOUT)]);
      const failure = failureOf(error);
      ending = { exit: failure.exit, text: failure.message };
    }
    await this.#takeDown();
    this.#setState('ended', ending.exit);
    return ending;
  }

  async #unlessStopped<T>(work: Promise<T>): Promise<T> {
    const interrupted = this.#stopped.promise.then(() => {
      throw interruption();
    });
    return Promise.race([work, interrupted]);
  }

  #onUndo(name: string, run: () => unknown): void {
    this.#undo.push({ name, run });
  }

  async #begin(): Promise<Serving> {
    const { options, source } = this.#job;
    const { connection, channels } = await this.#connect();
    const client = await openSftp(connection, options);
    this.#onUndo('sftp', () => client.end());

    const { root, login } = await withDeadline(this.#look(client), options.connectTimeout * 1000, () => {
      return new CommandError('timeout', `${source}: the server stopped answering`);
    });
    const local = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const filesystem = new FileSystem({
      client,
      bulk: channels,
      root,
      options: fsOptions(options),
      identity: identityOf(options, local, login),
      clock: systemClock,
    });
    this.#onUndo('filesystem', () => filesystem.close());

    const { session, mounted } = await this.#mount(filesystem);
    const serving = { filesystem, session, mounted, connection, client, channels, since: Date.now() };
    await this.#openControl(serving, local.uid);
    return serving;
  }

  /** The directory to mount, checked, and who the login is. */
  async #look(client: SftpClient) {
    const { options, source, target } = this.#job;
    this.#setState('checking', source);
    this.#events.step(`looking at ${source}`);
    const subdir = options.subdir === null ? null : encodeText(options.subdir);
    const path = requestedPath(target.directory, subdir);
    const root = await findRoot(client, source, path, !options.noCheckRoot);
    const login = options.idmap === 'user' ? await findLogin(client) : null;
    return { root, login };
  }

  /** The connection, and what adds others for data. */
  async #connect(): Promise<{ connection: Connection; channels: DataChannels }> {
    const { target, options, password } = this.#job;
    const user = target.user ?? options.user ?? userInfo().username;
    this.#setState('connecting', target.host);
    this.#events.step(`connecting to ${target.host} port ${options.port} as ${user}`);
    const connection = await connect({ ...options, host: target.host, user, password }, this.#prompter);
    const channels = new DataChannels(connection, {
      maxConns: options.maxConns,
      clock: systemClock,
      open: (carrier) => openSftp(carrier, options),
      report: (text) => this.#events.report(`${this.#job.source}: ${text}`),
    });
    this.#onUndo('connections', () => Promise.all([connection.close(), channels.close()]));
    this.#events.step(`connected to ${connection.serverSoftware}`);
    // Not a moment later: what is copied first would have to do without.
    channels.start();
    return { connection, channels };
  }

  async #mount(filesystem: FileSystem): Promise<{ session: FuseSession; mounted: Mounted }> {
    const { options, source, mountpoint } = this.#job;
    if (this.#stopRequested) throw interruption();
    this.#setState('mounting', mountpoint);
    this.#events.step(`mounting at ${mountpoint}`);
    const mounted = await mountFuse(kernelMount(options, source, mountpoint));
    const session = serveFuse({ fd: mounted.fd, operations: filesystem });
    let attached = true;
    void session.done.then(() => {
      attached = false;
    });
    this.#onUndo('mount', async () => {
      if (attached) await mounted.unmount({ lazy: true });
    });
    filesystem.attachKernel(session.kernelCache);
    await session.ready;
    if (options.readahead > 0) await this.#raiseReadAhead();
    return { session, mounted };
  }

  /** Larger requests of the kernel, where it lets us; the mount table is read, never the mount itself. */
  async #raiseReadAhead(): Promise<void> {
    const mount = await findFuseMount(this.#job.mountpoint);
    if (mount !== undefined) await raiseReadAhead(mount);
  }

  async #openControl(serving: Serving, uid: number): Promise<void> {
    const directory = runtimeDirectory(process.env, uid);
    await ensurePrivateDirectory(directory, uid);
    const path = `${directory}/${socketName(this.#job.mountpoint, process.pid)}`;
    const control = await ControlServer.listen(path, {
      status: () => this.#status(serving),
      flush: () => serving.filesystem.flushAll(),
      stop: (force) => this.stop(force),
    });
    this.#onUndo('control', () => control.close());
  }

  #status({ filesystem, session, mounted, connection, channels, since }: Serving): MountStatus {
    return {
      source: this.#job.source,
      mountpoint: this.#job.mountpoint,
      state: this.#state,
      pid: process.pid,
      since,
      driver: mounted.method,
      server: connection.serverSoftware,
      connections: 1 + channels.counts.connections,
      lanes: channels.counts.channels,
      filesystem: filesystem.status(),
      kernel: session.stats(),
    };
  }

  /** The mount stays when the connection is lost: what is cached can be read, everything else is EIO. */
  #lost(reason: Error): void {
    if (this.#state !== 'serving') return;
    this.#setState('disconnected', reason.message);
    this.#events.report(
      `${this.#job.source}: ${reason.message}; the mount answers with errors until it is unmounted`,
    );
  }

  /** Until the kernel lets go or somebody wants the end; then everything written is sent. */
  async #serve(serving: Serving): Promise<Ending> {
    const gone = serving.session.done.then((reason) => `kernel: ${reason}`);
    const asked = this.#stopped.promise.then(() => 'asked to stop');
    this.#setState('stopping', await Promise.race([gone, asked]));
    const unsent = await this.#flush(serving.filesystem);
    await this.#unmount(serving);
    // Programs could write until the mount was out of the tree.
    const late = await this.#flush(serving.filesystem);
    return endingOf(this.#job.source, late.length > 0 ? late : unsent);
  }

  async #flush(filesystem: FileSystem): Promise<readonly Unsent[]> {
    const unknown = [{ path: '?', bytes: 0, error: 'no answer from the server' }];
    const forced = this.#forced.promise.then(() => after(FORCED_FLUSH_TIMEOUT));
    return Promise.race([
      filesystem.flushAll(),
      Promise.race([forced, after(FLUSH_TIMEOUT)]).then(() => unknown),
    ]);
  }

  /** Out of the tree; lazily when programs hold it, whose files then end with this process. */
  async #unmount({ session, mounted }: Serving): Promise<void> {
    const ended = session.done.then(() => true);
    if (await Promise.race([ended, false])) return;
    try {
      await mounted.unmount({ lazy: false });
      await Promise.race([ended, after(UNDO_TIMEOUT)]);
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      if (error.kind === 'busy') {
        this.#events.report(`${this.#job.mountpoint} is in use; programs that hold files there get errors`);
      }
      log('unmount: %s', error.message);
    }
  }

  async #takeDown(): Promise<void> {
    for (const { name, run } of this.#undo.reverse()) {
      log('undo: %s', name);
      try {
        await Promise.race([run(), after(UNDO_TIMEOUT)]);
      } catch (error) {
        log('undo %s: %o', name, error);
      }
    }
  }
}

function endingOf(source: string, unsent: readonly Unsent[]): Ending {
  if (unsent.length === 0) return { exit: 'ok', text: '' };
  return { exit: 'unsent', text: `${source}: data that the server did not take:\n${formatUnsent(unsent)}` };
}

function interruption(): CommandError {
  return new CommandError('interrupted', 'interrupted; nothing is mounted');
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
