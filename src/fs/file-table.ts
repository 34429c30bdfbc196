/**
 * Which files are open, by handle and by path, and which were open lately: a closed file keeps its number,
 * so that its blocks can serve the next open while size and time match. Names move here when they move on
 * the server. Names known to be one file (hard links made here) lead to one node.
 */
import { LRUCache } from 'lru-cache';
import { FsError } from '../base/errno.js';
import { isWithin, type Path, rebase } from '../base/path.js';
import type { BlockCache } from '../cache/blocks.js';
import { MemoryPool } from '../cache/pool.js';
import type { Lane } from './lanes.js';
import type { HardLinks } from './links.js';
import { FileNode, OpenFile } from './open-file.js';

const MAX_CLOSED = 8192;

export class FileTable {
  readonly #blocks: BlockCache;
  readonly #links: HardLinks;
  readonly #maxWrite: number;
  /** Memory for what is written, shared by all files. */
  readonly #memory: MemoryPool;
  readonly #open = new Map<Path, FileNode>();
  readonly #closed: LRUCache<Path, FileNode>;
  readonly #handles = new Map<number, OpenFile>();
  #nextHandle = 1;
  #nextNode = 1;

  constructor(blocks: BlockCache, links: HardLinks, maxWrite: number) {
    this.#blocks = blocks;
    this.#links = links;
    this.#maxWrite = maxWrite;
    this.#memory = new MemoryPool(maxWrite);
    this.#closed = new LRUCache({
      max: MAX_CLOSED,
      dispose: (node, _path, reason) => {
        if (reason === 'evict') this.#blocks.dropFile(node.id);
      },
    });
  }

  get openHandles(): number {
    return this.#handles.size;
  }

  /** Every open(2) that goes on. */
  handles(): Iterable<OpenFile> {
    return this.#handles.values();
  }

  /** The files called `path` or something below it that are open or were lately. */
  *within(path: Path): Generator<FileNode> {
    for (const files of [this.#open, this.#closed]) {
      for (const [name, node] of files.entries()) if (isWithin(name, path)) yield node;
    }
  }

  /** Every open file, those without a name included. */
  nodes(): Set<FileNode> {
    return new Set([...this.#handles.values()].map((file) => file.node));
  }

  /** The open file called `path`, whichever of its names it was opened by. */
  openAt(path: Path): FileNode | undefined {
    for (const name of this.#links.twins(path)) {
      const node = this.#open.get(name);
      if (node !== undefined) return node;
    }
    return undefined;
  }

  /** The file called `path` if it is open or was lately. */
  peek(path: Path): FileNode | undefined {
    const open = this.openAt(path);
    if (open !== undefined) return open;
    for (const name of this.#links.twins(path)) {
      const node = this.#closed.peek(name);
      if (node !== undefined) return node;
    }
    return undefined;
  }

  /** Registers one open of the file at `path`; a file not seen lately starts with an unknown stamp. */
  add(path: Path, home: Lane, flags: number, size: number): { id: number; file: OpenFile } {
    const node = this.peek(path) ?? this.#newNode(path, size);
    if (node.handles.size === 0) {
      if (node.path !== null) this.#closed.delete(node.path);
      node.path = path;
      this.#open.set(path, node);
    }
    const file = new OpenFile(node, home, flags);
    node.handles.add(file);
    const id = this.#nextHandle;
    this.#nextHandle += 1;
    this.#handles.set(id, file);
    return { id, file };
  }

  /** The file called `path`, as one that is closed if it was not open lately: for content that comes before an open. */
  closed(path: Path, size: number): FileNode {
    const known = this.peek(path);
    if (known !== undefined) return known;
    const node = this.#newNode(path, size);
    this.#closed.set(path, node);
    return node;
  }

  get(id: number): OpenFile {
    const file = this.#handles.get(id);
    if (file === undefined) throw new FsError('EBADF', `no open file ${id}`);
    return file;
  }

  remove(id: number): OpenFile {
    const file = this.get(id);
    const { node } = file;
    this.#handles.delete(id);
    node.handles.delete(file);
    if (node.handles.size > 0) return file;
    if (node.path === null || this.#open.get(node.path) !== node) this.#blocks.dropFile(node.id);
    else {
      this.#open.delete(node.path);
      this.#closed.set(node.path, node);
    }
    return file;
  }

  /** The name `path` is gone; the file lives on as `twin` (another hard link) or, if open, nameless. */
  nameGone(path: Path, twin: Path | null): void {
    const node = this.#open.get(path) ?? this.#closed.peek(path);
    if (node === undefined) return;
    const isOpen = this.#open.delete(path);
    this.#closed.delete(path);
    node.path = null;
    // What is closed must not take a name from what is open.
    if (twin !== null && (isOpen || this.openAt(twin) === undefined)) this.#place(twin, node, isOpen);
    else if (!isOpen) this.#blocks.dropFile(node.id);
  }

  /** `from`, and for a directory all below it, is now called `to` (whose own file is already gone). */
  renamed(from: Path, to: Path): void {
    for (const [path, node] of [...this.#open]) {
      if (!isWithin(path, from)) continue;
      this.#open.delete(path);
      this.#place(rebase(path, from, to), node, true);
    }
    for (const path of [...this.#closed.keys()]) {
      if (!isWithin(path, from)) continue;
      const node = this.#closed.peek(path);
      this.#closed.delete(path);
      if (node !== undefined) this.#place(rebase(path, from, to), node, false);
    }
  }

  /** Forgets the content of every closed file. */
  clear(): void {
    for (const node of this.#closed.values()) this.#blocks.dropFile(node.id);
    this.#closed.clear();
  }

  #newNode(path: Path, size: number): FileNode {
    const node = new FileNode(this.#nextNode, path, size, this.#maxWrite, this.#memory);
    this.#nextNode += 1;
    return node;
  }

  /** Gives `node` the name; whatever was thought to have it does not. */
  #place(path: Path, node: FileNode, isOpen: boolean): void {
    this.nameGone(path, null);
    node.path = path;
    // By another name it may be out of the login's reach.
    node.readable = null;
    if (isOpen) this.#open.set(path, node);
    else this.#closed.set(path, node);
  }
}
