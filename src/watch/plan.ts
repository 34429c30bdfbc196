/**
 * Which directories are to be watched: those used last, with all that lie above them, since a directory can only be
 * vouched for where its parent is. Pure.
 */
import { type Path, parentOf, ROOT } from '../base/path.js';

/** `directory` and those above it, the root first. */
function chainOf(directory: Path): readonly Path[] {
  const chain = [directory];
  for (let at = directory; at !== ROOT; ) {
    at = parentOf(at);
    chain.push(at);
  }
  return chain.reverse();
}

/**
 * The directories to watch, each behind its parent, `most` of them.
 * @param recent the directory that was used last first
 * @param isRefused tells those that cannot be watched, so that nothing below them is
 */
export function toWatch(
  recent: readonly Path[],
  most: number,
  isRefused: (path: Path) => boolean,
): ReadonlySet<Path> {
  const wanted = new Set<Path>();
  for (const directory of recent) {
    if (wanted.size >= most) break;
    const missing = chainOf(directory).filter((path) => !wanted.has(path));
    if (missing.some(isRefused) || wanted.size + missing.length > most) continue;
    for (const path of missing) wanted.add(path);
  }
  return wanted;
}

/** f_type of the filesystems of Linux whose every change is made by this kernel, so that none goes without an event. */
const LOCAL: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x794c7630, 'overlayfs'],
  [0x3153464a, 'jfs'],
  [0x52654973, 'reiserfs'],
  [0x3434, 'nilfs2'],
  [0xf15f, 'ecryptfs'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
  [0x5346544e, 'ntfs'],
  [0x7366746e, 'ntfs3'],
  [0x4244, 'hfs'],
  [0x482b, 'hfsplus'],
  [0x9660, 'iso9660'],
  [0x15013346, 'udf'],
  [0x73717368, 'squashfs'],
  [0xe0f5e1e2, 'erofs'],
]);

/** Does a filesystem of this type tell of all that changes? One of a network (or of FUSE) tells only of its own machine's doing. */
export function tellsAll(type: number): boolean {
  return LOCAL.has(type);
}
