/**
 * Open files. A `FileNode` is one file of the server as this mount knows it, shared by all its opens; an
 * `OpenFile` is one open(2) with the server's handle. The node follows its file: a rename moves its path,
 * a removal leaves it without one, and its handles go on either way.
 */
import { decodeText } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { O_ACCMODE, O_APPEND, O_DSYNC, O_RDONLY, O_WRONLY } from '../base/mode.js';
import type { Path } from '../base/path.js';
import type { MemoryPool } from '../cache/pool.js';
import { READ_AHEAD_START, type ReadAheadState } from '../cache/read-ahead.js';
import { type Extent, WriteBuffer } from '../cache/write-buffer.js';
import type { SftpHandle } from '../sftp/client.js';
import type { Fetch } from './content.js';
import type { Lane } from './lanes.js';
import type { Attributes } from './operations.js';

/** Data, or another change, that the server does not have, for a person to read. */
export interface Unsent {
  readonly path: string;
  /** 0 for a change of another kind, which `error` tells. */
  readonly bytes: number;
  readonly error: string;
  /** The server refused it, and nothing is kept of it; else it is sent as soon as that is possible. */
  readonly isLost: boolean;
}

/** What a program has open, for a person to read. */
export interface OpenHandle {
  /** Null for a file without a name any more. */
  readonly path: string | null;
  readonly access: 'read' | 'write' | 'read and write' | 'list';
  /** Bytes of the file that the server does not have. */
  readonly unsent: number;
}

/** What tells one content of a file from another, as far as SFTP v3 can: whole seconds and the size. */
export interface Stamp {
  readonly size: number;
  readonly mtime: number;
}

/** What decides who may read a file. */
export type Access = Pick<Attributes, 'mode' | 'uid' | 'gid'>;

export class FileNode {
  /** Names the file's blocks in the cache. */
  readonly id: number;
  /** Null once the file has no name left in this mount. */
  path: Path | null;
  /** As programs see it: the server's size and what was written since. */
  size: number;
  /** The server's state that cached content belongs to; null when that is not known. */
  stamp: Stamp | null = null;
  /** What the server said of the file at last. */
  seen: Attributes | null = null;
  /** With these attributes the server let us open it for reading, by the name that it has; null: not by that name. */
  readable: Access | null = null;
  /** Its content was read before a program opened it: what the kernel holds of the file may be older. */
  isAhead = false;
  /** `version` at that time: while it is the same, content is the one that goes with `seen`. */
  seenVersion = 0;
  /** Has anything been sent since then that may have changed it on the server, and which sizes may that have left? */
  mayDiffer = false;
  cutTo = Number.POSITIVE_INFINITY;
  grownTo = 0;
  /** Where the last of the writes ends that the server has confirmed since then. */
  arrivedTo = 0;
  #underWay = 0;
  /** The content was fetched so soon after its mtime that a change in the same second would not show. */
  racy = true;
  /** Grows with each change of content; content asked for before a change is not cached. */
  version = 0;
  /** Bytes of refused writes that no program has been told of. */
  lostBytes = 0;
  /** Why the server refused data of the file after it was closed, as far as no program knows. */
  refusal: FsError | null = null;
  /** How often a write had to be sent once more: what was asked behind the first time came before the second. */
  resent = 0;
  /** Counts writes, so that an answer that crossed one is recognised. */
  writes = 0;
  /** Flushes under way, each of which will learn the attributes behind its last write. */
  settling = 0;
  /**
   * What programs are told of a file that was made here and is still open, or not confirmed; null for any other. The
   * login owns it.
   */
  own: Attributes | null = null;
  /** Are the times of `own` the server's, or those that a program has set since the last write? */
  isOwnTimed = false;
  /**
   * Attributes that are set behind the data: how often, how many of these were sent, how many are not confirmed, and when
   * all have ended.
   */
  readonly changes = { count: 0, sent: 0, underWay: 0, ended: Promise.resolve() };
  readonly handles = new Set<OpenFile>();
  /** Written, not sent. */
  readonly buffer: WriteBuffer;
  /** Sent or waiting to be, not confirmed; in order. */
  readonly unconfirmed = new Set<Extent>();
  /** Of these, what was sent, and where it travels. */
  readonly sent = new Map<Extent, Lane>();
  /** Blocks under way from the server, by index. */
  readonly fetching = new Map<number, Fetch>();

  /** `maxWrite`: bytes of the longest request, and of the pieces in `memory`. */
  constructor(id: number, path: Path, size: number, maxWrite: number, memory: MemoryPool) {
    this.id = id;
    this.path = path;
    this.size = size;
    this.buffer = new WriteBuffer(maxWrite, memory);
  }

  get isDirty(): boolean {
    return !this.buffer.isEmpty || this.unconfirmed.size > 0;
  }

  /** Do changes of ours go on at this moment, so that two answers about the file may differ by them? */
  get isInFlux(): boolean {
    return this.isDirty || this.#underWay > 0;
  }

  /** Where the file ends at most when all that has been sent has arrived. */
  get extent(): number {
    return Math.max(this.size, this.grownTo);
  }

  /** `change` of ours is under way: until it is answered, the file may show it or not. */
  changing(change: Promise<unknown>): void {
    this.mayDiffer = true;
    this.#underWay += 1;
    const ended = () => {
      this.#underWay -= 1;
    };
    change.then(ended, ended);
  }

  /** The server has told its state, and nothing of ours is under way that could make it another one. */
  settled(): void {
    if (this.#underWay > 0) return;
    this.mayDiffer = false;
    this.cutTo = Number.POSITIVE_INFINITY;
    this.grownTo = 0;
    this.arrivedTo = 0;
  }

  /** The same for a `change` that leaves the file `size` bytes long. */
  mayBecome(size: number, change: Promise<unknown>): void {
    this.changing(change);
    this.cutTo = Math.min(this.cutTo, size);
    this.grownTo = Math.max(this.grownTo, size);
    this.arrivedTo = Math.min(this.arrivedTo, size);
  }

  /** Is this the state of the server that cached content belongs to? */
  matches({ size, mtime }: Stamp): boolean {
    return this.stamp !== null && this.stamp.size === size && this.stamp.mtime === mtime;
  }

  /** Did the server let us read it as it is described here? */
  isReadable({ mode, uid, gid }: Access): boolean {
    const { readable } = this;
    return readable !== null && readable.mode === mode && readable.uid === uid && readable.gid === gid;
  }

  /** An open handle that the server lets us write through, preferring `wanted`. */
  writer(wanted: OpenFile): OpenFile {
    if (wanted.canWrite && this.handles.has(wanted)) return wanted;
    for (const handle of this.handles) if (handle.canWrite) return handle;
    return wanted;
  }

  /** An open handle that the server lets us read through, preferring `wanted`; null when there is none any more. */
  reader(wanted: OpenFile): OpenFile | null {
    if (this.handles.has(wanted)) return wanted;
    for (const handle of this.handles) if (handle.canRead) return handle;
    return null;
  }

  /** Why the file lacks data, as far as no program knows; null when it is whole. Whoever asks tells it. */
  takeLoss(): FsError | null {
    const loss = this.refusal ?? [...this.handles].find(({ failure }) => failure !== null)?.failure ?? null;
    this.refusal = null;
    return loss && new FsError(loss.code, loss.message, { cause: loss });
  }

  /** Reports a failed write to everyone who has the file open for writing, once each. */
  fail(error: FsError): void {
    for (const handle of this.handles) if (handle.canWrite) handle.failure ??= error;
  }

  /** `attributes` with the size that programs see: of an open file ours is the newest. */
  overlaid(attributes: Attributes): Attributes {
    return attributes.size === this.size ? attributes : { ...attributes, size: this.size };
  }
}

export class OpenFile {
  readonly node: FileNode;
  /** How OPEN reached the file: on the client of the metadata. */
  readonly home: Lane;
  /** Handles of its own for its data; empty for a small file. */
  further: readonly Lane[] = [];
  /** How often further lanes were asked for. */
  attempts = 0;
  /** May the file get further lanes? Not while that is under way, and not once the server has refused. */
  widening: 'no' | 'under way' | 'refused' | 'closed' = 'no';
  readonly canRead: boolean;
  readonly canWrite: boolean;
  readonly append: boolean;
  /** O_SYNC or O_DSYNC: each write waits for the server. */
  readonly sync: boolean;
  /** Reads go to the server whatever size the file seems to have, and past the kernel's pages (direct_io). */
  isDirect = false;
  readAhead: ReadAheadState = READ_AHEAD_START;
  /** The error of a delayed write that this handle has not been told yet. */
  failure: FsError | null = null;
  /** Where the last write that was taken ended; null when one was refused since. */
  tookTo: number | null = null;
  /** Failures of posted changes that it need not hear of (see posted.ts). */
  heard = 0;
  /** Has anything been written through this handle since its last flush? */
  wrote = false;

  constructor(node: FileNode, home: Lane, flags: number) {
    this.node = node;
    this.home = home;
    const access = flags & O_ACCMODE;
    this.canRead = access !== O_WRONLY;
    this.canWrite = access !== O_RDONLY;
    this.append = (flags & O_APPEND) !== 0;
    this.sync = (flags & O_DSYNC) !== 0;
  }

  get handle(): SftpHandle {
    return this.home.handle;
  }

  /** Throws the error of an earlier write, of which there is one; it is put back if the program never hears of it. */
  takeFailure(failure: FsError): never {
    const { node } = this;
    const { lostBytes } = node;
    this.failure = null;
    node.lostBytes = 0;
    throw new FsError(failure.code, failure.message, {
      cause: failure,
      undelivered: () => {
        this.failure ??= failure;
        node.lostBytes += lostBytes;
      },
    });
  }
}

/** Bytes written that the server has not confirmed. */
function dirtyBytesOf({ buffer, unconfirmed }: FileNode): number {
  let bytes = buffer.bytes;
  for (const { data } of unconfirmed) bytes += data.length;
  return bytes;
}

export function describeHandle({ node, canRead, canWrite }: OpenFile): OpenHandle {
  return {
    path: node.path === null ? null : decodeText(node.path),
    access: !canWrite ? 'read' : canRead ? 'read and write' : 'write',
    unsent: dirtyBytesOf(node),
  };
}

/** What the server refused of a file and no program was told of, or has not got yet; null for nothing. */
export function unsentOf(node: FileNode): Unsent | null {
  const failure = [...node.handles].find((handle) => handle.failure !== null)?.failure;
  const refused = failure ? node.lostBytes : 0;
  const dirty = dirtyBytesOf(node);
  const bytes = refused + dirty;
  if (bytes === 0) return null;
  const path = node.path === null ? '(a removed file)' : decodeText(node.path);
  return { path, bytes, error: failure?.message ?? 'not confirmed by the server', isLost: dirty === 0 };
}
