/**
 * The life of one mount inside the serving process: connect, check the remote directory, mount, serve, end.
 * Every step leaves behind how it is undone; whatever happens, the undoing runs in reverse, each part with a
 * bound, so that a failure leaves nothing mounted and a clean end has sent everything that was written.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { encodeText } from '../base/bytes.js';
import { systemClock } from '../base/clock.js';
import { deferred } from '../base/deferred.js';
import { logger } from '../base/log.js';
import { FileSystem } from '../fs/filesystem.js';
import type { Unsent } from '../fs/open-file.js';
import { MountError } from '../fuse/mount/errors.js';
import type { SftpClient } from '../sftp/client.js';
import type { Prompter } from '../ssh/settings.js';
import type { MountStatus } from './control-protocol.js';
import { ControlServer } from './control-server.js';
import type { Ending } from './daemon-process.js';
import { withDeadline } from './deadline.js';
import { ensurePrivateDirectory, runtimeDirectory, socketName } from './directories.js';
import { CommandError, failureOf } from './exit.js';
import { formatUnsent } from './format.js';
import type { Job } from './ipc.js';
import { Link } from './link.js';
import { LocalMount } from './local-mount.js';
import { findLogin, findRoot, requestedPath } from './remote-root.js';
import { fsOptions, identityOf } from './wiring.js';

const log = logger('session');

/** Milliseconds for sending what was written, when the mount ends, and when it is forced to. */
const FLUSH_TIMEOUT = 10 * 60_000;
const FORCED_FLUSH_TIMEOUT = 3000;
/** Milliseconds for each step of taking things down. */
const UNDO_TIMEOUT = 5000;

export type MountState =
  | 'starting'
  | 'connecting'
  | 'checking'
  | 'mounting'
  | 'serving'
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
  readonly local: LocalMount;
  readonly link: Link;
  readonly since: number;
}

export class MountSession {
  readonly #job: Job;
  readonly #prompter: Prompter;
  readonly #events: SessionEvents;
  readonly #undo: { readonly name: string; readonly run: () => unknown }[] = [];
  readonly #stopped = deferred<void>();
  readonly #forced = deferred<void>();
  /** What could not be sent, once the mount has ended. */
  readonly #ended = deferred<readonly Unsent[]>();
  #state: MountState = 'starting';
  #stopRequested = false;
  #isForced = false;
  /** Once there is one. */
  #link: Link | null = null;

  constructor(job: Job, prompter: Prompter, events: SessionEvents) {
    this.#job = job;
    this.#prompter = prompter;
    this.#events = events;
  }

  #setState(state: MountState, why: string): void {
    log('%s -> %s (%s)', this.#state, state, why);
    this.#state = state;
  }

  /** Ends the mount. With `force` neither the server nor programs that hold files are waited for, but for a moment. */
  stop(force: boolean): void {
    this.#stopRequested = true;
    this.#stopped.resolve();
    if (!force || this.#isForced) return;
    this.#isForced = true;
    setTimeout(() => this.#forced.resolve(), FORCED_FLUSH_TIMEOUT);
  }

  /** Serves until the mount ends, and answers how it did. Never rejects. */
  async run(): Promise<Ending> {
    const begun = this.#begin();
    let ending: Ending;
    try {
      const serving = await this.#unlessStopped(begun);
      this.#setState('serving', 'ready');
      this.#events.ready();
      const unsent = await this.#serve(serving);
      this.#ended.resolve(unsent);
      ending = endingOf(this.#job.source, unsent);
    } catch (error) {
      log('failed: %o', error);
      // A mount that is just being made must be known before it can be undone.
      if (this.#state === 'mounting') await Promise.race([begun.catch(() => {}), delay(UNDO_TIMEOUT)]);
      const failure = failureOf(error);
      ending = { exit: failure.exit, text: failure.message };
      this.#ended.resolve([]);
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
    const link = await this.#connect();

    const { root, login } = await withDeadline(this.#look(link.first), options.connectTimeout * 1000, () => {
      return new CommandError('timeout', `${source}: the server stopped answering`);
    });
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const filesystem = new FileSystem({
      client: link.client,
      bulk: link,
      root,
      options: fsOptions(options),
      identity: identityOf(options, owner, login),
      mountpoint: encodeText(this.#job.mountpoint),
      clock: systemClock,
      report: (text) => this.#events.report(`${source}: ${text}`),
    });
    this.#onUndo('filesystem', () => filesystem.close());

    const directory = runtimeDirectory(process.env, owner.uid);
    await ensurePrivateDirectory(directory, owner.uid);
    const local = await this.#mount(filesystem, directory, link);
    const serving = { filesystem, local, link, since: Date.now() };
    await this.#openControl(serving, directory);
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

  async #connect(): Promise<Link> {
    const { host, port } = this.#job.settings;
    this.#setState('connecting', host);
    this.#events.step(`connecting to ${host} port ${port}`);
    const link = await Link.connect(this.#prompter, {
      job: this.#job,
      clock: systemClock,
      report: (text) => this.#events.report(`${this.#job.source}: ${text}`),
      step: (text) => this.#events.step(text),
    });
    this.#link = link;
    this.#onUndo('connections', () => link.close());
    this.#events.step(`connected to ${link.server}`);
    return link;
  }

  async #mount(filesystem: FileSystem, directory: string, link: Link): Promise<LocalMount> {
    const { mountpoint } = this.#job;
    if (this.#stopRequested) throw interruption();
    this.#setState('mounting', mountpoint);
    this.#events.step(`mounting at ${mountpoint}`);
    const local = await LocalMount.make(this.#job, filesystem, directory, () => link.isStalled);
    this.#onUndo('mount', () => local.remove());
    await local.ready();
    return local;
  }

  async #openControl(serving: Serving, directory: string): Promise<void> {
    const path = `${directory}/${socketName(this.#job.mountpoint, process.pid)}`;
    const control = await ControlServer.listen(path, {
      status: () => this.#status(serving),
      unsent: () => serving.filesystem.unsent(),
      flush: async () => {
        const unsent = await serving.filesystem.flushAll();
        serving.filesystem.told();
        // Whoever asked is told; the log shall know it too.
        if (unsent.length > 0) this.#events.report(sentenceOf(this.#job.source, unsent));
        return unsent;
      },
      reconnect: (prompter) => serving.link.reconnect(prompter),
      stop: (force) => {
        this.stop(force);
        return this.#ended.promise;
      },
    });
    this.#onUndo('control', () => control.close());
  }

  #status({ filesystem, local, link, since }: Serving): MountStatus {
    return {
      source: this.#job.source,
      mountpoint: this.#job.mountpoint,
      state: this.#state,
      pid: process.pid,
      since,
      link: link.status(),
      driver: local.method,
      server: link.server,
      connections: link.counts.connections,
      lanes: link.counts.channels,
      filesystem: filesystem.status(),
      kernel: local.session.stats(),
    };
  }

  /** Looks now whether the server is there, and tries now to reach it if it is not. */
  reconnect(): void {
    this.#link?.hurry();
  }

  /** Until the kernel lets go or somebody wants the end; then everything written is sent. Answers what was not. */
  async #serve({ filesystem, local }: Serving): Promise<readonly Unsent[]> {
    const gone = local.session.gone.then((reason) => `kernel: ${reason}`);
    const asked = this.#stopped.promise.then(() => 'asked to stop');
    this.#setState('stopping', await Promise.race([gone, asked]));
    void this.#forced.promise.then(() => local.session.abort());
    await this.#flush(filesystem);
    await this.#unmount(local);
    // Programs could write until the mount was out of the tree.
    await this.#flush(filesystem);
    return filesystem.unsent();
  }

  /** Sends what was written, while there is time for it. */
  async #flush(filesystem: FileSystem): Promise<void> {
    await Promise.race([filesystem.flushAll(), this.#forced.promise, delay(FLUSH_TIMEOUT)]);
  }

  /** Out of the tree. One that programs hold is left to be detached; their files end with this process, if not now. */
  async #unmount(local: LocalMount): Promise<void> {
    try {
      if (this.#isForced) local.session.abort();
      await local.unmount({ lazy: this.#isForced });
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
        await Promise.race([run(), delay(UNDO_TIMEOUT)]);
      } catch (error) {
        log('undo %s: %o', name, error);
      }
    }
  }
}

function endingOf(source: string, unsent: readonly Unsent[]): Ending {
  return unsent.length === 0
    ? { exit: 'ok', text: '' }
    : { exit: 'unsent', text: sentenceOf(source, unsent) };
}

function sentenceOf(source: string, unsent: readonly Unsent[]): string {
  return `${source}: data that the server did not take:\n${formatUnsent(unsent)}`;
}

function interruption(): CommandError {
  return new CommandError('interrupted', 'interrupted; nothing is mounted');
}
