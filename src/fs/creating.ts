/**
 * New files. They are created with EXCL, so that it is known whether they were there before: O_EXCL is then exact, and
 * what is made here is the login's. With `durability=async`, one whose name is known to be free, in a directory where
 * the server has let the login make others, is there for programs at once: its handle is promised, and what is done
 * with it waits for the server in the order in which it was done.
 */
import { isRegular, S_IFREG } from '../base/mode.js';
import type { Path } from '../base/path.js';
import type { Requests } from '../recovery/requests.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { SftpHandle } from '../sftp/client.js';
import { toAttributes } from './identity.js';
import { keeperOf } from './keeper.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { Attributes, Opened, Stat } from './operations.js';
import { type Parts, statOf } from './parts.js';
import { newAttributes } from './posted.js';
import { both } from './remote.js';
import { looksSame } from './same-file.js';

/** A file that a program makes: with its flags of open(2), those of SSH_FXP_OPEN, and mode bits up to 07777. */
export interface NewFile {
  readonly path: Path;
  readonly flags: number;
  readonly pflags: number;
  readonly permissions: number;
}

export class Creating {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Makes the file at once, as far as programs can see; null where it is not sure enough that the server will. */
  posted(wanted: NewFile): (Stat & Opened) | null {
    const { names, files, links, lanes, remote, posted, identity, clock, options } = this.#parts;
    const { path, flags, pflags, permissions } = wanted;
    if (!posted.isOn || identity.givesAway || names.known(path)?.value !== null) return null;
    const owner = posted.ownerAt(path);
    if (owner === null || files.openAt(path) !== undefined) return null;
    const mode = S_IFREG | (identity.umask === null ? permissions : 0o777 & ~identity.umask);
    const told = newAttributes(mode, 0, owner, clock);
    const at = remote.at(path);
    const handle = remote.client.promise(at, pflags);
    files.nameGone(path, null);
    links.removed(path);
    names.made(path, told);
    const { id, file } = files.add(path, { client: remote.client, handle }, flags, 0);
    file.heard = posted.listen();
    file.isDirect = options.directIo;
    file.node.own = told;
    file.node.isOwnTimed = true;
    remote.client.keep(handle, keeperOf(this.#parts, file));
    lanes.want();
    posted.post({
      what: 'create',
      path,
      about: [at],
      work: (requests) => this.#make(requests, file, told, handle, wanted),
      takeBack: () => this.#takeBack(file.node, path),
    });
    const stat = statOf(this.#parts, path, told, options.statTtl);
    return { ...stat, handle: id, keepCache: false, directIo: options.directIo, staleAttributes: false };
  }

  async #make(
    requests: Requests,
    file: OpenFile,
    told: Attributes,
    promised: SftpHandle,
    { path, pflags, permissions }: NewFile,
  ): Promise<void> {
    const { remote } = this.#parts;
    const at = remote.at(path);
    const [opened, stat] = await both(requests.open(at, pflags, { permissions }), requests.lstat(at));
    if (opened.status === 'rejected') {
      const what = { op: 'open', path: at, write: true, create: true, exclusive: true } as const;
      const failure = await remote.failure(opened.reason, what, requests);
      requests.refuse(promised, failure);
      throw failure;
    }
    const made = opened.value;
    const answer = stat.status === 'fulfilled' ? stat.value : null;
    const isOther = answer !== null && !isRegular(answer.permissions ?? S_IFREG);
    // The server's umask may have taken bits away. This goes out before what waits for the handle.
    const isExact = answer === null || ((answer.permissions ?? permissions) & 0o7777) === permissions;
    const corrected = isExact ? null : requests.fsetstat(made, { permissions });
    if (!requests.fulfil(promised, made)) await requests.close(made);
    if (answer !== null && !isOther) this.#confirmed(file.node, told, answer);
    if (corrected !== null) await remote.ask(corrected, { op: 'setstat', path: at }, requests);
  }

  /** What the server says of the new file; its owner may be another one than was taken for sure, and `told`. */
  #confirmed(node: FileNode, told: Attributes, answer: SftpAttributes): void {
    const { identity, posted, kernel } = this.#parts;
    const { uid, gid, ...rest } = toAttributes(identity, answer, 1);
    node.seen ??= { uid, gid, ...rest };
    const { own, path } = node;
    if (path !== null) posted.proved(path, { uid, gid });
    // What a program has set since stays.
    if (own === null || own.uid !== told.uid || own.gid !== told.gid) return;
    if (own.uid === uid && own.gid === gid) return;
    node.own = { ...own, uid, gid };
    if (path !== null) kernel?.invalidateAttributes(path);
  }

  #takeBack(node: FileNode, path: Path): void {
    const { names, freshness, files } = this.#parts;
    node.own = null;
    if (files.openAt(path) === node) freshness.vanished(path);
    names.forget(path);
  }

  /**
   * The last descriptor of a posted file is gone and its data has arrived, when the server showed it as `found`. It gets
   * the time that programs were told, and the kernel hears of what is different all the same. False when the file was
   * changed meanwhile, so that it has to be asked for again.
   */
  async conclude(file: OpenFile, found: Attributes | null): Promise<boolean> {
    const { freshness, names, kernel } = this.#parts;
    const { node } = file;
    const { own } = node;
    if (own === null || found === null) {
      node.own = null;
      return true;
    }
    const truth = own.mtime === found.mtime ? found : await this.#timed(file, found, own);
    // Until now programs were told what they had been told before.
    if (node.own !== own) return false;
    node.own = null;
    const { path } = node;
    const isShared = node.isDirty || node.handles.size > 1;
    if (!isShared) freshness.stamp(node, truth);
    if (path === null) return true;
    if (isShared) names.outdated(path);
    else names.changed(path, truth);
    if (!looksSame({ ...own, size: truth.size, nlink: truth.nlink }, truth))
      kernel?.invalidateAttributes(path);
    return true;
  }

  /** Gives the file, which was `found` so, the times of `own`; answers what it has then. */
  async #timed(file: OpenFile, found: Attributes, { atime, mtime }: Attributes): Promise<Attributes> {
    const { posted } = this.#parts.remote.client;
    return posted.fsetstat(file.handle, { atime, mtime }).then(
      () => ({ ...found, atime, mtime, ctime: mtime }),
      () => found,
    );
  }

  /** What programs are told of a file that is being made, or posted, without asking the server; null for any other. */
  told(path: Path | null, node: FileNode | undefined): Stat | null {
    const { posted, names, options } = this.#parts;
    if (node === undefined || node.own === null) return null;
    // Of a file that was written to since, its time is the server's to tell, unless that is waited for by nobody.
    if (!posted.isOn && !node.isOwnTimed) return null;
    const nlink = path === null || node.path === null ? 0 : names.linkCount(path);
    return statOf(this.#parts, path, node.overlaid({ ...node.own, nlink }), options.statTtl);
  }

  /** The content of the file has changed just now. */
  changed(node: FileNode): void {
    node.isOwnTimed = false;
    if (node.own === null) return;
    const now = Math.floor(this.#parts.clock.now() / 1000);
    node.own = { ...node.own, mtime: now, ctime: now };
  }
}
