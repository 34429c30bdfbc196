/** lookup, getattr, setattr, access, statfs: what is true of a name or an open file. */
import { setTimeout as delay } from 'node:timers/promises';
import { FsError } from '../base/errno.js';
import { isRegular, isSymlink } from '../base/mode.js';
import { type Path, ROOT } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { LSETSTAT, STATVFS } from '../sftp/constants.js';
import { changedBy, isAllowed } from './attributes-behind.js';
import type { Creating } from './creating.js';
import type { FileOperations } from './file-operations.js';
import { toAttributes, toStats } from './identity.js';
import { LookupsAhead } from './lookups-ahead.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { AttributeChanges, Attributes, FileSystemStats, Lookup, Stat, Target } from './operations.js';
import { changedThrough, missing, mustBeWritable, namesAt, type Parts, statOf } from './parts.js';
import { changeRemoved, statRemoved } from './removed.js';

const X_OK = 1;
const W_OK = 2;
/** A server that says nothing of the root for so long, in milliseconds, is not waited for. */
const ROOT_PATIENCE = 1000;

export class AttributeOperations {
  readonly #parts: Parts;
  readonly #open: FileOperations;
  readonly #creating: Creating;
  readonly #ahead: LookupsAhead;
  #hits = 0;
  #misses = 0;

  constructor(parts: Parts, open: FileOperations, creating: Creating) {
    this.#parts = parts;
    this.#open = open;
    this.#creating = creating;
    const { names, listings, walks, clock, options } = parts;
    this.#ahead = new LookupsAhead(names, listings, walks, clock, options);
  }

  /** How often a program's question about a name was answered without the server, and how often not. */
  get counts(): { readonly hits: number; readonly misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  async lookup(path: Path): Promise<Lookup> {
    const { names, files, freshness } = this.#parts;
    const told = this.#creating.told(path, files.openAt(path));
    if (told !== null) return told;
    const attributes = await this.#find(path);
    if (attributes === null) return missing(this.#parts, names.ttl(path, null));
    await freshness.partStrangers(path);
    const truth = await freshness.reconcile(path, attributes);
    return statOf(this.#parts, path, truth, names.ttl(path, truth));
  }

  /** A file with unconfirmed writes is written out first: its true time is the server's. */
  async getattr(target: Target): Promise<Stat> {
    const { names, options } = this.#parts;
    const { path } = target;
    if (target.removed !== undefined) return statRemoved(target.removed);
    const file = this.#fileOf(target);
    const told = this.#creating.told(path, file?.node);
    if (told !== null) return told;
    if (file?.node.isDirty || file?.node.changes.underWay) {
      const [settled, named] = await Promise.all([
        this.#open.settle(file),
        path === null || target.handle !== null ? null : names.answers.ask(path),
      ]);
      if (path !== null && named !== null) await this.#parts.freshness.reconcile(path, named);
      const isNamed = path === null || file.node.path !== null;
      if (settled !== null && isNamed) return statOf(this.#parts, path, settled, options.statTtl);
    }
    if (path === null) return this.#statNameless(file);
    const attributes = path === ROOT ? await this.#findRoot() : await this.#find(path);
    // Another machine took the name; whoever has the file open still gets its attributes.
    if (attributes === null && file !== undefined) return this.#statNameless(file);
    if (attributes === null) throw new FsError('ENOENT');
    await this.#parts.freshness.partStrangers(path);
    const truth = await this.#parts.freshness.reconcile(path, attributes);
    return statOf(this.#parts, path, truth, names.ttl(path, truth));
  }

  async setattr(target: Target, changes: AttributeChanges): Promise<Stat> {
    mustBeWritable(this.#parts.options);
    const { path, removed } = target;
    if (removed !== undefined) return changeRemoved(this.#parts, removed, this.#wanted(changes));
    const file = this.#fileOf(target);
    if (file === undefined && path !== null) {
      const age = changes.size === undefined ? this.#parts.options.openTtl : 0;
      await this.#parts.freshness.mustBeOne(path, age);
    }
    if (changes.size !== undefined) {
      // truncate(2) asks for write permission on the file itself; ftruncate(2) brings its own handle.
      const own = target.handle !== null && file?.canWrite ? file : null;
      await this.#open.truncate(path, file, own, changes.size);
      if (file !== undefined) this.#creating.changed(file.node);
    }
    const rest = this.#wanted(changes);
    if (Object.keys(rest).length === 0) return this.getattr(target);
    const set =
      (await this.#setBehind(path, file, rest)) ?? (file === undefined ? await this.#post(path, rest) : null);
    if (set !== null) return set;
    return statOf(this.#parts, path, await this.#apply(path, file, rest), this.#parts.options.statTtl);
  }

  /** Sets the attributes of a file that is being made behind its data; null for any other file, or what may be refused. */
  async #setBehind(
    path: Path | null,
    file: OpenFile | undefined,
    changes: AttributeChanges,
  ): Promise<Stat | null> {
    const { identity, clock, behind, names } = this.#parts;
    const current = file?.canWrite ? file.node.own : null;
    if (file === undefined || !current || !isAllowed(current, changes, identity)) return null;
    const { node } = file;
    const wanted = await this.#toRemote(changes, await this.#halves(current, changes));
    // Somebody else may have come first.
    if (node.own === null || !node.handles.has(file)) return null;
    node.own = changedBy(node.own, changes, clock.now() / 1000);
    if (changes.mtime !== undefined) node.isOwnTimed = true;
    if (node.path !== null) names.outdated(node.path);
    this.#retimed(node.path, changes);
    behind.send(file, wanted);
    // Its time changes with what is still to be written.
    return statOf(this.#parts, path, node.overlaid(node.own), 0);
  }

  /** Posts a change of attributes, where what is known makes its success all but sure; else null. */
  async #post(path: Path | null, changes: AttributeChanges): Promise<Stat | null> {
    const { posted, names, identity, remote, clock, options, freshness } = this.#parts;
    if (path === null || !posted.isOn) return null;
    for (let room = posted.room(); room !== null; room = posted.room()) await room;
    const mayBeSet = () => {
      const known = names.known(path)?.value ?? null;
      if (known === null || isSymlink(known.mode) || known.uid !== posted.proofs.login) return null;
      return isAllowed(known, changes, identity) ? known : null;
    };
    const current = mayBeSet();
    if (current === null) return null;
    const wanted = await this.#toRemote(changes, await this.#halves(current, changes));
    if (mayBeSet() !== current) return null;
    const attributes = changedBy(current, changes, clock.now() / 1000);
    const at = remote.at(path);
    const node = this.#parts.files.peek(path);
    const isOurs = node?.matches(current) ?? false;
    this.#beforeAccess(path, changes);
    posted.post({
      what: 'set attributes',
      path,
      about: namesAt(this.#parts, path),
      work: (requests) => remote.ask(requests.setstat(at, wanted), { op: 'setstat', path: at }, requests),
      takeBack: () => {
        names.outdated(path);
        names.forget(path);
        this.#parts.kernel?.invalidateAttributes(path);
      },
    });
    names.changed(path, attributes);
    changedThrough(this.#parts, path);
    this.#retimed(path, changes);
    if (node !== undefined && isOurs) freshness.stamp(node, attributes);
    return statOf(this.#parts, path, attributes, options.statTtl);
  }

  /** The halves of pairs that are not to change, of a file whose attributes are known here. */
  async #halves(current: Attributes, { uid, gid }: AttributeChanges): Promise<SftpAttributes> {
    const { users, groups } = this.#parts.identity;
    const { atime, mtime } = current;
    if (uid === undefined && gid === undefined) return { atime, mtime };
    return {
      atime,
      mtime,
      uid: await users.toRemote(current.uid),
      gid: await groups.toRemote(current.gid),
    };
  }

  /** What is left to be set: not the size, and no owner that every file shows in any case (`uid=`, `gid=`). */
  #wanted({ size: _size, uid, gid, ...rest }: AttributeChanges): AttributeChanges {
    const { users, groups } = this.#parts.identity;
    return {
      ...rest,
      ...(uid === undefined || uid === users.fixed ? {} : { uid }),
      ...(gid === undefined || gid === groups.fixed ? {} : { gid }),
    };
  }

  /**
   * The server decides in the end; here is refused what the attributes alone forbid: writing to a read-only
   * mount, executing a file without any execute bit, and what the owner bits forbid the login itself.
   */
  async access({ path, removed }: Target, mask: number): Promise<void> {
    const { options, identity } = this.#parts;
    if ((mask & W_OK) !== 0) mustBeWritable(options);
    const attributes = path === null ? removed : await this.#find(path);
    if (!attributes) throw new FsError('ENOENT');
    const { mode } = attributes;
    if ((mask & X_OK) !== 0 && isRegular(mode) && (mode & 0o111) === 0) throw new FsError('EACCES');
    const { login, users, umask } = identity;
    if (login === null || login.uid === 0 || users.fixed !== null || umask !== null) return;
    const isOwner = attributes.uid === users.toLocal(login.uid);
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
    return toStats(await this.#parts.remote.ask(client.statvfs(path), { op: 'statvfs', path }));
  }

  async #find(path: Path): Promise<Attributes | null> {
    const known = this.#parts.names.known(path);
    if (known === undefined) {
      this.#misses += 1;
      return this.#ahead.ask(path);
    }
    this.#hits += 1;
    this.#ahead.told(path, known.value);
    return known.value;
  }

  /**
   * The mounted directory can be looked at whatever the server does: a listing of the directory that holds the mount
   * point must not hang with it, and a server that shares that directory may be the one who lists it, for us.
   */
  async #findRoot(): Promise<Attributes | null> {
    const asked = this.#find(ROOT);
    const last = this.#parts.names.last(ROOT);
    if (last === null) return asked;
    const tired = new AbortController();
    try {
      return await Promise.race([asked, delay(ROOT_PATIENCE, last, { signal: tired.signal })]);
    } finally {
      tired.abort();
    }
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
    const attributes = toAttributes(identity, answer, 0);
    this.#parts.freshness.adopt(file.node, attributes);
    return statOf(this.#parts, null, attributes, 0);
  }

  /**
   * SFTP v3 sets owner and group together, and access and modification time together (§5); `current` gives the
   * half that is not to change.
   */
  async #toRemote(changes: AttributeChanges, current: SftpAttributes): Promise<SftpAttributes> {
    const { clock } = this.#parts;
    const now = clock.now() / 1000;
    const time = (wanted: number | 'now' | undefined, was: number | undefined) =>
      wanted === 'now' ? now : (wanted ?? was ?? now);
    const { users, groups } = this.#parts.identity;
    const ownerChanges = changes.uid !== undefined || changes.gid !== undefined;
    const timeChanges = changes.atime !== undefined || changes.mtime !== undefined;
    return {
      ...(changes.mode === undefined ? {} : { permissions: changes.mode & 0o7777 }),
      ...(ownerChanges
        ? {
            uid: changes.uid === undefined ? (current.uid ?? 0) : await users.toRemote(changes.uid),
            gid: changes.gid === undefined ? (current.gid ?? 0) : await groups.toRemote(changes.gid),
          }
        : {}),
      ...(timeChanges
        ? { atime: time(changes.atime, current.atime), mtime: time(changes.mtime, current.mtime) }
        : {}),
    };
  }

  /**
   * Sets and asks back in one round trip; through the handle when the file is open, behind its writes. Content cached
   * before stays valid only if nothing but our change came between: so the state before it is asked for as well.
   */
  async #apply(
    path: Path | null,
    file: OpenFile | undefined,
    changes: AttributeChanges,
  ): Promise<Attributes> {
    const { remote, names, identity, writes } = this.#parts;
    const at = path === null ? null : remote.at(path);
    if (file !== undefined) {
      await writes.push(file);
      await remote.client.patiently(file.node.changes.ended);
      // From here on it is the server that tells.
      file.node.own = null;
    }
    if (path !== null) this.#beforeAccess(path, changes);
    const subject = await this.#subject(path, file);
    const since = file?.node.writes;
    const wanted = await this.#toRemote(changes, await this.#otherHalf(path, changes, subject.stat));
    const node = file?.node ?? (path === null ? undefined : this.#parts.files.peek(path));
    const first = node === undefined ? null : subject.stat();
    const change = subject.set(wanted);
    file?.node.changing(change);
    const [before, done, after] = await Promise.allSettled([first, change, subject.stat()]);
    this.#retimed(path, changes);
    if (done.status === 'rejected') {
      if (path !== null) names.forget(path);
      throw await remote.failure(done.reason, { op: 'setstat', path: at ?? remote.at(ROOT) });
    }
    if (path !== null) names.outdated(path);
    changedThrough(this.#parts, path);
    if (after.status === 'rejected') throw await remote.failure(after.reason, { op: 'fstat', path: at });
    const nlink = path === null ? 0 : names.linkCount(path);
    const attributes = toAttributes(identity, after.value, nlink);
    // A write that came in between makes these attributes old already.
    if (file?.node.writes !== since || file?.node.isDirty) return attributes;
    if (path !== null) names.changed(path, attributes);
    const state = before.status === 'fulfilled' ? before.value : null;
    if (node !== undefined && state !== null) {
      await this.#restamp(path, node, toAttributes(identity, state, nlink), attributes);
    }
    return attributes;
  }

  /** A time that a program sets: only so can a file of other content look as it, or an earlier one, did before. */
  #retimed(path: Path | null, { mtime }: AttributeChanges): void {
    if (path === null || typeof mtime !== 'number') return;
    const { links, content } = this.#parts;
    for (const name of [path, ...links.others(path)]) content.renewed(name);
  }

  /** What the login may read below `path` may be another thing from now on; what is open stays so. */
  #beforeAccess(path: Path, { mode, uid, gid }: AttributeChanges): void {
    if (mode === undefined && uid === undefined && gid === undefined) return;
    const { late, files, names } = this.#parts;
    late.before(path);
    // A file's own attributes tell by themselves that they are others.
    if (isRegular(names.known(path)?.value?.mode ?? 0)) return;
    for (const node of files.within(path)) node.readable = null;
  }

  /**
   * The halves of pairs that are not to change, from the server: an old one would undo what another machine did.
   * An access time may be as old as it is trusted, so that setting only a modification time costs no question.
   */
  async #otherHalf(
    path: Path | null,
    { uid, gid, atime, mtime }: AttributeChanges,
    stat: () => Promise<SftpAttributes>,
  ): Promise<SftpAttributes> {
    const { remote, names } = this.#parts;
    const isOwner = (uid === undefined) !== (gid === undefined);
    if (!isOwner && (atime === undefined) === (mtime === undefined)) return {};
    const known = path === null ? undefined : names.known(path)?.value;
    if (!isOwner && atime === undefined && known) return { atime: known.atime };
    return remote.ask(stat(), { op: 'fstat', path: path === null ? null : remote.at(path) });
  }

  /** Cached content stays valid through our own change, if nothing else came before it. */
  async #restamp(path: Path | null, node: FileNode, was: Attributes, is: Attributes): Promise<void> {
    const { content, freshness } = this.#parts;
    const isOurs = node.matches(was) && was.size === is.size;
    if (!isOurs && path !== null && node.handles.size > 0) return void (await freshness.reconcile(path, is));
    if (!isOurs) content.drop(node);
    // A change in the second of the last one does not show, and our new time must not hide that.
    const { racy } = node;
    freshness.stamp(node, is);
    node.racy ||= racy;
  }

  /** How the file is asked and changed: by its name, as a link itself, or, nameless, by its handle. */
  async #subject(path: Path | null, file: OpenFile | undefined) {
    const { client } = this.#parts.remote;
    if (path === null && file !== undefined) {
      const { handle } = file;
      return {
        stat: () => client.fstat(handle),
        set: (wanted: SftpAttributes) => client.fsetstat(handle, wanted),
      };
    }
    if (path === null) throw new FsError('ESTALE');
    const known = await this.#parts.names.lookup(path);
    if (known === null) throw new FsError('ENOENT');
    const at = this.#parts.remote.at(path);
    const stat = () => this.#parts.remote.look(at);
    if (!isSymlink(known.mode)) return { stat, set: (wanted: SftpAttributes) => client.setstat(at, wanted) };
    if (!client.has(LSETSTAT)) {
      throw new FsError('EOPNOTSUPP', 'the server cannot change a symbolic link itself');
    }
    return { stat, set: (wanted: SftpAttributes) => client.lsetstat(at, wanted) };
  }
}
