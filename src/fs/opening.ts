/**
 * open, create, mknod. An open asks the server for the file's size and time in the same round trip and keeps
 * cached content only if they match (close-to-open). If the file is open already, its older handle is asked
 * as well: a name that was given to another file behind our back must not lead two files into one.
 *
 * Files are created with EXCL, so that it is known whether they were there before: O_EXCL is then exact, a
 * file that turns up is never given our mode, and only a file of our own is.
 */
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import {
  isDirectory,
  isRegular,
  isSymlink,
  O_ACCMODE,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFMT,
  S_IFREG,
} from '../base/mode.js';
import { type Path, parentOf } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpHandle } from '../sftp/client.js';
import {
  SSH_FXF_CREAT,
  SSH_FXF_EXCL,
  SSH_FXF_READ,
  SSH_FXF_TRUNC,
  SSH_FXF_WRITE,
} from '../sftp/constants.js';
import type { Creating } from './creating.js';
import type { FilesAhead } from './files-ahead.js';
import { toAttributes } from './identity.js';
import { keeperOf } from './keeper.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { Ids, Opened, Stat } from './operations.js';
import { changedThrough, mustBeWritable, type Parts, statOf } from './parts.js';
import { both, isStale, isUnanswered } from './remote.js';
import { isSameFile } from './same-file.js';

const log = logger('files');

/** A name may come and go on the server between our tries to create and to open it. */
const CREATE_TRIES = 5;
/** Reading a file of this many bytes is worth connections of its own. */
const LARGE = 1024 * 1024;

function pflagsOf(flags: number): number {
  const access = flags & O_ACCMODE;
  const read = access === O_WRONLY ? 0 : SSH_FXF_READ;
  const write = access === O_RDONLY ? 0 : SSH_FXF_WRITE;
  return read | write;
}

/** A file that is not there before. */
function creationOf(flags: number): number {
  return pflagsOf(flags) | SSH_FXF_CREAT | SSH_FXF_EXCL;
}

/** What was known of a file when its OPEN was sent. */
interface Asked {
  readonly epoch: number;
  readonly node: FileNode | undefined;
  readonly writes: number;
  /** Something was written and not confirmed, so that the answer may lack it. */
  readonly isDirty: boolean;
}

/** A fresh handle, and what the server said of its file. */
interface Answer {
  readonly handle: SftpHandle;
  readonly attributes: SftpAttributes;
  /** The state of the handle that was open before, if there is one; 'stale' for one that cannot be this file's. */
  readonly older: SftpAttributes | 'stale' | null;
}

export class Opening {
  readonly #parts: Parts;
  readonly #ahead: FilesAhead;
  readonly #creating: Creating;

  constructor(parts: Parts, ahead: FilesAhead, creating: Creating) {
    this.#parts = parts;
    this.#ahead = ahead;
    this.#creating = creating;
  }

  async open(path: Path, flags: number): Promise<Opened> {
    const { links, freshness, options } = this.#parts;
    const truncates = (flags & O_TRUNC) !== 0;
    if (links.twin(path) !== null) await freshness.mustBeOne(path, truncates ? 0 : options.openTtl);
    if (truncates || (flags & O_ACCMODE) !== O_RDONLY) mustBeWritable(this.#parts.options);
    else {
      // Without anything to wait for, the OPEN goes out at once.
      const ahead = this.#ahead.opened(path) ?? this.#ahead.fromDisk(path);
      if (ahead !== null) await ahead;
      const opened = this.#openHere(path, flags);
      if (opened !== null) return opened;
    }
    if (truncates) {
      // Asked again after each wait, and nothing awaited behind it: no write comes between this and the OPEN.
      for (let file = this.#dirty(path); file !== undefined; file = this.#dirty(path)) {
        await this.#parts.writes.push(file);
      }
    }
    const asked = this.#ask(path);
    const pflags = pflagsOf(flags) | (truncates ? SSH_FXF_TRUNC | SSH_FXF_WRITE : 0);
    const size = asked.node?.size ?? 0;
    const request = this.#request(path, pflags, {}, asked.node);
    if (truncates) this.#emptied(asked.node, request);
    const answer = await request.catch((error: unknown) =>
      this.#failed(path, truncates ? size : null, error),
    );
    return this.#opened(path, flags, asked, answer);
  }

  /**
   * Opens for reading without asking the server, if it told a moment ago what the file is, let us read it as such, and
   * all of that content is here; else null. While something is posted about its name, it could not be opened at once
   * when that is needed.
   */
  #openHere(path: Path, flags: number): Opened | null {
    const { names, files, content, options, remote, late } = this.#parts;
    const known = names.known(path)?.value;
    if (!known || !isRegular(known.mode) || known.size === 0 || options.directIo) return null;
    const node = names.isFresh(path, options.openTtl) ? files.peek(path) : undefined;
    if (node === undefined || node.isDirty || node.racy || !node.matches(known)) return null;
    if (!node.isReadable(known) || !content.holds(node)) return null;
    const at = remote.at(path);
    if (remote.client.quiet(at) !== null) return null;
    const handle = remote.client.openLater(at, SSH_FXF_READ);
    const { id, file } = this.#add(path, handle, flags, known.size);
    late.add(file);
    const keepCache = !node.isAhead || options.kernelCache;
    node.isAhead = false;
    return { handle: id, keepCache, directIo: false, staleAttributes: false };
  }

  async create(path: Path, flags: number, mode: number, by?: Ids): Promise<Stat & Opened> {
    mustBeWritable(this.#parts.options);
    const { posted } = this.#parts;
    for (let room = posted.room(); room !== null; room = posted.room()) await room;
    const permissions = mode & 0o7777;
    const wanted = { path, flags, pflags: creationOf(flags), permissions };
    const made = this.#creating.posted(wanted);
    if (made !== null) return made;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#createNew(path, flags, permissions, by);
      } catch (error) {
        const isThere = error instanceof FsError && error.code === 'EEXIST';
        if (!isThere || (flags & O_EXCL) !== 0) throw error;
      }
      try {
        const opened = await this.open(path, flags);
        return { ...(await this.#statOf(path, opened.handle)), ...opened };
      } catch (error) {
        if (!(error instanceof FsError) || error.code !== 'ENOENT' || tries >= CREATE_TRIES) throw error;
      }
    }
  }

  async #createNew(
    path: Path,
    flags: number,
    permissions: number,
    by: Ids | undefined,
  ): Promise<Stat & Opened> {
    const { names, files, lanes, links, giving, remote, options } = this.#parts;
    const owner = giving.ownerOf(path, by);
    const { handle, attributes } = await this.#request(path, creationOf(flags), { permissions }, undefined);
    const given = giving.give(path, attributes, await owner, (gift) => remote.client.fsetstat(handle, gift));
    const isExact = ((given.permissions ?? permissions) & 0o7777) === permissions;
    const exact = { ...given, permissions: ((given.permissions ?? S_IFREG) & S_IFMT) | permissions };
    // The server had no such name, so whatever we knew by it is another file.
    if (files.openAt(path) !== undefined) this.#parts.freshness.replaced(path);
    files.nameGone(path, null);
    links.removed(path);
    const stat = statOf(this.#parts, path, names.created(path, exact), options.statTtl);
    this.#parts.posted.proved(path, stat.attributes);
    const { id, file } = this.#add(path, handle, flags, exact.size ?? 0);
    file.isDirect = options.directIo;
    file.node.own = stat.attributes;
    file.node.isOwnTimed = true;
    // The server's umask may have taken bits away that the program asked for.
    if (!isExact) this.#parts.behind.send(file, { permissions });
    lanes.want();
    this.#parts.freshness.stamp(file.node, stat.attributes);
    return { ...stat, handle: id, keepCache: false, directIo: options.directIo, staleAttributes: false };
  }

  #ask(path: Path): Asked {
    const { names, files } = this.#parts;
    const node = files.peek(path);
    return {
      epoch: names.epochs.now(),
      node,
      writes: node?.writes ?? 0,
      isDirty: node?.isDirty ?? false,
    };
  }

  /**
   * OPEN and LSTAT in one round trip. The server opens through a symbolic link, but where one leads is the
   * kernel's to say: on ESTALE it walks again.
   */
  async #request(
    path: Path,
    pflags: number,
    attrs: SftpAttributes,
    node: FileNode | undefined,
  ): Promise<Answer> {
    const { remote, names } = this.#parts;
    const { client } = remote;
    const at = remote.at(path);
    const [known] = node?.handles ?? [];
    const since = names.epochs.now();
    const [pair, older] = await Promise.all([
      both(client.open(at, pflags, attrs), remote.look(at)),
      known === undefined
        ? null
        : client.fstat(known.handle).catch((error: unknown) => (isStale(error) ? 'stale' : null)),
    ]);
    const [opened, stat] = pair;
    const mode = stat.status === 'fulfilled' ? (stat.value.permissions ?? 0) : 0;
    const isOther = isDirectory(mode) || isSymlink(mode);
    const isKnown = isOther || opened.status === 'rejected';
    if (stat.status === 'fulfilled' && isKnown) names.answers.learn(path, stat.value, since);
    if (opened.status === 'rejected') {
      if (stat.status === 'rejected') names.forget(path);
      const create = (pflags & SSH_FXF_CREAT) !== 0;
      const write = (pflags & SSH_FXF_WRITE) !== 0;
      const what = { op: 'open', path: at, write, create, exclusive: create } as const;
      const failure = await remote.failure(opened.reason, what);
      if (create && isUnanswered(failure)) this.#parts.freshness.doubt([path]);
      throw failure;
    }
    const handle = opened.value;
    if (stat.status === 'fulfilled' && isRegular(mode)) return { handle, attributes: stat.value, older };
    if (isOther) {
      this.#close(handle);
      throw new FsError(isDirectory(mode) ? 'EISDIR' : 'ESTALE', 'no regular file any more');
    }
    try {
      const attributes = await remote.ask(client.fstat(handle), { op: 'fstat', path: at });
      if (isDirectory(attributes.permissions ?? 0)) throw new FsError('EISDIR');
      return { handle, attributes, older };
    } catch (error) {
      names.forget(path);
      this.#close(handle);
      throw error;
    }
  }

  async #opened(path: Path, flags: number, asked: Asked, answer: Answer): Promise<Opened> {
    const { names, lanes, content, freshness, options, identity, links } = this.#parts;
    if (!(await this.#isSame(asked, answer))) freshness.replaced(path);
    const { handle } = answer;
    const before = names.known(path)?.value;
    const attributes = toAttributes(identity, answer.attributes, names.linkCount(path));
    if (links.twin(path) !== null && (flags & O_TRUNC) === 0) {
      await freshness.mustStillBeOne(path, attributes).catch((error: unknown) => {
        this.#close(handle);
        throw error;
      });
    }
    const isSized = attributes.size > 0 || (flags & O_TRUNC) !== 0 || !(await this.#isUnsized(path));
    const { id, file } = this.#add(path, handle, flags, attributes.size);
    file.isDirect = options.directIo || !isSized;
    if (file.canWrite || attributes.size >= LARGE) lanes.want();
    const { node } = file;
    // What was written and not sent before the question, or since, is newer than its answer.
    const writes = node === asked.node ? asked.writes : 0;
    const isNewer = asked.isDirty || node.isDirty || node.writes !== writes;
    let keepCache = true;
    if (!isNewer) {
      const isSame = node.matches(attributes) && !node.racy;
      if (!isSame) content.drop(node);
      keepCache = isSame && !node.isAhead;
      node.isAhead = false;
      freshness.stamp(node, attributes);
      if (file.canRead && node.path === path) node.readable = attributes;
      names.answers.learn(path, answer.attributes, asked.epoch);
    }
    if ((flags & O_TRUNC) !== 0) {
      keepCache = false;
      names.outdated(path);
      changedThrough(this.#parts, path);
    }
    const { size, mtime, mode } = attributes;
    const isKnown = before?.size === size && before.mtime === mtime && before.mode === mode;
    return {
      handle: id,
      keepCache: keepCache || options.kernelCache,
      directIo: file.isDirect,
      staleAttributes: !isKnown,
    };
  }

  /**
   * May this file that says it is empty have content all the same? Those of /proc and the like do, and their directories
   * say that they are empty too, which no other directory does that has a file in it.
   */
  async #isUnsized(path: Path): Promise<boolean> {
    const { names } = this.#parts;
    const directory = parentOf(path);
    if (names.sizeOf(directory) > 0) return false;
    return (await names.lookup(directory).catch(() => null))?.size === 0;
  }

  /** Is the opened file the one that was open by this name before? Handles are compared only if there is doubt. */
  async #isSame({ node }: Asked, { handle, attributes, older }: Answer): Promise<boolean> {
    const [known]: readonly OpenFile[] = [...(node?.handles ?? [])];
    if (older === 'stale') return false;
    if (known === undefined || older === null || isSameFile(attributes, older)) return true;
    return this.#parts.freshness.isOneFile(known.node, handle, known.handle);
  }

  /** The server empties the file before anything that is written from now on arrives. */
  #emptied(node: FileNode | undefined, request: Promise<unknown>): void {
    if (node === undefined) return;
    this.#parts.content.drop(node);
    node.refusal = null;
    node.mayBecome(0, request);
    node.size = 0;
    this.#creating.changed(node);
  }

  /**
   * An OPEN that failed emptied nothing: the size is the server's again, or, while it cannot be asked, what it was;
   * null for one that was not to empty the file.
   */
  async #failed(path: Path, size: number | null, error: unknown): Promise<never> {
    const node = size === null ? undefined : this.#parts.files.openAt(path);
    const [file] = node?.handles ?? [];
    if (size !== null && node !== undefined && file !== undefined && !node.isDirty) {
      const { client } = this.#parts.remote;
      const answer = client.isDown ? { size } : await client.fstat(file.handle).catch(() => null);
      if (answer !== null) node.size = answer.size ?? 0;
    }
    throw error;
  }

  async #statOf(path: Path, handle: number): Promise<Stat> {
    const { names, files, identity, remote, options } = this.#parts;
    const known = names.known(path)?.value;
    if (known) return statOf(this.#parts, path, known, options.statTtl);
    const answer = await remote.ask(remote.client.fstat(files.get(handle).handle), {
      op: 'fstat',
      path: null,
    });
    return statOf(this.#parts, path, toAttributes(identity, answer, names.linkCount(path)), 0);
  }

  #dirty(path: Path): OpenFile | undefined {
    const node = this.#parts.files.openAt(path);
    return node?.isDirty ? [...node.handles][0] : undefined;
  }

  /** One more open of the file at `path`, which goes on after the connection was lost. */
  #add(path: Path, handle: SftpHandle, flags: number, size: number): { id: number; file: OpenFile } {
    const { client } = this.#parts.remote;
    const added = this.#parts.files.add(path, { client, handle }, flags, size);
    client.keep(handle, keeperOf(this.#parts, added.file));
    added.file.heard = this.#parts.posted.listen();
    return added;
  }

  #close(handle: SftpHandle): void {
    this.#parts.remote.client.close(handle).catch((error: unknown) => log('close: %s', error));
  }
}
