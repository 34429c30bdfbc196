/**
 * Write-behind: a write is acknowledged when it is buffered, and goes to the server in large requests, many
 * in flight. The order of requests is the order of writes, on one channel, and the protocol makes a server
 * process those of one file in that order (draft-ietf-secsh-filexfer-02 §3.1): overlapping writes and a
 * FSTAT or FSETSTAT sent behind them need no waiting.
 *
 * Bounds: writers wait while more than `dirtyBytes` are unconfirmed, and no more than a window of requests
 * is handed to the channel, so that other requests do not queue behind all of it. A buffered tail goes out
 * by itself after a moment.
 */
import { decodeText } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { Extent } from '../cache/write-buffer.js';
import { SSH_FX_FAILURE } from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { Remote } from './remote.js';

const log = logger('write');

/** Bytes of writes handed to the channel and not confirmed. */
const WINDOW = 8 * 1024 * 1024;
/** A partly filled extent waits this long for more, in milliseconds. */
const IDLE_DELAY = 500;

interface Pending {
  readonly file: OpenFile;
  readonly extent: Extent;
  readonly finish: () => void;
}

export interface WriteListener {
  /** A write was refused: what is cached of the file is not to be trusted. */
  failed(node: FileNode, extent: Extent, error: FsError): void;
  /** Nothing of the file is unconfirmed any more. */
  confirmed(node: FileNode): void;
}

export class WriteBehind {
  readonly #remote: Remote;
  readonly #dirtyBytes: number;
  readonly #queue: Pending[] = [];
  readonly #done = new WeakMap<Extent, Promise<void>>();
  /** Files with a buffered tail, and the timer that will send it. */
  readonly #tails = new Map<FileNode, { readonly file: OpenFile; readonly timer: NodeJS.Timeout }>();
  #waiting: (() => void)[] = [];
  #unconfirmed = 0;
  #inFlight = 0;
  #buffered = 0;
  readonly #listener: WriteListener;

  constructor(remote: Remote, dirtyBytes: number, listener: WriteListener) {
    this.#remote = remote;
    this.#dirtyBytes = dirtyBytes;
    this.#listener = listener;
  }

  /** Bytes written that the server has not confirmed. */
  get dirtyBytes(): number {
    return this.#unconfirmed + this.#buffered;
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
      for (const tail of [...this.#tails.values()]) void this.push(tail.file);
      await this.#room();
    }
  }

  /** Sends what is buffered; the returned promise resolves when all of the node's writes have ended. */
  push(file: OpenFile): Promise<void> {
    const { node } = file;
    clearTimeout(this.#tails.get(node)?.timer);
    this.#tails.delete(node);
    this.#buffered -= node.buffer.bytes;
    for (const extent of node.buffer.takeAll()) this.#send(file, extent);
    const ends = [...node.unconfirmed].map((extent) => this.#done.get(extent));
    return Promise.all(ends).then(() => undefined);
  }

  /** True when nothing of ours is waiting to be handed to the channel: what is sent now comes behind it. */
  get isDrained(): boolean {
    return this.#queue.length === 0;
  }

  #send(file: OpenFile, extent: Extent): void {
    const { node } = file;
    node.unconfirmed.add(extent);
    this.#unconfirmed += extent.data.length;
    const ended = new Promise<void>((resolve) => {
      this.#queue.push({ file: node.writer(file), extent, finish: resolve });
    });
    this.#done.set(extent, ended);
    this.#pump();
  }

  #pump(): void {
    while (this.#inFlight < WINDOW) {
      const pending = this.#queue.shift();
      if (pending === undefined) return;
      this.#inFlight += pending.extent.data.length;
      void this.#deliver(pending);
    }
  }

  async #deliver({ file, extent, finish }: Pending): Promise<void> {
    const { node } = file;
    const failure = await this.#write(file, extent);
    if (failure !== null) {
      const name = node.path === null ? 'a removed file' : decodeText(node.path);
      log('%d bytes at %d of %s: %s', extent.data.length, extent.offset, name, failure);
      this.#listener.failed(node, extent, failure);
    }
    node.unconfirmed.delete(extent);
    if (!node.isDirty) this.#listener.confirmed(node);
    this.#inFlight -= extent.data.length;
    this.#unconfirmed -= extent.data.length;
    finish();
    this.#pump();
    if (this.dirtyBytes <= this.#dirtyBytes) this.#wake();
  }

  /**
   * A "Failure" that is neither a full disk nor a read-only one is tried once more: if the same write fails
   * again, a quota is the likely reason, which SFTP v3 cannot say.
   */
  async #write(file: OpenFile, extent: Extent): Promise<FsError | null> {
    const { client } = this.#remote;
    const { path } = file.node;
    const what = { op: 'write', path: path === null ? null : this.#remote.at(path) } as const;
    try {
      await client.write(file.handle, extent.offset, extent.data);
      return null;
    } catch (error) {
      const failure = await this.#remote.failure(error, what);
      const isPlain = error instanceof SftpStatusError && error.code === SSH_FX_FAILURE;
      // Behind later writes it must not be sent again: it would undo them where they overlap.
      if (!isPlain || failure.code !== 'EIO' || file.node.unconfirmed.size > 1) return failure;
    }
    try {
      await client.write(file.handle, extent.offset, extent.data);
      return null;
    } catch (error) {
      const failure = await this.#remote.failure(error, what);
      return failure.code === 'EIO' && error instanceof SftpStatusError
        ? new FsError('EDQUOT', failure.message, { cause: failure })
        : failure;
    }
  }

  #sendLater(file: OpenFile): void {
    if (this.#tails.has(file.node)) return;
    const timer = setTimeout(() => void this.push(file), IDLE_DELAY);
    timer.unref();
    this.#tails.set(file.node, { file, timer });
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
