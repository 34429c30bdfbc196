/** The pieces of one mounted filesystem that its operations share. */
import type { ByteString } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { FsError } from '../base/errno.js';
import type { Path } from '../base/path.js';
import type { SftpAttributes } from '../sftp/attributes.js';
import type { AttributesBehind } from './attributes-behind.js';
import type { Content } from './content.js';
import type { FileTable } from './file-table.js';
import type { Freshness } from './freshness.js';
import type { Giving } from './giving.js';
import { type Identity, toAttributes } from './identity.js';
import type { Lanes } from './lanes.js';
import type { LateOpens } from './late-opens.js';
import type { LinkCounts } from './link-counts.js';
import type { HardLinks } from './links.js';
import type { ListingAhead } from './listing-ahead.js';
import type { Listings } from './listings.js';
import type { Namespace } from './namespace.js';
import type { FileNode } from './open-file.js';
import type { Attributes, KernelCache, Lookup, Stat } from './operations.js';
import type { FsOptions } from './options.js';
import type { Posted } from './posted.js';
import type { Remote } from './remote.js';
import type { WriteBehind } from './write-behind.js';

/** What is known and under way. */
export interface Store {
  readonly remote: Remote;
  readonly options: FsOptions;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly names: Namespace;
  readonly listings: Listings;
  readonly counts: LinkCounts;
  readonly files: FileTable;
  readonly links: HardLinks;
  readonly lanes: Lanes;
  readonly content: Content;
  readonly writes: WriteBehind;
  readonly walks: ListingAhead;
  readonly behind: AttributesBehind;
  readonly posted: Posted;
  /** Takes a line for the log of the mount. */
  readonly report: (text: string) => void;
  kernel: KernelCache | null;
}

export interface Parts extends Store {
  readonly freshness: Freshness;
  readonly giving: Giving;
  readonly late: LateOpens;
}

/** EROFS for a change on a mount with `ro`: the kernel asks only when it was remounted or another user may. */
export function mustBeWritable(options: FsOptions): void {
  if (options.readOnly) throw new FsError('EROFS', 'mounted read-only');
}

/**
 * EFBIG for a file that would end at `end`, where numbers are not exact any more. A local filesystem has a bound as
 * well, often a lower one.
 */
export function mustBeCountable(end: number): void {
  if (end >= Number.MAX_SAFE_INTEGER) throw new FsError('EFBIG', 'files end before 2^53');
}

/** Attributes with the lifetimes that the kernel gets: what is left of ours, up to its own bounds. */
export function statOf(parts: Parts, path: Path | null, attributes: Attributes, ttl: number): Stat {
  const { attrTtl, entryTtl } = parts.options;
  const node = path === null ? undefined : parts.files.openAt(path);
  const isLinked = path !== null && parts.links.twin(path) !== null;
  return {
    ...(isLinked ? { names: parts.links.twins(path) } : {}),
    attributes: node?.overlaid(attributes) ?? attributes,
    // The time of a file that is being written is asked for when somebody wants it.
    attrTtl: node?.isDirty ? 0 : Math.min(attrTtl, ttl),
    entryTtl: Math.min(entryTtl, ttl),
  };
}

export function missing(parts: Parts, ttl: number): Lookup {
  const { entryTtl, negativeTtl } = parts.options;
  return { attributes: null, attrTtl: 0, entryTtl: Math.min(entryTtl, negativeTtl, ttl) };
}

/** All that the file at `path` is known to be called, absolute, on the server. */
export function namesAt({ links, remote }: Parts, path: Path): readonly ByteString[] {
  return [...links.twins(path)].map((name) => remote.at(name));
}

/**
 * The file at `path` changed through one of its names: what is cached under names that may be the same
 * file is dropped, here and in the kernel.
 */
export function changedThrough(parts: Parts, path: Path | null): void {
  if (path === null) return;
  for (const other of parts.links.others(path)) {
    // Names of one file that we know of share its node and its attributes, which are up to date.
    if (parts.links.areTwins(path, other)) continue;
    parts.names.outdated(other);
    const node = parts.files.peek(other);
    if (node !== undefined && !node.isDirty) parts.content.drop(node);
    parts.kernel?.invalidateData(other);
  }
}

export interface BehindWrites {
  /** The epoch of the question. */
  readonly since: number;
  /** There was something to write until then. */
  readonly wasDirty: boolean;
  /** Or since the last flush. */
  readonly hasChanged: boolean;
}

/** Takes over what the server said of the file behind the last of our writes. */
export function adoptBehind(
  parts: Parts,
  node: FileNode,
  answer: SftpAttributes,
  { since, wasDirty, hasChanged }: BehindWrites,
): Attributes {
  const { identity, names, freshness } = parts;
  const { path } = node;
  const attributes = toAttributes(identity, answer, path === null ? 0 : names.linkCount(path));
  if (wasDirty && !node.isOwnTimed) freshness.observeClock(attributes.mtime);
  freshness.stamp(node, attributes);
  if (path === null) return attributes;
  if (names.epochs.isCurrent(path, since)) names.changed(path, attributes);
  else names.outdated(path);
  if (hasChanged) changedThrough(parts, path);
  return attributes;
}
