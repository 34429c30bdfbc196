/**
 * Keeps a program on the server that watches the directories in use, and tells the filesystem what it hears. The
 * program is started when something has been listed, follows what is used from then on, and is asked every few seconds
 * whether it still is there: what it vouches for is trusted no longer than its last answer allows. Where there is none,
 * or it is lost, everything has its plain lifetime, and a person can read why.
 */
import type { Duplex } from 'node:stream';
import { type ByteString, decodeText } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { absolutePath, isWithin, type Path, ROOT } from '../base/path.js';
import { type Helper, NoHelper, startHelper } from './helper.js';
import { type Change, type Message, REFUSAL } from './messages.js';
import { tellsAll, toWatch } from './plan.js';

const log = logger('watch');

/** Milliseconds between two looks at what is in use, and from a new listing to the next look. */
const TICK = 1000;
const SOON = 50;
/** Milliseconds between two questions to the program; a quarter of the lifetime, within these. */
const ASK_LEAST = 500;
const ASK_MOST = 5000;
/** Milliseconds for an answer, after which it is given up. */
const ANSWER_TIMEOUT = 15_000;
/** Milliseconds until a lost program is started again, doubled each time in a row. */
const RESTART = 1000;
const RESTART_MOST = 5 * 60_000;
/** A program that went on for so many milliseconds was no failure. */
const STABLE = 60_000;
/** Milliseconds until a directory that could not be watched is tried again. */
const REFUSED = 60_000;
const MAX_REFUSED = 10_000;

const UNTOLD = 'the filesystem there does not tell of what other machines do';
const USED_UP = 'the inotify watches of the server are used up';

/** The side of the filesystem. */
export interface Watched {
  /** Directories of which anything is known, the one that was used last first. */
  recent(most: number): readonly Path[];
  /** Grows while the mount is used. */
  readonly uses: number;
  /**
   * From now on every change in `directory` is told; false where that is of no use. For `quiet` milliseconds nothing
   * came or went there.
   */
  watched(directory: Path, quiet: number): boolean;
  /** `directory`, and all below it, is not watched any more. */
  unwatched(directory: Path): void;
  /** Nothing is watched any more, or something may not have been told. */
  lost(): void;
  /** All that changed until `at`, in milliseconds of the monotonic clock, has been told. */
  proved(at: number): void;
  changed(change: Change & { readonly directory: Path }): void;
}

export interface WatcherSettings {
  readonly clock: Clock;
  readonly watched: Watched;
  /** The mounted directory on the server. */
  readonly root: ByteString;
  /** Directories at most. */
  readonly most: number;
  /** Milliseconds that the filesystem trusts what was just proved. */
  readonly lifetime: number;
  /** Runs a command on the server. */
  open(command: string): Promise<Duplex>;
  /** Is the server there, as far as one knows? */
  isConnected(): boolean;
  /** Would `open` fail in the same way again? */
  isFinal(error: unknown): boolean;
  /** Is told why there will be none. */
  impossible(reason: string): void;
}

/** `waiting`: for something to be listed, for the connection, or for the time to try again. */
export type WatcherState = 'waiting' | 'starting' | 'watching' | 'impossible' | 'closed';

export interface WatcherStatus {
  readonly state: WatcherState;
  /** What runs on the server; null for nothing. */
  readonly program: string | null;
  /** Directories that it has confirmed. */
  readonly directories: number;
  /** Why there is none, or why it does not watch all; null if all is well. */
  readonly reason: string | null;
}

export class Watcher {
  readonly #settings: WatcherSettings;
  #state: WatcherState = 'waiting';
  #helper: Helper | null = null;
  /** Counts programs, so that what an earlier one still says is told from the present one's. */
  #generation = 0;
  #reason: string | null = 'nothing has been listed yet';
  readonly #ids = new Map<Path, number>();
  readonly #paths = new Map<number, Path>();
  /** Those that the program has confirmed. */
  readonly #confirmed = new Set<Path>();
  /** Until when a directory is not tried. */
  readonly #refused = new Map<Path, number>();
  #nextId = 1;
  /** The question without an answer, and when any was asked last. */
  #asked: { readonly id: number; readonly at: number } | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #startedAt = 0;
  #retryAt = 0;
  #usesThen = -1;
  /** Milliseconds between two questions. */
  readonly #pause: number;
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | null = null;

  constructor(settings: WatcherSettings) {
    this.#settings = settings;
    this.#pause = Math.min(ASK_MOST, Math.max(ASK_LEAST, settings.lifetime / 4));
    this.#timer = setInterval(() => this.#look(), Math.min(TICK, this.#pause)).unref();
  }

  status(): WatcherStatus {
    return {
      state: this.#state,
      program: this.#helper?.program ?? null,
      directories: this.#confirmed.size,
      reason: this.#reason,
    };
  }

  /** Something new may be worth watching. */
  hurry(): void {
    if (this.#state === 'closed') return;
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      this.#look();
    }, SOON).unref();
  }

  /** There is another connection: what was impossible may not be. */
  reconnected(): void {
    if (this.#state === 'closed') return;
    this.#failures = 0;
    this.#retryAt = 0;
    this.#refused.clear();
    if (this.#state === 'impossible') this.#setState('waiting', this.#reason);
    this.hurry();
  }

  /** The filesystem does not need `directory` watched any more as what it was. */
  dropped(directory: Path): void {
    const id = this.#ids.get(directory);
    if (id === undefined) return;
    this.#forget(directory, id);
    this.#helper?.remove(id);
    this.#usesThen = -1;
    this.hurry();
  }

  close(): void {
    this.#end('the mount ends', 'closed');
    clearInterval(this.#timer);
    if (this.#soon !== null) clearTimeout(this.#soon);
  }

  #setState(state: WatcherState, reason: string | null): void {
    if (this.#state === 'closed') return;
    log('%s -> %s (%s)', this.#state, state, reason ?? 'all is well');
    this.#state = state;
    this.#reason = reason;
    if (state === 'impossible' && reason !== null) this.#settings.impossible(reason);
  }

  #look(): void {
    const { clock, isConnected } = this.#settings;
    const now = clock.monotonic();
    if (this.#state === 'waiting' && now >= this.#retryAt && isConnected()) this.#start();
    if (this.#state !== 'watching') return;
    if (this.#asked !== null && now - this.#asked.at > ANSWER_TIMEOUT) {
      this.#lost('it does not answer');
      return;
    }
    this.#follow(now);
    if (now - this.#askedAt >= this.#pause) this.#ask(now);
  }

  #start(): void {
    const { watched, open, isFinal, clock } = this.#settings;
    if (watched.recent(1).length === 0) return;
    this.#setState('starting', 'being started');
    this.#startedAt = clock.monotonic();
    this.#generation += 1;
    const generation = this.#generation;
    const isMine = () => generation === this.#generation && this.#state !== 'closed';
    const told = (message: Message) => {
      if (isMine()) this.#hear(message);
    };
    const ended = (reason: string) => {
      if (isMine()) this.#lost(reason);
    };
    startHelper(open, { told, ended }).then(
      (helper) => {
        if (!isMine()) return helper.end();
        this.#helper = helper;
        this.#usesThen = -1;
        this.#setState('watching', null);
        this.#look();
      },
      (error: unknown) => {
        if (!isMine()) return;
        const reason = error instanceof Error ? error.message : String(error);
        if (error instanceof NoHelper || isFinal(error)) this.#end(reason, 'impossible');
        else this.#lost(reason);
      },
    );
  }

  /** Watches what is used, and no longer what is not. */
  #follow(now: number): void {
    const { watched, most, root } = this.#settings;
    for (const [path, until] of this.#refused) if (until <= now) this.#refused.delete(path);
    if (watched.uses === this.#usesThen) return;
    this.#usesThen = watched.uses;
    const wanted = toWatch(watched.recent(most), most, (path) => this.#refused.has(path));
    for (const [path, id] of this.#ids) {
      if (wanted.has(path)) continue;
      this.#forget(path, id);
      this.#helper?.remove(id);
      watched.unwatched(path);
    }
    let isNew = false;
    for (const path of wanted) {
      if (this.#ids.has(path)) continue;
      const id = this.#nextId;
      this.#nextId += 1;
      this.#ids.set(path, id);
      this.#paths.set(id, path);
      this.#helper?.add(id, absolutePath(root, path));
      isNew = true;
    }
    if (isNew) this.#ask(now);
  }

  #ask(now: number): void {
    this.#askedAt = now;
    if (this.#asked !== null) return;
    this.#asked = { id: this.#nextId, at: now };
    this.#nextId += 1;
    this.#helper?.ask(this.#asked.id);
  }

  #hear(message: Message): void {
    const { watched } = this.#settings;
    if (message.kind === 'overflow') {
      this.#overflowed();
      return;
    }
    if (message.kind === 'answer') {
      if (message.id === this.#asked?.id) watched.proved(this.#asked.at);
      this.#asked = null;
      return;
    }
    const path = this.#paths.get(message.id);
    // Of one that was let go meanwhile.
    if (path === undefined) return;
    switch (message.kind) {
      case 'watched':
        if (!tellsAll(message.type)) this.#refuse(path, message.id, UNTOLD);
        else if (watched.watched(path, message.quiet)) this.#confirmed.add(path);
        else this.dropped(path);
        return;
      case 'refused':
        this.#refuse(path, message.id, message.errno === REFUSAL.ENOSPC ? USED_UP : null);
        return;
      case 'changed':
        watched.changed({ ...message.change, directory: path });
    }
  }

  /** Not this one, nor anything below it; one that merely is not there needs no mention. */
  #refuse(path: Path, id: number, reason: string | null): void {
    log('%s is not watched: %s', decodeText(path), reason ?? 'the server will not');
    if (path === ROOT) {
      if (reason === UNTOLD) this.#end(reason, 'impossible');
      else this.#lost(reason ?? 'the mounted directory cannot be watched');
      return;
    }
    if (this.#refused.size < MAX_REFUSED) this.#refused.set(path, this.#settings.clock.monotonic() + REFUSED);
    if (reason !== null) this.#reason = `not all directories: ${reason}`;
    this.#forget(path, id);
    this.#helper?.remove(id);
    for (const [below, its] of this.#ids) {
      if (!isWithin(below, path)) continue;
      this.#forget(below, its);
      this.#helper?.remove(its);
    }
    this.#settings.watched.unwatched(path);
  }

  #forget(path: Path, id: number): void {
    this.#ids.delete(path);
    this.#paths.delete(id);
    this.#confirmed.delete(path);
  }

  /** Whatever was watched may have changed, and is watched anew, with the next look at the earliest. */
  #overflowed(): void {
    log('events were lost');
    this.#settings.watched.lost();
    for (const [path, id] of this.#ids) {
      this.#forget(path, id);
      this.#helper?.remove(id);
    }
    this.#usesThen = -1;
  }

  /** It may be started again. */
  #lost(reason: string): void {
    const now = this.#settings.clock.monotonic();
    this.#failures = now - this.#startedAt > STABLE ? 0 : this.#failures;
    this.#retryAt = now + Math.min(RESTART_MOST, RESTART * 2 ** this.#failures);
    this.#failures += 1;
    this.#end(`lost: ${reason}`, 'waiting');
  }

  #end(reason: string, state: 'waiting' | 'impossible' | 'closed'): void {
    this.#generation += 1;
    this.#helper?.end();
    this.#helper = null;
    this.#asked = null;
    this.#ids.clear();
    this.#paths.clear();
    this.#confirmed.clear();
    this.#settings.watched.lost();
    this.#setState(state, reason);
  }
}
