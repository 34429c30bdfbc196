/**
 * The system calls of a worker: one after the other, timed, and judged by their errno. What a fault may cause is
 * an answer that the worker has to live with; any other errno that its model does not expect is a false error.
 */
import { appendFileSync, closeSync, openSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Deviation, Excuse } from './claims.js';

/** What the loss of a server may answer; everything else has to be what a local filesystem would say. */
export const OUTAGE: ReadonlySet<string> = new Set(['ETIMEDOUT', 'EHOSTDOWN']);
/** What a full disk may answer besides, to whoever writes. */
export const FULL = 'ENOSPC';

/** Milliseconds since the epoch: one clock for all processes. */
export interface Failed {
  readonly worker: string;
  readonly call: string;
  readonly errno: string;
  readonly begin: number;
  readonly end: number;
  /** From when on a delayed error may be told here: when everything was confirmed for the last time. */
  readonly since: number;
}

/** One line of a worker's report. */
export type Report =
  | ({ readonly is: 'failed' } & Failed)
  | ({ readonly is: 'wrong'; readonly worker: string; readonly at: number } & Deviation)
  | {
      readonly is: 'done';
      readonly worker: string;
      readonly calls: Readonly<Record<string, number>>;
      readonly longest: { readonly call: string; readonly milliseconds: number };
      readonly confirmed: number;
      readonly verified: number;
    };

export type Answer<T> = { readonly errno: null; readonly value: T } | { readonly errno: string };

export interface CallsSettings {
  readonly worker: string;
  /** File that the report is appended to, on a local disk. */
  readonly report: string;
  /** File that holds the call under way, for whoever finds this process stuck. */
  readonly current: string;
}

/** Width of the line in the file of the call under way. */
const CURRENT = 200;

export class Calls {
  readonly worker: string;
  readonly #report: string;
  readonly #current: number;
  readonly #counts = new Map<string, number>();
  #longest = { call: '', milliseconds: 0 };
  #confirmed = 0;
  #verified = 0;

  constructor({ worker, report, current }: CallsSettings) {
    this.worker = worker;
    this.#report = report;
    this.#current = openSync(current, 'w');
  }

  /**
   * Makes one call, or, each by `step`, the several of which a thing that programs do consists: then the longest of
   * these counts, since each may wait for an outage of its own. An errno in `expected` is an answer like success; others
   * are reported as failed.
   */
  attempt<T>(
    call: string,
    path: string,
    since: number,
    make: (step: Step) => T,
    expected: Expected = NONE,
  ): Answer<T> {
    const begin = Date.now();
    const line = `${begin} ${call} ${path}`.padEnd(CURRENT).slice(0, CURRENT);
    writeSync(this.#current, `${line}\n`, 0);
    const steps: number[] = [];
    let failing = call;
    const step: Step = (make, name = call) => {
      const started = performance.now();
      try {
        return make();
      } catch (error) {
        failing = name;
        throw error;
      } finally {
        steps.push(performance.now() - started);
      }
    };
    const started = performance.now();
    let answer: Answer<T>;
    try {
      answer = { errno: null, value: make(step) };
    } catch (error) {
      answer = { errno: errnoOf(error) };
    }
    if (steps.length === 0) steps.push(performance.now() - started);
    const milliseconds = Math.round(Math.max(...steps));
    this.#counts.set(call, (this.#counts.get(call) ?? 0) + 1);
    if (milliseconds > this.#longest.milliseconds) this.#longest = { call: `${call} ${path}`, milliseconds };
    if (answer.errno !== null && !expected(answer.errno)) {
      const { errno } = answer;
      const failed = {
        worker: this.worker,
        call: `${failing} ${path}`,
        errno,
        begin,
        end: Date.now(),
        since,
      };
      this.#say({ is: 'failed', ...failed });
    }
    return answer;
  }

  /** Something that must not be, but for an excuse. */
  wrong(what: string, unless: Excuse | null = null): void {
    this.#say({ is: 'wrong', worker: this.worker, at: Date.now(), what, unless });
  }

  confirmed(bytes: number): void {
    this.#confirmed += bytes;
  }

  verified(bytes: number): void {
    this.#verified += bytes;
  }

  done(): void {
    this.#say({
      is: 'done',
      worker: this.worker,
      calls: Object.fromEntries(this.#counts),
      longest: this.#longest,
      confirmed: this.#confirmed,
      verified: this.#verified,
    });
  }

  #say(report: Report): void {
    appendFileSync(this.#report, `${JSON.stringify(report)}\n`);
  }
}

/** Makes one system call of several; if it fails, that is reported by its name, where it has one. */
export type Step = <T>(make: () => T, name?: string) => T;

/** Bytes of one read(2) of a whole file. */
const PIECE = 131_072;

/** A whole file, as programs read it. */
export function readWhole(path: string, step: Step): Buffer {
  const fd = step(() => openSync(path, 'r'));
  try {
    const parts: Buffer[] = [];
    for (;;) {
      const piece = Buffer.alloc(PIECE);
      const length = step(() => readSync(fd, piece));
      if (length === 0) return Buffer.concat(parts);
      parts.push(piece.subarray(0, length));
    }
  } finally {
    step(() => closeSync(fd));
  }
}

export type Expected = (errno: string) => boolean;

const NONE: Expected = () => false;

/** libuv knows only some of the system's errors by name. */
function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) throw error;
  const { code, errno } = error as NodeJS.ErrnoException;
  const [name] = Object.entries(constants.errno).find(([, number]) => number === -(errno ?? 0)) ?? [code];
  return String(name);
}

/** Waits without an event loop. */
export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
