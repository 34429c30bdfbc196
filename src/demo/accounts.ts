/** Names of users and groups from the files of passwd(5) and group(5); what they lack has no name. */
import { readFile } from 'node:fs/promises';
import { parseAccounts } from '../base/accounts.js';
import type { ByteString } from '../base/bytes.js';

type Names = ReadonlyMap<number, ByteString>;

export class Accounts {
  readonly #users: Names;
  readonly #groups: Names;

  private constructor(users: Names, groups: Names) {
    this.#users = users;
    this.#groups = groups;
  }

  static async load(): Promise<Accounts> {
    const [users, groups] = await Promise.all([namesIn('/etc/passwd'), namesIn('/etc/group')]);
    return new Accounts(users, groups);
  }

  /** '' for an unknown id. */
  user(uid: number): ByteString {
    return this.#users.get(uid) ?? ('' as ByteString);
  }

  group(gid: number): ByteString {
    return this.#groups.get(gid) ?? ('' as ByteString);
  }
}

async function namesIn(file: string): Promise<Names> {
  const names = new Map<number, ByteString>();
  const content = await readFile(file).catch(() => Buffer.alloc(0));
  for (const { name, id } of parseAccounts(content)) if (!names.has(id)) names.set(id, name);
  return names;
}
