/**
 * What the filesystem is set up with, in its own terms: cli/wiring.ts fills it from the options of the command, and
 * every part reads what concerns it. No default stands here; the schema of the options has them.
 */
import type { Containment } from './containment.js';

/** What a mount's options mean to the filesystem; times in milliseconds, sizes in bytes. */
export interface FsOptions {
  /** How long attributes are trusted. 0: never. */
  readonly statTtl: number;
  /** How long a symlink's target is trusted. */
  readonly linkTtl: number;
  /** How long a directory listing is trusted. */
  readonly dirTtl: number;
  /** How long it is believed that a name does not exist. */
  readonly negativeTtl: number;
  /** Upper bound of what the kernel may trust a name for. */
  readonly entryTtl: number;
  /** Upper bound of what the kernel may trust attributes for. */
  readonly attrTtl: number;
  /** Names that are remembered, at least 1; a single directory may exceed it. */
  readonly maxCachedNames: number;
  /** Bound of the block cache. */
  readonly cacheBytes: number;
  /** Bound of written data that the server has not confirmed; writers wait beyond it. */
  readonly dirtyBytes: number;
  /** How far one handle reads ahead; 0 turns it off. */
  readonly readAheadBytes: number;
  /** A file may be opened without asking the server, if it was asked for its attributes within this time. 0: never. */
  readonly openTtl: number;
  /** Files that a program is about to open are read ahead. */
  readonly prefetch: boolean;
  /** Every read and write goes to the server; the kernel keeps no pages. */
  readonly directIo: boolean;
  /** Owners and permissions of files are shown as the server has them, or one to one (not uid, gid, umask). */
  readonly showsPermissions: boolean;
  /** Pages are kept across opens whatever happened to the file (kernel_cache). */
  readonly kernelCache: boolean;
  /** Changes that are all but sure are answered before the server has confirmed them (durability=async). */
  readonly posts: boolean;
  /** Each write waits for the server (sshfs_sync). */
  readonly syncWrites: boolean;
  /** READDIR requests one at a time (sync_readdir). */
  readonly syncReaddir: boolean;
  /** The mounted directory was there at first, so a server without it is not ready yet. */
  readonly checksRoot: boolean;
  readonly readOnly: boolean;
  /** False refuses link(2) with EPERM (disable_hardlink). */
  readonly hardLinks: boolean;
  /** Which targets of symbolic links a program is told. */
  readonly containSymlinks: Containment;
  /** Absolute targets within the mounted directory are told as the relative ones that lead there (transform_symlinks). */
  readonly transformSymlinks: boolean;
  /** Programs see what a symbolic link leads to on the server, in its place (follow_symlinks). */
  readonly followSymlinks: boolean;
}
