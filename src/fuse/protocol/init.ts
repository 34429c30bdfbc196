/**
 * FUSE_INIT: what the kernel offers and what Remora takes of it, as one pure function. Left out on purpose:
 * FUSE_WRITEBACK_CACHE (the kernel would own size and mtime, and close-to-open would be lost), the lock flags
 * (locks stay local to this machine) and FUSE_DONT_MASK (the kernel applies the umask).
 */
import {
  FUSE_ABORT_ERROR,
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_ATOMIC_O_TRUNC,
  FUSE_AUTO_INVAL_DATA,
  FUSE_BIG_WRITES,
  FUSE_CACHE_SYMLINKS,
  FUSE_DO_READDIRPLUS,
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_MAX_PAGES,
  FUSE_PARALLEL_DIROPS,
  FUSE_READDIRPLUS_AUTO,
  SIZEOF_INIT_OUT,
} from './constants.js';
import type { InitIn } from './requests.js';

/** Largest READ and WRITE, in bytes; the kernel's own ceiling for FUSE_MAX_PAGES with 4 KiB pages. */
export const MAX_TRANSFER = 1024 * 1024;
const MAX_PAGES = 256;
/** Without FUSE_MAX_PAGES the kernel sends at most 32 pages at once. */
const DEFAULT_TRANSFER = 128 * 1024;
/**
 * Reads ahead and direct I/O that the kernel has under way at once, and from how many on it leaves out reading
 * ahead: 64 MiB fill 1 GB/s at 50 ms, and 16 random readers beside them never wait for a place.
 */
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;
/** SFTP has whole seconds. */
const TIME_GRANULARITY_NS = 1_000_000_000;

const WANTED =
  FUSE_ASYNC_READ |
  FUSE_ATOMIC_O_TRUNC |
  FUSE_BIG_WRITES |
  FUSE_AUTO_INVAL_DATA |
  FUSE_ASYNC_DIO |
  FUSE_PARALLEL_DIROPS |
  FUSE_ABORT_ERROR |
  FUSE_MAX_PAGES;

export interface InitOptions {
  /** Directory listings carry attributes (default true). */
  readonly readdirplus?: boolean;
  /** The kernel may keep the targets of symbolic links until the attributes expire (default true). */
  readonly cacheSymlinks?: boolean;
  /** Adds FUSE_ASYNC_READ: several reads of one file at once (default true). */
  readonly asyncRead?: boolean;
}

/** `fuse_init_out`, the fields that vary. */
export interface InitOut {
  readonly major: number;
  readonly minor: number;
  /** As much as the kernel offers: here it can only be lowered. */
  readonly maxReadahead: number;
  readonly flags: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
  readonly maxWrite: number;
  readonly timeGran: number;
  readonly maxPages: number;
}

export type Negotiation =
  | { readonly kind: 'accept'; readonly out: InitOut }
  /** The kernel speaks a newer major version and will ask again with ours. */
  | { readonly kind: 'again'; readonly out: InitOut }
  | { readonly kind: 'refuse'; readonly message: string };

const VERSION = { major: FUSE_KERNEL_VERSION, minor: FUSE_KERNEL_MINOR_VERSION };
const NOTHING: InitOut = {
  ...VERSION,
  maxReadahead: 0,
  flags: 0,
  maxBackground: 0,
  congestionThreshold: 0,
  maxWrite: 0,
  timeGran: 0,
  maxPages: 0,
};

export function negotiate(init: InitIn, options: InitOptions = {}): Negotiation {
  if (init.major > FUSE_KERNEL_VERSION) return { kind: 'again', out: NOTHING };
  if (init.major < FUSE_KERNEL_VERSION || init.minor < FUSE_KERNEL_MINOR_VERSION) {
    return {
      kind: 'refuse',
      message:
        `this kernel speaks FUSE protocol ${init.major}.${init.minor}; ` +
        `${VERSION.major}.${VERSION.minor} (Linux 5.4) or newer is needed`,
    };
  }
  const { readdirplus = true, cacheSymlinks = true, asyncRead = true } = options;
  const wanted =
    (asyncRead ? WANTED : WANTED & ~FUSE_ASYNC_READ) |
    (readdirplus ? FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO : 0) |
    (cacheSymlinks ? FUSE_CACHE_SYMLINKS : 0);
  const flags = wanted & init.flags;
  const large = (flags & FUSE_MAX_PAGES) !== 0;
  return {
    kind: 'accept',
    out: {
      ...VERSION,
      maxReadahead: init.maxReadahead,
      flags,
      maxBackground: MAX_BACKGROUND,
      congestionThreshold: CONGESTION_THRESHOLD,
      maxWrite: large ? MAX_TRANSFER : DEFAULT_TRANSFER,
      timeGran: TIME_GRANULARITY_NS,
      maxPages: large ? MAX_PAGES : 0,
    },
  };
}

export function encodeInitOut(out: InitOut): Buffer {
  const buffer = Buffer.alloc(SIZEOF_INIT_OUT);
  buffer.writeUInt32LE(out.major, 0);
  buffer.writeUInt32LE(out.minor, 4);
  buffer.writeUInt32LE(out.maxReadahead, 8);
  buffer.writeUInt32LE(out.flags >>> 0, 12);
  buffer.writeUInt16LE(out.maxBackground, 16);
  buffer.writeUInt16LE(out.congestionThreshold, 18);
  buffer.writeUInt32LE(out.maxWrite, 20);
  buffer.writeUInt32LE(out.timeGran, 24);
  buffer.writeUInt16LE(out.maxPages, 28);
  return buffer;
}
