/** What a person, or a program that draws graphs, can be told of a filesystem that is at work. */
import type { DiskStatus } from '../cache/disk/disk-cache.js';
import type { PrefetchStatus } from './prefetch-outcomes.js';

/** Gauges of the moment; bytes and counts. */
export interface FsStatus {
  readonly openFiles: number;
  readonly openDirectories: number;
  /** Requests without their answer. */
  readonly inFlight: number;
  /** Requests that wait for the connection or for room on it; those for the connection are in flight, too. */
  readonly queued: number;
  readonly dirtyBytes: number;
  /** Milliseconds since the oldest of them were written; null when there are none. */
  readonly dirtyAge: number | null;
  /** Changes that were answered before the server has confirmed them, and how many of those failed since mounting. */
  readonly posted: number;
  readonly postedFailed: number;
  readonly cachedBytes: number;
  /** Bound of the cached bytes; 0 for a mount that keeps no data. */
  readonly cacheLimit: number;
  /** Of the block cache, but not in it: being filled, lent to the driver, or about to be stored on disk. */
  readonly lentBytes: number;
  /** Blocks of files that a read found here, and that it had to wait for. */
  readonly cacheHits: number;
  readonly cacheMisses: number;
  /** Null without `cache_dir`. */
  readonly disk: DiskStatus | null;
  /** Questions about a name that were answered from here, and that were not. */
  readonly attributeHits: number;
  readonly attributeMisses: number;
  readonly cachedAttributes: number;
  readonly cachedListings: number;
  /** Small files read before a program opened them. */
  readonly prefetch: PrefetchStatus;
}
