/** How the server describes files: ATTRS from stat(2), and the `ls -l` line of a directory listing. */
import type { Stats } from 'node:fs';
import { ascii, type ByteString } from '../base/bytes.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../base/mode.js';
import type { SftpAttributes, SftpName } from '../sftp/attributes.js';
import type { Accounts } from './accounts.js';

export function attributesOf(stats: Stats): SftpAttributes {
  return {
    size: stats.size,
    uid: stats.uid,
    gid: stats.gid,
    permissions: stats.mode,
    atime: stats.atimeMs / 1000,
    mtime: stats.mtimeMs / 1000,
  };
}

export function describe(filename: ByteString, stats: Stats, accounts: Accounts): SftpName {
  return { filename, longname: longnameOf(filename, stats, accounts), attributes: attributesOf(stats) };
}

function longnameOf(filename: ByteString, stats: Stats, accounts: Accounts): ByteString {
  const user = accounts.user(stats.uid) || String(stats.uid);
  const group = accounts.group(stats.gid) || String(stats.gid);
  return ascii(
    [
      modeText(stats.mode),
      String(stats.nlink).padStart(4),
      user.padEnd(8),
      group.padEnd(8),
      String(stats.size).padStart(8),
      dateText(stats.mtime),
      filename,
    ].join(' '),
  );
}

const TYPES: ReadonlyMap<number, string> = new Map([
  [S_IFREG, '-'],
  [S_IFDIR, 'd'],
  [S_IFLNK, 'l'],
  [S_IFCHR, 'c'],
  [S_IFBLK, 'b'],
  [S_IFIFO, 'p'],
  [S_IFSOCK, 's'],
]);

/** For each of owner, group and others: where its bits are, its special bit, and that bit's letter. */
const CLASSES = [
  { shift: 6, special: 0o4000, letter: 's' },
  { shift: 3, special: 0o2000, letter: 's' },
  { shift: 0, special: 0o1000, letter: 't' },
] as const;

function modeText(mode: number): string {
  let text = TYPES.get(mode & S_IFMT) ?? '?';
  for (const { shift, special, letter } of CLASSES) {
    const bits = mode >> shift;
    const executable = (bits & 1) !== 0;
    const plain = executable ? 'x' : '-';
    const marked = executable ? letter : letter.toUpperCase();
    text += (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + (mode & special ? marked : plain);
  }
  return text;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const HALF_A_YEAR = 182 * 24 * 3600 * 1000;

/** The time for files of the last half year, the year for others. */
function dateText(date: Date): string {
  const age = Date.now() - date.getTime();
  const two = (value: number, fill: string) => String(value).padStart(2, fill);
  const day = `${MONTHS[date.getMonth()]} ${two(date.getDate(), ' ')}`;
  return age >= 0 && age < HALF_A_YEAR
    ? `${day} ${two(date.getHours(), '0')}:${two(date.getMinutes(), '0')}`
    : `${day}  ${date.getFullYear()}`;
}
