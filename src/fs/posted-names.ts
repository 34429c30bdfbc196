/**
 * Changes of names that are posted (see posted.ts): whether all that is known says that the server will do them, and what
 * is taken back if it does not.
 */
import { decodeText } from '../base/bytes.js';
import { deferred } from '../base/deferred.js';
import type { FsError } from '../base/errno.js';
import { isDirectory, isRegular, S_ISGID } from '../base/mode.js';
import { isWithin, type Path, parentOf } from '../base/path.js';
import type { Requests } from '../recovery/requests.js';
import { POSIX_RENAME } from '../sftp/constants.js';
import type { Operation } from '../sftp/explain.js';
import type { FileNode } from './open-file.js';
import type { Attributes, Stat } from './operations.js';
import { type Parts, statOf } from './parts.js';
import { newAttributes } from './posted.js';

/** Its owner may make names in such a directory (S_IWUSR and S_IXUSR). */
const MAY_MAKE = 0o300;

/** What was to be removed is gone: another machine was quicker. */
function unlessMissing(failure: FsError): void {
  if (failure.code !== 'ENOENT') throw failure;
}

export class PostedNames {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Makes the name at once, as far as programs can see, and posts it; null where it is not sure enough that the server
   * will make it. The request is sent before what others post about it.
   */
  async make(
    path: Path,
    mode: number,
    size: number,
    what: Operation,
    request: (requests: Requests) => Promise<void>,
  ): Promise<Stat | null> {
    const { remote, names, posted, identity, clock, options } = this.#parts;
    for (let room = posted.room(); room !== null; room = posted.room()) await room;
    const owner = posted.ownerAt(path);
    const isFree = names.known(path)?.value === null;
    if (owner === null || !isFree || identity.givesAway || identity.umask !== null) return null;
    const inherited = isDirectory(mode) ? (names.known(parentOf(path))?.value?.mode ?? 0) & S_ISGID : 0;
    const attributes = newAttributes(mode | inherited, size, owner, clock);
    posted.post({
      what: what.op,
      path,
      about: [remote.at(path)],
      work: (requests) => remote.ask(request(requests), what, requests),
      takeBack: () => this.#takeBack([path]),
    });
    names.made(path, attributes);
    // What is made below a directory of our own is ours, and may be made.
    if (isDirectory(mode) && (mode & MAY_MAKE) === MAY_MAKE) posted.proofs.learn(attributes, owner);
    return statOf(this.#parts, path, attributes, options.statTtl);
  }

  /** Posts the removal of a name, where all that is known says that it may be removed; false where it does not. */
  async remove(
    path: Path,
    what: Operation,
    request: (requests: Requests) => Promise<void>,
  ): Promise<boolean> {
    const { remote, posted, late } = this.#parts;
    for (let room = posted.room(); room !== null; room = posted.room()) await room;
    if (!this.#told(path) || !posted.mayChange(path)) return false;
    late.before(path);
    posted.post({
      what: what.op,
      path,
      about: [remote.at(path)],
      work: (requests) => remote.ask(request(requests), what, requests).catch(unlessMissing),
      takeBack: () => this.#takeBack([path]),
    });
    return true;
  }

  /**
   * Posts the rename, and answers what is renamed; null where it is not sure enough. What is replaced is a file, by a
   * file.
   */
  async rename(from: Path, to: Path, noReplace: boolean): Promise<Attributes | null> {
    const { remote, names, posted, lanes, links, files, late } = this.#parts;
    for (let room = posted.room(); room !== null; room = posted.room()) await room;
    const source = this.#told(from);
    const target = this.#told(to);
    const isNew = target === null;
    const isReplaced = !noReplace && source && target && isRegular(source.mode) && isRegular(target.mode);
    const isAlone = !links.areTwins(from, to) && !(names.linkCount(from) > 1 && names.linkCount(to) > 1);
    const isSure = source && (isNew || (isReplaced && isAlone)) && !isWithin(to, from);
    if (!isSure || !posted.mayChange(from) || !posted.mayChange(to)) return null;
    const isAtomic = !noReplace && remote.client.has(POSIX_RENAME);
    if (!isNew && !isAtomic) return null;
    const what = { op: 'rename', from: remote.at(from), to: remote.at(to), replace: isAtomic } as const;
    const request = (requests: Requests) =>
      isAtomic ? requests.posixRename(what.from, what.to) : requests.rename(what.from, what.to);
    const file = files.peek(from);
    const rename = async (requests: Requests) => {
      if (isNew || !(await this.#isGivenUp(file, from, requests)))
        await remote.ask(request(requests), what, requests);
    };
    late.before(to);
    const renamed = deferred<void>();
    void lanes.whileRenaming(from, to, () => renamed.promise, true);
    posted.post({
      what: `rename to ${decodeText(to)}`,
      path: from,
      about: [what.from, what.to],
      work: (requests) => rename(requests).finally(() => renamed.resolve()),
      // What programs have given these names to since is another file's matter.
      takeBack: () =>
        this.#takeBack([
          ...(files.peek(from) === undefined ? [from] : []),
          ...(files.peek(to) === file ? [to] : []),
        ]),
    });
    return source;
  }

  /**
   * Does `file`, which is called `from` on the server, lack data, so that it must not replace another? Throws if that is
   * to be told; nobody misses one that has been replaced or removed in its turn. Such a file is removed, and so is one
   * whose name programs have given to another since; any other stays where it is.
   */
  async #isGivenUp(file: FileNode | undefined, from: Path, requests: Requests): Promise<boolean> {
    const loss = file?.takeLoss() ?? null;
    if (file === undefined || loss === null) return false;
    const { remote, files } = this.#parts;
    const wasMade = file.seen !== null;
    const isMissed = file.path !== null || !wasMade;
    if (wasMade && (!isMissed || files.peek(from) !== undefined)) {
      const path = remote.at(from);
      await remote.ask(requests.remove(path), { op: 'remove', path }, requests).catch(unlessMissing);
    }
    if (isMissed) throw loss;
    return true;
  }

  /** What programs are told of a name without asking the server: undefined for nothing. */
  #told(path: Path): Attributes | null | undefined {
    const { files, names } = this.#parts;
    return files.openAt(path)?.own ?? names.known(path)?.value;
  }

  /** A posted change of these names was refused: nothing that was believed of them is believed any longer. */
  #takeBack(paths: readonly Path[]): void {
    const { names, freshness } = this.#parts;
    for (const path of paths) {
      names.forgetTree(path);
      freshness.vanished(path);
      names.forget(path);
    }
  }
}
