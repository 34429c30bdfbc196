/**
 * Pure rules that tell files and their states apart by what SFTP v3 says of them: size, times in whole seconds,
 * owner, type. Two files that agree in all of that are not told apart.
 */
import { S_IFMT, S_IFREG } from '../base/mode.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { Attributes } from './operations.js';

/** A state seen within so many seconds of its mtime may have changed in that second without showing it. */
const RACY_SECONDS = 2;
/** Seconds by which the time of a file that is being written may grow from one answer to the next. */
const WRITING_SECONDS = 3;

function isSameKind(a: SftpAttributes, b: SftpAttributes): boolean {
  const type = ({ permissions = 0 }: SftpAttributes) => permissions & S_IFMT;
  return a.uid === b.uid && a.gid === b.gid && type(a) === type(b);
}

/** Do both answers, given back to back, describe one file? */
export function isSameFile(a: SftpAttributes, b: SftpAttributes): boolean {
  return a.size === b.size && a.mtime === b.mtime && isSameKind(a, b);
}

/**
 * May `later` be the file that was `earlier` before, while we were writing to it up to `end`? Then it differs by
 * what our own writes explain, and it is no empty file, of which there are many that look alike.
 */
export function isGrownFile(earlier: SftpAttributes, later: SftpAttributes, end: number): boolean {
  const { size: before = 0, mtime: wasAt = 0 } = earlier;
  const { size: after = 0, mtime: isAt = 0 } = later;
  const hasGrown = before > 0 && after >= before && after <= end;
  return hasGrown && isAt >= wasAt && isAt - wasAt <= WRITING_SECONDS && isSameKind(earlier, later);
}

/** What we may have done to a file since it was seen: the sizes between which it then is. */
export interface OwnChanges {
  readonly shortest: number;
  readonly longest: number;
  /** Where the last write ends that the server has confirmed: what it said it had must be there. */
  readonly arrived: number;
}

/**
 * A file was opened again after the connection was lost, and shows `found` where `seen` was known: the `same`;
 * one that may have `grown` behind our back, which its content decides; or an `other` one. `ours` is null when nothing
 * was sent that could have changed it.
 */
export function judgeReopened(
  seen: Attributes | null,
  found: Attributes,
  ours: OwnChanges | null,
): 'same' | 'grown' | 'other' {
  if ((found.mode & S_IFMT) !== S_IFREG) return 'other';
  if (seen === null) return 'same';
  const { size, mtime } = found;
  const isOld = mtime < seen.mtime || found.uid !== seen.uid || found.gid !== seen.gid;
  if (ours === null) {
    if (size === seen.size && mtime === seen.mtime && !isOld) return 'same';
    return isOld || size < seen.size ? 'other' : 'grown';
  }
  const least = Math.max(Math.min(seen.size, ours.shortest), ours.arrived);
  if (size < least || size > Math.max(seen.size, ours.longest)) return 'other';
  // Owner and times may have been set by us.
  return isOld ? 'grown' : 'same';
}

/** Could the state of `mtime`, seen at `seenAt` by the server's clock (both in seconds), change without showing it? */
export function isRacy(mtime: number, seenAt: number): boolean {
  return seenAt - mtime < RACY_SECONDS;
}

/** Would a program that was told `a` see anything else in `b`? Times of access do not count: reading changes them. */
export function looksSame(a: Attributes, b: Attributes): boolean {
  return (
    a.size === b.size &&
    a.mtime === b.mtime &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.nlink === b.nlink
  );
}
