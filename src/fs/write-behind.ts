/**
 * Write-behind: a write is acknowledged when it is buffered, and goes to the server in large requests, many
 * in flight, over as many lanes as the file has (see lanes.ts). On one lane the order of requests is the order of
 * writes, and the protocol makes a server process those of one file in that order (draft-ietf-secsh-filexfer-02
 * §3.1). Between lanes there is no order: a write that overlaps one on its way takes the same lane, or waits.
 *
 * Bounds: writers wait while more than `dirtyBytes` are unconfirmed; a lane is handed no more than it can carry,
 * and all lanes no more than the link, so that other requests do not queue behind all of it. A buffered tail goes
 * out by itself after a moment.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { decodeText } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import { LinkEstimate } from '../cache/link.js';
import type { Extent } from '../cache/write-buffer.js';
import { SSH_FX_FAILURE } from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';
import type { DataClient, Lane, Lanes } from './lanes.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { Remote } from './remote.js';

const log = logger('write');

/** Bytes that may be on their way whatever was measured: enough to keep several server processes busy. */
const MIN_IN_FLIGHT = 3 * 1024 * 1024;
/** A file with this many unconfirmed bytes is worth lanes of its own. */
const WIDE = 256 * 1024;
/** A partly filled extent waits this long for more, in milliseconds. */
const IDLE_DELAY = 500;
/** A write that fails without a reason to be seen is tried that often; the pause before the last, in milliseconds. */
const ATTEMPTS = 3;
const RETRY_DELAY = 100;

interface Pending {
  readonly file: OpenFile;
  readonly extent: Extent;
  /** How many changes of the file's attributes came before it, and are to be done before: it leaves a time of its own. */
  readonly changes: number;
  readonly finish: () => void;
}

interface Tail {
  readonly file: OpenFile;
  readonly timer: NodeJS.Timeout;
  readonly since: number;
}

export interface WriteListener {
  /** A write was refused: what is cached of the file is not to be trusted. */
  failed(node: FileNode, extent: Extent, error: FsError): void;
  /** Nothing of the file is unconfirmed any more. */
  confirmed(node: FileNode): void;
}

export class WriteBehind {
  readonly #remote: Remote;
  readonly #lanes: Lanes;
  readonly #clock: Clock;
  readonly #link = new LinkEstimate();
  readonly #dirtyBytes: number;
  readonly #queue: Pending[] = [];
  /** What is to be confirmed: when it is, and since when; the oldest first. */
  readonly #promised = new Map<Extent, { readonly ended: Promise<void>; readonly since: number }>();
  /** Files with a buffered tail, and the timer that will send it. */
  readonly #tails = new Map<FileNode, Tail>();
  #waiting: (() => void)[] = [];
  #unconfirmed = 0;
  #inFlight = 0;
  #buffered = 0;
  readonly #listener: WriteListener;

  constructor(remote: Remote, lanes: Lanes, clock: Clock, dirtyBytes: number, listener: WriteListener) {
    this.#remote = remote;
    this.#lanes = lanes;
    this.#clock = clock;
    lanes.onRoom = () => this.#pump();
    this.#dirtyBytes = dirtyBytes;
    this.#listener = listener;
  }

  /** Nobody waits for room while the server is gone: what has been taken is taken. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Bytes written that the server has not confirmed. */
  get dirtyBytes(): number {
    return this.#unconfirmed + this.#buffered;
  }

  /** For how many milliseconds the oldest of them have waited; null when there are none. */
  get oldestAge(): number | null {
    const [tail] = this.#tails.values();
    const [sent] = this.#promised.values();
    if (tail === undefined && sent === undefined) return null;
    return (
      this.#clock.monotonic() -
      Math.min(tail?.since ?? Number.POSITIVE_INFINITY, sent?.since ?? Number.POSITIVE_INFINITY)
    );
  }

  /** Requests that wait for room on the way to the server. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Buffers `data`; resolves at once, or when the dirty bytes are back under their bound. */
  async write(file: OpenFile, offset: number, data: Uint8Array): Promise<void> {
    const { node } = file;
    const before = node.buffer.bytes;
    const full = node.buffer.write(offset, data);
    this.#buffered += node.buffer.bytes - before;
    for (const extent of full) this.#send(file, extent);
    if (!node.buffer.isEmpty) this.#sendLater(file);
    if (this.dirtyBytes > this.#dirtyBytes) {
      for (const { file: other } of [...this.#tails.values()]) this.#sendTail(other);
      // It is taken, whatever becomes of the server: when that is gone, nobody need wait here.
      if (!this.#remote.client.isDown) await this.#room();
    }
  }

  /**
   * Room for more, before anything is taken, where the server cannot be reached: a write that fails for want of it
   * must not happen later. Null when there is room. Rejects with ETIMEDOUT or EHOSTDOWN.
   */
  roomWhileDown(): Promise<void> | null {
    const { client } = this.#remote;
    return client.isDown && this.dirtyBytes > this.#dirtyBytes ? client.patiently(this.#room()) : null;
  }

  /**
   * Sends what is buffered; resolves when all of the node's writes have ended. Rejects with ETIMEDOUT or EHOSTDOWN
   * when the server cannot be reached for too long; nothing is given up by that.
   */
  push(file: OpenFile): Promise<void> {
    return this.#remote.client.patiently(this.ended(file));
  }

  /** The same without a bound: for whoever must not go before the data has. */
  ended(file: OpenFile): Promise<void> {
    this.#sendTail(file);
    const ends = [...file.node.unconfirmed].map((extent) => this.#promised.get(extent)?.ended);
    return Promise.all(ends).then(() => undefined);
  }

  /** Would a request on the home lane come behind every write of the file? */
  isBehind(node: FileNode): boolean {
    if (node.sent.size !== node.unconfirmed.size) return false;
    for (const { client } of node.sent.values()) if (client !== this.#remote.client) return false;
    return true;
  }

  /** Something that a write had to wait for has been sent. */
  goOn(): void {
    this.#pump();
  }

  #sendTail(file: OpenFile): void {
    const { node } = file;
    clearTimeout(this.#tails.get(node)?.timer);
    this.#tails.delete(node);
    this.#buffered -= node.buffer.bytes;
    for (const extent of node.buffer.takeAll()) this.#send(file, extent);
  }

  #send(file: OpenFile, extent: Extent): void {
    const { node } = file;
    node.unconfirmed.add(extent);
    this.#unconfirmed += extent.data.length;
    const ended = new Promise<void>((resolve) => {
      this.#queue.push({ file, extent, changes: node.changes.count, finish: resolve });
    });
    this.#promised.set(extent, { ended, since: this.#clock.monotonic() });
    if (node.unconfirmed.size * extent.data.length >= WIDE) void this.#lanes.widen(node.writer(file));
    this.#pump();
  }

  #pump(): void {
    const limit = this.#link.allowance(MIN_IN_FLIGHT);
    for (let pending = this.#queue[0]; pending !== undefined; pending = this.#queue[0]) {
      const lane = this.#inFlight < limit ? this.#laneFor(pending) : null;
      if (lane === null) return;
      this.#queue.shift();
      void this.#deliver(pending, lane);
    }
  }

  /** The lane that may take the write now, or null. */
  #laneFor({ file, extent, changes }: Pending): Lane | null {
    const { node } = file;
    if (node.changes.sent < changes) return null;
    const writer = node.writer(file);
    const end = extent.offset + extent.data.length;
    // Attributes are changed over the home lane.
    let rival: DataClient | null = node.changes.underWay > 0 ? this.#remote.client : null;
    for (const [other, { client }] of node.sent) {
      if (other.offset >= end || other.offset + other.data.length <= extent.offset) continue;
      if (rival !== null && rival !== client) return null;
      rival = client;
    }
    if (rival === null) return this.#lanes.free(writer);
    // The handle that the rival took may be closed by now.
    const lane = rival.state === 'open' ? this.#lanes.over(writer, rival) : null;
    return lane !== null && this.#lanes.hasRoom(lane) ? lane : null;
  }

  async #deliver(pending: Pending, lane: Lane): Promise<void> {
    const { extent, finish } = pending;
    const { node } = pending.file;
    // Whoever wrote may have closed the file since; others have it open then.
    const file = node.writer(pending.file);
    node.sent.set(extent, lane);
    const failure = await this.#write(file, lane, extent);
    if (failure === 'lost') {
      // Sent again at once, so that it stays before every later write that overlaps it.
      log('a lane was lost: %d bytes at %d are sent again', extent.data.length, extent.offset);
      node.resent += 1;
      return this.#deliver(pending, node.writer(file).home);
    }
    if (failure !== null) {
      const name = node.path === null ? 'a removed file' : decodeText(node.path);
      log('%d bytes at %d of %s: %s', extent.data.length, extent.offset, name, failure);
      this.#listener.failed(node, extent, failure);
    }
    node.sent.delete(extent);
    node.unconfirmed.delete(extent);
    this.#promised.delete(extent);
    if (!node.isDirty) this.#listener.confirmed(node);
    this.#unconfirmed -= extent.data.length;
    extent.piece.release();
    finish();
    this.#pump();
    if (this.dirtyBytes <= this.#dirtyBytes) this.wake();
  }

  /**
   * A "Failure" that is neither a full disk nor a read-only one is tried again: on a disk that others fill and empty,
   * the space that was missing may be there by the time the server is asked. If the same write fails each time, a
   * quota is the likely reason, which SFTP v3 cannot say.
   */
  async #write(file: OpenFile, lane: Lane, extent: Extent): Promise<FsError | 'lost' | null> {
    const { path } = file.node;
    const what = { op: 'write', path: path === null ? null : this.#remote.at(path) } as const;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#carry(file.node, lane, extent);
        return null;
      } catch (error) {
        if (this.#lanes.isLost(file, lane)) return 'lost';
        const failure = await this.#remote.failure(error, what, this.#remote.client.posted);
        const isPlain = error instanceof SftpStatusError && error.code === SSH_FX_FAILURE;
        if (!isPlain || failure.code !== 'EIO') return failure;
        if (attempt === ATTEMPTS) return new FsError('EDQUOT', failure.message, { cause: failure });
        if (attempt > 1) await delay(RETRY_DELAY);
        if (isOverlapped(file.node, extent)) return failure;
      }
      file.node.resent += 1;
    }
  }

  async #carry(node: FileNode, lane: Lane, { offset, data }: Extent): Promise<void> {
    const sentAt = this.#clock.monotonic();
    this.#inFlight += data.length;
    // The client of the mount tells by itself what it sends.
    if (lane.client !== this.#remote.client) node.mayDiffer = true;
    try {
      await this.#lanes.carry(lane, 'up', data.length, lane.client.write(lane.handle, offset, data));
      node.arrivedTo = Math.max(node.arrivedTo, offset + data.length);
      const now = this.#clock.monotonic();
      this.#link.arrived(data.length, now - sentAt, now);
    } finally {
      this.#inFlight -= data.length;
    }
  }

  #sendLater(file: OpenFile): void {
    if (this.#tails.has(file.node)) return;
    const timer = setTimeout(() => this.#sendTail(file), IDLE_DELAY);
    timer.unref();
    this.#tails.set(file.node, { file, timer, since: this.#clock.monotonic() });
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Is there another write to the same place? It may be later, and sending the first one again would undo it. */
function isOverlapped({ unconfirmed }: FileNode, { offset, data }: Extent): boolean {
  for (const other of unconfirmed) {
    const isOther = other.offset !== offset || other.data !== data;
    if (isOther && other.offset < offset + data.length && other.offset + other.data.length > offset)
      return true;
  }
  return false;
}
