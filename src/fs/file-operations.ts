/**
 * open, create, read, write, flush, fsync, release and their kin. Close-to-open: an open asks the server
 * for the file's size and time in the same round trip and keeps cached content only if they match; a close
 * waits until everything written is confirmed and learns the new size and time the same way.
 *
 * Files are created with EXCL, so that it is known whether they were there before: O_EXCL is then exact, a
 * file that turns up is never given our mode, and only a file of our own is.
 */
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import {
  isDirectory,
  isRegular,
  O_ACCMODE,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../base/mode.js';
import type { Path } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpHandle } from '../sftp/client.js';
import {
  COPY_DATA,
  FSYNC,
  SSH_FXF_CREAT,
  SSH_FXF_EXCL,
  SSH_FXF_READ,
  SSH_FXF_TRUNC,
  SSH_FXF_WRITE,
} from '../sftp/constants.js';
import { toAttributes } from './identity.js';
import { type FileNode, type OpenFile, type Unsent, unsentOf } from './open-file.js';
import type { Attributes, Opened, Stat, WriteFlags } from './operations.js';
import { changedThrough, mustBeWritable, type Parts, statOf } from './parts.js';
import { both } from './remote.js';

const log = logger('files');

/**
 * Size and mtime (whole seconds) cannot show a change that keeps the size and comes within the second of
 * the last one. Content seen within this many seconds of its mtime is fetched again at the next open.
 */
const RACY_SECONDS = 2;
/** One copy-data request moves at most this much, so that the channel is not blocked for long. */
const COPY_CHUNK = 16 * 1024 * 1024;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_ZERO_RANGE = 16;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Holes are punched by writing zeros, up to this many bytes a call. */
const MAX_ZEROS = 64 * 1024 * 1024;

function pflagsOf(flags: number): number {
  const access = flags & O_ACCMODE;
  const read = access === O_RDONLY || access === O_RDWR ? SSH_FXF_READ : 0;
  const write = access === O_WRONLY || access === O_RDWR ? SSH_FXF_WRITE : 0;
  return read | write;
}

export class FileOperations {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async open(path: Path, flags: number): Promise<Opened> {
    const writes = (flags & O_ACCMODE) !== O_RDONLY;
    const truncates = (flags & O_TRUNC) !== 0;
    if (writes || truncates) mustBeWritable(this.#parts.options);
    if (truncates) await this.#pushAll(path);
    const pflags = pflagsOf(flags) | (truncates ? SSH_FXF_TRUNC | SSH_FXF_WRITE : 0);
    const { handle, answer } = await this.#openRemote(path, pflags, {}, 'open');
    return this.#opened(path, flags, handle, answer);
  }

  async create(path: Path, flags: number, mode: number): Promise<Stat & Opened> {
    mustBeWritable(this.#parts.options);
    const permissions = mode & 0o7777;
    const pflags = pflagsOf(flags) | SSH_FXF_CREAT | SSH_FXF_EXCL;
    try {
      const { handle, answer } = await this.#openRemote(path, pflags, { permissions }, 'create');
      const exact = await this.#withMode(handle, answer, permissions);
      this.#parts.names.created(path, exact);
      const opened = this.#opened(path, flags & ~O_TRUNC, handle, exact);
      return { ...this.#statOf(path, exact), ...opened };
    } catch (error) {
      const isThere = error instanceof FsError && error.code === 'EEXIST';
      this.#parts.names.forget(path);
      if (!isThere || (flags & O_EXCL) !== 0) throw error;
    }
    const opened = await this.open(path, flags);
    const attributes = await this.#parts.names.lookup(path);
    if (attributes === null) throw new FsError('ENOENT');
    return { ...statOf(this.#parts, path, attributes, this.#parts.options.statTtl), ...opened };
  }

  async mknod(path: Path, mode: number): Promise<Stat> {
    if (!isRegular(mode)) throw new FsError('EPERM', 'SFTP has regular files, directories and links only');
    const { handle, ...stat } = await this.create(path, O_WRONLY | O_EXCL, mode);
    await this.release(handle);
    return stat;
  }

  async read(handle: number, offset: number, size: number): Promise<readonly Uint8Array[]> {
    const file = this.#parts.files.get(handle);
    if (!file.canRead) throw new FsError('EBADF', 'not open for reading');
    if (!this.#parts.options.directIo) return this.#parts.content.read(file, offset, size);
    if (file.node.isDirty) await this.#parts.writes.push(file);
    return this.#parts.content.readDirect(file, offset, size);
  }

  async write(handle: number, offset: number, data: Uint8Array, flags: WriteFlags): Promise<number> {
    const { files, content, names, writes, kernel, options } = this.#parts;
    const file = files.get(handle);
    const { node } = file;
    mustBeWritable(options);
    file.takeFailure();
    // The kernel appends at the size it knows, which another machine may have outdated since.
    const position = file.append && !flags.fromPageCache ? node.size : offset;
    const end = position + data.length;
    content.changed(node, position, end, node.size);
    node.size = Math.max(node.size, end);
    node.writes += 1;
    file.wrote = true;
    if (node.path !== null) {
      names.outdated(node.path);
      if (position !== offset) kernel?.invalidateData(node.path);
    }
    const room = writes.write(file, position, data);
    if (options.syncWrites || file.sync) {
      await this.settle(file);
      file.takeFailure();
    }
    await room;
    return data.length;
  }

  async flush(handle: number): Promise<void> {
    const file = this.#parts.files.get(handle);
    if (file.wrote || (file.canWrite && file.node.isDirty)) await this.settle(file);
    file.takeFailure();
  }

  async fsync(handle: number): Promise<void> {
    const { remote, files } = this.#parts;
    const file = files.get(handle);
    if (file.canWrite) await this.settle(file);
    file.takeFailure();
    if (!remote.client.has(FSYNC)) return;
    const path = file.node.path === null ? null : remote.at(file.node.path);
    await remote.ask(remote.client.fsync(file.handle), { op: 'fsync', path });
  }

  /**
   * The last descriptor is gone. Pages that the kernel wrote back after the last close are still on their way:
   * they go out first. Answers what was refused if no program was told of it.
   */
  async release(handle: number): Promise<Unsent | null> {
    const { files, remote } = this.#parts;
    const file = files.get(handle);
    if (file.node.isDirty) await this.settle(file).catch(() => undefined);
    const unsent = file.failure === null ? null : unsentOf(file.node);
    files.remove(handle);
    remote.client.close(file.handle).catch((error: unknown) => log('close: %s', error));
    if (unsent === null) return null;
    log('nobody was told that %d bytes of %s were lost: %s', unsent.bytes, unsent.path, unsent.error);
    file.node.lostBytes = 0;
    return unsent;
  }

  /**
   * Sends everything written to the file and waits until it is confirmed or refused (refusals are kept for
   * the handles). Answers the attributes the server had behind the last write, or null if it did not say.
   */
  async settle(file: OpenFile): Promise<Attributes | null> {
    const { writes, remote, names, identity } = this.#parts;
    const { node } = file;
    const seen = node.writes;
    const sent = writes.push(file);
    const early = writes.isDrained ? remote.client.fstat(file.handle) : null;
    early?.catch(() => undefined);
    await sent;
    file.wrote = false;
    let answer: SftpAttributes;
    try {
      answer = await (early ?? remote.client.fstat(file.handle));
    } catch (error) {
      log('attributes after writing: %s', error);
      if (node.path !== null) names.outdated(node.path);
      return null;
    }
    if (node.writes !== seen || node.isDirty) return null;
    const nlink = node.path === null ? 0 : names.linkCount(node.path);
    const attributes = toAttributes(identity, answer, nlink);
    node.size = attributes.size;
    this.#stamp(node, attributes);
    if (node.path !== null) names.changed(node.path, attributes);
    changedThrough(this.#parts, node.path);
    return attributes;
  }

  /** Cuts or extends the file: through `own`, a handle open for writing, or by its name. */
  async truncate(
    path: Path | null,
    open: OpenFile | undefined,
    own: OpenFile | null,
    size: number,
  ): Promise<void> {
    const { remote, names, files, content, writes } = this.#parts;
    const { client } = remote;
    if (open !== undefined) await writes.push(open);
    if (own === null && path === null) throw new FsError('ESTALE');
    const at = path === null ? null : remote.at(path);
    try {
      if (own !== null) await client.fsetstat(own.handle, { size });
      else if (at !== null) await client.setstat(at, { size });
    } catch (error) {
      throw await remote.failure(error, { op: 'truncate', path: at });
    }
    const node = open?.node ?? (path === null ? undefined : files.peek(path));
    if (node !== undefined) {
      content.changed(node, Math.min(size, node.size), Number.MAX_SAFE_INTEGER, node.size);
      node.size = size;
      node.stamp = null;
      node.writes += 1;
    }
    if (path !== null) names.outdated(path);
    changedThrough(this.#parts, path);
  }

  /** The file's time or mode was set by us: content that was valid before is valid still. */
  restamp(path: Path | null, attributes: Attributes): void {
    const node = path === null ? undefined : this.#parts.files.peek(path);
    if (node?.stamp === undefined || node.stamp === null || node.isDirty) return;
    if (node.stamp.size === attributes.size) this.#stamp(node, attributes);
  }

  /** SFTP knows no holes: data reaches to the end of the file, where the only hole begins. */
  async lseek(handle: number, offset: number, whence: number): Promise<number> {
    const { size } = this.#parts.files.get(handle).node;
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FsError('EINVAL');
    if (offset < 0 || offset >= size) throw new FsError('ENXIO');
    return whence === SEEK_DATA ? offset : size;
  }

  /** Holes and zeroed ranges are written as zeros; space cannot be reserved over SFTP (EOPNOTSUPP). */
  async fallocate(handle: number, mode: number, offset: number, length: number): Promise<void> {
    const file = this.#parts.files.get(handle);
    if (!file.canWrite) throw new FsError('EBADF');
    const punches = mode === (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    const zeroes = (mode & ~FALLOC_FL_KEEP_SIZE) === FALLOC_FL_ZERO_RANGE;
    if (!punches && !zeroes) throw new FsError('EOPNOTSUPP');
    const keepsSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
    const end = keepsSize ? Math.min(offset + length, file.node.size) : offset + length;
    if (end - offset > MAX_ZEROS) throw new FsError('EOPNOTSUPP');
    const step = 1024 * 1024;
    for (let at = offset; at < end; at += step) {
      await this.write(handle, at, Buffer.alloc(Math.min(step, end - at)), { fromPageCache: true });
    }
  }

  async copyFileRange(
    from: number,
    fromOffset: number,
    to: number,
    toOffset: number,
    length: number,
  ): Promise<number> {
    const { files, remote, content, names } = this.#parts;
    const { client } = remote;
    if (!client.has(COPY_DATA)) throw new FsError('EOPNOTSUPP', 'the server has no copy-data');
    mustBeWritable(this.#parts.options);
    const source = files.get(from);
    const target = files.get(to);
    await Promise.all([this.settle(source), this.settle(target)]);
    source.takeFailure();
    target.takeFailure();
    const copied = Math.min(length, COPY_CHUNK, source.node.size - fromOffset);
    if (copied <= 0) return 0;
    const { node } = target;
    const path = node.path === null ? null : remote.at(node.path);
    content.changed(node, toOffset, toOffset + copied, node.size);
    const [done, after] = await both(
      client.copyData(source.handle, fromOffset, copied, target.handle, toOffset),
      client.fstat(target.handle),
    );
    content.changed(node, toOffset, toOffset + copied, node.size);
    node.stamp = null;
    node.writes += 1;
    target.wrote = true;
    if (node.path !== null) names.outdated(node.path);
    if (done.status === 'rejected') throw await remote.failure(done.reason, { op: 'copy', path });
    const size = after.status === 'fulfilled' ? (after.value.size ?? 0) : toOffset + copied;
    node.size = Math.max(node.size, Math.min(size, toOffset + copied));
    // A source that shrank on the server ends the copy early, and the server does not say where.
    return Math.max(0, Math.min(copied, size - toOffset));
  }

  /** OPEN and LSTAT in one round trip; the server opens through a symbolic link, then the handle tells. */
  async #openRemote(
    path: Path,
    pflags: number,
    attrs: SftpAttributes,
    how: 'open' | 'create',
  ): Promise<{ handle: SftpHandle; answer: SftpAttributes }> {
    const { remote, names } = this.#parts;
    const { client } = remote;
    const at = remote.at(path);
    const [opened, stat] = await both(client.open(at, pflags, attrs), client.lstat(at));
    if (opened.status === 'rejected') {
      names.forget(path);
      const isCreate = how === 'create';
      const write = (pflags & SSH_FXF_WRITE) !== 0;
      throw await remote.failure(opened.reason, {
        op: 'open',
        path: at,
        write,
        create: isCreate,
        exclusive: isCreate,
      });
    }
    const handle = opened.value;
    if (stat.status === 'fulfilled' && isRegular(stat.value.permissions ?? 0)) {
      return { handle, answer: stat.value };
    }
    try {
      const answer = await remote.ask(client.fstat(handle), { op: 'fstat', path: at });
      if (isDirectory(answer.permissions ?? 0)) throw new FsError('EISDIR');
      return { handle, answer };
    } catch (error) {
      names.forget(path);
      client.close(handle).catch((failure: unknown) => log('close: %s', failure));
      throw error;
    }
  }

  #opened(path: Path, flags: number, handle: SftpHandle, answer: SftpAttributes): Opened {
    const { names, files, content, options, identity } = this.#parts;
    const before = names.known(path)?.value;
    const attributes = toAttributes(identity, answer, names.linkCount(path));
    const { id, file } = files.add(path, handle, flags, attributes.size);
    const { node } = file;
    const isTruncated = (flags & O_TRUNC) !== 0;
    let keepCache = true;
    if (isTruncated || !node.isDirty) {
      const { stamp } = node;
      const matches = stamp !== null && stamp.size === attributes.size && stamp.mtime === attributes.mtime;
      keepCache = matches && !node.racy && !isTruncated;
      if (!keepCache) content.drop(node);
      node.size = attributes.size;
      this.#stamp(node, attributes);
      names.changed(path, attributes);
    }
    if (isTruncated) changedThrough(this.#parts, path);
    const isKnown =
      before?.size === attributes.size &&
      before.mtime === attributes.mtime &&
      before.mode === attributes.mode;
    return {
      handle: id,
      keepCache: keepCache || options.kernelCache,
      directIo: options.directIo,
      staleAttributes: !isKnown,
    };
  }

  #stamp(node: FileNode, attributes: Attributes): void {
    node.stamp = { size: attributes.size, mtime: attributes.mtime };
    node.racy = this.#parts.clock.now() / 1000 - attributes.mtime < RACY_SECONDS;
  }

  /** The server's umask may have taken bits away that the program asked for: they are set by hand. */
  async #withMode(handle: SftpHandle, answer: SftpAttributes, wanted: number): Promise<SftpAttributes> {
    const got = answer.permissions ?? wanted;
    if ((got & 0o7777) === wanted) return answer;
    const { client } = this.#parts.remote;
    const [, after] = await both(client.fsetstat(handle, { permissions: wanted }), client.fstat(handle));
    return after.status === 'fulfilled' ? after.value : answer;
  }

  #statOf(path: Path, answer: SftpAttributes): Stat {
    const attributes = toAttributes(this.#parts.identity, answer, 1);
    return statOf(this.#parts, path, attributes, this.#parts.options.statTtl);
  }

  async #pushAll(path: Path): Promise<void> {
    const node = this.#parts.files.openAt(path);
    const [file] = node?.handles ?? [];
    if (node?.isDirty && file !== undefined) await this.#parts.writes.push(file);
  }
}
