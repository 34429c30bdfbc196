/**
 * An SFTP server that does what a test scripts: for each request it may send any bytes, nothing, or hang up; what
 * the script does not mind is answered honestly from a temporary directory, so that an attack meets a client in the
 * midst of real work. It serves any duplex stream: in memory below a FileSystem, or the subsystem of a real SSH
 * server (`rogue-host.ts`) for the command and the kernel.
 */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { ascii } from '../../src/base/bytes.js';
import { systemClock } from '../../src/base/clock.js';
import { FsError } from '../../src/base/errno.js';
import type { Path } from '../../src/base/path.js';
import { fsOptions } from '../../src/cli/wiring.js';
import { completeOptions, parseOptions } from '../../src/config/parse.js';
import { Answers, type Service } from '../../src/demo/answers.js';
import { prepareService } from '../../src/demo/sftp-server.js';
import { FileSystem } from '../../src/fs/filesystem.js';
import { SAME_IDS } from '../../src/fs/id-map.js';
import type { Identity } from '../../src/fs/identity.js';
import type { FsOptions } from '../../src/fs/options.js';
import { SftpClient } from '../../src/sftp/client.js';
import { EXTENSION_REVISIONS } from '../../src/sftp/constants.js';
import { FrameSplitter } from '../../src/sftp/frames.js';
import { encodeVersion } from '../../src/sftp/handshake.js';
import { decodeRequest, type Request, type UnknownRequest } from '../../src/sftp/requests.js';
import { unrecovered } from './direct-filesystem.js';
import { duplexPair } from './duplex.js';

/** What is sent for one request. */
export type Misdeed = Buffer | readonly Buffer[] | 'honest' | 'nothing' | 'hang up';

/** A request as a script sees it. */
export interface Asked {
  readonly id: number;
  readonly request: Request | UnknownRequest;
  /** Requests of this session before it. */
  readonly count: number;
}

export interface Script {
  /** Sent before the client says anything. */
  readonly prelude?: Buffer;
  /** Sent in place of the VERSION packet. */
  readonly greeting?: Buffer;
  /** All that the codec knows, unless given. */
  readonly extensions?: ReadonlySet<string>;
  readonly maxHandles?: number;
  /** Replies that come close together are sent last one first. */
  readonly reorders?: boolean;
  readonly answer?: (asked: Asked) => Misdeed;
}

/** The service that honest answers come from. */
export function honestService(root: string, { extensions, maxHandles }: Script): Promise<Service> {
  return prepareService({
    root,
    ...(extensions === undefined ? {} : { extensions }),
    ...(maxHandles === undefined ? {} : { maxHandles }),
  });
}

export class RogueSession {
  readonly #stream: Duplex;
  readonly #answers: Answers;
  readonly #script: Script;
  readonly #splitter = new FrameSplitter((bytes) => this.#take(bytes));
  #working: Promise<void> = Promise.resolve();
  #held: Buffer[] = [];
  #count = -1;

  constructor(stream: Duplex, service: Service, script: Script) {
    this.#stream = stream;
    this.#answers = new Answers(service);
    this.#script = script;
    if (script.prelude !== undefined) stream.write(script.prelude);
    stream.on('error', () => undefined);
    stream.on('close', () => this.#close());
    stream.on('end', () => {
      this.#close();
      stream.end();
    });
    stream.on('data', (chunk: Buffer) => this.#splitter.push(chunk));
  }

  #close(): void {
    this.#working = this.#working.then(() => this.#answers.handles.closeAll());
  }

  #take(bytes: Buffer): void {
    const count = this.#count++;
    if (count < 0) {
      const offered = this.#answers.service.extensions;
      const announced = [...EXTENSION_REVISIONS].filter(([name]) => offered.has(name));
      this.#send(this.#script.greeting ?? encodeVersion(new Map(announced)));
      return;
    }
    // Kept: a request is a view of the stream's memory.
    const { id, request } = decodeRequest(Buffer.from(bytes));
    const misdeed = this.#script.answer?.({ id, request, count }) ?? 'honest';
    this.#working = this.#working.then(async () => {
      if (misdeed === 'hang up') this.#stream.destroy();
      else if (misdeed === 'honest') this.#send(await this.#answers.answer(id, request));
      else if (misdeed !== 'nothing') for (const each of [misdeed].flat()) this.#send(each as Buffer);
    });
  }

  #send(bytes: Buffer): void {
    if (this.#script.reorders !== true) {
      if (!this.#stream.destroyed) this.#stream.write(bytes);
      return;
    }
    this.#held.push(bytes);
    if (this.#held.length === 1) setTimeout(() => this.#release(), 3);
  }

  #release(): void {
    for (const bytes of this.#held.splice(0).reverse())
      if (!this.#stream.destroyed) this.#stream.write(bytes);
  }
}

/** A directory to serve: `f` of 100,000 bytes, `d` with `d/x`, and a link `l` to `f`. */
export async function makeTree(directory: string): Promise<void> {
  await writeFile(join(directory, 'f'), CONTENT);
  await mkdir(join(directory, 'd'));
  await writeFile(join(directory, 'd', 'x'), 'x');
  await symlink('f', join(directory, 'l'));
}

export const CONTENT = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919) % 251));

export interface RogueFileSystem {
  readonly fs: FileSystem;
  readonly client: SftpClient;
  readonly disk: string;
  /** Lines for the log of the mount. */
  readonly reported: string[];
  close(): Promise<void>;
}

const NOBODY: Identity = {
  users: SAME_IDS,
  groups: SAME_IDS,
  login: null,
  givesAway: false,
  umask: null,
};

/** A FileSystem over a rogue. A request may go without progress for `requestTimeout` milliseconds. */
export async function openRogue(
  script: Script,
  options: Partial<FsOptions> = {},
  requestTimeout = 500,
): Promise<RogueFileSystem> {
  const disk = await mkdtemp(join(tmpdir(), 'remora-rogue-'));
  await makeTree(disk);
  const [near, far] = duplexPair();
  new RogueSession(far, await honestService(disk, script), script);
  const client = await SftpClient.connect(near, { requestTimeout });
  const reported: string[] = [];
  const fs = new FileSystem({
    client: unrecovered(client, systemClock),
    root: ascii('/'),
    options: { ...fsOptions(completeOptions(parseOptions([]).given)), ...options },
    identity: NOBODY,
    report: (text) => reported.push(text),
  });
  const close = async () => {
    fs.close();
    await rm(disk, { recursive: true, force: true });
  };
  return { fs, client, disk, reported, close };
}

/** The names of a directory, as programs see them. */
export async function listNames(fs: FileSystem, directory: string): Promise<string[]> {
  const { handle } = await fs.opendir(directory as Path);
  try {
    const { entries, describe } = await fs.readdir(handle, true);
    for (const entry of entries) describe(entry);
    return entries.map(({ name }) => name);
  } finally {
    await fs.releasedir(handle);
  }
}

/** What came of a call: `ok`, or its errno. Throws for an error that is none, and when nothing came of it. */
async function outcome(name: string, call: () => Promise<unknown>, limit: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} hangs`)), limit);
  });
  try {
    await Promise.race([call(), late]);
    return 'ok';
  } catch (error) {
    if (error instanceof FsError) return error.code;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

const [O_RDONLY, O_RDWR, O_CREAT] = [0, 2, 0o100];

/** Every call of the filesystem once, and what came of each; fails if one of them takes longer than `limit` ms. */
export async function everyCall(fs: FileSystem, limit = 10_000): Promise<Record<string, string>> {
  const path = (text: string) => text as Path;
  const calls: Record<string, () => Promise<unknown>> = {
    lookup: () => fs.lookup(path('f')),
    missing: () => fs.lookup(path('missing')),
    getattr: () => fs.getattr({ path: path('d'), handle: null }),
    readlink: () => fs.readlink(path('l')),
    list: () => listNames(fs, ''),
    listBelow: () => listNames(fs, 'd'),
    read: () => readThrough(fs, 'f'),
    statfs: () => fs.statfs(),
    access: () => fs.access({ path: path('f'), handle: null }, 4),
    create: async () => {
      const { handle } = await fs.create(path('new'), O_RDWR | O_CREAT, 0o644);
      try {
        await fs.write(handle, 0, Buffer.alloc(50_000, 'w'), { fromPageCache: false });
        await fs.fsync(handle);
        await fs.flush(handle);
      } finally {
        // No program waits for it; what the server does not take is kept as long as the mount lives.
        void fs.release(handle);
      }
    },
    chmod: () => fs.setattr({ path: path('f'), handle: null }, { mode: 0o600 }),
    truncate: () => fs.setattr({ path: path('f'), handle: null }, { size: 10 }),
    mkdir: () => fs.mkdir(path('made'), 0o755),
    symlink: () => fs.symlink(path('pointer'), ascii('f')),
    link: () => fs.link(path('f'), path('second')),
    rename: () => fs.rename(path('new'), path('renamed'), { noReplace: false }),
    unlink: () => fs.unlink(path('renamed')),
    rmdir: () => fs.rmdir(path('made')),
  };
  const came: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls)) came[name] = await outcome(name, call, limit);
  return came;
}

/** All bytes of a file, read as the kernel reads: up to the end that the filesystem knows of, and no further. */
export async function readThrough(fs: FileSystem, name: string): Promise<Buffer> {
  const { handle } = await fs.open(name as Path, O_RDONLY);
  try {
    const parts: Buffer[] = [];
    for (let at = 0; at < 1 << 20; ) {
      const { parts: got, release } = await fs.read(handle, at, 32_768);
      const piece = Buffer.concat(got);
      release();
      if (piece.length === 0) break;
      parts.push(piece);
      at += piece.length;
    }
    return Buffer.concat(parts);
  } finally {
    await fs.release(handle);
  }
}
