/**
 * Opens, reads and closes small files before a program opens them. A walk is seen when one file is opened behind
 * another on a way through the tree (cache/file-walk.ts), twice in a row. From then on the files that come next are
 * read whole, as many as the walk's window: it grows with each that was opened and shrinks when another was wanted
 * instead, and what was read and not opened yet counts against it. Walks of late that were read ahead of in vain
 * make the next ones wait for more steps. Whoever opens a file that is just being read waits for that, but hardly longer
 * than it takes as a rule: a connection for data may hang while that for everything else is well.
 *
 * What comes goes into the block cache, under a file that is closed, and stays there for whoever opens it, if
 * nothing of ours came in between and the server describes the file as its name is known.
 */
import type { Clock } from '../base/clock.js';
import { logger } from '../base/log.js';
import { isRegular } from '../base/mode.js';
import { isWithin, type Path, parentOf } from '../base/path.js';
import { BLOCK_SIZE } from '../cache/blocks.js';
import {
  commonDirectory,
  type Entries,
  FIRST_WINDOW,
  filesAfter,
  grown,
  shrunk,
  WAYS,
  type Way,
  waysOf,
} from '../cache/file-walk.js';
import { PAUSE } from '../cache/walk.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { SSH_FXF_READ } from '../sftp/constants.js';
import type { BulkClients } from './bulk.js';
import { isHidden, toAttributes } from './identity.js';
import type { DataClient } from './lanes.js';
import type { FileNode } from './open-file.js';
import type { Attributes } from './operations.js';
import type { Parts } from './parts.js';
import { Patience } from './patience.js';
import { PrefetchOutcomes, type PrefetchStatus } from './prefetch-outcomes.js';
import { isRacy } from './same-file.js';

const log = logger('read');

/** Files of more bytes are not read ahead. */
const MAX_SIZE = 128 * 1024;
/** Larger files are opened on the server while their content comes from this machine's disk. */
const MAX_FROM_DISK = 1024 * 1024;
/** Walks that are remembered: several programs, or threads of one, may read at the same time. */
const MAX_WALKS = 8;
/** Files and bytes being read ahead at a time, of all walks. */
const MAX_IN_FLIGHT = 256;
const MAX_BYTES_IN_FLIGHT = 4 * 1024 * 1024;
/** Files that were not opened yet take this part of the cache at most. */
const SHARE = 1 / 4;
/** Beyond its window a walk looks past so many files that need not be read for one that has to be. */
const HORIZON = 16;

interface Walk {
  /** On which all steps so far may have been made, likeliest first. */
  ways: readonly Way[];
  root: Path;
  /** The file opened last, and when. */
  position: Path;
  at: number;
  steps: number;
  window: number;
  /** Read ahead, or being so, and not opened yet. */
  readonly ahead: Set<Path>;
  /** What could not be read ahead is not tried again. */
  readonly failed: Set<Path>;
}

interface Ahead {
  readonly walk: Walk;
  readonly at: number;
  /** Bytes of its content, 0 if that was here already, and of the cache that it takes. */
  readonly size: number;
  readonly memory: number;
  readonly done: Promise<void>;
  isDone: boolean;
}

export class FilesAhead {
  readonly #parts: Parts;
  readonly #bulk: BulkClients | null;
  readonly #clock: Clock;
  readonly #isOn: boolean;
  /** Bytes of the cache for what was not opened yet. */
  readonly #room: number;
  /** The one that went on last is first. */
  #walks: Walk[] = [];
  /** Oldest first. */
  readonly #ahead = new Map<Path, Ahead>();
  #memory = 0;
  #inFlight = 0;
  #bytesInFlight = 0;
  readonly #outcomes = new PrefetchOutcomes();
  /** For whoever opens what is just being read. */
  readonly #patience = new Patience();

  constructor(parts: Parts, bulk: BulkClients | null) {
    this.#parts = parts;
    this.#bulk = bulk;
    this.#clock = parts.clock;
    const { prefetch, directIo, statTtl, cacheBytes } = parts.options;
    this.#isOn = prefetch && !directIo && statTtl > 0;
    this.#room = cacheBytes * SHARE;
  }

  get status(): PrefetchStatus {
    return this.#outcomes.status;
  }

  /** A program opens this file to read it. Answers what is to be awaited if it is just being read ahead, or null. */
  opened(path: Path): Promise<void> | null {
    if (!this.#isOn) return null;
    const now = this.#clock.monotonic();
    this.#sweep(now);
    const foreseen = this.#take(path);
    const walk = foreseen?.walk ?? this.#follow(path, now);
    if (walk.position !== path) walk.steps += 1;
    if (foreseen !== undefined) {
      this.#outcomes.used(foreseen.size);
      foreseen.walk.window = grown(foreseen.walk.window);
    }
    walk.position = path;
    walk.at = now;
    this.#walks = [walk, ...this.#walks.filter((other) => other !== walk)].slice(0, MAX_WALKS);
    this.#fill(walk);
    if (foreseen === undefined || foreseen.isDone) return null;
    return this.#patience.wait(foreseen.done, now - foreseen.at);
  }

  /**
   * A file that is not held in memory, and of which the server told a moment ago what it is, may be on this machine's
   * disk: answers what has to be awaited until it has come from there, or null if there is no use in looking.
   */
  fromDisk(path: Path): Promise<unknown> | null {
    const { names, files, content, options } = this.#parts;
    if (!content.hasDisk || options.directIo || !names.isFresh(path, options.openTtl)) return null;
    const known = names.known(path)?.value;
    if (!known || !isRegular(known.mode) || known.size === 0 || known.size > MAX_FROM_DISK) return null;
    const node = files.peek(path);
    if (isInUse(node) || (node?.matches(known) && content.holds(node))) return null;
    return this.#fromDisk(path, known);
  }

  /** A directory is known now: walks may go on into it. */
  listed(directory: Path): void {
    const now = this.#clock.monotonic();
    for (const walk of this.#walks) {
      if (now - walk.at <= PAUSE && isWithin(directory, walk.root)) this.#fill(walk);
    }
  }

  /** The walk that opening `path`, which was not foreseen, is a step of; or one that begins with it. */
  #follow(path: Path, now: number): Walk {
    for (const walk of this.#walks) {
      if (now - walk.at > PAUSE) continue;
      if (walk.position === path) return walk;
      const follows = (ways: readonly Way[]) => waysOf(walk.position, path, ways, this.#entries);
      let ways = follows(walk.ways);
      if (ways.length > 0 && walk.ahead.size > 0) walk.window = shrunk(walk.window);
      if (ways.length === 0 && walk.ways.length < WAYS.length) {
        ways = follows(WAYS);
        // It turned another way.
        if (ways.length > 0) walk.steps = 0;
      }
      if (ways.length === 0) continue;
      walk.ways = ways;
      const root = commonDirectory(walk.position, path);
      if (isWithin(walk.root, root)) walk.root = root;
      return walk;
    }
    return newWalk(path, now);
  }

  #fill(walk: Walk): void {
    const { window, ahead } = walk;
    const [way] = walk.ways;
    if (way === undefined || walk.steps < this.#outcomes.stepsWanted) return;
    // Looking costs more than reading: so it is done for several at once.
    if (ahead.size > window * 0.75) return;
    let passed = 0;
    for (const path of filesAfter(walk.position, walk.root, way, this.#entries)) {
      if (ahead.size >= window || passed > window + HORIZON || !this.#hasRoom()) return;
      if (this.#ahead.has(path) || walk.failed.has(path) || !this.#begin(path, walk)) passed += 1;
    }
  }

  #hasRoom(): boolean {
    const isBusy = this.#inFlight >= MAX_IN_FLIGHT || this.#bytesInFlight >= MAX_BYTES_IN_FLIGHT;
    return !isBusy && this.#memory < this.#room && !this.#parts.remote.client.isDown;
  }

  /** Reads the file ahead, or only asks whether it is still what is here; false if there is no need or no use. */
  #begin(path: Path, walk: Walk): boolean {
    const { names, files, content, options, clock, remote } = this.#parts;
    const known = names.known(path)?.value;
    if (!known || !isRegular(known.mode) || known.size === 0) return false;
    const most = Math.min(MAX_SIZE, remote.client.limits.maxRead);
    if (known.size > most || isRacy(known.mtime, clock.now() / 1000)) return false;
    const node = files.peek(path);
    if (isInUse(node)) return false;
    const isHere = node?.matches(known) && !node.racy && node.isReadable(known) && content.holds(node);
    // Where each open asks by itself, there is nothing to ask ahead.
    if (isHere && (options.openTtl === 0 || names.isFresh(path, options.openTtl / 2))) return false;
    const size = isHere ? 0 : known.size;
    const work = isHere ? names.answers.ask(path) : this.#bring(path, known);
    const memory = Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
    const ended = () => {
      ahead.isDone = true;
      this.#inFlight -= 1;
      this.#bytesInFlight -= size;
      this.#fill(walk);
    };
    const done = work.then(ended, (error: unknown) => {
      log('reading ahead: %s', error);
      walk.failed.add(path);
      if (this.#ahead.get(path) === ahead) this.#take(path);
      ended();
    });
    const ahead: Ahead = { walk, at: clock.monotonic(), size, memory, done, isDone: false };
    this.#ahead.set(path, ahead);
    walk.ahead.add(path);
    this.#memory += memory;
    this.#inFlight += 1;
    this.#bytesInFlight += size;
    this.#outcomes.fetched(size);
    return true;
  }

  async #bring(path: Path, known: Attributes): Promise<void> {
    const { names, files, content, options } = this.#parts;
    if (!content.hasDisk || !(await this.#fromDisk(path, known))) {
      return this.#read(path, known, files.peek(path));
    }
    // What is known of it is asked anew in time for the open.
    if (!names.isFresh(path, options.openTtl / 2)) await names.answers.ask(path);
  }

  /** From this machine's disk, if it was read by this login as its name is known to be now: the server is not asked. */
  async #fromDisk(path: Path, known: Attributes): Promise<boolean> {
    const { content, freshness } = this.#parts;
    const { target, isNew } = this.#target(path, known);
    if (isNew) freshness.stamp(target, known);
    if (!(await content.load(target, known))) return false;
    if (target.path === path) target.readable = known;
    return target.path === path;
  }

  /** Rejects when it is of no use to whoever opens the file. */
  async #read(path: Path, known: Attributes, node: FileNode | undefined): Promise<void> {
    const { names, files, content, freshness, identity, remote, clock } = this.#parts;
    const since = names.epochs.now();
    const askedAt = clock.monotonic();
    const version = node?.version;
    const blocks = content.take(known.size);
    try {
      const { answer, length } = await fetchWhole(
        this.#client(),
        remote.at(path),
        blocks.map(({ memory }) => memory),
      );
      this.#patience.took(clock.monotonic() - askedAt);
      if (isHidden(identity, answer)) throw new Error('an owner without a number here');
      const told = toAttributes(identity, answer, names.linkCount(path));
      const now = files.peek(path);
      const isOther = now !== node || node?.version !== version;
      if (isOther || isInUse(node) || !names.epochs.isCurrent(path, since))
        throw new Error('the file changed meanwhile');
      if (!names.answers.confirm(path, told, since, askedAt)) {
        names.outdated(path);
        throw new Error('the file is not what its name is known to be');
      }
      if (length < told.size) throw new Error('less came than there is');
      const { target } = this.#target(path, told);
      freshness.stamp(target, told);
      target.readable = told;
      content.keep(target, blocks, told.size);
    } finally {
      for (const block of blocks) block.release();
    }
  }

  /** The closed file at `path`, for content that goes with these attributes; `isNew`: what was held went with others. */
  #target(path: Path, attributes: Attributes): { readonly target: FileNode; readonly isNew: boolean } {
    const { files, content } = this.#parts;
    const target = files.closed(path, attributes.size);
    const isNew = !target.matches(attributes) || target.racy;
    if (isNew) {
      content.drop(target);
      target.isAhead = true;
    }
    return { target, isNew };
  }

  /** The one that has least to do, of those that answer. */
  #client(): DataClient {
    this.#bulk?.want();
    const { limit } = this.#patience;
    const open = (this.#bulk?.clients ?? []).filter(
      ({ state, silence }) => state === 'open' && silence < limit,
    );
    if (open.length === 0) return this.#parts.remote.client;
    return open.reduce((least, client) => (client.inFlight < least.inFlight ? client : least));
  }

  #take(path: Path): Ahead | undefined {
    const ahead = this.#ahead.get(path);
    if (ahead === undefined) return undefined;
    this.#ahead.delete(path);
    ahead.walk.ahead.delete(path);
    this.#memory -= ahead.memory;
    return ahead;
  }

  /** What was not opened for as long as a walk may pause was read in vain. */
  #sweep(now: number): void {
    const before = this.status;
    for (const [path, { at, walk, size }] of this.#ahead) {
      if (now - Math.max(at, walk.at) < PAUSE) break;
      this.#take(path);
      this.#outcomes.inVain(size);
    }
    if (this.status !== before) log('read ahead: %j', this.status);
  }

  readonly #entries: Entries = (directory, order) => this.#parts.names.entries(directory, order);
}

/** Does a program have the file open, or is something of it unsent? */
function isInUse(node: FileNode | undefined): boolean {
  return node !== undefined && (node.isDirty || node.handles.size > 0);
}

function newWalk(position: Path, at: number): Walk {
  return {
    ways: WAYS,
    root: parentOf(position),
    position,
    at,
    steps: 0,
    window: FIRST_WINDOW,
    ahead: new Set(),
    failed: new Set(),
  };
}

/** Two round trips: OPEN, and then all the rest. */
async function fetchWhole(
  client: DataClient,
  at: Path,
  targets: readonly Buffer[],
): Promise<{ readonly answer: SftpAttributes; readonly length: number }> {
  const handle = await client.open(at, SSH_FXF_READ);
  const [stat, read, closed] = await Promise.allSettled([
    client.fstat(handle),
    client.readInto(handle, 0, targets),
    client.close(handle),
  ]);
  if (closed.status === 'rejected') log('close: %s', closed.reason);
  if (stat.status === 'rejected') throw stat.reason;
  if (read.status === 'rejected') throw read.reason;
  return { answer: stat.value, length: read.value };
}
