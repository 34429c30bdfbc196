/**
 * What the programs on the server say, and how they are spoken to: a pure codec for lines of bytes. What comes from
 * there is not trusted: a line that is none of these ends the watch.
 */
import { ascii, type ByteString } from '../base/bytes.js';
import { S_IFDIR, S_IFMT } from '../base/mode.js';
import { isValidName } from '../base/path.js';

/** inotify(7), and `linux/inotify.h`. */
const IN_MODIFY = 0x2;
const IN_MOVED = 0x40 | 0x80;
const IN_CREATE = 0x100;
const IN_DELETE = 0x200;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_IGNORED = 0x8000;
const IN_ISDIR = 0x40000000;

const OF_NAME = IN_MOVED | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED;

/** inotify_add_watch(2), as Linux numbers its errors: no such directory, and no watches left for this user. */
export const REFUSAL = { ENOENT: 2, ENOSPC: 28 } as const;

/** What stands where something has changed; size in bytes, times in seconds since the epoch. */
export interface Found {
  readonly permissions: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: number;
  readonly mtime: number;
  readonly nlink: number;
}

/** Something has changed in a directory. */
export interface Change {
  /** Null for the directory itself. */
  readonly name: ByteString | null;
  readonly isDirectory: boolean;
  /** The name was made, removed, or given to another file. */
  readonly ofName: boolean;
  /** The content was written, or cut. */
  readonly ofContent: boolean;
  /** Null for nothing, undefined where that is not told. */
  readonly found: Found | null | undefined;
}

export type Message =
  /**
   * The directory is watched; `type` is the f_type of its filesystem (statfs(2)), and `quiet` for how many milliseconds
   * nothing came or went there, 0 where that is not told.
   */
  | { readonly kind: 'watched'; readonly id: number; readonly type: number; readonly quiet: number }
  /** It cannot be, for this errno of Linux (see REFUSAL). */
  | { readonly kind: 'refused'; readonly id: number; readonly errno: number }
  | { readonly kind: 'changed'; readonly id: number; readonly change: Change }
  /** Events were lost. */
  | { readonly kind: 'overflow' }
  /** Everything before question `id` has been told. */
  | { readonly kind: 'answer'; readonly id: number };

/** A path as a part of a line. */
export function escaped(path: ByteString): ByteString {
  return ascii(path.replaceAll('\\', '\\b').replaceAll('\n', '\\n'));
}

function unescaped(name: string): ByteString {
  return ascii(name.replaceAll('\\n', '\n').replaceAll('\\b', '\\'));
}

/** A change of `mask`, as inotify gives it. Null for a name that no directory has. */
function changeOf(mask: number, name: ByteString, found: Found | null | undefined): Change | null {
  if (name !== '' && !isValidName(name)) return null;
  const isFoundDirectory = found ? (found.permissions & S_IFMT) === S_IFDIR : false;
  return {
    name: name === '' ? null : name,
    isDirectory: (mask & IN_ISDIR) !== 0 || isFoundDirectory,
    ofName: (mask & OF_NAME) !== 0,
    ofContent: (mask & IN_MODIFY) !== 0,
    found,
  };
}

/** A line of our script's; null for any other. */
export function parseLine(line: ByteString): Message | null {
  if (line === '~') return { kind: 'overflow' };
  const [, word, digits = '', rest = ''] = /^([=!*.])(\d{1,15})(?: (.*))?$/s.exec(line) ?? [];
  const id = Number(digits);
  switch (word) {
    case '=': {
      const [, type, quiet] = /^([\da-f]{1,8}) (\d{1,15})$/.exec(rest) ?? [];
      return type === undefined
        ? null
        : { kind: 'watched', id, type: Number.parseInt(type, 16), quiet: Number(quiet) };
    }
    case '!':
      return /^\d{1,4}$/.test(rest) ? { kind: 'refused', id, errno: Number(rest) } : null;
    case '.':
      return { kind: 'answer', id };
    case '*': {
      const [, mask = '', facts = '', name = ''] = /^([\da-f]{1,8}) (\S+) (.*)$/s.exec(rest) ?? [];
      const found = parseFound(facts);
      if (found === undefined) return null;
      const change = changeOf(Number.parseInt(mask, 16), unescaped(name), found);
      return change && { kind: 'changed', id, change };
    }
    default:
      return null;
  }
}

function parseFound(facts: string): Found | null | undefined {
  if (facts === '-') return null;
  if (!/^(?:-?\d{1,20},){6}\d{1,20}$/.test(facts)) return undefined;
  const [permissions = 0, size = 0, uid = 0, gid = 0, atime = 0, mtime = 0, nlink = 0] = facts
    .split(',')
    .map(Number);
  // SFTP tells times as 32 bits without a sign.
  return { permissions, size, uid, gid, atime: atime >>> 0, mtime: mtime >>> 0, nlink };
}

/** The names that `inotifywait` has for events. */
const EVENTS: Readonly<Record<string, number>> = {
  MODIFY: IN_MODIFY,
  ATTRIB: 0x4,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: IN_CREATE,
  DELETE: IN_DELETE,
  DELETE_SELF: IN_DELETE_SELF,
  MOVE_SELF: IN_MOVE_SELF,
  IGNORED: IN_IGNORED,
  UNMOUNT: IN_IGNORED,
  ISDIR: IN_ISDIR,
};

/** What a line of `inotifywait` says, in the format EVENTS|DIRECTORY/|NAME. */
export type Spoken =
  | { readonly kind: 'changed'; readonly directory: ByteString; readonly change: Change }
  | { readonly kind: 'established' }
  /** A directory that it could not watch, so that it ends. */
  | { readonly kind: 'missing'; readonly directory: ByteString }
  | { readonly kind: 'limit' }
  /** Events were lost, or cannot be told apart. */
  | { readonly kind: 'overflow' }
  /** Of the next directory of the list; `inode` tells it from others, and is empty where it is not there. */
  | { readonly kind: 'type'; readonly type: number; readonly inode: string }
  | { readonly kind: 'answer'; readonly id: number }
  | { readonly kind: 'noise' };

/** A line of `inotifywait`'s; any line says something. */
export function parseSpoken(line: ByteString): Spoken {
  const [, answer] = /^\.(\d{1,15})$/.exec(line) ?? [];
  if (answer !== undefined) return { kind: 'answer', id: Number(answer) };
  const [, type, inode = ''] = /^= ([\da-f]{1,16}) (\d{1,20}:\d{1,20})?$/.exec(line) ?? [];
  if (type !== undefined) return { kind: 'type', type: Number.parseInt(type.slice(-8), 16), inode };
  if (line === 'Watches established.') return { kind: 'established' };
  if (line === 'Setting up watches.') return { kind: 'noise' };
  if (/upper limit on inotify/.test(line)) return { kind: 'limit' };
  const [, missing] = /^Couldn't watch (.*): [^:]*$/.exec(line) ?? [];
  if (missing !== undefined) return { kind: 'missing', directory: ascii(missing) };
  const [, events = '', directory = '', name = ''] = /^([A-Z_,]+)\|(.*)\/\|([^/]*)$/.exec(line) ?? [];
  const masks = events.split(',').map((event) => EVENTS[event]);
  const mask = masks.reduce<number>((all, each) => all | (each ?? 0), 0);
  const change =
    directory === '' || masks.includes(undefined) ? null : changeOf(mask, ascii(name), undefined);
  // A name with the end of a line in it comes as two lines.
  return change === null ? { kind: 'overflow' } : { kind: 'changed', directory: ascii(directory), change };
}
