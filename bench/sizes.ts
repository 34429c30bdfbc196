/** How much each scenario moves: full, or quick for trying the bench itself. Pure. */

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A tree of `directories` directories that hold `files` files of `bytes` bytes, evenly. */
export interface Shape {
  readonly directories: number;
  readonly files: number;
  readonly bytes: number;
}

export interface Sizes {
  /** Bytes of the file that is read and written in sequence. */
  readonly sequential: number;
  /** It is transferred twice: by a client that was just mounted, and by one that is in use. */
  readonly twice: boolean;
  /**
   * Bytes written in pieces of 4 KiB. Not more: sshfs sends them without a bound, and OpenSSH's sftp-server falls
   * into moving its own queue about when tens of thousands of requests wait.
   */
  readonly smallWrites: number;
  /** Random reads one after the other, and 16 at a time. */
  readonly randomReads: { readonly alone: number; readonly together: number };
  /** For ls, stat and git. */
  readonly project: Shape;
  /** For find, tar, grep and reading in no order. */
  readonly small: Shape;
  /** Files of the small tree that are read in no order. */
  readonly scattered: number;
  /** Bytes of the file that is copied within the mount. */
  readonly copied: number;
  readonly removed: Shape;
  readonly created: number;
  /** Bytes of the large file that is written while stat is timed, and how often stat is called. */
  readonly load: number;
  readonly probes: number;
  readonly crowd: number;
}

/** @param rtt milliseconds; far away, what costs round trips or bandwidth is less. */
export function sizesFor(rtt: number, quick: boolean): Sizes {
  const far = rtt > 0;
  if (quick) {
    return {
      sequential: far ? 8 * MIB : 128 * MIB,
      twice: !far,
      smallWrites: far ? MIB : 8 * MIB,
      randomReads: far ? { alone: 20, together: 160 } : { alone: 400, together: 1600 },
      project: { directories: 10, files: 200, bytes: KIB },
      small: { directories: 5, files: 100, bytes: 4 * KIB },
      scattered: 40,
      copied: 8 * MIB,
      removed: { directories: 4, files: 40, bytes: KIB },
      created: 20,
      load: 256 * MIB,
      probes: 30,
      crowd: 5_000,
    };
  }
  return {
    sequential: far ? 64 * MIB : GIB,
    twice: !far,
    smallWrites: far ? 16 * MIB : 32 * MIB,
    randomReads: far ? { alone: 100, together: 1600 } : { alone: 4000, together: 16_000 },
    project: { directories: 100, files: 2000, bytes: KIB },
    small: { directories: 50, files: 1000, bytes: 4 * KIB },
    scattered: far ? 200 : 1000,
    copied: 64 * MIB,
    removed: far ? { directories: 10, files: 200, bytes: KIB } : { directories: 50, files: 1000, bytes: KIB },
    created: 200,
    load: 2 * GIB,
    probes: 150,
    crowd: 100_000,
  };
}
