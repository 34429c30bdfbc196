/**
 * `remora log`: the log of a mount, or of one that was at the place, both generations of it. Followed, it is looked at
 * again and again rather than watched: it is written in place, and cut when it is full (log-file.ts).
 */
import { open, stat } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import { CONTROL } from '../base/control.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { logFile, runtimeDirectory } from './directories.js';
import { findDaemons } from './discover.js';
import { CommandError } from './exit.js';
import { mountedPath } from './mountpoint.js';

/** How often, in milliseconds, the log is looked at. */
const LOOK = 250;

/** What is there of `path` from the byte `from` on; empty when there is no such file. */
async function readFrom(path: string, from: number): Promise<Buffer> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new CommandError('failure', `${path}: ${error.code}`, { cause: error });
  });
  if (file === null) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** A log that is read on. */
export class LogReader {
  readonly #path: string;
  readonly #decoder = new StringDecoder('utf8');
  #position = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Both generations, the older one first; null when there is neither. */
  async all(): Promise<string | null> {
    const older = await readFrom(`${this.#path}.1`, 0);
    const now = await this.#read();
    return older.length + now.length === 0 ? null : this.#text(older) + this.#text(now);
  }

  /** What was written since, whether or not the log was full in between. */
  async more(): Promise<string> {
    const size = await stat(this.#path).then(
      (stats) => stats.size,
      () => 0,
    );
    if (size === this.#position) return '';
    if (size > this.#position) return this.#text(await this.#read());
    const missed = await readFrom(`${this.#path}.1`, this.#position);
    this.#position = 0;
    return this.#text(missed) + this.#text(await this.#read());
  }

  async #read(): Promise<Buffer> {
    const bytes = await readFrom(this.#path, this.#position);
    this.#position += bytes.length;
    return bytes;
  }

  /** Servers have a say in what is logged: their escape sequences must not reach a terminal. */
  #text(bytes: Buffer): string {
    return this.#decoder.write(bytes).replace(CONTROL, (char) => (/[\n\t]/.test(char) ? char : '?'));
  }
}

export interface LogRequest {
  readonly mountpoint: string;
  readonly follow: boolean;
}

/** Writes the log with `out`; follows it until `signal` says that it is enough. Throws a CommandError. */
export async function showLog(
  { mountpoint, follow }: LogRequest,
  env: NodeJS.ProcessEnv,
  uid: number,
  out: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const path = await mountedPath(mountpoint, await findFuseMounts());
  const [daemon] = await findDaemons(runtimeDirectory(env, uid), path);
  const status = daemon?.status ?? null;
  const place = status === null ? logFile(env, path) : status.log;
  if (place === null) {
    throw new CommandError(
      'failure',
      `${path}: its log goes where it was started from; of a service: journalctl _PID=${daemon?.pid}`,
    );
  }
  const reader = new LogReader(place);
  const text = await reader.all();
  if (text === null && daemon === undefined) {
    throw new CommandError('not-mounted', `${path}: nothing is mounted there, and no log of it was left`);
  }
  out(text ?? '');
  while (follow && !signal.aborted) {
    out(await reader.more());
    await delay(LOOK, undefined, { signal }).catch(() => {});
  }
}
