/**
 * `idmap=name`: a user of the server is the user of that name here. The server tells the names of the numbers that
 * it shows (users-groups-by-id@openssh.com), and this machine's user database the numbers of the names. Both have to
 * be asked, so owners that are new are looked up before anybody is shown their files; nothing is asked twice.
 *
 * Who has no namesake here keeps the server's number where that is nobody's, and is `nobody` where it is somebody
 * else's: a stranger must not look like a local user.
 */
import { ascii, type ByteString } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { UsersGroups } from '../sftp/extensions.js';
import type { IdMap } from './id-map.js';

const log = logger('names');

/** Who a stranger is: `nobody` and `nogroup` by the number that the kernel has for them, too. */
const OVERFLOW_ID = 65_534;
/** Owners that are remembered; whoever comes after so many is `nobody`. */
const MAX_KNOWN = 65_536;
/** Where users and groups of the server are looked for of whom nothing was seen: system's and people's first numbers. */
const SEARCHED_IDS = 2000;

export type AccountKind = 'user' | 'group';

/** This machine's user database. Names and numbers that it does not have are missing from the answers. */
export interface LocalAccounts {
  idsOf(kind: AccountKind, names: readonly ByteString[]): Promise<ReadonlyMap<ByteString, number>>;
  namesOf(kind: AccountKind, ids: readonly number[]): Promise<ReadonlyMap<number, ByteString>>;
}

/** Names in the order of the ids, '' where the server has none. */
export type AskServer = (uids: readonly number[], gids: readonly number[]) => Promise<UsersGroups>;

export class NameMaps {
  readonly users: IdMap;
  readonly groups: IdMap;
  readonly #users: Half;
  readonly #groups: Half;
  readonly #askServer: AskServer;
  /** One question after the other, so that what the one before it found out is not asked again. */
  #asked: Promise<void> = Promise.resolve();

  constructor(askServer: AskServer, accounts: LocalAccounts) {
    this.#askServer = askServer;
    this.#users = new Half('user', accounts, async (ids) => (await askServer(ids, [])).users);
    this.#groups = new Half('group', accounts, async (ids) => (await askServer([], ids)).groups);
    this.users = this.#users;
    this.groups = this.#groups;
  }

  /** Finds out who the owners of files are; null when all are known already. Never rejects. */
  meet(found: readonly SftpAttributes[]): Promise<void> | null {
    const isNew = found.some(({ uid, gid }) => this.#users.isNew(uid) || this.#groups.isNew(gid));
    if (!isNew) return null;
    this.#asked = this.#asked.then(() => this.#learn(found)).catch((error: unknown) => log('%o', error));
    return this.#asked;
  }

  async #learn(found: readonly SftpAttributes[]): Promise<void> {
    const uids = this.#users.newOf(found.map(({ uid }) => uid));
    const gids = this.#groups.newOf(found.map(({ gid }) => gid));
    if (uids.length + gids.length === 0) return;
    const { users, groups } = await this.#askServer(uids, gids);
    await Promise.all([this.#users.learn(uids, users), this.#groups.learn(gids, groups)]);
  }
}

/** Users, or groups. */
class Half implements IdMap {
  readonly fixed = null;
  readonly #kind: AccountKind;
  readonly #accounts: LocalAccounts;
  readonly #namesOnServer: (ids: readonly number[]) => Promise<readonly ByteString[]>;
  /** By the server's number: the one that is shown. */
  readonly #shown = new Map<number, number>();
  /** By name: the server's number; null for one that was looked for in vain. */
  readonly #remotes = new Map<ByteString, number | null>();

  constructor(
    kind: AccountKind,
    accounts: LocalAccounts,
    namesOnServer: (ids: readonly number[]) => Promise<readonly ByteString[]>,
  ) {
    this.#kind = kind;
    this.#accounts = accounts;
    this.#namesOnServer = namesOnServer;
  }

  toLocal(id: number): number {
    return this.#shown.get(id) ?? OVERFLOW_ID;
  }

  /** EINVAL, as NFS has it, when the server has nobody of that name. */
  async toRemote(id: number): Promise<number> {
    const name = (await this.#accounts.namesOf(this.#kind, [id])).get(id);
    if (name === undefined) return id;
    if (!this.#remotes.has(name)) await this.#lookFor(name, id);
    const remote = this.#remotes.get(name) ?? null;
    if (remote === null) throw new FsError('EINVAL', `the server shows no ${this.#kind} ${name}`);
    // What is given away by this number is shown before the server has told of it.
    if (!this.#shown.has(remote)) this.#shown.set(remote, id);
    return remote;
  }

  hides(): boolean {
    return false;
  }

  isNew(id: number | undefined): boolean {
    return id !== undefined && !this.#shown.has(id) && this.#shown.size < MAX_KNOWN;
  }

  newOf(ids: readonly (number | undefined)[]): number[] {
    return [...new Set(ids)].filter((id): id is number => this.isNew(id));
  }

  /** The server calls `ids` so; '' for one without a name. */
  async learn(ids: readonly number[], names: readonly ByteString[]): Promise<void> {
    const named = names.filter((name) => name !== '');
    const [locals, taken] = await Promise.all([
      this.#accounts.idsOf(this.#kind, named),
      this.#accounts.namesOf(this.#kind, ids),
    ]);
    ids.forEach((id, at) => {
      const local = locals.get(names[at] ?? ascii(''));
      this.#shown.set(id, local ?? (taken.has(id) ? OVERFLOW_ID : id));
    });
    this.#remember(ids, names);
  }

  /** SFTP gives names for numbers, not numbers for names: the likely numbers are asked for, once for each name. */
  async #lookFor(name: ByteString, local: number): Promise<void> {
    const ids = [local, ...Array(SEARCHED_IDS).keys()];
    const names = await this.#namesOnServer(ids);
    this.#remember(ids, names);
    if (!this.#remotes.has(name)) this.#remotes.set(name, null);
  }

  #remember(ids: readonly number[], names: readonly ByteString[]): void {
    names.forEach((name, at) => {
      const id = ids[at];
      if (name !== '' && id !== undefined && typeof this.#remotes.get(name) !== 'number') {
        this.#remotes.set(name, id);
      }
    });
  }
}
