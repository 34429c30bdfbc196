/**
 * The server's side of a mount: the link, the directory found and checked, and the filesystem on it. Made before there is
 * a mount, or, with `delay_connect`, by whoever uses the mount first. Then a failure is told to those who wait, and
 * stands in the log and the status; later uses try again, unless only a person can help.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type ByteString, encodeText } from '../base/bytes.js';
import { type Clock, systemClock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import { ROOT } from '../base/path.js';
import { DiskCache } from '../cache/disk/disk-cache.js';
import { FileSystem } from '../fs/filesystem.js';
import { NameMaps } from '../fs/name-map.js';
import type { Ids } from '../fs/operations.js';
import type { LinkStatus } from '../recovery/session.js';
import { USERS_GROUPS_BY_ID } from '../sftp/constants.js';
import { ConnectError, needsPerson } from '../ssh/errors.js';
import type { Prompter } from '../ssh/settings.js';
import { SystemAccounts } from './accounts.js';
import { cacheOwner } from './cache-directory.js';
import { withDeadline } from './deadline.js';
import { CommandError } from './exit.js';
import type { Job } from './ipc.js';
import { Link } from './link.js';
import { LiveWatch, type WatchStatus } from './live.js';
import { findLogin, findRoot, requestedPath } from './remote-root.js';
import { fsOptions, identityOf, patience } from './wiring.js';

const log = logger('server');

/** Milliseconds after a failure in which those who come fail as well, rather than try again. */
const PAUSE = 5000;

/** Bytes that may wait to be stored in cache_dir, however little memory there is for file data. */
const LEAST_PENDING = 8 * 2 ** 20;

export interface ServerSideEvents {
  /** A line for the log. */
  report(text: string): void;
  /** What is being done, for `-v`. */
  step(text: string): void;
  /** The connection has changed its state. */
  changed(status: LinkStatus): void;
  /** How far the first connection has come. */
  phase(phase: 'connecting' | 'checking', where: string): void;
}

interface Standing {
  readonly link: Link;
  readonly filesystem: FileSystem;
  readonly watch: LiveWatch;
  readonly disk: DiskCache | null;
}

/** Why the last try failed. */
interface Failure {
  readonly at: number;
  readonly reason: string;
  readonly needsPerson: boolean;
}

/** For connecting when nobody is there to be asked. */
function nobody(report: (text: string) => void): Prompter {
  const refuse = () => Promise.reject(new CommandError('interrupted', 'nobody can be asked'));
  return { interactive: false, secret: refuse, confirm: refuse, info: report };
}

export class ServerSide {
  readonly #job: Job;
  readonly #events: ServerSideEvents;
  readonly #clock: Clock = systemClock;
  readonly #since = Date.now();
  #standing: Standing | null = null;
  #connecting: Promise<FileSystem> | null = null;
  #failure: Failure | null = null;
  #attempts = 0;
  #isClosed = false;

  constructor(job: Job, events: ServerSideEvents) {
    this.#job = job;
    this.#events = events;
  }

  /** Null until it stands. */
  get link(): Link | null {
    return this.#standing?.link ?? null;
  }

  get filesystem(): FileSystem | null {
    return this.#standing?.filesystem ?? null;
  }

  /** How the mount hears of what others do; null until it stands. */
  get watch(): WatchStatus | null {
    return this.#standing?.watch.status() ?? null;
  }

  /** The server is silent, gone, or not there yet. */
  get isStalled(): boolean {
    return this.link?.isStalled ?? true;
  }

  status(): LinkStatus {
    const { link } = this;
    if (link !== null) return link.status();
    const failure = this.#failure;
    return {
      state: this.#connecting === null ? 'offline' : 'connecting',
      since: this.#since,
      reason: failure?.reason ?? 'it is connected when it is used for the first time',
      attempts: this.#attempts,
      retryAt: null,
      needsPerson: failure?.needsPerson ?? false,
    };
  }

  /** Connects for the first time; whoever comes meanwhile shares the try. Rejects with what a person is told. */
  connect(prompter: Prompter): Promise<FileSystem> {
    if (this.#standing !== null) return Promise.resolve(this.#standing.filesystem);
    this.#connecting ??= this.#begin(prompter).finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  /** For a call of a program that is the first to use the mount: rejects with its errno. */
  async firstUse(): Promise<FileSystem> {
    const failure = this.#failure;
    const isRecent = failure !== null && this.#clock.monotonic() - failure.at < PAUSE;
    if (failure !== null && (failure.needsPerson || isRecent)) throw new FsError('EHOSTDOWN', failure.reason);
    const wait = patience(this.#job.options);
    const trying = this.connect(nobody((text) => this.#events.report(text))).catch((error: unknown) => {
      throw new FsError('EHOSTDOWN', error instanceof Error ? error.message : String(error));
    });
    if (wait === Number.POSITIVE_INFINITY) return trying;
    const late = delay(wait, undefined, { ref: false }).then(() => {
      throw new FsError('ETIMEDOUT', `no connection within ${wait / 1000} s`);
    });
    return Promise.race([trying, late]);
  }

  /** Connects now, with a person's help. Rejects with why it does not work. */
  async reconnect(prompter: Prompter | null): Promise<void> {
    const { link } = this;
    if (link !== null) return link.reconnect(prompter);
    // What is under way without a person may fail for want of one.
    await this.#connecting?.catch(() => undefined);
    await this.connect(prompter ?? nobody((text) => this.#events.report(text)));
  }

  /** Ends the filesystem, then says goodbye on every connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#standing?.watch.close();
    this.#standing?.filesystem.close();
    await Promise.all([this.#standing?.disk?.close(), this.link?.close()]);
  }

  async #begin(prompter: Prompter): Promise<FileSystem> {
    try {
      const standing = await this.#stand(prompter);
      this.#standing = standing;
      this.#failure = null;
      if (this.#isClosed) await this.close();
      return standing.filesystem;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const isForPerson = error instanceof ConnectError && needsPerson(error.kind);
      log('not connected: %s', reason);
      this.#attempts += 1;
      this.#failure = { at: this.#clock.monotonic(), reason, needsPerson: isForPerson };
      throw error;
    }
  }

  async #stand(prompter: Prompter): Promise<Standing> {
    const { source, settings, options, mountpoint } = this.#job;
    const { host, port } = settings;
    const report = (text: string) => this.#events.report(`${source}: ${text}`);
    this.#events.phase('connecting', host);
    this.#events.step(`connecting to ${host} port ${port}`);
    const step = (text: string) => this.#events.step(text);
    const changed = (status: LinkStatus) => {
      if (status.state === 'connected') this.#standing?.watch.reconnected();
      this.#events.changed(status);
    };
    const link = await Link.connect(prompter, { job: this.#job, clock: this.#clock, report, step, changed });
    let disk: DiskCache | null = null;
    try {
      this.#events.step(`connected to ${link.server}`);
      const { root, login } = await withDeadline(this.#look(link), options.connectTimeout * 1000, () => {
        return new CommandError('timeout', `${source}: the server stopped answering`);
      });
      disk = this.#cacheOnDisk(link, report);
      const filesystem = new FileSystem({
        client: link.client,
        bulk: link,
        root,
        options: fsOptions(options),
        identity: identityOf(options, {
          local: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
          login,
          tables: this.#job.tables,
          names: this.#names(link),
        }),
        mountpoint: encodeText(mountpoint),
        disk,
        clock: this.#clock,
        report,
      });
      if (options.idmap === 'file') await checkOwner(filesystem, source);
      const watch = new LiveWatch({ link, filesystem, root, options, clock: this.#clock, report });
      return { link, filesystem, watch, disk };
    } catch (error) {
      await Promise.all([disk?.close(), link.close()]);
      throw error;
    }
  }

  /** The directory to mount, checked, and who the login is. */
  async #look({ first }: Link): Promise<{ readonly root: ByteString; readonly login: Ids | null }> {
    const { options, source, target } = this.#job;
    this.#events.phase('checking', source);
    this.#events.step(`looking at ${source}`);
    const subdir = options.subdir === null ? null : encodeText(options.subdir);
    const path = requestedPath(target.directory, subdir);
    const root = await findRoot(first, source, path, !options.noCheckRoot);
    const isOfInterest = options.idmap === 'user' || options.allowOther;
    return { root, login: isOfInterest ? await findLogin(first) : null };
  }

  #cacheOnDisk({ hostKey }: Link, report: (text: string) => void): DiskCache | null {
    const { settings, options } = this.#job;
    const { cacheDir: directory, cacheDirSize: limit, cacheSize } = options;
    if (directory === null) return null;
    const server = cacheOwner(settings, hostKey, options);
    const pendingLimit = Math.max(LEAST_PENDING, cacheSize / 4);
    return new DiskCache({ directory, server, limit, pendingLimit, clock: this.#clock, report });
  }

  /** For `idmap=name`: from now on every owner is looked up before it is shown. */
  #names({ client }: Link): NameMaps | null {
    if (this.#job.options.idmap !== 'name') return null;
    if (!client.has(USERS_GROUPS_BY_ID)) {
      throw new CommandError(
        'failure',
        `${this.#job.source}: the server does not tell the names of users (OpenSSH does since 9.1): idmap=user or idmap=file does without`,
      );
    }
    const names = new NameMaps((uids, gids) => client.usersGroupsById(uids, gids), new SystemAccounts());
    client.meet = (found) => names.meet(found);
    return names;
  }
}

/** A directory that `nomap=error` hides is of no use to anybody. */
async function checkOwner(filesystem: FileSystem, source: string): Promise<void> {
  await filesystem.lookup(ROOT).catch((error: unknown) => {
    if (!(error instanceof FsError) || error.code !== 'EPERM') throw error;
    const what = 'its owner is in no line of uidfile or gidfile (nomap=ignore shows such files all the same)';
    throw new CommandError('remote-permission', `${source}: ${what}`, { cause: error });
  });
}
