/**
 * Attributes of a file that is being made. Programs that unpack or copy set mode, times and owner between writing and
 * closing. A file that was made here, with O_EXCL towards the server, is the login's, and the server has no reason to
 * refuse its mode and its times; so what is set while its maker has it open goes out behind its data, without a wait,
 * and if it is refused after all, that is an error of the file like one of a write: the close tells it.
 */
import type { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { Identity } from './identity.js';
import type { FileNode, OpenFile } from './open-file.js';
import type { AttributeChanges, Attributes } from './operations.js';
import type { Remote } from './remote.js';
import type { WriteBehind } from './write-behind.js';

const log = logger('files');

const ROOT_UID = 0;

/** What `changes` make of `current`; `now` in seconds since the epoch. */
export function changedBy(current: Attributes, changes: AttributeChanges, now: number): Attributes {
  const time = (wanted: number | 'now' | undefined, was: number) =>
    Math.floor(wanted === 'now' ? now : (wanted ?? was));
  const mode = changes.mode === undefined ? current.mode : (current.mode & ~0o7777) | (changes.mode & 0o7777);
  const mtime = time(changes.mtime, current.mtime);
  return {
    ...current,
    mode,
    uid: changes.uid ?? current.uid,
    gid: changes.gid ?? current.gid,
    atime: time(changes.atime, current.atime),
    mtime,
    ctime: mtime,
  };
}

/** Is the server all but sure to let the login, whose file it is, do this? Giving a file away is root's. */
export function isAllowed(file: Attributes, changes: AttributeChanges, identity: Identity): boolean {
  const { users, groups, umask } = identity;
  if (umask !== null && changes.mode !== undefined) return false;
  const isGiven = (changes.uid ?? file.uid) !== file.uid || (changes.gid ?? file.gid) !== file.gid;
  if (!isGiven) return true;
  return users.fixed === null && groups.fixed === null && file.uid === users.toLocal(ROOT_UID);
}

export class AttributesBehind {
  readonly #remote: Remote;
  readonly #writes: WriteBehind;
  /** The file is not what programs were told. */
  readonly #refused: (file: OpenFile, error: FsError) => void;

  constructor(remote: Remote, writes: WriteBehind, refused: (file: OpenFile, error: FsError) => void) {
    this.#remote = remote;
    this.#writes = writes;
    this.#refused = refused;
  }

  /** Would a request on the home lane come behind every write and every change of the file? */
  isBehind(node: FileNode): boolean {
    return this.#writes.isBehind(node) && node.changes.sent === node.changes.count;
  }

  /** Sends `wanted` behind everything that was written to the file and set before. */
  send(file: OpenFile, wanted: SftpAttributes): void {
    const { node } = file;
    const written = this.#writes.ended(file);
    const { resent } = node;
    const set = () => this.#remote.client.posted.fsetstat(file.handle, wanted);
    const first = () => {
      node.changes.sent += 1;
      return set();
    };
    const change = this.isBehind(node)
      ? first()
      : Promise.all([written, node.changes.ended]).then(() => {
          const sent = first();
          this.#writes.goOn();
          return sent;
        });
    // A write that had to be repeated came behind it, and has made the file's time its own.
    const again = Promise.all([change, written]).then(() => (node.resent === resent ? undefined : set()));
    const ended = again.then(
      () => undefined,
      (error: unknown) => this.#failed(file, error),
    );
    node.changing(ended);
    node.changes.ended = Promise.all([node.changes.ended, ended]).then(() => undefined);
    node.changes.count += 1;
    node.changes.underWay += 1;
    void ended.then(() => {
      node.changes.underWay -= 1;
    });
  }

  async #failed(file: OpenFile, error: unknown): Promise<void> {
    const { node } = file;
    const path = node.path === null ? null : this.#remote.at(node.path);
    const failure = await this.#remote.failure(error, { op: 'truncate', path }, this.#remote.client.posted);
    log('attributes behind the data: %s', failure.message);
    node.own = null;
    node.fail(failure);
    this.#refused(file, failure);
  }
}
