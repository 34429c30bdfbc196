/**
 * What the kernel has to be told when something new is learned of a name: the pure rule. Of a name that did not exist it
 * holds nothing for long, and of our own changes it knows itself; a file that is known to have changed, it was told of.
 */
import { isSymlink, S_IFMT } from '../base/mode.js';
import type { Name } from './directory.js';
import type { Attributes } from './operations.js';
import { isRacy, looksSame } from './same-file.js';

/**
 * `other`: the name is another file's. `target`: the symbolic link may lead elsewhere. `attributes`: these have changed.
 * @param before what was known of the name last; undefined where nothing is known and the kernel may know something
 * @param seenAt when that was, in seconds since the epoch
 */
export function toTell(
  before: Name | undefined,
  now: Attributes,
  seenAt: number,
): 'other' | 'target' | 'attributes' | null {
  const was = before?.attributes;
  if (was === null) return null;
  if (before !== undefined && before.type !== (now.mode & S_IFMT)) return 'other';
  if (before !== undefined && was === undefined) return null;
  if (isSymlink(now.mode)) {
    const isSame = was && was.mtime === now.mtime && was.size === now.size && !isRacy(was.mtime, seenAt);
    if (!isSame) return 'target';
  }
  return was && looksSame(was, now) ? null : 'attributes';
}
