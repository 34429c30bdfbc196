/** One error type for everything a filesystem call can fail with: errno for the program, cause for the log. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Node's names of this platform, and one that it leaves out. */
export type ErrnoName = keyof typeof constants.errno | 'EHOSTDOWN';

export const ERRNO: Readonly<Record<ErrnoName, number>> = {
  ...constants.errno,
  EHOSTDOWN: process.platform === 'darwin' ? 64 : 112,
};

/** What an errno says to a person, as strerror(3) does: `no space left on device`; its name where that is not known. */
export function meaningOf(code: ErrnoName): string {
  return getSystemErrorMap().get(-ERRNO[code])?.[1] ?? code;
}

export interface FsErrorOptions extends ErrorOptions {
  readonly undelivered?: () => void;
}

/**
 * The failure of one filesystem call. `code` goes to the program (as its negative number on the wire),
 * `message` and `cause` to the debug log.
 */
export class FsError extends Error {
  readonly code: ErrnoName;

  /** Called instead of answering, when the program went on before it could be told (an interrupt). */
  readonly undelivered: (() => void) | undefined;

  constructor(code: ErrnoName, message: string = code, options: FsErrorOptions = {}) {
    super(message, options);
    this.name = 'FsError';
    this.code = code;
    this.undelivered = options.undelivered;
  }

  /** The positive number of this platform, as in errno(3). */
  get errno(): number {
    return ERRNO[this.code];
  }
}

/** The errno of anything that was thrown; what is not an FsError is our own bug and answers EIO. */
export function errnoOf(error: unknown): number {
  return error instanceof FsError ? error.errno : ERRNO.EIO;
}
