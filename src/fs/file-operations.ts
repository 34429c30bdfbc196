/**
 * read, write, flush, fsync, release and their kin on open files. A close waits until everything written is
 * confirmed and learns the new size and time from a FSTAT sent behind the last write.
 */
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import { isRegular, O_EXCL, O_WRONLY } from '../base/mode.js';
import { type Path, ROOT } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { COPY_DATA, FSYNC } from '../sftp/constants.js';
import type { Creating } from './creating.js';
import { type OpenFile, type Unsent, unsentOf } from './open-file.js';
import type { Opening } from './opening.js';
import type { Attributes, Ids, ReadResult, Stat, WriteFlags } from './operations.js';
import {
  adoptBehind,
  changedThrough,
  mustBeCountable,
  mustBeWritable,
  namesAt,
  type Parts,
} from './parts.js';
import { ServerCopy } from './server-copy.js';

const log = logger('files');

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_ZERO_RANGE = 16;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Holes are punched by writing zeros, up to this many bytes a call. */
const MAX_ZEROS = 64 * 1024 * 1024;

export class FileOperations {
  readonly #parts: Parts;

  readonly #opening: Opening;
  readonly #copy: ServerCopy;
  readonly #creating: Creating;

  constructor(parts: Parts, opening: Opening, creating: Creating) {
    this.#parts = parts;
    this.#opening = opening;
    this.#copy = new ServerCopy(parts);
    this.#creating = creating;
  }

  async mknod(path: Path, mode: number, by?: Ids): Promise<Stat> {
    if (!isRegular(mode)) throw new FsError('EPERM', 'SFTP has regular files, directories and links only');
    const { handle, ...stat } = await this.#opening.create(path, O_WRONLY | O_EXCL, mode, by);
    await this.release(handle);
    return stat;
  }

  async read(handle: number, offset: number, size: number): Promise<ReadResult> {
    const file = this.#parts.files.get(handle);
    if (!file.canRead) throw new FsError('EBADF', 'not open for reading');
    if (!file.isDirect) return this.#parts.content.read(file, offset, size);
    if (file.node.isDirty) await this.#parts.writes.push(file);
    return this.#parts.content.readDirect(file, offset, size);
  }

  async write(handle: number, offset: number, data: Uint8Array, flags: WriteFlags): Promise<number> {
    const { files, content, names, writes, kernel, options } = this.#parts;
    const file = files.get(handle);
    const { node } = file;
    mustBeWritable(options);
    // Nothing is awaited before `data` is copied: its memory is the driver's again when this call yields.
    const goesOn = file.tookTo === offset;
    if (file.failure !== null) return this.#refuse(file, file.failure, goesOn);
    const room = writes.roomWhileDown();
    if (room !== null) {
      const own = Buffer.from(data);
      await room;
      if (flags.isWanted?.() === false) throw new FsError('EINTR');
      return this.write(handle, offset, own, flags);
    }
    // The kernel appends at the size it knows; ours was asked for at open, at the latest.
    const position = file.append && !flags.fromPageCache ? node.size : offset;
    const end = position + data.length;
    mustBeCountable(end);
    content.changed(node, position, end, node.size);
    node.size = Math.max(node.size, end);
    node.writes += 1;
    file.wrote = true;
    file.tookTo = offset + data.length;
    this.#creating.changed(node);
    if (node.path !== null) {
      names.outdated(node.path);
      if (position !== offset) kernel?.invalidateData(node.path);
    }
    const taken = writes.write(file, position, data);
    if (options.syncWrites || file.sync) {
      await this.settle(file);
      if (file.failure !== null) return this.#refuse(file, file.failure, goesOn);
    }
    await taken;
    return data.length;
  }

  async flush(handle: number): Promise<void> {
    const file = this.#parts.files.get(handle);
    const { node } = file;
    const isPending = file.wrote || (file.canWrite && (node.isDirty || node.changes.underWay > 0));
    if (isPending && this.#isWaitedFor(file)) await this.#waitFor(file);
    else if (node.isDirty) this.#follow('write', file, this.#parts.writes.ended(file));
    await this.#tellFailure(file);
  }

  /** Does whoever closes the file wait for the server? */
  #isWaitedFor({ sync }: OpenFile): boolean {
    const { posted, options } = this.#parts;
    return !posted.answersClose || sync || options.syncWrites;
  }

  async #waitFor(file: OpenFile): Promise<void> {
    const { isDirty } = file.node;
    await this.settle(file);
    if (isDirty && file.failure === null) this.#parts.posted.dataArrived();
  }

  /** `work` on the file goes on behind the back of programs; what changes its name comes behind it. */
  #follow(what: string, { node: { path } }: OpenFile, work: Promise<unknown>, closes = false): void {
    const about = path === null ? [] : namesAt(this.#parts, path);
    this.#parts.posted.follow(what, path ?? ROOT, about, work, closes);
  }

  /**
   * Everything that was written to the file, through whatever descriptor, reaches the server's disk, and everything
   * posted before, the server.
   */
  async fsync(handle: number): Promise<void> {
    const { remote, files, posted } = this.#parts;
    const file = files.get(handle);
    if (posted.isOn) await posted.settled();
    const path = file.node.path === null ? null : remote.at(file.node.path);
    const sent: Promise<void>[] = [];
    const sync = () => {
      if (!remote.client.has(FSYNC)) return;
      const request = remote.ask(remote.client.fsync(file.handle), { op: 'fsync', path });
      // Awaited below, after the failure of a write was told.
      request.catch(() => undefined);
      sent.push(request);
    };
    if (file.node.isDirty) await this.settle(file, sync);
    else sync();
    // Whoever asks is told, now or by the one who was told before.
    file.node.refusal = null;
    await this.#tellFailure(file);
    await Promise.all(sent);
    posted.tell(file);
  }

  /** The last descriptor is gone; where changes are posted, its end is one of them. Answers as `#released` does. */
  release(handle: number): Promise<Unsent | null> {
    const { files, posted } = this.#parts;
    const file = files.get(handle);
    const released = this.#released(handle, file);
    if (!posted.isOn) return released;
    this.#follow('close', file, released, true);
    return Promise.resolve(null);
  }

  /**
   * The last descriptor is gone. Pages that the kernel wrote back after the last close are still on their way:
   * they go out first. Answers what was refused if no program was told of it.
   */
  async #released(handle: number, file: OpenFile): Promise<Unsent | null> {
    const { files, lanes, posted } = this.#parts;
    while (file.node.isDirty) {
      await this.#parts.writes.ended(file);
      if (posted.isOn) continue;
      await this.settle(file).catch((error: unknown) => log('attributes after the last write: %s', error));
    }
    if (posted.isOn) await this.#conclude(file);
    if (file.node.handles.size === 1) file.node.own = null;
    const refusal = file.failure;
    const unsent = refusal === null ? null : unsentOf(file.node);
    files.remove(handle);
    this.#parts.late.closed(file);
    lanes.close(file);
    if (refusal === null) return null;
    const { path } = file.node;
    file.node.lostBytes = 0;
    if (posted.isOn) {
      file.node.refusal = refusal;
      // What nobody can reach any more was meant to be lost.
      if (path !== null) posted.failure(path, refusal.message, refusal, unsent?.bytes);
      return null;
    }
    if (unsent === null) log('nobody was told: %s', refusal.message);
    else log('nobody was told that %d bytes of %s were lost: %s', unsent.bytes, unsent.path, unsent.error);
    return unsent;
  }

  /** The attributes that the server shows in the end, where whoever closed the file did not wait for them. */
  async #conclude(file: OpenFile): Promise<void> {
    const { node } = file;
    const isPending = file.wrote || node.own !== null || node.changes.underWay > 0;
    if (!isPending || node.handles.size > 1) return;
    try {
      for (;;) {
        const { count } = node.changes;
        const found = await this.settle(file);
        // What was set meanwhile may have come behind the question.
        if (node.changes.count === count && (await this.#creating.conclude(file, found))) return;
      }
    } catch (error) {
      node.own = null;
      log('attributes after the last write: %s', error);
    }
  }

  /**
   * Sends everything written to the file and waits until it is confirmed or refused (refusals are kept for
   * the handles). Answers the attributes the server had behind the last write, or null if it did not say. What
   * `last` sends travels with the question for them.
   */
  async settle(file: OpenFile, last: () => void = () => undefined): Promise<Attributes | null> {
    const { writes, behind, remote, names } = this.#parts;
    const { node } = file;
    const { resent, writes: seen } = node;
    const wasDirty = node.isDirty;
    const hasChanged = wasDirty || file.wrote;
    node.settling += 1;
    const sent = writes.push(file);
    const since = names.epochs.now();
    const ask = () => {
      last();
      return remote.client.fstat(file.handle);
    };
    const early = behind.isBehind(node) ? ask() : null;
    early?.catch(() => undefined);
    const unknown = () => {
      if (node.path !== null) names.outdated(node.path);
    };
    let answer: SftpAttributes | null;
    try {
      await sent;
      if (node.changes.underWay > 0) await remote.client.patiently(node.changes.ended);
      file.wrote = false;
      const isBehind = early !== null && node.resent === resent;
      answer = await (isBehind ? early : ask()).catch((error: unknown) => {
        log('attributes after writing: %s', error);
        return null;
      });
    } catch (error) {
      unknown();
      throw error;
    } finally {
      node.settling -= 1;
    }
    if (answer === null || node.writes !== seen || node.isDirty) {
      unknown();
      return null;
    }
    return adoptBehind(this.#parts, node, answer, { since, wasDirty, hasChanged });
  }

  /** Cuts or extends the file: through `own`, a handle open for writing, or by its name. */
  async truncate(
    path: Path | null,
    open: OpenFile | undefined,
    own: OpenFile | null,
    size: number,
  ): Promise<void> {
    const { remote, names, files, content, writes, behind, freshness } = this.#parts;
    const { client } = remote;
    mustBeCountable(size);
    if (open !== undefined) await writes.push(open);
    // It leaves a time of its own.
    if (open !== undefined && !behind.isBehind(open.node)) await client.patiently(open.node.changes.ended);
    if (own === null && path === null) throw new FsError('ESTALE');
    const at = path === null ? null : remote.at(path);
    try {
      const change =
        own === null
          ? client.setstat(remote.at(path ?? ROOT), { size })
          : client.fsetstat(own.handle, { size });
      open?.node.mayBecome(size, change);
      await change;
    } catch (error) {
      const failure = await remote.failure(error, { op: 'truncate', path: at });
      if (failure.code === 'ENOENT' && path !== null) await freshness.recheck([path]);
      throw failure;
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

  /**
   * Copies on the server, as copy_file_range(2) does: some of the range, none of it where the source has ended. ENOSYS
   * where the server cannot, and EOPNOTSUPP where it does not for these files: the kernel reads and writes then.
   */
  async copyFileRange(
    from: number,
    fromOffset: number,
    to: number,
    toOffset: number,
    wanted: number,
  ): Promise<number> {
    const { files, remote, links, options } = this.#parts;
    if (!remote.client.has(COPY_DATA)) throw new FsError('ENOSYS', 'the server has no copy-data');
    mustBeWritable(options);
    const source = files.get(from);
    const target = files.get(to);
    if (!source.canRead || !target.canWrite || target.append) throw new FsError('EBADF');
    if (source.node === target.node) {
      const isOverlapping = Math.abs(fromOffset - toOffset) < wanted;
      // OpenSSH refuses to copy within one file.
      throw new FsError(isOverlapping ? 'EINVAL' : 'EOPNOTSUPP', 'a copy within one file');
    }
    const [{ path: sourcePath }, { path }] = [source.node, target.node];
    // Two names of one file: what is a copy to the server may be an overlap.
    if (sourcePath !== null && path !== null && links.others(path).includes(sourcePath)) {
      throw new FsError('EOPNOTSUPP', 'these may be one file');
    }
    await Promise.all([source, target].map((file) => this.#confirmed(file)));
    const length = Math.min(wanted, source.node.size - fromOffset);
    if (length <= 0) return 0;
    mustBeCountable(toOffset + length);
    this.#creating.changed(target.node);
    try {
      return await this.#copy.copy({ source, from: fromOffset, target, to: toOffset, length });
    } catch (error) {
      const at = target.node.path === null ? null : remote.at(target.node.path);
      const failure = await remote.failure(error, { op: 'copy', path: at });
      // Whatever the reason, reading and writing will tell it, or do without.
      throw failure.code === 'EIO' ? new FsError('EOPNOTSUPP', failure.message, { cause: failure }) : failure;
    }
  }

  /** Everything that was written to the file, or set of it, is on the server; an earlier failure is told. */
  async #confirmed(file: OpenFile): Promise<void> {
    if (file.node.isDirty || file.node.changes.underWay > 0) await this.settle(file);
    await this.#tellFailure(file);
  }

  /** The error of an earlier write; by then the size is again what the server has, or an append would leave a gap. */
  async #tellFailure(file: OpenFile): Promise<void> {
    if (file.failure !== null) await this.#refuse(file, file.failure);
  }

  /**
   * The kernel cuts a long write(2) into parts of any length, and when one behind the first is refused, it answers how
   * much the others came to: so a failure told to a write that `goesOn` where the last one ended is told once more.
   */
  async #refuse(file: OpenFile, failure: FsError, goesOn = false): Promise<never> {
    await this.settle(file);
    file.tookTo = null;
    if (goesOn) throw new FsError(failure.code, failure.message, { cause: failure });
    return file.takeFailure(failure);
  }
}
