/**
 * Which handles are open, and on which node: a file whose name is gone is still reached through any of its
 * handles, and when the connection to the kernel ends, no RELEASE will come for those still open.
 */
export class OpenFiles {
  readonly #nodeOf = new Map<number, number>();
  readonly #handlesOf = new Map<number, Set<number>>();
  readonly #directories = new Set<number>();

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

  addDirectory(handle: number): void {
    this.#directories.add(handle);
  }

  removeDirectory(handle: number): void {
    this.#directories.delete(handle);
  }

  /** Empties the table and answers what was open. */
  drain(): { files: number[]; directories: number[] } {
    const open = { files: [...this.#nodeOf.keys()], directories: [...this.#directories] };
    this.#nodeOf.clear();
    this.#handlesOf.clear();
    this.#directories.clear();
    return open;
  }
}
