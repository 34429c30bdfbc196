/**
 * The life of one mount inside the serving process: connect, check the remote directory, mount, serve, end.
 * Every step leaves behind how it is undone; whatever happens, the undoing runs in reverse, each part with a
 * bound, so that a failure leaves nothing mounted and a clean end has sent everything that was written.
 */
import { encodeText } from '../base/bytes.js';
import { deferred } from '../base/deferred.js';
import { logger } from '../base/log.js';
import { ROOT } from '../base/path.js';
import { DelayedFileSystem, type Served } from '../fs/delayed.js';
import type { Unsent } from '../fs/open-file.js';
import { MountError } from '../fuse/mount/errors.js';
import type { LinkStatus } from '../recovery/session.js';
import type { Prompter } from '../ssh/settings.js';
import { LIST_MAX, type MountDetails, type MountStatus } from './control-protocol.js';
import { ControlServer } from './control-server.js';
import type { Ending } from './daemon-process.js';
import { atMost } from './deadline.js';
import { ensurePrivateDirectory, runtimeDirectory, socketName } from './directories.js';
import { CommandError, failureOf } from './exit.js';
import { formatUnsent } from './format.js';
import type { Job } from './ipc.js';
import { LocalMount } from './local-mount.js';
import { ServerSide } from './server-side.js';

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
  /** Where `report` goes; null for standard error. */
  readonly logFile: string | null;
  /** A line for the log. */
  report(text: string): void;
  /** What is being done, for `-v`. */
  step(text: string): void;
  /** The mount can be used. */
  ready(): void;
  /** The connection is in another state. */
  linkChanged(link: LinkStatus): void;
  /** The mount is about to end. */
  stopping(): void;
}

/** What serves a mount once it is ready. */
interface Serving {
  readonly local: LocalMount;
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
  readonly #server: ServerSide;

  constructor(job: Job, prompter: Prompter, events: SessionEvents) {
    this.#job = job;
    this.#prompter = prompter;
    this.#events = events;
    this.#server = new ServerSide(job, {
      report: (text) => events.report(text),
      step: (text) => events.step(text),
      changed: (status) => events.linkChanged(status),
      phase: (phase, where) => {
        if (this.#state !== 'serving') this.#setState(phase, where);
      },
    });
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
    setTimeout(() => this.#forced.resolve(), FORCED_FLUSH_TIMEOUT).unref();
  }

  /** Serves until the mount ends, and answers how it did. Never rejects. */
  async run(): Promise<Ending> {
    const begun = this.#begin();
    let ending: Ending;
    try {
      const serving = await this.#unlessStopped(begun);
      this.#setState('serving', 'ready');
      this.#events.linkChanged(this.#server.status());
      this.#events.ready();
      const unsent = await this.#serve(serving);
      this.#ended.resolve(unsent);
      ending = endingOf(this.#job.source, unsent);
    } catch (error) {
      log('failed: %o', error);
      // A mount that is just being made must be known before it can be undone.
      if (this.#state === 'mounting')
        await atMost(
          UNDO_TIMEOUT,
          begun.catch(() => {}),
        );
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
    const { options } = this.#job;
    this.#onUndo('server', () => this.#server.close());
    const filesystem = options.delayConnect
      ? new DelayedFileSystem(() => this.#server.firstUse())
      : await this.#server.connect(this.#prompter);
    // From now on something is known of the root: it is told even when the server does not answer.
    if (!options.delayConnect) filesystem.getattr({ path: ROOT, handle: null }).catch(() => undefined);
    const uid = process.getuid?.() ?? 0;
    const directory = runtimeDirectory(process.env, uid);
    await ensurePrivateDirectory(directory, uid);
    const local = await this.#mount(filesystem, directory);
    const serving = { local, since: Date.now() };
    await this.#openControl(serving, directory);
    return serving;
  }

  async #mount(filesystem: Served, directory: string): Promise<LocalMount> {
    const { mountpoint } = this.#job;
    if (this.#stopRequested) throw interruption();
    this.#setState('mounting', mountpoint);
    this.#events.step(`mounting at ${mountpoint}`);
    const local = await LocalMount.make(this.#job, filesystem, directory, () => this.#server.isStalled);
    this.#onUndo('mount', () => local.remove());
    await local.ready();
    return local;
  }

  async #openControl(serving: Serving, directory: string): Promise<void> {
    const path = `${directory}/${socketName(this.#job.mountpoint, process.pid)}`;
    const control = await ControlServer.listen(path, {
      status: () => this.#status(serving),
      inspect: () => this.#inspect(serving),
      unsent: () => this.#server.filesystem?.unsent() ?? [],
      flush: async () => {
        const { filesystem } = this.#server;
        const unsent = (await filesystem?.flushAll()) ?? [];
        filesystem?.told();
        // Whoever asked is told; the log shall know it too.
        if (unsent.length > 0) this.#events.report(sentenceOf(this.#job.source, unsent));
        return unsent;
      },
      refresh: (path) => this.#server.filesystem?.refresh(encodeText(path)) ?? Promise.resolve(),
      reconnect: (prompter) => this.#server.reconnect(prompter),
      stop: (force) => {
        this.stop(force);
        return this.#ended.promise;
      },
    });
    this.#onUndo('control', () => control.close());
  }

  #status({ local, since }: Serving): MountStatus {
    const { link, filesystem } = this.#server;
    return {
      source: this.#job.source,
      mountpoint: this.#job.mountpoint,
      state: this.#state,
      pid: process.pid,
      since,
      link: this.#server.status(),
      driver: local.driver,
      server: link?.server ?? '',
      connections: link?.counts.connections ?? 0,
      lanes: link?.counts.channels ?? 0,
      watch: this.#server.watch,
      log: this.#events.logFile,
      filesystem: filesystem?.status() ?? null,
      kernel: local.session.stats(),
    };
  }

  #inspect(serving: Serving): MountDetails {
    const { session } = serving.local;
    const { filesystem, link } = this.#server;
    return {
      ...this.#status(serving),
      traffic: link?.traffic.status() ?? null,
      unsent: filesystem?.unsent().slice(0, LIST_MAX) ?? [],
      handles: filesystem?.handles().slice(0, LIST_MAX) ?? [],
      calls: session.calls(),
      requests: link?.traffic.requests() ?? {},
      failures: session.failures(),
    };
  }

  /** Looks now whether the server is there, and tries now to reach it if it is not. */
  reconnect(): void {
    this.#server.link?.hurry();
  }

  /** Until the kernel lets go or somebody wants the end; then everything written is sent. Answers what was not. */
  async #serve({ local }: Serving): Promise<readonly Unsent[]> {
    const gone = local.session.gone.then((reason) => `kernel: ${reason}`);
    const asked = this.#stopped.promise.then(() => 'asked to stop');
    this.#setState('stopping', await Promise.race([gone, asked]));
    this.#events.stopping();
    void this.#forced.promise.then(() => local.session.abort());
    await this.#flush();
    await this.#unmount(local);
    // Programs could write until the mount was out of the tree.
    await this.#flush();
    return this.#server.filesystem?.unsent() ?? [];
  }

  /** Sends what was written, while there is time for it. */
  async #flush(): Promise<void> {
    const sent = this.#server.filesystem?.flushAll() ?? Promise.resolve();
    await atMost(FLUSH_TIMEOUT, Promise.race([sent, this.#forced.promise]));
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
        await atMost(UNDO_TIMEOUT, Promise.resolve(run()));
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
