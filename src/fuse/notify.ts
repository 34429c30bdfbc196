/**
 * Tells the kernel to forget. A notification waits for inode locks that a request of ours, still unanswered,
 * may hold; so nothing awaits one, they go out one after another off the event loop, and those that wait in
 * the queue swallow their repeats.
 */
import type { ByteString } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { nameOf, type Path, parentOf } from '../base/path.js';
import type { KernelCache } from '../fs/operations.js';
import type { Node, NodeTable } from './nodes.js';
import { invalEntry, invalInode } from './protocol/replies.js';

const log = logger('fuse:notify');

/** More than this many different names waiting means that the kernel is stuck; their lifetimes still end. */
const MAX_QUEUED = 65_536;

/** Sends one notification; rejects when the kernel refuses it (ENOENT: it knows no such thing). */
export type SendNotification = (message: Buffer) => Promise<void>;

export class KernelNotifier implements KernelCache {
  readonly #nodes: NodeTable;
  readonly #send: SendNotification;
  /** What waits, by what it is about; a Map keeps the order. */
  readonly #queue = new Map<string, Buffer>();
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
    this.dropEntry(parent, name);
  }

  /** The kernel shall ask for a name again; what it leads to stays as it is known. */
  dropEntry(parent: Node, name: ByteString): void {
    this.#enqueue(`entry ${parent.id}/${name}`, () => invalEntry(parent.id, name));
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

  /** Targets of the links at and below a node: they were given for the place where it was. */
  invalidateTargets(node: Node): void {
    for (const { id } of this.#nodes.symlinksOf(node))
      this.#enqueue(`data ${id}`, () => invalInode(id, true));
  }

  /** The connection is gone: nothing more is sent. */
  close(): void {
    this.#setState('closed');
    this.#queue.clear();
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

  async #pump(): Promise<void> {
    for (;;) {
      const next = this.#queue.entries().next().value;
      if (next === undefined) break;
      const [key, message] = next;
      // Taken out before it is sent: what becomes stale while it is on its way is told again.
      this.#queue.delete(key);
      try {
        await this.#send(message);
      } catch (error) {
        log('%s: %s', key, error instanceof Error ? error.message : error);
      }
    }
    if (this.#state === 'sending') this.#setState('idle');
  }
}
