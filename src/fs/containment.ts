/**
 * Where may a symbolic link of the server lead a program of this machine? The kernel follows links in the local
 * tree, so an absolute target, or one that climbs out of the mount, would reach local files that the server
 * chose. This judges the text of a target, and lets pass only what cannot leave the mount whatever else the
 * server says.
 *
 * The kernel resolves a target from the directory that holds the link, which lies `depth` real directories below
 * the root of the mount, component by component. `..` from a directory at depth 0 leaves the mount; everything
 * else stays in it. Leading `..`s go up the real directories that hold the link, so they are counted exactly. A
 * name then leads somewhere within the mount, but not to a known depth: it may be a link to the root itself, and
 * a server may answer differently each time it is asked. So `..` behind a name is taken for a way out, and what
 * passes has the form `(../)*` with at most `depth` of them, then names. By induction over the links followed, a
 * walk of such steps never leaves the mount. (Whoever renames directories of the mount during the walk can still
 * mislead it: only programs of this machine do that.)
 *
 * That is what `share` and `strict` promise against any server, and it has a price: a program that copies a tree
 * asks for targets by the same request as the kernel that follows them, so a link that is not to be followed cannot
 * be copied either. Trees of an honest server have absolute links that are meant for this machine too, and links to
 * nothing. So the default, `relative`, goes by the text and stops only relative targets that climb out of the
 * mounted directory: they lead to another place here than there, whatever they were meant for.
 */
import { type ByteString, decodeText } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import type { Path } from '../base/path.js';

/**
 * `contain_symlinks`: every target as it is; the relative ones only if their text stays within the mount; those that
 * provably stay within it; of these, the relative ones.
 */
export type Containment = 'none' | 'relative' | 'share' | 'strict';

export interface ContainmentRules {
  readonly mode: Containment;
  /** An absolute target within the mounted directory is judged, and told, as the relative one that leads there. */
  readonly transform: boolean;
  /** The mounted directory on the server, absolute. */
  readonly root: ByteString;
  /** Where it is mounted here, absolute; null when that is not known. */
  readonly mountpoint: ByteString | null;
}

/** Links that lead out and are named in the log; a server may have any number of them. */
const MAX_TOLD = 100;

/**
 * What a program is told of the link at `link` whose target is `target`; null when it must not be followed. An
 * absolute target within the server's directory becomes the relative one that leads to the same file here.
 */
export function contain(rules: ContainmentRules, link: Path, target: ByteString): ByteString | null {
  const { mode } = rules;
  const within = rules.transform ? relativeTarget(rules.root, link, target) : null;
  if (within !== null) return within;
  if (mode === 'none') return target;
  const depth = link.split('/').length - 1;
  if (mode === 'relative') {
    return target.startsWith('/') || readsInside(partsOf(target), depth) ? target : null;
  }
  if (!target.startsWith('/')) return staysInside(partsOf(target), depth) ? target : null;
  if (mode === 'strict') return null;
  // Programs of this machine make links by the paths they see: such a one leads into the mount by itself.
  if (rules.mountpoint !== null && below(rules.mountpoint, target) !== null) return target;
  return relativeTarget(rules.root, link, target);
}

/**
 * The relative target of the link at `link` that leads where the absolute `target` leads on the server; null when that
 * is not below `root`. It goes up no further than to the directory that both lie in: only through real directories.
 */
function relativeTarget(root: ByteString, link: Path, target: ByteString): ByteString | null {
  const inside = target.startsWith('/') ? below(root, target) : null;
  if (inside === null) return null;
  const directory = link.split('/').slice(0, -1);
  let shared = 0;
  while (shared < directory.length && shared < inside.length && directory[shared] === inside[shared])
    shared += 1;
  const up = directory.length - shared;
  const relative = [...Array<string>(up).fill('..'), ...inside.slice(shared)];
  const slash = target.endsWith('/') && relative.length > up ? '/' : '';
  return (relative.length === 0 ? '.' : relative.join('/') + slash) as ByteString;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** Do these lead nowhere above the root, as long as every name is that of a directory? */
function readsInside(parts: readonly string[], depth: number): boolean {
  let at = depth;
  for (const part of parts) {
    at += part === '..' ? -1 : 1;
    if (at < 0) return false;
  }
  return true;
}

/** Are these at most `depth` times `..`, and then names? */
function staysInside(parts: readonly string[], depth: number): boolean {
  const climbs = parts.findIndex((part) => part !== '..');
  const names = climbs < 0 ? [] : parts.slice(climbs);
  return parts.length - names.length <= depth && !names.includes('..');
}

/** The names that lead from the directory `ancestor` to `path`; null when they do not, or not for sure. */
function below(ancestor: ByteString, path: ByteString): string[] | null {
  const parts = partsOf(path);
  const prefix = partsOf(ancestor);
  if (parts.includes('..') || prefix.some((part, at) => part !== parts[at])) return null;
  return parts.slice(prefix.length);
}

/** Applies the rules of a mount, and says once of each link that is refused why. */
export class LinkGuard {
  readonly #rules: ContainmentRules;
  readonly #report: (text: string) => void;
  readonly #told = new Set<Path>();

  /** `report` takes a line for the log of the mount. */
  constructor(rules: ContainmentRules, report: (text: string) => void) {
    this.#rules = rules;
    this.#report = report;
  }

  /**
   * What readlink(2) answers. A target whose text may lead out (`x/../y`, an absolute one by another name of the
   * server's directory) is looked up by `resolve`, which asks the server where it ends, or fails; the answer is
   * judged in its place. EXDEV for a link that leads out, as openat2(2) has it with RESOLVE_BENEATH.
   */
  async judge(
    link: Path,
    target: ByteString,
    resolve: (target: ByteString) => Promise<ByteString>,
  ): Promise<ByteString> {
    const told = contain(this.#rules, link, target);
    if (told !== null) return told;
    if (this.#rules.mode !== 'strict') {
      const end = await resolve(target).catch(() => null);
      const inside = end === null ? null : contain({ ...this.#rules, mode: 'share' }, link, end);
      if (inside !== null) return inside;
    }
    this.#tell(link, target);
    throw new FsError('EXDEV', 'a symbolic link that leads out of the mount');
  }

  #tell(link: Path, target: ByteString): void {
    if (this.#told.has(link) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(link);
    const text = `${decodeText(link)}: a symbolic link that leads out of the mount, to ${decodeText(target)}`;
    const last = this.#told.size === MAX_TOLD ? '; no further ones are named' : '';
    this.#report(`${text}; with -o contain_symlinks=none it is followed on this machine${last}`);
  }
}
