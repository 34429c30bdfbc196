/**
 * The kernel names files by node, the filesystem by path; between the two, a rename or removal under way
 * could make a path mean another file: an OPEN for the file that is being replaced would reach the one that
 * replaces it. So a change of names waits for the requests that use a path at or below it, and requests that
 * come meanwhile wait for the change and then find the path anew. Who wants a name that is being made waits for that: the
 * kernel sees to it by itself until the program that makes it is let go, and then nothing is known of the name.
 * Waiting is only ever for earlier ones, so nobody waits in a circle; requests that do not touch start at once and in
 * order.
 */
import { isWithin, type Path } from '../base/path.js';

interface Entry {
  readonly paths: readonly Path[];
  waiting: (() => void)[] | null;
}

function ended(entry: Entry): Promise<void> {
  return new Promise((resolve) => {
    entry.waiting ??= [];
    entry.waiting.push(resolve);
  });
}

export class PathGate {
  readonly #uses = new Set<Entry>();
  readonly #changes = new Set<Entry>();
  readonly #makes = new Map<Path, Entry>();

  /** Runs `work` while what `resolve` found stays true; null (no name left) needs no guarding. */
  async using<T, P extends Path | null>(resolve: () => P, work: (path: P) => Promise<T>): Promise<T> {
    for (;;) {
      const path = resolve();
      if (path === null) return work(path);
      const earlier = this.#before(path);
      if (earlier === undefined)
        return this.#run(this.#uses, { paths: [path], waiting: null }, () => work(path));
      await ended(earlier);
    }
  }

  /** The same for `work` that makes the name `made`, which is where `resolve` says as well; nobody uses that meanwhile. */
  async making<T>(
    resolve: () => { readonly made: Path; readonly used?: Path },
    work: (made: Path, used: Path) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const { made, used = made } = resolve();
      const earlier = this.#before(made) ?? this.#before(used);
      if (earlier === undefined) {
        const entry: Entry = { paths: [made, used], waiting: null };
        this.#makes.set(made, entry);
        return this.#run(this.#uses, entry, () => work(made, used).finally(() => this.#makes.delete(made)));
      }
      await ended(earlier);
    }
  }

  /** Runs `work`, which changes what the paths mean, while nobody uses them or what lies below. */
  async changing<T>(
    resolve: () => readonly Path[],
    work: (paths: readonly Path[]) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const paths = resolve();
      const touches = (other: Path) => paths.some((path) => isWithin(path, other) || isWithin(other, path));
      const change = this.#find(this.#changes, touches);
      if (change === undefined) {
        return this.#run(this.#changes, { paths, waiting: null }, async () => {
          const below = (used: Path) => paths.some((path) => isWithin(used, path));
          const uses = [...this.#uses].filter((use) => use.paths.some(below));
          if (uses.length > 0) await Promise.all(uses.map(ended));
          return work(paths);
        });
      }
      await ended(change);
    }
  }

  /** What a request that uses `path` has to wait for. */
  #before(path: Path): Entry | undefined {
    return this.#makes.get(path) ?? this.#find(this.#changes, (changed) => isWithin(path, changed));
  }

  #find(entries: ReadonlySet<Entry>, matches: (path: Path) => boolean): Entry | undefined {
    for (const entry of entries) if (entry.paths.some(matches)) return entry;
    return undefined;
  }

  async #run<T>(entries: Set<Entry>, entry: Entry, work: () => Promise<T>): Promise<T> {
    entries.add(entry);
    try {
      return await work();
    } finally {
      entries.delete(entry);
      for (const resume of entry.waiting ?? []) resume();
    }
  }
}
