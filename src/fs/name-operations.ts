/**
 * mkdir, unlink, rmdir, rename, link, symlink and readlink. A change and the question what came of it go out back to
 * back, so that each costs one round trip.
 */
import type { ByteString } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import { isDirectory, isRegular, S_IFDIR, S_IFLNK, S_ISGID } from '../base/mode.js';
import { type Path, rebase } from '../base/path.js';
import type { Requests } from '../recovery/requests.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { HARDLINK, POSIX_RENAME } from '../sftp/constants.js';
import type { LinkOperation, Operation, RenameOperation } from '../sftp/explain.js';
import type { Owner } from './giving.js';
import type { OpenDirectories } from './open-directories.js';
import type { Ids, Stat } from './operations.js';
import { changedThrough, type Parts, statOf } from './parts.js';
import { PostedNames } from './posted-names.js';
import { both, isUnanswered } from './remote.js';

const log = logger('names');

/** What is not created, but given another name, stays whose it is. */
const LOGIN: Promise<null> = Promise.resolve(null);

/** A directory's owner may read and search it. */
const MAY_LIST = 0o500;

/** st_size of a new directory, in bytes, until the server has told it. */
const NEW_DIRECTORY_SIZE = 4096;

/**
 * The mode bits that a new directory has to be given, since the server's umask took away some of those that were `wanted`;
 * null if it `has` them all. It may have inherited its parent's set-group-ID bit, which stays.
 */
function correctedMode(wanted: number, has: number): number | null {
  return (has & 0o1777) === (wanted & 0o1777) ? null : wanted | (has & S_ISGID);
}

export class NameOperations {
  readonly #parts: Parts;
  readonly #directories: OpenDirectories;
  readonly #posts: PostedNames;

  constructor(parts: Parts, directories: OpenDirectories) {
    this.#parts = parts;
    this.#directories = directories;
    this.#posts = new PostedNames(parts);
  }

  readlink(path: Path): Promise<ByteString> {
    return this.#parts.names.symlinks.read(path);
  }

  async symlink(path: Path, target: ByteString, by?: Ids): Promise<Stat> {
    const { client } = this.#parts.remote;
    const at = this.#parts.remote.at(path);
    const what: Operation = { op: 'symlink', path: at };
    const made = await this.#posts.make(path, S_IFLNK | 0o777, target.length, what, (requests) =>
      requests.symlink(at, target),
    );
    if (made !== null) return made;
    const owner = this.#parts.giving.ownerOfName(path, by);
    const request = client.symlink(at, target);
    if (!this.#parts.remote.followsLinks) return this.#create(path, request, what, owner);
    return this.#createFollowed(path, request, what);
  }

  /** The server's umask may take bits away that the program asked for: they are set by hand. */
  async mkdir(path: Path, mode: number, by?: Ids): Promise<Stat> {
    const { remote, names } = this.#parts;
    const { client } = remote;
    const at = remote.at(path);
    const permissions = mode & 0o7777;
    const what: Operation = { op: 'mkdir', path: at };
    const made = await this.#posts.make(
      path,
      S_IFDIR | permissions,
      NEW_DIRECTORY_SIZE,
      what,
      async (requests) => {
        const [done, look] = await both(requests.mkdir(at, { permissions }), requests.lstat(at));
        if (done.status === 'rejected') throw done.reason;
        const { permissions: got = permissions } = look.status === 'fulfilled' ? look.value : {};
        const wanted = correctedMode(permissions, got);
        if (wanted !== null) await requests.setstat(at, { permissions: wanted });
      },
    );
    if (made !== null) {
      if ((permissions & MAY_LIST) === MAY_LIST) names.createdEmpty(path);
      return made;
    }
    const owner = this.#parts.giving.ownerOfName(path, by);
    const request = client.mkdir(at, { permissions });
    const stat = await this.#create(path, request, what, owner);
    if ((permissions & MAY_LIST) === MAY_LIST) names.createdEmpty(path);
    const wanted = correctedMode(permissions, stat.attributes.mode);
    if (wanted === null) return stat;
    const [, after] = await both(client.setstat(at, { permissions: wanted }), remote.look(at));
    if (after.status === 'rejected') return stat;
    return statOf(this.#parts, path, names.created(path, after.value), this.#parts.options.statTtl);
  }

  async unlink(path: Path): Promise<void> {
    const { remote, names } = this.#parts;
    const at = remote.at(path);
    await this.#remove(path, { op: 'remove', path: at }, true, (requests) => requests.remove(at));
    changedThrough(this.#parts, path);
    this.#parts.freshness.nameGone(path);
    names.removed(path, false);
  }

  async rmdir(path: Path): Promise<void> {
    const { remote, names } = this.#parts;
    const at = remote.at(path);
    const isEmpty = names.listed(path)?.snapshot().length === 0;
    await this.#remove(path, { op: 'rmdir', path: at }, isEmpty, (requests) => requests.rmdir(at));
    names.removed(path, true);
    this.#directories.moved(path, () => null);
  }

  async rename(from: Path, to: Path, { noReplace }: { readonly noReplace: boolean }): Promise<void> {
    const { names, lanes, content } = this.#parts;
    const isFile = isRegular(names.known(from)?.value?.mode ?? 0);
    try {
      const source = await this.#posts.rename(from, to, noReplace);
      if (source === null)
        return await lanes.whileRenaming(from, to, () => this.#rename(from, to, noReplace));
      this.#renamed(from, to, false);
      names.made(to, source);
    } finally {
      // The name has another file now.
      if (isFile) content.renewed(to);
      else content.doubt(to);
    }
  }

  async #rename(from: Path, to: Path, noReplace: boolean): Promise<void> {
    const { remote, names, links } = this.#parts;
    const { client } = remote;
    const isAtomic = !noReplace && client.has(POSIX_RENAME);
    const what: RenameOperation = {
      op: 'rename',
      from: remote.at(from),
      to: remote.at(to),
      replace: isAtomic,
    };
    const wasMissing = names.known(to)?.value === null;
    if (!noReplace && !wasMissing) await this.#mustBeWhole(from);
    this.#parts.late.before(to);
    const request = isAtomic ? client.posixRename(what.from, what.to) : client.rename(what.from, what.to);
    try {
      await this.#change([from, to], request, what);
    } catch (error) {
      // What is in the way, the kernel does not believe in.
      if (wasMissing) this.#parts.kernel?.invalidateAbsence(to);
      const isTaken = error instanceof FsError && error.code === 'EEXIST';
      if (noReplace || isAtomic || !isTaken) throw error;
      await this.#replace(what);
    }
    this.#renamed(
      from,
      to,
      links.areTwins(from, to) || (names.linkCount(from) > 1 && names.linkCount(to) > 1),
    );
  }

  /** What takes the place of a file has all that its writer was told is there. */
  async #mustBeWhole(path: Path): Promise<void> {
    const { remote, files, posted } = this.#parts;
    const node = posted.isOn ? files.peek(path) : undefined;
    if (node === undefined) return;
    const arrived = remote.client.quiet(remote.at(path));
    if (arrived !== null) await remote.client.patiently(arrived);
    const loss = node.takeLoss();
    if (loss !== null) throw loss;
  }

  /** The file, or the tree, has its new name; `mayBeOne`: both names may be one file, and then the old one stays. */
  #renamed(from: Path, to: Path, mayBeOne: boolean): void {
    const { names, files, links, posted } = this.#parts;
    posted.proved(from, null);
    posted.proved(to, null);
    changedThrough(this.#parts, to);
    if (!links.areTwins(from, to)) {
      this.#parts.freshness.nameGone(to);
      files.renamed(from, to);
      links.renamed(from, to);
      this.#directories.moved(to, () => null);
      this.#directories.moved(from, (path) => rebase(path, from, to));
    }
    names.renamed(from, to, mayBeOne);
  }

  /** EPERM where there are no hard links, as link(2) has it. */
  async link(from: Path, to: Path): Promise<Stat> {
    const { remote, names, links, files, writes, freshness, options } = this.#parts;
    const { client } = remote;
    if (!options.hardLinks || !client.has(HARDLINK)) throw new FsError('EPERM', 'no hard links here');
    const what: LinkOperation = { op: 'link', from: remote.at(from), to: remote.at(to) };
    const nlink = names.linkCount(from) + 1;
    const node = files.openAt(from);
    const [file] = node?.handles ?? [];
    if (node?.isDirty && file !== undefined) await writes.push(file);
    const before = node?.writes;
    const stat = await this.#create(to, client.hardlink(what.from, what.to), what, LOGIN, nlink).catch(
      async (error: unknown) => {
        if (error instanceof FsError && error.code === 'ENOENT') await freshness.recheck([from]);
        throw error;
      },
    );
    changedThrough(this.#parts, from);
    this.#parts.content.renewed(to);
    links.linked(from, to, stat.attributes);
    names.setLinkCount(from, nlink);
    if (node?.isDirty || node?.writes !== before) names.outdated(to);
    return statOf(this.#parts, to, stat.attributes, options.statTtl);
  }

  /** A request that makes the name `path`, with the LSTAT of what it made, which shall be `owner`'s. */
  async #create(
    path: Path,
    request: Promise<void>,
    what: Operation,
    owner: Promise<Owner | null>,
    nlink = 1,
  ): Promise<Stat> {
    const { remote, names, giving, options } = this.#parts;
    const at = remote.at(path);
    const [made, stat] = await both(request, remote.look(at));
    if (made.status === 'rejected') throw await this.#notMade(path, made.reason, what);
    const answer = stat.status === 'fulfilled' ? stat.value : await this.#again(path);
    const given = giving.give(path, answer, await owner, (gift) => remote.client.lsetstat(at, gift));
    const attributes = names.created(path, given, nlink);
    this.#parts.posted.proved(path, owner === LOGIN ? null : attributes);
    return statOf(this.#parts, path, attributes, options.statTtl);
  }

  /**
   * A symbolic link, told as the link that was made (the kernel wants no other type), and then forgotten: what programs
   * see by its name is what it leads to.
   */
  async #createFollowed(path: Path, request: Promise<void>, what: Operation): Promise<Stat> {
    const { remote, names } = this.#parts;
    const at = remote.at(path);
    const [made, stat] = await both(request, remote.client.lstat(at));
    if (made.status === 'rejected') throw await this.#notMade(path, made.reason, what);
    if (stat.status === 'rejected') throw await remote.failure(stat.reason, { op: 'lstat', path: at });
    const attributes = names.created(path, stat.value);
    names.forget(path);
    return statOf(this.#parts, path, attributes, 0);
  }

  async #notMade(path: Path, reason: unknown, what: Operation): Promise<FsError> {
    const { remote, names, kernel, freshness } = this.#parts;
    names.forget(path);
    const failure = await remote.failure(reason, what);
    // The kernel may go on believing that there is no such name: mkdir -p looks at once.
    if (failure.code === 'EEXIST') kernel?.invalidateAbsence(path);
    if (isUnanswered(failure)) freshness.doubt([path]);
    return failure;
  }

  #again(path: Path): Promise<SftpAttributes> {
    const { remote, names } = this.#parts;
    const at = remote.at(path);
    names.forget(path);
    return remote.ask(remote.look(at), { op: 'lstat', path: at });
  }

  /** Removes a name; what nothing known `isSure` to stand in the way of may be posted. */
  async #remove(
    path: Path,
    what: Operation,
    isSure: boolean,
    request: (requests: Requests) => Promise<void>,
  ): Promise<void> {
    if (isSure && (await this.#posts.remove(path, what, request))) return;
    this.#parts.late.before(path);
    await this.#change([path], request(this.#parts.remote.client), what);
    this.#parts.posted.proved(path, null);
  }

  /** A change of names; when it fails, nothing that was believed of them is believed any longer. */
  async #change(paths: readonly Path[], request: Promise<void>, what: Operation): Promise<void> {
    const { remote, names, freshness } = this.#parts;
    try {
      await request;
    } catch (error) {
      for (const path of paths) names.forget(path);
      const failure = await remote.failure(error, what);
      if (failure.code === 'ENOENT') await freshness.recheck(paths);
      if (isUnanswered(failure)) freshness.doubt(paths);
      throw failure;
    }
  }

  /** Without posix-rename a target has to be removed first; for a moment neither name is there. */
  async #replace(what: RenameOperation): Promise<void> {
    const { remote } = this.#parts;
    const { client } = remote;
    const lstat = (path: ByteString) => remote.ask(client.lstat(path), { op: 'lstat', path });
    const [source, target] = await Promise.all([lstat(what.from), lstat(what.to)]);
    const isTree = isDirectory(target.permissions ?? 0);
    if (isTree !== isDirectory(source.permissions ?? 0)) throw new FsError(isTree ? 'EISDIR' : 'ENOTDIR');
    log('rename without posix-rename: removing the target first');
    const removal = isTree ? client.rmdir(what.to) : client.remove(what.to);
    await remote.ask(removal, { op: isTree ? 'rmdir' : 'remove', path: what.to });
    await remote.ask(client.rename(what.from, what.to), what);
  }
}
