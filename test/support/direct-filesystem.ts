/**
 * A FileSystem over a real SFTP session, without kernel and network: client and embedded server talk through
 * a stream in memory and serve a temporary directory. The client can be watched and made to fail.
 */
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { ascii } from '../../src/base/bytes.js';
import type { Clock } from '../../src/base/clock.js';
import { O_RDONLY } from '../../src/base/mode.js';
import type { Path } from '../../src/base/path.js';
import type { DiskCache } from '../../src/cache/disk/disk-cache.js';
import { fsOptions } from '../../src/cli/wiring.js';
import { completeOptions, parseOptions } from '../../src/config/parse.js';
import { prepareService, SftpSession } from '../../src/demo/sftp-server.js';
import { FileSystem } from '../../src/fs/filesystem.js';
import { SAME_IDS } from '../../src/fs/id-map.js';
import type { Identity } from '../../src/fs/identity.js';
import type { KernelCache } from '../../src/fs/operations.js';
import type { FsOptions } from '../../src/fs/options.js';
import { RecoveringClient } from '../../src/recovery/client.js';
import { Session, type SessionSettings } from '../../src/recovery/session.js';
import { SftpClient } from '../../src/sftp/client.js';
import { ConnectionLostError } from '../../src/sftp/errors.js';

export const path = (text: string): Path => text as Path;

/** A write as a program makes it by write(2), not the kernel from pages in memory. */
export const NOT_PAGES = { fromPageCache: false };

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
  readonly link: DirectLink;
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
  /** The clients of `Connection.lanes`, their requests, and what stands before these. */
  readonly further: readonly SftpClient[];
  readonly laneRequests: string[];
  readonly beforeLane: Map<string, () => Promise<void> | void>;
  /** By the number of a lane: what its stream waits for before it carries anything further. */
  readonly heldLanes: Map<number, Promise<void>>;
}

export const nobody: Identity = {
  users: SAME_IDS,
  groups: SAME_IDS,
  login: null,
  givesAway: false,
  umask: null,
};

export interface Connection {
  /** What the server offers; all that it can, if left out. */
  readonly extensions?: ReadonlySet<string>;
  /** Answers that come close together arrive in one chunk, as from a socket under load. */
  readonly coalesced?: boolean;
  /** Further clients for bulk data, each with a session of its own, which lag behind by random times. */
  readonly lanes?: number;
  /** Bytes of a READ at most. */
  readonly maxRead?: number;
  /** Milliseconds that a call waits for a lost server. */
  readonly timeout?: number;
  /** What survives it. */
  readonly onDisk?: DiskCache;
  readonly recovery?: Partial<Pick<SessionSettings, 'reconnect' | 'reconnectMax'>>;
}

/** What carries the file system: a stream in memory that a test may cut, and others that may be had after it. */
export interface DirectLink {
  readonly session: Session;
  /** Ends the stream at once, in the middle of whatever is under way. */
  cut(): void;
  /** Why no further one can be had; null when one can. */
  refusal: Error | null;
  tries: number;
  /** Opens another one. */
  open(): Promise<SftpClient>;
  readonly reports: string[];
}

/** Ends with the test that asked for it, which fails when it left files, unwritten or lent data behind. */
export async function openDirect(
  options: Partial<FsOptions> = {},
  identity: Partial<Identity> = {},
  {
    extensions,
    coalesced = false,
    lanes = 0,
    maxRead,
    timeout = 60_000,
    recovery = {},
    onDisk,
  }: Connection = {},
): Promise<DirectFileSystem> {
  const disk = await mkdtemp(join(tmpdir(), 'remora-direct-'));
  const [plain, far] = duplexPair();
  const near = coalesced ? coalesce(plain) : plain;
  const service = await prepareService({ root: disk, ...(extensions ? { extensions } : {}) });
  const sessions = [new SftpSession(far, service)];
  const limits = maxRead === undefined ? {} : { maxRead };
  const client = await SftpClient.connect(near, limits);
  const further: SftpClient[] = [];
  const laneRequests: string[] = [];
  const beforeLane = new Map<string, () => Promise<void> | void>();
  const heldLanes = new Map<number, Promise<void>>();
  for (let lane = 0; lane < lanes; lane += 1) {
    const [ours, theirs] = duplexPair();
    sessions.push(new SftpSession(theirs, service));
    const lagging = slow(ours, async () => {
      await delay(Math.random() * LAG);
      await heldLanes.get(lane);
    });
    further.push(watch(await SftpClient.connect(lagging), laneRequests, beforeLane, new Map()));
  }
  const requests: string[] = [];
  const forgotten: string[] = [];
  const before = new Map<string, () => Promise<void> | void>();
  const after = new Map<string, () => Promise<void>>();
  const clock = new ManualClock();
  const streams = [near];
  const link: DirectLink = {
    refusal: null,
    reports: [],
    tries: 0,
    open: async () => {
      link.tries += 1;
      if (link.refusal !== null) throw link.refusal;
      const [ours, theirs] = duplexPair();
      streams.push(ours);
      sessions.push(new SftpSession(theirs, service));
      return watch(await SftpClient.connect(ours, limits), requests, before, after);
    },
    session: new Session(watch(client, requests, before, after), {
      open: () => link.open(),
      needsPerson: (error) => error instanceof Error && error.message === 'who are you?',
      reconnect: true,
      reconnectMax: 0,
      clock,
      report: (text) => link.reports.push(text),
      random: () => 1,
      ...recovery,
    }),
    cut: () => streams.at(-1)?.destroy(),
  };
  const fs = new FileSystem({
    client: new RecoveringClient(link.session, client, {
      clock,
      timeout,
      report: (text) => link.reports.push(text),
    }),
    bulk: { clients: further, want: () => undefined },
    root: ascii('/'),
    options: { ...fsOptions(completeOptions(parseOptions([]).given)), ...options },
    identity: { ...nobody, ...identity },
    disk: onDisk ?? null,
    clock,
    report: (text) => link.reports.push(text),
  });
  const kernel: KernelCache = {
    invalidateEntry: (at) => forgotten.push(`entry ${at}`),
    invalidateAbsence: (at) => forgotten.push(`absence ${at}`),
    invalidateData: (at) => forgotten.push(`data ${at}`),
    invalidateAttributes: (at) => forgotten.push(`attributes ${at}`),
    invalidateTree: async (at) => void forgotten.push(`tree ${at}`),
  };
  fs.attachKernel(kernel);
  onTestFinished(async () => {
    const { openFiles, dirtyBytes } = fs.status();
    fs.close();
    for (const each of sessions) each.end();
    for (const each of further) each.end();
    await rm(disk, { recursive: true });
    if (openFiles > 0 || dirtyBytes > 0)
      throw new Error(`left open: ${openFiles} files, ${dirtyBytes} bytes`);
    await expect.poll(() => fs.status().lentBytes).toBe(0);
  });
  return {
    fs,
    link,
    further,
    laneRequests,
    beforeLane,
    heldLanes,
    clock,
    disk,
    requests,
    forgotten,
    before,
    after,
  };
}

/** The connection goes before the server has seen the next request of that name. */
export function cutBefore({ before, link }: DirectFileSystem, request: string): void {
  before.set(request, async () => {
    before.delete(request);
    link.cut();
    throw new ConnectionLostError('cut before it was sent');
  });
}

/** The server carries out the next request of that name, and its answer is lost with the connection. */
export function cutAfter({ after, link }: DirectFileSystem, request: string): void {
  after.set(request, async () => {
    after.delete(request);
    link.cut();
    throw new ConnectionLostError('cut before the answer');
  });
}

/** The client of a mount over one that is never replaced. */
export function unrecovered(client: SftpClient, clock: Clock): RecoveringClient {
  const session = new Session(client, {
    open: () => Promise.reject(new Error('there is no other')),
    needsPerson: () => false,
    reconnect: false,
    reconnectMax: 0,
    clock,
    report: () => undefined,
  });
  return new RecoveringClient(session, client, { clock, timeout: 0, report: () => undefined });
}

/** Milliseconds by which a lane may lag, in each direction. */
const LAG = 4;

/** Delivers in order, each chunk after a delay of its own, in both directions. */
function slow(inner: Duplex, lag: () => Promise<void>): Duplex {
  let sent = Promise.resolve();
  let received = Promise.resolve();
  const outer = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      // As a socket does, it keeps what it took: the writer's memory may change from here on.
      const taken = Buffer.from(chunk);
      sent = sent.then(lag).then(() => void inner.write(taken));
      done();
    },
    final: (done) => void sent.then(() => inner.end(done)),
    destroy: (error, done) => {
      inner.destroy();
      done(error);
    },
  });
  const push = (chunk: Buffer | null) => {
    received = received.then(lag).then(() => void (outer.destroyed || outer.push(chunk)));
  };
  inner.on('data', push);
  inner.on('end', () => push(null));
  return outer;
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
        // Where the bytes go makes no difference to who watches.
        const name = property === 'readInto' ? 'read' : String(property);
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

/** What a program reads that opens the file, reads it and closes it. */
export async function contentOf({ fs }: Pick<DirectFileSystem, 'fs'>, name: string): Promise<string> {
  const { handle } = await fs.open(path(name), O_RDONLY);
  const data = await readAll(fs, handle);
  await fs.flush(handle);
  await fs.release(handle);
  return data.toString();
}

/** Names in a directory, as a program lists it. */
export async function list({ fs }: Pick<DirectFileSystem, 'fs'>, directory: string): Promise<string[]> {
  const { handle } = await fs.opendir(path(directory));
  const { entries } = await fs.readdir(handle, true);
  await fs.releasedir(handle);
  return entries.map(({ name }) => name as string);
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
