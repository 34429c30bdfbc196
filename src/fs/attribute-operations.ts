/** lookup, getattr, setattr, access, statfs: what is true of a name or an open file. */
import { FsError } from '../base/errno.js';
import { isRegular, isSymlink } from '../base/mode.js';
import { type Path, ROOT } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { LSETSTAT, STATVFS } from '../sftp/constants.js';
import type { FileOperations } from './file-operations.js';
import { toAttributes, toLocalId, toRemoteId, toRemoteTime } from './identity.js';
import type { OpenFile } from './open-file.js';
import type { AttributeChanges, Attributes, FileSystemStats, Lookup, Stat, Target } from './operations.js';
import { changedThrough, missing, mustBeWritable, type Parts, statOf } from './parts.js';
import { both } from './remote.js';

const X_OK = 1;
const W_OK = 2;

export class AttributeOperations {
  readonly #parts: Parts;
  readonly #open: FileOperations;

  constructor(parts: Parts, open: FileOperations) {
    this.#parts = parts;
    this.#open = open;
  }

  async lookup(path: Path): Promise<Lookup> {
    const { names, options } = this.#parts;
    const known = names.known(path);
    const attributes = known === undefined ? await names.ask(path) : known.value;
    const ttl = known?.ttl ?? options.statTtl;
    if (attributes === null) return missing(this.#parts, ttl);
    const stat = statOf(this.#parts, path, attributes, ttl);
    // The modification time of a file that is being written is asked for when somebody wants it.
    return this.#parts.files.openAt(path)?.isDirty ? { ...stat, attrTtl: 0 } : stat;
  }

  /** A file with unconfirmed writes is written out first: its true time is the server's. */
  async getattr(target: Target): Promise<Stat> {
    const { names, files, options } = this.#parts;
    const { path } = target;
    const file = this.#fileOf(target);
    if (file?.node.isDirty) {
      const settled = await this.#open.settle(file);
      if (settled !== null) return statOf(this.#parts, path, settled, options.statTtl);
    }
    if (path === null) return this.#statNameless(file);
    const known = names.known(path);
    const attributes = known === undefined ? await names.ask(path) : known.value;
    if (attributes === null) throw new FsError('ENOENT');
    // A write may have come in while the server was asked.
    const isDirty = files.openAt(path)?.isDirty ?? false;
    return statOf(this.#parts, path, attributes, isDirty ? 0 : (known?.ttl ?? options.statTtl));
  }

  async setattr(target: Target, changes: AttributeChanges): Promise<Stat> {
    mustBeWritable(this.#parts.options);
    const { path } = target;
    const file = this.#fileOf(target);
    if (changes.size !== undefined) {
      // truncate(2) asks for write permission on the file itself; ftruncate(2) brings its own handle.
      const own = target.handle !== null && file?.canWrite ? file : null;
      await this.#open.truncate(path, file, own, changes.size);
    }
    const current = await this.#current(path, file);
    const wanted = this.#toRemote(changes, current);
    const answer =
      Object.keys(wanted).length === 0
        ? null
        : await this.#apply(path, file, wanted, isSymlink(current?.mode ?? 0));
    if (answer === null) return this.getattr(target);
    return statOf(this.#parts, path, answer, this.#parts.options.statTtl);
  }

  /**
   * The server decides in the end; here is refused what the attributes alone forbid: writing to a read-only
   * mount, executing a file without any execute bit, and what the owner bits forbid the login itself.
   */
  async access(path: Path, mask: number): Promise<void> {
    const { names, options, identity } = this.#parts;
    if ((mask & W_OK) !== 0) mustBeWritable(options);
    const attributes = await names.lookup(path);
    if (attributes === null) throw new FsError('ENOENT');
    const { mode } = attributes;
    if ((mask & X_OK) !== 0 && isRegular(mode) && (mode & 0o111) === 0) throw new FsError('EACCES');
    const { remote } = identity;
    if (remote === null || remote.uid === 0 || identity.uid !== null || identity.umask !== null) return;
    const isOwner = attributes.uid === toLocalId(identity, 'uid', remote.uid);
    const granted = isOwner ? mode >> 6 : (mode >> 3) | mode;
    if ((granted & mask & 7) !== (mask & 7)) throw new FsError('EACCES');
  }

  /** What a server without statvfs@openssh.com does not tell is answered as 0 blocks: unknown. */
  async statfs(): Promise<FileSystemStats> {
    const { client } = this.#parts.remote;
    if (!client.has(STATVFS)) {
      return { bsize: 4096, frsize: 4096, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, namemax: 255 };
    }
    const path = this.#parts.remote.at(ROOT);
    return this.#parts.remote.ask(client.statvfs(path), { op: 'statvfs', path });
  }

  #fileOf({ path, handle }: Target): OpenFile | undefined {
    const { files } = this.#parts;
    if (handle !== null) return files.get(handle);
    const node = path === null ? undefined : files.openAt(path);
    for (const file of node?.handles ?? []) if (file.canWrite) return file;
    return node?.handles.values().next().value;
  }

  async #statNameless(file: OpenFile | undefined): Promise<Stat> {
    if (file === undefined) throw new FsError('ESTALE');
    const { remote, identity } = this.#parts;
    const answer = await remote.ask(remote.client.fstat(file.handle), { op: 'fstat', path: null });
    return statOf(this.#parts, null, toAttributes(identity, answer, 0), 0);
  }

  async #current(path: Path | null, file: OpenFile | undefined): Promise<Attributes | null> {
    if (path === null) return (await this.#statNameless(file)).attributes;
    const attributes = await this.#parts.names.lookup(path);
    if (attributes === null) throw new FsError('ENOENT');
    return attributes;
  }

  /** SFTP v3 sets owner and group together, and access and modification time together (§5). */
  #toRemote(changes: AttributeChanges, current: Attributes | null): SftpAttributes {
    const { identity, clock } = this.#parts;
    const now = clock.now() / 1000;
    const time = (wanted: number | 'now' | undefined, was: number | undefined) =>
      toRemoteTime(wanted === 'now' ? now : (wanted ?? was ?? now));
    const ownerChanges = changes.uid !== undefined || changes.gid !== undefined;
    const timeChanges = changes.atime !== undefined || changes.mtime !== undefined;
    return {
      ...(changes.mode === undefined ? {} : { permissions: changes.mode & 0o7777 }),
      ...(ownerChanges
        ? {
            uid: toRemoteId(identity, 'uid', changes.uid ?? current?.uid ?? 0),
            gid: toRemoteId(identity, 'gid', changes.gid ?? current?.gid ?? 0),
          }
        : {}),
      ...(timeChanges
        ? { atime: time(changes.atime, current?.atime), mtime: time(changes.mtime, current?.mtime) }
        : {}),
    };
  }

  /** Sets and asks back in one round trip; through the handle when the file is open, behind its writes. */
  async #apply(
    path: Path | null,
    file: OpenFile | undefined,
    wanted: SftpAttributes,
    isLink: boolean,
  ): Promise<Attributes> {
    const { remote, names, identity, writes } = this.#parts;
    const { client } = remote;
    const at = path === null ? null : remote.at(path);
    if (isLink && !client.has(LSETSTAT)) {
      throw new FsError('EOPNOTSUPP', 'the server cannot change a symbolic link itself');
    }
    if (file !== undefined) await writes.push(file);
    const [done, answer] =
      file !== undefined
        ? await both(client.fsetstat(file.handle, wanted), client.fstat(file.handle))
        : await this.#applyByPath(path, wanted, isLink);
    if (done.status === 'rejected') {
      throw await remote.failure(done.reason, { op: 'setstat', path: at ?? remote.at(ROOT) });
    }
    if (path !== null) names.outdated(path);
    changedThrough(this.#parts, path);
    if (answer.status === 'rejected') {
      throw await remote.failure(answer.reason, { op: 'fstat', path: at });
    }
    const nlink = path === null ? 0 : names.linkCount(path);
    const attributes = toAttributes(identity, answer.value, nlink);
    if (path !== null) names.changed(path, attributes);
    this.#open.restamp(path, attributes);
    return attributes;
  }

  #applyByPath(path: Path | null, wanted: SftpAttributes, isLink: boolean) {
    if (path === null) throw new FsError('ESTALE');
    const { remote } = this.#parts;
    const { client } = remote;
    const at = remote.at(path);
    return both(isLink ? client.lsetstat(at, wanted) : client.setstat(at, wanted), client.lstat(at));
  }
}
