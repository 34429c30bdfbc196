/**
 * The nodes the kernel knows: node id ↔ (parent, name), each counted by lookups and freed by the kernel's own
 * FORGET, so the table is exactly as large as the kernel's cache. A rename relinks one entry; a name that is
 * removed or replaced leaves its node nameless until it is forgotten. A node stays as long as it has children,
 * since their paths lead through it.
 */
import type { ByteString } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { hashIno, ROOT_INO } from '../base/inode.js';
import { isDirectory, isSymlink, S_IFDIR, S_IFMT } from '../base/mode.js';
import { joinPath, type Path, ROOT } from '../base/path.js';
import type { Attributes } from '../fs/operations.js';
import { InodeNumbers } from './inodes.js';
import { FUSE_ROOT_ID } from './protocol/constants.js';

interface Link {
  readonly parent: LiveNode;
  readonly name: ByteString;
}

/** One file, directory or symbolic link; changed only by its table. */
export interface Node {
  readonly id: number;
  readonly ino: number;
  /** S_IFMT bits: a name that comes back with another type is another file. */
  readonly type: number;
  /** A name of it was removed here, or its own, of a directory, replaced; one without a name otherwise lost it to another. */
  readonly wasRemoved: boolean;
  /** What the kernel was told last of a directory. */
  readonly told: Attributes | null;
}

class LiveNode implements Node {
  readonly id: number;
  readonly ino: number;
  readonly type: number;
  lookups = 0;
  wasRemoved = false;
  told: Attributes | null = null;
  /** More than one only after `link`. */
  links: Link[] = [];
  readonly children = new Map<ByteString, LiveNode>();

  constructor(id: number, ino: number, type: number) {
    this.id = id;
    this.ino = ino;
    this.type = type;
  }
}

const depthOf = (path: Path): number => path.split('/').length;

export class NodeTable {
  readonly root: Node;
  readonly #root: LiveNode;
  readonly #byId = new Map<number, LiveNode>();
  readonly #inos = new Set<number>();
  readonly #numbers: InodeNumbers;
  readonly #isLive = (ino: number): boolean => this.#inos.has(ino);
  #nextId = FUSE_ROOT_ID + 1;

  constructor(numbers = new InodeNumbers()) {
    this.#numbers = numbers;
    this.#root = new LiveNode(FUSE_ROOT_ID, ROOT_INO, S_IFDIR);
    this.root = this.#root;
    this.#byId.set(FUSE_ROOT_ID, this.#root);
    this.#inos.add(ROOT_INO);
  }

  /** Live nodes, the root among them. */
  get size(): number {
    return this.#byId.size;
  }

  get(id: number): Node | undefined {
    return this.#byId.get(id);
  }

  #live(node: Node): LiveNode {
    const live = this.#byId.get(node.id);
    if (live === undefined) throw new FsError('ESTALE', `node ${node.id} was forgotten`);
    return live;
  }

  /** The path of a node by one of its names; null when it has none any more. */
  pathOf(node: Node): Path | null {
    return this.#pathOf(this.#live(node));
  }

  #pathOf(node: LiveNode): Path | null {
    if (node === this.#root) return ROOT;
    for (const link of node.links) {
      const parent = this.#pathOf(link.parent);
      if (parent !== null) return (parent === '' ? link.name : `${parent}/${link.name}`) as Path;
    }
    return null;
  }

  /** How many names the kernel knows of a node. */
  linkCount(node: Node): number {
    return this.#live(node).links.length;
  }

  /** Of the paths of a node the one with the fewest directories; null when it has none any more. */
  shallowestPathOf(node: Node): Path | null {
    let shallowest: Path | null = null;
    for (const { parent, name } of this.#live(node).links) {
      const directory = this.#pathOf(parent);
      if (directory === null) continue;
      const path = joinPath(directory, name);
      if (shallowest === null || depthOf(path) < depthOf(shallowest)) shallowest = path;
    }
    return shallowest;
  }

  /** A node and all below it. */
  *within(node: Node): Generator<Node> {
    const waiting = [this.#live(node)];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      yield at;
      for (const child of at.children.values()) waiting.push(child);
    }
  }

  /** The symbolic links at and below a node. */
  *symlinksOf(node: Node): Generator<Node> {
    for (const at of this.within(node)) if (isSymlink(at.type)) yield at;
  }

  child(parent: Node, name: ByteString): Node | undefined {
    return this.#live(parent).children.get(name);
  }

  /** The node at `path`, if the kernel knows it. */
  find(path: Path): Node | undefined {
    let node: LiveNode | undefined = this.#root;
    if (path === '') return node;
    for (const name of path.split('/')) {
      node = node?.children.get(name as ByteString);
    }
    return node;
  }

  /** The inode number that `..` shows; the root's own at the root. */
  parentIno(node: Node): number {
    return this.#live(node).links[0]?.parent.ino ?? ROOT_INO;
  }

  /** The inode number a listing shows for `name`, without making a node. */
  inoOf(parent: Node, name: ByteString): number {
    const known = this.#live(parent).children.get(name);
    return known?.ino ?? this.#numbers.choose(parent.ino, name, this.#isLive);
  }

  /**
   * The node called `name`, made if need be; the kernel is about to learn of it once more. A file that is known by one of
   * `names` already is the same node.
   */
  lookup(parent: Node, name: ByteString, mode: number, names: Iterable<Path> = []): Node {
    const directory = this.#live(parent);
    const type = mode & S_IFMT;
    let node = directory.children.get(name);
    if (node?.type !== type) node = this.#linked(directory, name, type, names);
    if (node === undefined) {
      const ino = this.#numbers.choose(directory.ino, name, this.#isLive);
      node = new LiveNode(this.#nextId++, ino, type);
      this.#byId.set(node.id, node);
      this.#inos.add(ino);
      this.#attach(directory, name, node);
    }
    node.lookups++;
    return node;
  }

  /** The node of that type that has one of these names, which gets a further one. */
  #linked(parent: LiveNode, name: ByteString, type: number, names: Iterable<Path>): LiveNode | undefined {
    for (const path of names) {
      const known = this.find(path);
      const node = known === undefined ? undefined : this.#live(known);
      if (node?.type !== type) continue;
      this.link(node, parent, name);
      return node;
    }
    return undefined;
  }

  /** One more lookup of a node that has its name already, as LINK answers. */
  lookupAgain(node: Node): void {
    this.#live(node).lookups++;
  }

  /** FORGET. Unknown ids and counts too high are the kernel's mistake, and harmless. */
  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (node === undefined) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.#freeIfUnused(node);
  }

  /** The name was removed (UNLINK, RMDIR). */
  remove(parent: Node, name: ByteString): void {
    const node = this.#live(parent).children.get(name);
    if (node !== undefined) node.wasRemoved = true;
    this.unlink(parent, name);
  }

  /** The name is another file's, or about to be made anew. */
  unlink(parent: Node, name: ByteString): void {
    const directory = this.#live(parent);
    this.#numbers.drop(directory.ino, name);
    this.#detach(directory, name);
  }

  /** The kernel is told these attributes. Of files nothing is kept: one that is removed is reached by its handles. */
  tell(node: Node, attributes: Attributes): void {
    if (isDirectory(node.type)) this.#live(node).told = attributes;
  }

  /** All that is left of a directory that was removed here, for those who have it open; null for anything else. */
  remainsOf(node: Node): Attributes | null {
    return node.wasRemoved && this.pathOf(node) === null ? node.told : null;
  }

  /** The file has a further name. */
  link(node: Node, parent: Node, name: ByteString): void {
    const directory = this.#live(parent);
    if (directory.children.get(name) === node) return;
    this.#numbers.drop(directory.ino, name);
    this.#attach(directory, name, this.#live(node));
  }

  /** The name moved; what stood at the new one becomes nameless. */
  rename(fromParent: Node, fromName: ByteString, toParent: Node, toName: ByteString): void {
    const from = this.#live(fromParent);
    const to = this.#live(toParent);
    const node = from.children.get(fromName);
    // Two names of one file: rename(2) does nothing.
    if (node !== undefined && to.children.get(toName) === node) return;
    const replaced = to.children.get(toName);
    if (replaced !== undefined && isDirectory(replaced.type)) replaced.wasRemoved = true;
    const ino = node?.ino ?? this.#numbers.choose(from.ino, fromName, this.#isLive);
    this.#numbers.drop(from.ino, fromName);
    this.#numbers.drop(to.ino, toName);
    const anotherNameImpliesIt = node?.links.some(
      (link) =>
        !(link.parent === from && link.name === fromName) && hashIno(link.parent.ino, link.name) === ino,
    );
    if (!anotherNameImpliesIt) this.#numbers.remember(to.ino, toName, ino);
    // A directory cannot move below itself; whoever says it did leaves it without a name.
    if (node === undefined || this.#isBelow(to, node)) this.#detach(to, toName);
    else this.#attach(to, toName, node);
    this.#detach(from, fromName);
  }

  #isBelow(node: LiveNode, ancestor: LiveNode): boolean {
    for (let at: LiveNode | undefined = node; at !== undefined; at = at.links[0]?.parent) {
      if (at === ancestor) return true;
    }
    return false;
  }

  /** Replaces in one step, so that neither directory is ever without the child that keeps it. */
  #attach(parent: LiveNode, name: ByteString, node: LiveNode): void {
    const replaced = parent.children.get(name);
    parent.children.set(name, node);
    node.links.push({ parent, name });
    if (replaced !== undefined) this.#removeLink(replaced, parent, name);
  }

  #removeLink(node: LiveNode, parent: LiveNode, name: ByteString): void {
    node.links = node.links.filter((link) => !(link.parent === parent && link.name === name));
    this.#freeIfUnused(node);
  }

  #detach(parent: LiveNode, name: ByteString): void {
    const node = parent.children.get(name);
    if (node === undefined) return;
    parent.children.delete(name);
    this.#removeLink(node, parent, name);
    this.#freeIfUnused(parent);
  }

  #freeIfUnused(node: LiveNode): void {
    if (node.lookups > 0 || node.children.size > 0 || node === this.#root) return;
    if (!this.#byId.delete(node.id)) return;
    this.#inos.delete(node.ino);
    for (const link of node.links) {
      link.parent.children.delete(link.name);
      this.#freeIfUnused(link.parent);
    }
    node.links = [];
  }
}
