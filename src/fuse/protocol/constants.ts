/**
 * Numbers of the FUSE kernel protocol, named as in `linux/fuse.h` (package linux-libc-dev). Every layout
 * used here exists since protocol 7.31 (Linux 5.4) and has not changed since; integers are little endian,
 * as every machine Remora runs on is.
 */

export const FUSE_KERNEL_VERSION = 7;
/** The minor version spoken, and the oldest one accepted. */
export const FUSE_KERNEL_MINOR_VERSION = 31;
export const FUSE_ROOT_ID = 1;

/** `enum fuse_opcode`. */
export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
} as const;

const OPCODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OPCODE).map(([name, code]) => [code, name]),
);

/** For the log and the statistics. */
export function opcodeName(opcode: number): string {
  return OPCODE_NAMES.get(opcode) ?? `opcode ${opcode}`;
}

/** INIT request and reply flags. */
export const FUSE_ASYNC_READ = 1 << 0;
export const FUSE_ATOMIC_O_TRUNC = 1 << 3;
export const FUSE_BIG_WRITES = 1 << 5;
export const FUSE_AUTO_INVAL_DATA = 1 << 12;
export const FUSE_DO_READDIRPLUS = 1 << 13;
export const FUSE_READDIRPLUS_AUTO = 1 << 14;
export const FUSE_ASYNC_DIO = 1 << 15;
export const FUSE_PARALLEL_DIROPS = 1 << 18;
export const FUSE_ABORT_ERROR = 1 << 21;
export const FUSE_MAX_PAGES = 1 << 22;
export const FUSE_CACHE_SYMLINKS = 1 << 23;

/** `fuse_setattr_in.valid`. */
export const FATTR_MODE = 1 << 0;
export const FATTR_UID = 1 << 1;
export const FATTR_GID = 1 << 2;
export const FATTR_SIZE = 1 << 3;
export const FATTR_ATIME = 1 << 4;
export const FATTR_MTIME = 1 << 5;
export const FATTR_FH = 1 << 6;
export const FATTR_ATIME_NOW = 1 << 7;
export const FATTR_MTIME_NOW = 1 << 8;

/** `fuse_getattr_in.getattr_flags`, `fuse_write_in.write_flags`, `fuse_fsync_in.fsync_flags`. */
export const FUSE_GETATTR_FH = 1 << 0;
export const FUSE_WRITE_CACHE = 1 << 0;
export const FUSE_FSYNC_FDATASYNC = 1 << 0;

/** `fuse_open_out.open_flags`. */
export const FOPEN_DIRECT_IO = 1 << 0;
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_CACHE_DIR = 1 << 3;
export const FOPEN_NOFLUSH = 1 << 5;

/** `enum fuse_notify_code`, carried in the error field of a header whose unique is 0. */
export const FUSE_NOTIFY_INVAL_INODE = 2;
export const FUSE_NOTIFY_INVAL_ENTRY = 3;
/** Of FUSE_NOTIFY_INVAL_ENTRY, since protocol 7.38: the name is asked for anew, and nothing is taken from it before. */
export const FUSE_EXPIRE_ONLY = 1 << 0;

/** renameat2(2) flags. */
export const RENAME_NOREPLACE = 1 << 0;

/** lseek(2) whence values that reach a filesystem. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** Sizes of the fixed structs, in bytes. */
export const SIZEOF_IN_HEADER = 40;
export const SIZEOF_OUT_HEADER = 16;
const SIZEOF_ATTR = 88;
export const SIZEOF_ENTRY_OUT = 40 + SIZEOF_ATTR;
export const SIZEOF_ATTR_OUT = 16 + SIZEOF_ATTR;
export const SIZEOF_OPEN_OUT = 16;
export const SIZEOF_WRITE_OUT = 8;
export const SIZEOF_STATFS_OUT = 80;
export const SIZEOF_INIT_OUT = 64;
export const SIZEOF_LSEEK_OUT = 8;
export const SIZEOF_DIRENT = 24;
export const SIZEOF_WRITE_IN = 40;
