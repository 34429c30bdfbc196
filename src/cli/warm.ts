/**
 * `remora warm`: fetches what lies at and below a path into the cache, so that it is there when it is needed. It reads
 * through the mount as any program would, several files at a time, so that the next reader finds what the kernel and
 * this process keep of that. A file that does not fit any more (into cache_dir, where there is one) is left out, since
 * it would drive out what was fetched before; smaller ones behind it may fit still.
 */
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { BLOCK_SIZE } from '../cache/blocks.js';
import { spaceFor } from '../cache/disk/entry.js';
import type { FsStatus } from '../fs/status.js';
import { CommandError, type ExitName } from './exit.js';
import { formatBytes, formatCount, formatDuration, formatRate } from './format.js';
import { daemonAt, findPlaces } from './place.js';
import type { Progress } from './progress.js';

/** Files under way at a time: enough to fill the round trips of small ones. */
const FILES = 8;
/** Bytes of one read(2). */
const READ_SIZE = 1024 * 1024;
/** How often the progress is shown, in milliseconds. */
const SHOWN_EVERY = 200;
/** Failures that are named. */
const NAMED = 10;

/** What was fetched; `--json` prints it. */
export interface Warmed {
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Left out, since they would not have fitted. */
  readonly omitted: { readonly files: number; readonly bytes: number };
  readonly failed: readonly { readonly path: string; readonly error: string }[];
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error);

/** The cache that is filled. */
interface Room {
  /** Bytes that it may hold. */
  readonly limit: number;
  /** Bytes that a file of a size takes there. */
  readonly sizeIn: (size: number) => number;
  /** The option that says so. */
  readonly option: string;
}

/** On disk, where that is the larger one. */
function roomOf({ cacheLimit, disk }: FsStatus): Room {
  if (disk?.state === 'on' && disk.limit > cacheLimit) {
    return { limit: disk.limit, sizeIn: spaceFor, option: 'cache_dir_size' };
  }
  const sizeIn = (size: number) => Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
  return { limit: cacheLimit, sizeIn, option: 'cache_size' };
}

export class Warming {
  readonly #path: string;
  readonly #sizeIn: (size: number) => number;
  /** Bytes of the cache that are left. */
  #room: number;
  #files = 0;
  #bytes = 0;
  readonly #omitted = { files: 0, bytes: 0 };
  readonly #failed: { path: string; error: string }[] = [];
  readonly #began = performance.now();

  constructor(path: string, { limit, sizeIn }: Room) {
    this.#path = path;
    this.#sizeIn = sizeIn;
    this.#room = limit;
  }

  get result(): Warmed {
    return {
      path: this.#path,
      files: this.#files,
      bytes: this.#bytes,
      seconds: (performance.now() - this.#began) / 1000,
      omitted: { ...this.#omitted },
      failed: this.#failed,
    };
  }

  /** Fetches everything, as far as it fits, or until `stopped`. */
  async run(stopped: AbortSignal): Promise<void> {
    const files = this.#walk(stopped);
    const worker = async () => {
      for await (const path of files) await this.#fetch(path, stopped);
    };
    await Promise.all(Array.from({ length: FILES }, worker));
  }

  /** The files at and below the path that fit; other filesystems that are mounted there are passed over. */
  async *#walk(stopped: AbortSignal): AsyncGenerator<Buffer> {
    const waiting = [Buffer.from(this.#path)];
    let device: number | null = null;
    for (let path = waiting.pop(); path !== undefined && !stopped.aborted; path = waiting.pop()) {
      try {
        const stats = await lstat(path);
        device ??= stats.dev;
        if (stats.dev !== device) continue;
        if (stats.isDirectory()) {
          const names = await readdir(path, { encoding: 'buffer' });
          for (const name of names.reverse()) waiting.push(Buffer.concat([path, Buffer.from('/'), name]));
        } else if (stats.isFile()) {
          if (this.#reserve(stats.size)) yield path;
        }
      } catch (error) {
        this.#fail(path, error);
      }
    }
  }

  /** Takes room for a file of `size` bytes, if there is as much. */
  #reserve(size: number): boolean {
    const needed = this.#sizeIn(size);
    if (needed > this.#room) {
      this.#omitted.files += 1;
      this.#omitted.bytes += size;
      return false;
    }
    this.#room -= needed;
    return true;
  }

  async #fetch(path: Buffer, stopped: AbortSignal): Promise<void> {
    let file: FileHandle | null = null;
    try {
      file = await open(path, 'r');
      const buffer = Buffer.allocUnsafe(READ_SIZE);
      while (!stopped.aborted) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) break;
        this.#bytes += bytesRead;
      }
      this.#files += 1;
    } catch (error) {
      this.#fail(path, error);
    } finally {
      await file?.close().catch((error: unknown) => this.#fail(path, error));
    }
  }

  #fail(path: Buffer, error: unknown): void {
    this.#failed.push({ path: path.toString(), error: codeOf(error) });
  }
}

/** `12 files, 3.4 MiB, 1.2 MiB/s`. */
export function describeProgress({ files, bytes, seconds }: Warmed): string {
  return `${formatCount(files, 'file')}, ${formatBytes(bytes)}, ${formatRate(bytes / Math.max(seconds, 0.001))}`;
}

/** `12 files, 3.4 MiB in 3s (1.2 MiB/s)`. */
function summary({ files, bytes, seconds }: Warmed): string {
  const rate = formatRate(bytes / Math.max(seconds, 0.001));
  return `${formatCount(files, 'file')}, ${formatBytes(bytes)} in ${formatDuration(seconds * 1000)} (${rate})\n`;
}

export interface WarmRequest {
  readonly path: string;
  readonly json: boolean;
}

/** A mount that is connected when it is first used has a filesystem from then on. */
async function filesystemAt(
  mountpoint: string,
  path: string,
  env: NodeJS.ProcessEnv,
  uid: number,
): Promise<FsStatus> {
  const ask = async () => (await daemonAt(mountpoint, env, uid)).status.filesystem;
  const known = await ask();
  if (known !== null) return known;
  await lstat(path);
  const filesystem = await ask();
  if (filesystem === null) throw new CommandError('failure', `${mountpoint} is not connected`);
  return filesystem;
}

/** Text for standard output. Throws a CommandError; `warn` gets what else a person should know. Ends when `stopped`. */
export async function warm(
  { path: typed, json }: WarmRequest,
  env: NodeJS.ProcessEnv,
  uid: number,
  warn: (text: string) => void,
  progress: Progress,
  stopped: AbortSignal,
): Promise<{ readonly text: string; readonly exit: ExitName }> {
  const [{ path, mountpoint }] = await findPlaces(typed);
  const filesystem = await filesystemAt(mountpoint, path, env, uid);
  if (filesystem.cacheLimit === 0) {
    throw new CommandError('failure', `${mountpoint} keeps no file data: it is mounted with direct_io`);
  }
  const room = roomOf(filesystem);
  const warming = new Warming(path, room);
  const timer = setInterval(() => progress.show(describeProgress(warming.result)), SHOWN_EVERY);
  // A server that does not answer holds up the readers, but not whoever has had enough.
  const enough = new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve()));
  await Promise.race([warming.run(stopped), enough]);
  clearInterval(timer);
  progress.clear();

  const { result } = warming;
  const { omitted } = result;
  if (omitted.files > 0) {
    const what = `${formatCount(omitted.files, 'file')}, ${formatBytes(omitted.bytes)}`;
    warn(`left out, since the cache holds ${formatBytes(room.limit)} (-o ${room.option}=): ${what}`);
  }
  if (result.failed.length > 0) {
    const named = result.failed.slice(0, NAMED).map(({ path, error }) => `  ${path}: ${error}\n`);
    warn(`${formatCount(result.failed.length, 'file')} could not be fetched:\n${named.join('')}`);
  }
  const exit = stopped.aborted ? 'interrupted' : result.failed.length > 0 ? 'failure' : 'ok';
  return { text: json ? `${JSON.stringify(result)}\n` : summary(result), exit };
}
