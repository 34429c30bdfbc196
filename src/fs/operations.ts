/**
 * The one interface between a kernel driver (`fuse/`) and the filesystem (`fs/`). Drivers own inode
 * numbers and the wire; the filesystem works on paths and handles. Every method may reject with `FsError`.
 */
import type { ByteString } from '../base/bytes.js';
import type { Path } from '../base/path.js';

/** stat(2) as far as SFTP knows it. Times are seconds since the epoch; sizes bytes. */
export interface Attributes {
  /** Type and permission bits (S_IFMT | 07777). */
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  readonly nlink: number;
}

/** A user and a group, as numbers. */
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** Attributes, and for how many milliseconds the kernel may trust them. */
export interface Stat {
  readonly attributes: Attributes;
  readonly attrTtl: number;
  /** How long the name itself may be trusted, in milliseconds. */
  readonly entryTtl: number;
  /** All names that are known to be the file's, where there are several: to the kernel they have to be one file. */
  readonly names?: Iterable<Path>;
}

/** The answer of a lookup: `attributes` is null for a name that does not exist (a negative entry). */
export interface Lookup {
  readonly attributes: Attributes | null;
  readonly attrTtl: number;
  readonly entryTtl: number;
  readonly names?: Iterable<Path>;
}

/** What a call is about: a path, an open file, or both; the path is null once the name was removed. */
export interface Target {
  readonly path: Path | null;
  readonly handle: number | null;
  /** What was told last of a directory that has been removed through the mount; then there is neither path nor handle. */
  readonly removed?: Attributes;
}

/** setattr: only what is present changes. A time is in seconds, or 'now' for UTIME_NOW. */
export interface AttributeChanges {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atime?: number | 'now';
  readonly mtime?: number | 'now';
}

export interface Opened {
  readonly handle: number;
  /** Pages the kernel holds from earlier opens are still valid. */
  readonly keepCache: boolean;
  readonly directIo: boolean;
  /**
   * The attributes that the kernel may hold are not those of the opened file: the driver drops them before
   * it answers, since the kernel reads no further than the size it knows.
   */
  readonly staleAttributes: boolean;
}

/**
 * File data lent to the driver: views of the cache, which stay as they are until `release`. Whoever gets it
 * calls `release` exactly once, when the reply is written or given up.
 */
export interface ReadResult {
  readonly parts: readonly Uint8Array[];
  release(): void;
}

export interface OpenedDirectory {
  readonly handle: number;
  /** The listing is the one that the kernel was given last, if it was given one: its pages are still true. */
  readonly keepCache: boolean;
}

export interface DirectoryEntry {
  readonly name: ByteString;
  /** The file type, S_IFMT bits. */
  readonly type: number;
}

/** A snapshot of a directory, without `.` and `..`. */
export interface Listing {
  readonly entries: readonly DirectoryEntry[];
  /**
   * What may be said of an entry at this moment: null attributes for a name that we removed since, undefined
   * for one of which nothing is known any more.
   */
  describe(entry: DirectoryEntry): Lookup | undefined;
}

/** statvfs(3). */
export interface FileSystemStats {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly namemax: number;
}

export interface WriteFlags {
  /** The kernel writes back a page of its own (mmap); it chose the handle, and O_APPEND means nothing. */
  readonly fromPageCache: boolean;
  /** Does a program still wait for it? One that was told EINTR must not find it written later. */
  readonly isWanted?: () => boolean;
}

/** Where something is created, `by` is who creates it, for a mount that several users share. */
export interface Operations {
  lookup(path: Path): Promise<Lookup>;
  getattr(target: Target): Promise<Stat>;
  setattr(target: Target, changes: AttributeChanges): Promise<Stat>;
  readlink(path: Path): Promise<ByteString>;
  symlink(path: Path, target: ByteString, by?: Ids): Promise<Stat>;
  /** Regular files only; any other type is EPERM. */
  mknod(path: Path, mode: number, by?: Ids): Promise<Stat>;
  mkdir(path: Path, mode: number, by?: Ids): Promise<Stat>;
  unlink(path: Path): Promise<void>;
  rmdir(path: Path): Promise<void>;
  rename(from: Path, to: Path, options: { readonly noReplace: boolean }): Promise<void>;
  /** Gives the file `from` the further name `to`. */
  link(from: Path, to: Path): Promise<Stat>;
  open(path: Path, flags: number): Promise<Opened>;
  create(path: Path, flags: number, mode: number, by?: Ids): Promise<Stat & Opened>;
  /** The bytes at `offset`, up to `size`; fewer only at the end of the file. */
  read(handle: number, offset: number, size: number): Promise<ReadResult>;
  /** Takes all of `data` (copied before the call returns control to the event loop) and answers its length. */
  write(handle: number, offset: number, data: Uint8Array, flags: WriteFlags): Promise<number>;
  /** close(2) of one descriptor: everything written is on the server, or the error is told. */
  flush(handle: number): Promise<void>;
  fsync(handle: number, dataOnly: boolean): Promise<void>;
  /** The last descriptor is gone. Never fails; an error left over is logged. */
  release(handle: number): Promise<void>;
  statfs(path: Path): Promise<FileSystemStats>;
  /** `path` is null for a directory that was removed: it is empty. */
  opendir(path: Path | null): Promise<OpenedDirectory>;
  /** The whole listing; `restart` (a read at offset 0) takes a new snapshot, else the handle's own is answered. */
  readdir(handle: number, restart: boolean): Promise<Listing>;
  releasedir(handle: number): Promise<void>;
  fsyncdir(handle: number): Promise<void>;
  /** access(2): `mask` of R_OK 4, W_OK 2, X_OK 1. */
  access(target: Target, mask: number): Promise<void>;
  /** SEEK_DATA (3) and SEEK_HOLE (4). */
  lseek(handle: number, offset: number, whence: number): Promise<number>;
  fallocate(handle: number, mode: number, offset: number, length: number): Promise<void>;
  /** Copies within the mount, on the server; answers how many bytes (fewer than asked at the end of file). */
  copyFileRange(
    from: number,
    fromOffset: number,
    to: number,
    toOffset: number,
    length: number,
  ): Promise<number>;
}

/**
 * What the filesystem may tell the kernel to forget. The driver sends the notifications on its own time:
 * nothing is awaited, and a path the kernel does not know is ignored.
 */
export interface KernelCache {
  /**
   * The file that had the name `path` does not have it any more, though we neither removed nor renamed it: the
   * driver takes the name from its node at once, so that the next lookup makes another.
   */
  invalidateEntry(path: Path): void;
  /** There may be a file called `path`, where the kernel was told that there is none. */
  invalidateAbsence(path: Path): void;
  /** Attributes and pages of the file at `path` are stale. */
  invalidateData(path: Path): void;
  /** Attributes of the file at `path` are stale; its pages are not. */
  invalidateAttributes(path: Path): void;
  /**
   * Whatever the kernel believes of `path` and all below may be untrue: attributes, pages, listings, and that names
   * do not exist. Resolves when it has been told, which nothing that it waits for may wait for.
   */
  invalidateTree(path: Path): Promise<void>;
}
