/**
 * Owners are numbers on both sides, and one number may mean two people. An `IdMap` translates one kind of them,
 * users or groups, in both directions: pure rules, one for each thing that `idmap`, `uid` and `gid` can say. Only names
 * (name-map.ts) have to be asked for.
 */
import { FsError } from '../base/errno.js';

export interface IdMap {
  /** The number that programs see for the server's `id`. */
  toLocal(id: number): number;
  /**
   * The server's number for one that a program asks for in chown(2). Throws, or rejects, when the server has
   * nobody like that.
   */
  toRemote(id: number): number | Promise<number>;
  /** Files with this number of the server's are not to be shown (nomap=error). */
  hides(id: number): boolean;
  /** Every file shows this number, whatever the server says; null where it counts what the server says. */
  readonly fixed: number | null;
}

/** `idmap=none`: the numbers as they are. */
export const SAME_IDS: IdMap = { toLocal: (id) => id, toRemote: (id) => id, hides: () => false, fixed: null };

/** `idmap=user`: the number of the login on the server is that of the person who mounted; others are as they are. */
export function swapped(local: number, remote: number): IdMap {
  return {
    ...SAME_IDS,
    toLocal: (id) => (id === remote ? local : id),
    toRemote: (id) => (id === local ? remote : id),
  };
}

/** A line of `uidfile` or `gidfile`: the number on the server, and that of the same name here. */
export type IdPair = readonly [remote: number, local: number];

/**
 * `idmap=file`: only who is in the table has another number here. `strict` (nomap=error) hides the files of all
 * others, and lets nothing be given to them.
 */
export function tabled(pairs: readonly IdPair[], strict: boolean): IdMap {
  const locals = new Map(pairs);
  const remotes = new Map(pairs.map(([remote, local]) => [local, remote]));
  return {
    toLocal: (id) => locals.get(id) ?? id,
    toRemote: (id) => {
      const remote = remotes.get(id);
      if (remote === undefined && strict) throw new FsError('EPERM', `${id} is in no line of the table`);
      return remote ?? id;
    },
    hides: (id) => strict && !locals.has(id),
    fixed: null,
  };
}

/** `uid=`, `gid=`: every file appears with this number; what is asked for goes to the server as `under` has it. */
export function everyone(id: number, under: IdMap): IdMap {
  return { ...under, toLocal: () => id, fixed: id };
}
