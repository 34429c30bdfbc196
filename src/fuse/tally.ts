/** How often each call of programs was made, how long it took, how often it failed, and how it failed lately. */
import { type ErrnoName, FsError } from '../base/errno.js';
import { type Durations, Histogram } from '../base/histogram.js';

/** Failures that are kept, the last ones. */
const MAX_FAILURES = 20;

/** What programs ask for in order to hear it, or what the kernel mends by itself: nobody calls that a failure. */
const ORDINARY: ReadonlySet<ErrnoName> = new Set<ErrnoName>([
  'ENOENT',
  'EEXIST',
  'ENOTEMPTY',
  'ENOSYS',
  'EOPNOTSUPP',
  'ESTALE',
  'EINTR',
]);

export interface CallStats extends Durations {
  /** How many of them were answered with an errno, whichever. */
  readonly errors: number;
}

/** A call that failed, for a person to read. */
export interface Failure {
  /** Milliseconds since the epoch. */
  readonly when: number;
  /** Name of the opcode. */
  readonly call: string;
  /** In the mount; null for a file without a name any more, and where the driver does not know. */
  readonly path: string | null;
  readonly errno: ErrnoName;
  readonly reason: string;
}

interface Kind {
  readonly histogram: Histogram;
  errors: number;
}

export class CallTally {
  readonly #kinds = new Map<string, Kind>();
  readonly #failures: Failure[] = [];

  /** @param took milliseconds */
  count(call: string, took: number, isError: boolean): void {
    let kind = this.#kinds.get(call);
    if (kind === undefined) {
      kind = { histogram: new Histogram(), errors: 0 };
      this.#kinds.set(call, kind);
    }
    kind.histogram.add(took);
    if (isError) kind.errors += 1;
  }

  /** Keeps an error that a person would call a failure; `path` is asked for only then. */
  keep(call: string, error: unknown, when: number, path: () => string | null): void {
    const errno = errnoName(error);
    if (ORDINARY.has(errno)) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#failures.push({ when, call, path: path(), errno, reason });
    if (this.#failures.length > MAX_FAILURES) this.#failures.shift();
  }

  /** Oldest first. */
  failures(): readonly Failure[] {
    return [...this.#failures];
  }

  /** By the names of the opcodes. */
  stats(): Readonly<Record<string, CallStats>> {
    return this.#byName(({ histogram, errors }) => ({ ...histogram.durations(), errors }));
  }

  /** Counts and sums of the times alone. */
  sums(): Readonly<Record<string, { readonly count: number; readonly milliseconds: number }>> {
    return this.#byName(({ histogram }) => ({ count: histogram.count, milliseconds: histogram.sum }));
  }

  #byName<T>(tell: (kind: Kind) => T): Readonly<Record<string, T>> {
    return Object.fromEntries([...this.#kinds].map(([call, kind]) => [call, tell(kind)]));
  }
}

/** What a program is told; what is no error of a filesystem is EIO to it. */
export function errnoName(error: unknown): ErrnoName {
  return error instanceof FsError ? error.code : 'EIO';
}
