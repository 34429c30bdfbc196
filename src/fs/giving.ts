/**
 * A mount that several users share, through a login that may give files away: what one of them creates becomes theirs,
 * as on a local disk, where the group is the directory's if that has its set-group-ID bit. SFTP creates for the login
 * (OpenSSH looks at the mode alone in the attributes of OPEN and MKDIR), so the owner is set behind it, and not in one
 * breath with it: a request that goes out unseen would give away somebody else's file if the creation failed. The
 * program does not wait for it all the same: the request is on its way before the program hears of its file, and
 * whatever the program asks next comes behind it. A file is given by its handle. What has only a name, a directory or
 * a link, is given by that, and only where the server can be told not to follow it: a link that has taken the name
 * meanwhile would have another file given away.
 */
import { decodeText } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { isDirectory, S_ISGID } from '../base/mode.js';
import { type Path, parentOf } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import { LSETSTAT } from '../sftp/constants.js';
import type { Ids } from './operations.js';
import type { Store } from './parts.js';

const log = logger('files');

/** Bits that a server takes from a file, not from a directory, which changes hands. */
const S_ISUGID = 0o6000;

/** (uid_t) -1: a user of another user namespace, who has no number in this one. */
const NOBODY_HERE = 2 ** 32 - 1;

/** Whose a new file shall be, by the server's numbers; a group of null is whatever the server gives. */
export interface Owner {
  readonly uid: number;
  readonly gid: number | null;
}

export class Giving {
  readonly #store: Store;
  /** The server has refused: no more is tried. */
  #isRefused = false;
  /** It was told that the server lacks what giving by name takes. */
  #isLackTold = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Whose what `by` creates at `path` shall be; null for the login's, whose it is by itself. Called before the request
   * that creates, so that what has to be asked for this travels with it. Never rejects.
   */
  async ownerOf(path: Path, by: Ids | undefined): Promise<Owner | null> {
    const { identity, names } = this.#store;
    if (!identity.givesAway || this.#isRefused || by === undefined || by.uid === NOBODY_HERE) return null;
    try {
      const parent = names.lookup(parentOf(path));
      const [uid, gid] = await Promise.all([
        identity.users.toRemote(by.uid),
        identity.groups.toRemote(by.gid),
        parent,
      ]);
      return { uid, gid: (((await parent)?.mode ?? 0) & S_ISGID) === 0 ? gid : null };
    } catch (error) {
      log('%s stays the login’s: %s', decodeText(path), error);
      return null;
    }
  }

  /** As `ownerOf`, of what will be given by its name, with `lsetstat`. */
  async ownerOfName(path: Path, by: Ids | undefined): Promise<Owner | null> {
    const { remote, report } = this.#store;
    if (remote.client.has(LSETSTAT)) return this.ownerOf(path, by);
    if (this.#store.identity.givesAway && by !== undefined && !this.#isLackTold) {
      this.#isLackTold = true;
      report(`directories and links that local users create stay the login's: the server has no ${LSETSTAT}`);
    }
    return null;
  }

  /**
   * Makes the file that was just created at `path` its owner's by `request`; `got` is what the server said of it.
   * Answers what it is like from then on.
   */
  give(
    path: Path,
    got: SftpAttributes,
    owner: Owner | null,
    request: (gift: Ids) => Promise<void>,
  ): SftpAttributes {
    const { uid, gid, permissions = 0 } = got;
    if (owner === null || uid === undefined || gid === undefined) return got;
    const gift = { uid: owner.uid, gid: owner.gid ?? gid };
    if (gift.uid === uid && gift.gid === gid) return got;
    request(gift).catch((error: unknown) => this.#refused(path, error));
    return { ...got, ...gift, permissions: isDirectory(permissions) ? permissions : permissions & ~S_ISUGID };
  }

  /** The file stays the login's, and is shown so. */
  #refused(path: Path, error: unknown): void {
    const { names, files, kernel, report } = this.#store;
    const node = files.openAt(path);
    if (node !== undefined) node.own = null;
    names.outdated(path);
    kernel?.invalidateAttributes(path);
    if (this.#isRefused) return;
    this.#isRefused = true;
    report(`what local users create stays the login's: ${error instanceof Error ? error.message : error}`);
  }
}
