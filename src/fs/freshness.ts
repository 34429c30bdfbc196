/**
 * Is what we hold of a file still that file's? The one place that judges fresh attributes against an open or
 * lately open file. SFTP v3 tells files apart by nothing but their attributes, so two questions arise:
 *
 * - Did the content change? Size and mtime (whole seconds) differ, or the last look came so soon after the
 *   mtime that a change in the same second would not have shown.
 * - Is it still the same file? When the attributes of a name differ from what an open handle was, the handle is
 *   asked as well, back to back with the name: if they disagree, the name was given to another file behind
 *   our back, and the open one goes on without it.
 */
import { FsError } from '../base/errno.js';
import type { Path } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpHandle } from '../sftp/client.js';
import type { FileNode } from './open-file.js';
import type { Attributes } from './operations.js';
import type { Store } from './parts.js';
import { both, isStale } from './remote.js';
import { isGrownFile, isRacy, isSameFile, looksSame } from './same-file.js';

/** How often name and handle are compared before they count as two files: a log may grow between the answers. */
const COMPARISONS = 3;

/** Names of one file that are compared. */
const MAX_TWINS = 16;

/** Names in doubt that are asked for again; of the rest nothing is known, and they expire like any other. */
const MAX_DOUBTED = 1000;

/** May these be two names of one file? Only listings tell how many it has. */
function isAlike(a: Attributes, b: Attributes): boolean {
  return looksSame(a, { ...b, nlink: a.nlink });
}

export class Freshness {
  readonly #store: Store;
  /** How far the server's clock is behind ours, in seconds, as our own writes showed; never positive. */
  #skew = 0;
  /** Names whose last change ended without an answer. */
  readonly #doubted = new Set<Path>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The node's content, now and when it is fetched, is that of this state. */
  stamp(node: FileNode, attributes: Attributes): void {
    const { size, mtime } = attributes;
    node.seen = attributes;
    node.seenVersion = node.version;
    node.settled();
    const serverNow = this.#store.clock.now() / 1000 + this.#skew;
    node.size = size;
    node.stamp = { size, mtime };
    node.racy = isRacy(mtime, serverNow);
  }

  /** A write of ours just now made this mtime: so much is the server's clock behind. */
  observeClock(mtime: number): void {
    // Whole seconds: up to one is no difference.
    this.#skew = Math.min(0, mtime + 1 - this.#store.clock.now() / 1000);
  }

  /** Takes over a state of the server that differs from the node's; unconfirmed writes of ours come first. */
  adopt(node: FileNode, attributes: Attributes): void {
    if (node.isDirty || node.matches(attributes)) return;
    this.#store.content.drop(node);
    this.stamp(node, attributes);
  }

  /**
   * `attributes` are what is known of the name `path`: an open file of that name follows, or loses the name.
   * Answers what is true of the name now; the question may have crossed writes of ours.
   */
  async reconcile(path: Path, attributes: Attributes): Promise<Attributes> {
    const node = this.#store.files.openAt(path);
    if (node === undefined || node.isDirty || node.matches(attributes)) return attributes;
    const [file] = node.handles;
    if (file === undefined) return attributes;
    const { remote, names } = this.#store;
    const { writes } = node;
    const at = remote.at(path);
    const since = names.epochs.now();
    const answer = await this.#compare(
      node,
      () => remote.look(at),
      () => remote.client.fstat(file.handle),
    );
    // A write or rename of ours crossed the question: what it brought is newer.
    if (node.writes !== writes || node.isDirty || !names.epochs.isCurrent(path, since)) {
      return node.stamp === null ? attributes : { ...attributes, ...node.stamp };
    }
    if (answer === 'unknown') return attributes;
    if (answer === 'different') {
      this.replaced(path);
      return attributes;
    }
    const truth = names.answers.learn(path, answer, since);
    this.adopt(node, truth);
    return truth;
  }

  /** Does a handle reach the file of another one, `node`? Where the server does not say, it is taken to. */
  async isOneFile(node: FileNode, a: SftpHandle, b: SftpHandle): Promise<boolean> {
    const { client } = this.#store.remote;
    const answer = await this.#compare(
      node,
      () => client.fstat(a),
      () => client.fstat(b),
    );
    return answer !== 'different';
  }

  /** The name was given to another file on the server: the open one has no name here any more. */
  replaced(path: Path): void {
    this.vanished(path);
    this.#store.names.forget(path);
  }

  /**
   * A change failed for want of a name: those of these names that are gone are taken from the kernel, which would
   * not have asked for a change of a name that it does not believe in.
   */
  async recheck(paths: readonly Path[]): Promise<void> {
    const { names } = this.#store;
    for (const path of paths) names.forget(path);
    const found = await Promise.allSettled(paths.map((path) => names.answers.ask(path)));
    paths.forEach((path, at) => {
      const answer = found[at];
      if (answer?.status === 'fulfilled' && answer.value === null) this.vanished(path);
    });
  }

  /**
   * A change of these names ended without an answer: it may have happened. What came of it is found out when the
   * server is there again; until then nothing is known.
   */
  doubt(paths: readonly Path[]): void {
    const { names, remote } = this.#store;
    for (const path of paths) {
      names.forget(path);
      if (this.#doubted.size < MAX_DOUBTED) this.#doubted.add(path);
    }
    if (!remote.client.isDown) this.resolveDoubts();
  }

  /** The server is there again: what came of changes without an answer? */
  resolveDoubts(): void {
    const paths = [...this.#doubted];
    this.#doubted.clear();
    if (paths.length > 0) void this.recheck(paths);
  }

  /** The file is not called `path` any more: it goes on by its other names, of which there is one less, or without. */
  nameGone(path: Path): void {
    const { links, names, counts } = this.#store;
    const twin = links.twin(path);
    const [nlink, ofOthers] = [names.linkCount(path), twin === null ? 0 : names.linkCount(twin)];
    this.#nameGone(path, twin);
    if (twin === null) return;
    // A listing that shows them with different counts has shown it as another file's already.
    if (nlink === ofOthers) names.setLinkCount(twin, Math.max(1, nlink - 1));
    else counts.doubt(links.twins(twin));
  }

  #nameGone(path: Path, twin: Path | null): void {
    const { files, links } = this.#store;
    files.nameGone(path, twin);
    links.removed(path);
  }

  /** The same by the doing of another machine; how many others there are is known already where they are `counted`. */
  vanished(path: Path, counted = false): void {
    const { links, kernel, counts } = this.#store;
    const twin = links.twin(path);
    if (counted) this.#nameGone(path, twin);
    else this.nameGone(path);
    if (!counted && twin !== null) counts.doubt([path, ...links.twins(twin)]);
    kernel?.invalidateEntry(path);
    if (twin !== null) for (const name of links.twins(twin)) kernel?.invalidateAttributes(name);
  }

  /**
   * Of names that we take for one file, those that others have given to another go their own way; answers whether there
   * were any. What was asked within `age` milliseconds and agrees is believed. Never rejects.
   */
  async partStrangers(path: Path, age = Number.POSITIVE_INFINITY): Promise<boolean> {
    const { files, links, names } = this.#store;
    if (links.twin(path) === null) return false;
    const group = [...links.twins(path)].slice(0, MAX_TWINS);
    const known = names.last(path);
    const isBelieved = (name: Path) => {
      const last = names.last(name);
      return known !== null && last !== null && isAlike(known, last) && names.isFresh(name, age);
    };
    if (age > 0 && group.every(isBelieved)) return false;
    const node = files.peek(path);
    let strangers: readonly Path[] = [];
    for (let tries = 0; tries < COMPARISONS; tries += 1) {
      if (node?.isInFlux) return false;
      const found = await Promise.all(
        group.map(async (name) => ({ name, attributes: await names.answers.ask(name).catch(() => null) })),
      );
      const own =
        found.find(({ attributes }) => attributes && node?.matches(attributes)) ??
        found.find(({ name, attributes }) => attributes && name !== path);
      strangers = found
        .filter(({ attributes }) => attributes && own?.attributes && !isAlike(attributes, own.attributes))
        .map(({ name }) => name);
      if (strangers.length === 0) return false;
    }
    for (const name of strangers) this.#part(name);
    return true;
  }

  /**
   * ESTALE where it is not sure which file `path` was meant to be: the kernel walks the path anew. What was asked within
   * `age` milliseconds is believed.
   */
  async mustBeOne(path: Path, age: number): Promise<void> {
    if (await this.partStrangers(path, age))
      throw new FsError('ESTALE', 'one of its names was replaced on the server');
  }

  /** The same when an OPEN has shown `told` of the file. */
  async mustStillBeOne(path: Path, told: Attributes): Promise<void> {
    const known = this.#store.names.last(path);
    if (known === null || !isAlike(known, told)) await this.mustBeOne(path, 0);
  }

  /** The server shows, asked at epoch `since`, that the file at `path` has no other name. */
  async alone(path: Path, since: number): Promise<void> {
    const { links, names } = this.#store;
    if (await this.partStrangers(path, 0)) return;
    if (links.twin(path) !== null && names.epochs.isCurrent(path, since)) this.#part(path);
  }

  /** The name is not one of its file's any more, but another's. */
  #part(path: Path): void {
    if (this.#store.links.twin(path) === null) return;
    this.vanished(path);
    this.#store.names.setLinkCount(path, 1);
    this.#store.counts.doubt([path]);
  }

  /** Two answers, given back to back, about what may be one file: `node`, which may just be growing under our hands. */
  async #compare(
    node: FileNode,
    first: () => Promise<SftpAttributes>,
    second: () => Promise<SftpAttributes>,
  ): Promise<SftpAttributes | 'different' | 'unknown'> {
    for (let tries = 0; tries < COMPARISONS; tries += 1) {
      const [a, b] = await both(first(), second());
      if (b.status === 'rejected' && isStale(b.reason)) return 'different';
      if (a.status === 'rejected' || b.status === 'rejected') return 'unknown';
      if (isSameFile(a.value, b.value)) return a.value;
      if (node.isInFlux && isGrownFile(a.value, b.value, node.extent)) return b.value;
    }
    return 'different';
  }
}
