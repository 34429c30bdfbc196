/**
 * A FileSystem over a real SFTP session, without kernel and network: client and embedded server talk through
 * a stream in memory and serve a temporary directory. The client can be watched and made to fail.
 */
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import { ascii } from '../../src/base/bytes.js';
import type { Clock } from '../../src/base/clock.js';
import type { Path } from '../../src/base/path.js';
import { fsOptions } from '../../src/cli/wiring.js';
import { parseMountOptions } from '../../src/config/parse.js';
import { prepareService, SftpSession } from '../../src/demo/sftp-server.js';
import { FileSystem } from '../../src/fs/filesystem.js';
import type { Identity } from '../../src/fs/identity.js';
import type { KernelCache } from '../../src/fs/operations.js';
import type { FsOptions } from '../../src/fs/options.js';
import { SftpClient } from '../../src/sftp/client.js';

export const path = (text: string): Path => text as Path;

/** Both clocks stand still until a test moves them; the wall clock starts at the real time. */
export class ManualClock implements Clock {
  #offset = 0;
  readonly #start = Date.now();

  advance(milliseconds: number): void {
    this.#offset += milliseconds;
  }

  now(): number {
    return this.#start + this.#offset;
  }

  monotonic(): number {
    return this.#offset;
  }
}

export interface DirectFileSystem {
  readonly fs: FileSystem;
  readonly clock: ManualClock;
  /** The served directory. */
  readonly disk: string;
  /** Names of the requests sent, in order; emptied by whoever wants to count. */
  readonly requests: string[];
  /** What the kernel was told to forget: `data a`, `entry b`. */
  readonly forgotten: string[];
  /** Stands before a request of that name: may wait or throw. */
  readonly before: Map<string, () => Promise<void> | void>;
  /** Stands behind the answer to a request of that name. */
  readonly after: Map<string, () => Promise<void>>;
  close(): Promise<void>;
}

export const nobody: Identity = {
  idmap: 'none',
  local: { uid: 0, gid: 0 },
  remote: null,
  uid: null,
  gid: null,
  umask: null,
};

export interface Connection {
  /** What the server offers; all that it can, if left out. */
  readonly extensions?: ReadonlySet<string>;
  /** Answers that come close together arrive in one chunk, as from a socket under load. */
  readonly coalesced?: boolean;
}

export async function openDirect(
  options: Partial<FsOptions> = {},
  identity: Partial<Identity> = {},
  { extensions, coalesced = false }: Connection = {},
): Promise<DirectFileSystem> {
  const disk = await mkdtemp(join(tmpdir(), 'remora-direct-'));
  const [plain, far] = duplexPair();
  const near = coalesced ? coalesce(plain) : plain;
  const session = new SftpSession(
    far,
    await prepareService({ root: disk, ...(extensions ? { extensions } : {}) }),
  );
  const client = await SftpClient.connect(near);
  const requests: string[] = [];
  const forgotten: string[] = [];
  const before = new Map<string, () => Promise<void> | void>();
  const after = new Map<string, () => Promise<void>>();
  const watched = watch(client, requests, before, after);
  const clock = new ManualClock();
  const fs = new FileSystem({
    client: watched,
    root: ascii('/'),
    options: { ...fsOptions(parseMountOptions([])), ...options },
    identity: { ...nobody, ...identity },
    clock,
  });
  const kernel: KernelCache = {
    invalidateEntry: (at) => forgotten.push(`entry ${at}`),
    invalidateData: (at) => forgotten.push(`data ${at}`),
    invalidateAttributes: (at) => forgotten.push(`attributes ${at}`),
  };
  fs.attachKernel(kernel);
  const close = async () => {
    const { openFiles, dirtyBytes } = fs.status();
    fs.close();
    session.end();
    await rm(disk, { recursive: true });
    if (openFiles > 0 || dirtyBytes > 0)
      throw new Error(`left open: ${openFiles} files, ${dirtyBytes} bytes`);
  };
  return { fs, clock, disk, requests, forgotten, before, after, close };
}

/** Answers further apart than this, in milliseconds, are not joined. */
const JOINING = 15;

/** Delivers as one chunk what came without a pause: every promise of it settles in one turn of the event loop. */
function coalesce(inner: Duplex): Duplex {
  const held: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  const deliver = () => {
    if (held.length > 0) outer.push(Buffer.concat(held.splice(0)));
  };
  const outer = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => void inner.write(chunk, done),
    final: (done) => void inner.end(done),
    destroy: (error, done) => {
      clearTimeout(timer);
      inner.destroy();
      done(error);
    },
  });
  inner.on('data', (chunk: Buffer) => {
    held.push(chunk);
    clearTimeout(timer);
    timer = setTimeout(deliver, JOINING);
  });
  inner.on('end', () => {
    deliver();
    outer.push(null);
  });
  return outer;
}

/** The client, with each method call noted and the hooks around it. */
function watch(
  client: SftpClient,
  requests: string[],
  before: ReadonlyMap<string, () => Promise<void> | void>,
  after: ReadonlyMap<string, () => Promise<void>>,
): SftpClient {
  return new Proxy(client, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const name = String(property);
        const call = () => Reflect.apply(value, target, args) as unknown;
        if (name === 'has' || name === 'end' || name === 'onClose') return call();
        requests.push(name);
        const first = before.get(name);
        const last = after.get(name);
        if (first === undefined && last === undefined) return call();
        const request = first === undefined ? call() : Promise.resolve(first()).then(call);
        return Promise.resolve(request).then(async (answer) => {
          await last?.();
          return answer;
        });
      };
    },
  });
}

/** All bytes of a file as programs read them. */
export async function readAll(fs: FileSystem, handle: number, offset = 0, size = 1 << 20): Promise<Buffer> {
  const { parts, release } = await fs.read(handle, offset, size);
  const data = Buffer.concat(parts);
  release();
  return data;
}

/** A time so long past that a change in the same second is out of the question. */
export const LONG_AGO = new Date('2020-01-01T00:00:00Z');

/** A file as another machine would make or change it. */
export async function serverFile(
  disk: string,
  name: string,
  content: string,
  mtime = LONG_AGO,
): Promise<void> {
  await writeFile(join(disk, name), content);
  await utimes(join(disk, name), mtime, mtime);
}
