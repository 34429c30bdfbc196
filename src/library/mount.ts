/**
 * Mounting from a program. What the command does is done by the same parts: the job is judged here, then served, by
 * default in a process of its own, since a program that served its own mount would wait for itself for ever as soon as
 * it touched it with a synchronous call.
 */
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { askControl } from '../cli/control-client.js';
import type { MountStatus } from '../cli/control-protocol.js';
import { runtimeDirectory, socketName } from '../cli/directories.js';
import { CommandError } from '../cli/exit.js';
import { formatUnsent } from '../cli/format.js';
import type { Job } from '../cli/ipc.js';
import { prepareJob } from '../cli/job.js';
import { unmount } from '../cli/unmount.js';
import { fromAutossh } from '../config/autossh.js';
import type { LinkStatus } from '../recovery/session.js';
import { errorOf, guarded, RemoraError } from './errors.js';
import { isForced, type UnmountSettings } from './mounts.js';
import { type Options, readOptions } from './options.js';
import { listenerOf, type PersonSettings } from './person.js';
import { type MountServer, serveBeside, serveHere } from './server.js';
import {
  FUNCTION,
  type Kind,
  mustBeSettings,
  mustSay,
  oneOf,
  RECORD,
  SIGNAL,
  TEXT,
  TEXTS,
} from './values.js';

/** Milliseconds for a serving process to tell its status. */
const STATUS_TIMEOUT = 5000;

/** What a mount and a connection of the SFTP client have in common. */
export interface LoginSettings extends PersonSettings {
  readonly options?: Options;
  /** Further options in the spelling of `-o`: `['ro', 'port=2222', 'Ciphers=aes128-ctr']`. They win. */
  readonly o?: readonly string[];
  /** Tried once where the server takes passwords. */
  readonly password?: string;
}

export interface MountSettings extends LoginSettings {
  /**
   * Who serves the mount. `child`, the default: a process that ends with this one, however it ends. `detached`: a
   * process that goes on when this one has ended, as for the command. `in-process`: this process; then nothing in it
   * may touch the mount by a synchronous call, and whatever blocks its event loop blocks the mount.
   */
  readonly serve?: 'child' | 'detached' | 'in-process';
  /** Gives up, and leaves nothing mounted, until the mount stands. */
  readonly signal?: AbortSignal;
}

/** What each setting has to be. */
export const LOGIN_KINDS = {
  options: RECORD,
  o: TEXTS,
  password: TEXT,
  ask: FUNCTION,
  log: FUNCTION,
} satisfies Record<keyof LoginSettings, Kind>;

const MOUNT_KINDS = {
  ...LOGIN_KINDS,
  serve: oneOf('child', 'detached', 'in-process'),
  signal: SIGNAL,
} satisfies Record<keyof MountSettings, Kind>;

/** Events of a {@link Mount} with their arguments. */
export interface MountEvents {
  /** The connection is in another state: lost, tried again, back. */
  readonly link: [status: LinkStatus];
  /** The mount is gone: null when it was unmounted in order, by whomever, else why, or what could not be sent. */
  readonly end: [error: RemoraError | null];
}

/**
 * Mounts `source`, `[user@]host:[directory]`, at the directory `mountpoint`, and resolves when programs can use it.
 * @throws RemoraError
 */
export function mount(source: string, mountpoint: string, settings: MountSettings = {}): Promise<Mount> {
  return guarded(async () => {
    mustSay('the source', source);
    mustSay('the mount point', mountpoint);
    mustBeSettings(MOUNT_KINDS, settings);
    const job = await judge(source, mountpoint, settings);
    const { serve = 'child', signal } = settings;
    const events = new EventEmitter<MountEvents>();
    const changed = (status: LinkStatus) => events.emit('link', status);
    if (signal?.aborted) throw interruption(signal);
    const server =
      serve === 'in-process' ? serveHere(job, settings, changed) : await serveBeside(job, settings, changed);

    const stop = () => server.stop(false);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    const failed = await server.ready;
    signal?.removeEventListener('abort', stop);
    if (signal?.aborted) {
      await server.ended;
      throw interruption(signal);
    }
    const error = failed === null ? null : errorOf(failed);
    if (failed !== null) throw error ?? new RemoraError('failure', 'the mount ended at once');
    return new Mount(job, server, events, settings);
  });
}

function interruption(signal: AbortSignal): RemoraError {
  return new RemoraError('interrupted', 'interrupted; nothing is mounted', { cause: signal.reason });
}

/** @throws OptionError, CommandError */
async function judge(source: string, mountpoint: string, settings: MountSettings): Promise<Job> {
  const { options = {}, o = [], password = null, ask, serve = 'child' } = settings;
  const parsed = readOptions(options, o);
  // autossh's variables are for a command in its place.
  const autossh = fromAutossh({}, process.cwd());
  const wish = { source, mountpoint, isNamed: false, parsed, autossh, verbose: false };
  const prepared = await prepareJob(wish, process.env, userId(), () => {});
  return {
    ...prepared,
    settings: { ...prepared.settings, password },
    interactive: ask !== undefined && !prepared.options.batchMode,
    foreground: false,
    attached: serve === 'child',
  };
}

export class Mount {
  readonly source: string;
  /** Absolute, without links: as the mount table has it. */
  readonly mountpoint: string;
  /** The serving process. */
  readonly pid: number;
  readonly events: EventEmitter<MountEvents>;
  /** Resolves when the mount is gone, with what the event `end` says. */
  readonly ended: Promise<RemoraError | null>;
  readonly #server: MountServer;
  readonly #socket: string;
  readonly #person: PersonSettings;
  #isEnded = false;

  /** @internal */
  constructor(job: Job, server: MountServer, events: EventEmitter<MountEvents>, person: PersonSettings) {
    this.source = job.source;
    this.mountpoint = job.mountpoint;
    this.pid = server.pid;
    this.events = events;
    this.#server = server;
    this.#socket = join(runtimeDirectory(process.env, userId()), socketName(job.mountpoint, server.pid));
    this.#person = person;
    this.ended = server.ended.then((ending) => {
      this.#isEnded = true;
      return errorOf(ending);
    });
    void this.ended.then((error) => events.emit('end', error));
  }

  /** State, connection and gauges, as `remora status --json` has them. Rejects with `not-mounted` after the end. */
  status(): Promise<MountStatus> {
    return guarded(() => askControl(this.#socket, { op: 'status' }, { timeout: STATUS_TIMEOUT }));
  }

  /** Resolves when everything that programs have written is on the server. Rejects with `unsent`. */
  flush(): Promise<void> {
    return guarded(async () => {
      const unsent = await askControl(this.#socket, { op: 'flush' }, {});
      if (unsent.length === 0) return;
      throw new CommandError('unsent', `data that the server did not take:\n${formatUnsent(unsent)}`);
    });
  }

  /** Connects again now, and asks what `ask` is for. Resolves when the mount is connected. */
  reconnect(): Promise<void> {
    return guarded(async () => {
      const request = { op: 'reconnect', interactive: this.#person.ask !== undefined } as const;
      await askControl(this.#socket, request, { listener: listenerOf(this.#person) });
    });
  }

  /**
   * Sends what was written, unmounts, and resolves when nothing is left; at once when the mount has ended. Rejects
   * with `busy`, or with `unsent` while something is still to be sent, and leaves it mounted. Where the server refused
   * something, and with `force`, it ends in any case, and `unsent` says what was lost.
   */
  unmount(settings: UnmountSettings = {}): Promise<void> {
    return guarded(async () => {
      const force = isForced(settings);
      if (this.#isEnded) return;
      this.#server.ref();
      const { mountpoint } = this;
      await unmount({ mountpoint, force }, process.env, userId(), (text) => this.#person.log?.(text), null);
      await this.ended;
    });
  }

  /** `await using` unmounts at the end of its block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.unmount();
  }
}

function userId(): number {
  return process.getuid?.() ?? 0;
}
