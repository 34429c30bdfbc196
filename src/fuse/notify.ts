/**
 * Tells the kernel to forget. A notification waits for inode locks that a request of ours, still unanswered,
 * may hold; so nothing awaits one, they go out one after another off the event loop, and those that wait in
 * the queue swallow their repeats.
 */
import type { ByteString } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { isWithin, joinPath, nameOf, type Path, parentOf } from '../base/path.js';
import type { KernelCache } from '../fs/operations.js';
import type { Node, NodeTable } from './nodes.js';
import { FUSE_EXPIRE_ONLY } from './protocol/constants.js';
import { invalEntry, invalInode } from './protocol/replies.js';

const log = logger('fuse:notify');

/** More than this many different names waiting means that the kernel is stuck; their lifetimes still end. */
const MAX_QUEUED = 65_536;

/** So many names that do not exist are remembered as told; older ones the kernel believes for their lifetime. */
const MAX_ABSENCES = 10_000;

/** Sends one notification; rejects when the kernel refuses it (ENOENT: it knows no such thing). */
export type SendNotification = (message: Buffer) => Promise<void>;

export class KernelNotifier implements KernelCache {
  readonly #nodes: NodeTable;
  readonly #send: SendNotification;
  /** What waits, by what it is about; a Map keeps the order. */
  readonly #queue = new Map<string, Buffer>();
  /** Names that the kernel was told do not exist, oldest first: it keeps them, and they have no nodes. */
  readonly #absences = new Map<string, { readonly parent: number; readonly name: ByteString }>();
  /** Settles when no tree is being told of any more; never rejects. */
  #lastTree: Promise<void> = Promise.resolve();
  #state: 'idle' | 'sending' | 'closed' = 'idle';
  /** Said once: a kernel that is stuck would have it said with every name. */
  #saidFull = false;

  constructor(nodes: NodeTable, send: SendNotification) {
    this.#nodes = nodes;
    this.#send = send;
  }

  get queued(): number {
    return this.#queue.size;
  }

  invalidateEntry(path: Path): void {
    if (path === '') return;
    const parent = this.#nodes.find(parentOf(path));
    if (parent === undefined) return;
    const name: ByteString = nameOf(path);
    this.#nodes.unlink(parent, name);
    this.#enqueue(`entry ${parent.id}/${name}`, () => invalEntry(parent.id, name));
  }

  invalidateAbsence(path: Path): void {
    const parent = path === '' ? undefined : this.#nodes.find(parentOf(path));
    // A name that has a node by now exists for the kernel, too.
    if (parent === undefined || this.#nodes.child(parent, nameOf(path)) !== undefined) return;
    // By the time the kernel hears of it, somebody may have made it his working directory.
    this.expireEntry(parent, nameOf(path));
  }

  /** The kernel shall ask for a name again; what it leads to stays as it is known. */
  expireEntry(parent: Node, name: ByteString): void {
    this.#enqueue(`expire ${parent.id}/${name}`, () => invalEntry(parent.id, name, FUSE_EXPIRE_ONLY));
  }

  invalidateData(path: Path): void {
    const node = this.#nodes.find(path);
    if (node === undefined) return;
    this.#enqueue(`data ${node.id}`, () => invalInode(node.id, true));
  }

  invalidateAttributes(path: Path): void {
    const node = this.#nodes.find(path);
    if (node === undefined) return;
    this.#enqueue(`attributes ${node.id}`, () => invalInode(node.id, false));
  }

  /** The kernel is told that there is no such name, and will believe it for a while. */
  absent(parent: Node, name: ByteString): void {
    const key = `${parent.id}/${name}`;
    this.#absences.delete(key);
    this.#absences.set(key, { parent: parent.id, name });
    if (this.#absences.size <= MAX_ABSENCES) return;
    for (const oldest of this.#absences.keys()) {
      this.#absences.delete(oldest);
      return;
    }
  }

  /** One tree after the other, so that a kernel that makes one wait holds one thread of the pool. */
  invalidateTree(path: Path): Promise<void> {
    this.#lastTree = this.#lastTree.then(() => this.#tellTree(path));
    return this.#lastTree;
  }

  async #tellTree(path: Path): Promise<void> {
    const top = this.#nodes.find(path);
    const ids = top === undefined ? [] : [...this.#nodes.within(top)].map(({ id }) => id);
    // Names that exist keep their entries: taking one from the kernel would unmount what is mounted below it.
    for (const message of this.#absencesWithin(path)) await this.#tell(message);
    for (const id of ids) if (this.#nodes.get(id) !== undefined) await this.#tell(invalInode(id, true));
  }

  *#absencesWithin(path: Path): Generator<Buffer> {
    for (const [key, { parent, name }] of [...this.#absences]) {
      const node = this.#nodes.get(parent);
      const directory = node === undefined ? null : this.#nodes.pathOf(node);
      if (directory !== null && !isWithin(joinPath(directory, name), path)) continue;
      this.#absences.delete(key);
      const isThereNow = node !== undefined && this.#nodes.child(node, name) !== undefined;
      if (directory !== null && !isThereNow) yield invalEntry(parent, name, FUSE_EXPIRE_ONLY);
    }
  }

  /** Targets of the links at and below a node: they were given for the place where it was. */
  invalidateTargets(node: Node): void {
    for (const { id } of this.#nodes.symlinksOf(node))
      this.#enqueue(`data ${id}`, () => invalInode(id, true));
  }

  /** The connection is gone: nothing more is sent. */
  close(): void {
    this.#setState('closed');
    this.#queue.clear();
    this.#absences.clear();
  }

  #setState(state: 'idle' | 'sending' | 'closed'): void {
    if (state === 'closed') log('closed, %d queued', this.#queue.size);
    this.#state = state;
  }

  #enqueue(key: string, encode: () => Buffer): void {
    if (this.#state === 'closed' || this.#queue.has(key)) return;
    if (this.#queue.size >= MAX_QUEUED) {
      if (!this.#saidFull) log('queue full, the kernel keeps some entries until they expire');
      this.#saidFull = true;
      return;
    }
    this.#queue.set(key, encode());
    if (this.#state === 'idle') {
      this.#setState('sending');
      void this.#pump();
    }
  }

  /** The kernel may refuse: what it is told of may be gone. */
  async #tell(message: Buffer, what = 'refresh'): Promise<void> {
    if (this.#state === 'closed') return;
    try {
      await this.#send(message);
    } catch (error) {
      log('%s: %s', what, error instanceof Error ? error.message : error);
    }
  }

  async #pump(): Promise<void> {
    for (;;) {
      const next = this.#queue.entries().next().value;
      if (next === undefined) break;
      const [key, message] = next;
      // Taken out before it is sent: what becomes stale while it is on its way is told again.
      this.#queue.delete(key);
      await this.#tell(message, key);
    }
    if (this.#state === 'sending') this.#setState('idle');
  }
}
