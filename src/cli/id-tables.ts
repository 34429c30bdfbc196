/** `uidfile` and `gidfile`, read while there is somebody to tell what is wrong with them. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { encodeText } from '../base/bytes.js';
import { parseIdFile } from '../config/id-file.js';
import type { MountOptions } from '../config/parse.js';
import type { IdPair } from '../fs/id-map.js';
import type { AccountKind, LocalAccounts } from '../fs/name-map.js';
import { CommandError } from './exit.js';

/** Null for a kind that there is no file of. */
export interface IdTables {
  readonly users: readonly IdPair[] | null;
  readonly groups: readonly IdPair[] | null;
}

/** Relative files are those of `directory`. Throws an OptionError, or a CommandError `usage`. */
export async function readIdTables(
  options: Pick<MountOptions, 'idmap' | 'uidfile' | 'gidfile'>,
  accounts: LocalAccounts,
  directory: string,
): Promise<IdTables> {
  const { idmap, uidfile, gidfile } = options;
  if (idmap !== 'file') return { users: null, groups: null };
  if (uidfile === null && gidfile === null) {
    throw new CommandError('usage', 'idmap=file needs a uidfile, a gidfile, or both');
  }
  const [users, groups] = await Promise.all([
    uidfile === null ? null : readTable('user', resolve(directory, uidfile), accounts),
    gidfile === null ? null : readTable('group', resolve(directory, gidfile), accounts),
  ]);
  return { users, groups };
}

/** A line whose name nobody has here is of no use, and skipped: one table may serve many machines. */
async function readTable(
  kind: AccountKind,
  file: string,
  accounts: LocalAccounts,
): Promise<readonly IdPair[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CommandError('usage', `${file} cannot be read (${error.code ?? error.message})`);
  });
  const lines = parseIdFile(text, file).map(({ name, id }) => ({ name: encodeText(name), id }));
  const locals = await accounts.idsOf(
    kind,
    lines.map(({ name }) => name),
  );
  return lines.flatMap(({ name, id }): IdPair[] => {
    const local = locals.get(name);
    return local === undefined ? [] : [[id, local]];
  });
}
