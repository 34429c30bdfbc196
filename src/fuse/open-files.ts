/**
 * Which handles are open, and on which node: a file whose name is gone is still reached through any of its
 * handles, and when the connection to the kernel ends, no RELEASE will come for those still open.
 *
 * The kernel keeps one listing a directory, and fills it from whichever handle is read: offsets of two listings
 * would make one that is neither. So a directory that is opened with another listing, while it is open, is not
 * cached by newcomers until all have closed it, and what was kept is then not trusted.
 */
import type { Node } from './nodes.js';

/** What the kernel may do with the listing of a directory: fill its cache anew, go on with it, or leave it be. */
export type ListingCache = 'fill' | 'keep' | 'none';

export class OpenFiles {
  readonly #nodeOf = new Map<number, number>();
  readonly #handlesOf = new Map<number, Set<number>>();
  readonly #directories = new Map<number, Node>();
  /** Directories whose cached listing may be of two. */
  readonly #mixed = new WeakSet<Node>();

  get files(): number {
    return this.#nodeOf.size;
  }

  get directories(): number {
    return this.#directories.size;
  }

  addFile(handle: number, nodeid: number): void {
    this.#nodeOf.set(handle, nodeid);
    const handles = this.#handlesOf.get(nodeid);
    if (handles === undefined) this.#handlesOf.set(nodeid, new Set([handle]));
    else handles.add(handle);
  }

  removeFile(handle: number): void {
    const nodeid = this.#nodeOf.get(handle);
    if (nodeid === undefined) return;
    this.#nodeOf.delete(handle);
    const handles = this.#handlesOf.get(nodeid);
    handles?.delete(handle);
    if (handles?.size === 0) this.#handlesOf.delete(nodeid);
  }

  /** Some open handle of the node, or null. */
  anyOf(nodeid: number): number | null {
    for (const handle of this.#handlesOf.get(nodeid) ?? []) return handle;
    return null;
  }

  /** `isSame`: the listing of this handle is the one that the kernel was given last. */
  addDirectory(handle: number, node: Node, isSame: boolean): ListingCache {
    const isOpen = [...this.#directories.values()].includes(node);
    this.#directories.set(handle, node);
    if (!isOpen) {
      const wasMixed = this.#mixed.delete(node);
      return isSame && !wasMixed ? 'keep' : 'fill';
    }
    if (!isSame) this.#mixed.add(node);
    return this.#mixed.has(node) ? 'none' : 'keep';
  }

  removeDirectory(handle: number): void {
    this.#directories.delete(handle);
  }

  /** Empties the table and answers what was open. */
  drain(): { files: number[]; directories: number[] } {
    const open = { files: [...this.#nodeOf.keys()], directories: [...this.#directories.keys()] };
    this.#nodeOf.clear();
    this.#handlesOf.clear();
    this.#directories.clear();
    return open;
  }
}
