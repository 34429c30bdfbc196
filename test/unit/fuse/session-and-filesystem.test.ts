/** The kernel's requests on a real filesystem layer: promises that no layer can keep by itself. */
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import type { ThreadSignals } from '../../../src/fuse/interrupts.js';
import { OPCODE } from '../../../src/fuse/protocol/constants.js';
import { FuseSession } from '../../../src/fuse/session.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import { type DirectFileSystem, openDirect, serverFile } from '../../support/direct-filesystem.js';
import {
  cstring,
  initRequest,
  RecordingTransport,
  type Reply,
  request,
  u32,
  u64,
} from '../../support/fuse-wire.js';

const [EINTR, EFBIG, ENOSPC, ESTALE] = [4, 27, 28, 116];
const SIGTERM = 1n << 14n;
const SIGALRM = 1n << 13n;
const nothing: ThreadSignals = { pending: 0n, blocked: 0n, ignored: 0n, caught: 0n };
const LATER = new Date('2021-01-01T00:00:00Z');
const GETATTR_FH = 1;

let world: DirectFileSystem;
let transport: RecordingTransport;
let session: FuseSession;
/** What the thread of every request has pending. */
let signals: ThreadSignals;
let unique: number;

async function start(options = {}, coalesced = false): Promise<void> {
  world = await openDirect(options, {}, { coalesced });
  transport = new RecordingTransport();
  signals = nothing;
  unique = 2;
  session = new FuseSession({ operations: world.fs, transport, threadSignals: () => signals });
  world.fs.attachKernel(session.kernelCache);
  session.dispatch(initRequest());
  await session.ready;
}

beforeEach(() => start());

afterEach(async () => {
  world.before.clear();
  await session.end('unmounted');
});

/** Sends one request; `answered` waits for its reply. */
function send(opcode: number, nodeid: number, ...body: Buffer[]): number {
  unique += 2;
  session.dispatch(request(opcode, { unique, nodeid }, ...body));
  return unique;
}

async function answered(sent: number): Promise<Reply> {
  await expect.poll(() => transport.replies.some((reply) => reply.unique === sent)).toBe(true);
  return transport.replyTo(sent);
}

const call = (...sent: Parameters<typeof send>) => answered(send(...sent));

const interrupt = (sent: number) =>
  session.dispatch(request(OPCODE.INTERRUPT, { unique: sent + 1, nodeid: 0 }, u64(sent)));

/** The first field of LOOKUP's reply is the node, of OPEN's the handle. */
const first = ({ payload }: Reply) => Number(payload.readBigUInt64LE(0));
/** `size` of the `fuse_attr` that follows the lifetime in a reply to GETATTR. */
const sizeOf = ({ payload }: Reply) => Number(payload.readBigUInt64LE(24));

const lookup = async (name: string) => first(await call(OPCODE.LOOKUP, 1, cstring(name)));
const open = async (nodeid: number, flags: number) =>
  first(await call(OPCODE.OPEN, nodeid, u32(flags), u32(0)));
const read = async (nodeid: number, fh: number, offset = 0) =>
  (
    await call(OPCODE.READ, nodeid, u64(fh), u64(offset), u32(4096), u32(0), u64(0), u64(0))
  ).payload.toString();
const writeBody = (fh: number, text: string, offset = 0) => [
  u64(fh),
  u64(offset),
  u32(text.length),
  u32(0),
  u64(0),
  u64(0),
  Buffer.from(text),
];
const flushBody = (fh: number) => [u64(fh), u64(0), u64(0)];

/** Another machine gives the name to a new file. */
async function replace(name: string, content: string): Promise<void> {
  await serverFile(world.disk, 'replacement', content, LATER);
  await rename(join(world.disk, 'replacement'), join(world.disk, name));
}

it('a write where no file can be counted any more is EFBIG, and there is nothing to read', async () => {
  await serverFile(world.disk, 'f', 'content');
  const nodeid = await lookup('f');
  const fh = await open(nodeid, O_RDWR);
  const far = 2 ** 60;
  expect((await call(OPCODE.WRITE, nodeid, ...writeBody(fh, 'x', far))).error).toBe(EFBIG);
  expect(await read(nodeid, fh, far)).toBe('');
  expect(await read(nodeid, fh)).toBe('content');
});

describe('names that are known to be one file', () => {
  it('lead to one node, after the kernel has forgotten it as well', async () => {
    await serverFile(world.disk, 'a', 'content');
    const before = await lookup('a');
    expect(first(await call(OPCODE.LINK, 1, u64(before), cstring('b')))).toBe(before);
    // Nobody answers a FORGET.
    send(OPCODE.FORGET, before, u64(2));
    const again = await lookup('b');
    expect(again).not.toBe(before);
    expect(await lookup('a')).toBe(again);
    send(OPCODE.FORGET, again, u64(2));
    // READDIRPLUS tells of both as well.
    const fh = first(await call(OPCODE.OPENDIR, 1, u32(O_RDONLY), u32(0)));
    await call(OPCODE.READDIRPLUS, 1, u64(fh), u64(0), u32(4096), u32(0), u64(0), u64(0));
    const listed = await lookup('a');
    expect(listed).not.toBe(again);
    expect(await lookup('b')).toBe(listed);
    await call(OPCODE.RELEASEDIR, 1, u64(fh), u64(0), u64(0));
  });
});

describe('a refused write whose close was interrupted', () => {
  /** A file with a write that the server refuses when `refuse` is called, and its descriptor. */
  async function refusing() {
    await serverFile(world.disk, 'f', '');
    const nodeid = await lookup('f');
    const fh = await open(nodeid, O_WRONLY);
    const held = deferred<void>();
    world.before.set('write', async () => {
      await held.promise;
      throw new SftpStatusError(14, 'no space');
    });
    await call(OPCODE.WRITE, nodeid, ...writeBody(fh, 'hello'));
    return { nodeid, fh, refuse: () => held.resolve() };
  }

  it('is told by the next close of the descriptor', async () => {
    const { nodeid, fh, refuse } = await refusing();
    const closing = send(OPCODE.FLUSH, nodeid, ...flushBody(fh));
    signals = { ...nothing, pending: SIGTERM };
    interrupt(closing);
    expect((await answered(closing)).error).toBe(EINTR);
    refuse();
    await expect.poll(() => world.fs.status().dirtyBytes).toBe(0);
    expect((await call(OPCODE.FLUSH, nodeid, ...flushBody(fh))).error).toBe(ENOSPC);
    expect((await call(OPCODE.FLUSH, nodeid, ...flushBody(fh))).error).toBe(0);
  });

  it('is told at unmount when there is no next close', async () => {
    const { nodeid, fh, refuse } = await refusing();
    const closing = send(OPCODE.FLUSH, nodeid, ...flushBody(fh));
    signals = { ...nothing, pending: SIGTERM };
    interrupt(closing);
    expect((await answered(closing)).error).toBe(EINTR);
    refuse();
    await call(OPCODE.RELEASE, nodeid, u64(fh), u32(0), u32(0), u64(0));
    expect(await world.fs.flushAll()).toMatchObject([{ path: 'f', bytes: 5 }]);
  });

  it.each([
    ['one by one', false],
    ['in one chunk', true],
  ])('is told by a close that waits beside it (answers %s)', async (_how, coalesced) => {
    await start({}, coalesced);
    const { nodeid, fh, refuse } = await refusing();
    const closing = send(OPCODE.FLUSH, nodeid, ...flushBody(fh));
    const beside = send(OPCODE.FLUSH, nodeid, ...flushBody(fh));
    signals = { ...nothing, pending: SIGTERM };
    interrupt(closing);
    expect((await answered(closing)).error).toBe(EINTR);
    refuse();
    expect((await answered(beside)).error).toBe(ENOSPC);
  });
});

describe('an appending write under a signal that the program handles', () => {
  it('is never told EINTR while it waits for room, and so is not made twice', async () => {
    await start({ dirtyBytes: 4 });
    await serverFile(world.disk, 'log', '');
    const nodeid = await lookup('log');
    const fh = await open(nodeid, O_WRONLY | O_APPEND);
    const held = deferred<void>();
    world.before.set('write', () => held.promise);
    const writing = send(OPCODE.WRITE, nodeid, ...writeBody(fh, 'line\n'));
    signals = { ...nothing, pending: SIGALRM, caught: SIGALRM };
    interrupt(writing);
    held.resolve();
    const { error, payload } = await answered(writing);
    expect([error, payload.readUInt32LE(0)]).toEqual([0, 5]);
    await call(OPCODE.FLUSH, nodeid, ...flushBody(fh));
    expect(await readFile(join(world.disk, 'log'), 'utf8')).toBe('line\n');
  });
});

describe('a file whose name was given to another on the server', () => {
  it('is ESTALE to open, so that the kernel walks again and finds the new one', async () => {
    await serverFile(world.disk, 'f', 'old old');
    const old = await lookup('f');
    const fh = await open(old, O_RDONLY);
    await replace('f', 'new');
    expect((await call(OPCODE.OPEN, old, u32(O_RDONLY), u32(0))).error).toBe(ESTALE);
    const fresh = await lookup('f');
    expect(fresh).not.toBe(old);
    expect(await read(fresh, await open(fresh, O_RDONLY))).toBe('new');
    expect(await read(old, fh)).toBe('old old');
    expect(session.stats().openFiles).toBe(2);
  });

  it.each([
    ['the descriptor that asks', GETATTR_FH],
    ['any descriptor that is open', 0],
  ])('is still shown to fstat, through %s', async (_which, flags) => {
    await serverFile(world.disk, 'f', 'old old');
    const old = await lookup('f');
    const fh = await open(old, O_RDONLY);
    await replace('f', 'new');
    world.clock.advance(60_000);
    const stat = await call(OPCODE.GETATTR, old, u32(flags), u32(0), u64(fh));
    expect([stat.error, sizeOf(stat)]).toEqual([0, 7]);
    const fresh = await lookup('f');
    expect(sizeOf(await call(OPCODE.GETATTR, fresh, u32(0), u32(0), u64(0)))).toBe(3);
  });
});

describe('a rename under way', () => {
  it('makes a later OPEN of the file it replaces ESTALE, and never the file that takes its name', async () => {
    await serverFile(world.disk, 'a', 'AAAA');
    await serverFile(world.disk, 'b', 'BB', LATER);
    const [a, b] = [await lookup('a'), await lookup('b')];
    const renaming = send(OPCODE.RENAME2, 1, u64(1), u32(0), u32(0), cstring('b'), cstring('a'));
    const opening = send(OPCODE.OPEN, a, u32(O_RDONLY), u32(0));
    const moved = send(OPCODE.OPEN, b, u32(O_RDONLY), u32(0));
    expect((await answered(renaming)).error).toBe(0);
    expect((await answered(opening)).error).toBe(ESTALE);
    expect(await read(b, first(await answered(moved)))).toBe('BB');
  });

  it('waits for an OPEN that came before it', async () => {
    await serverFile(world.disk, 'a', 'AAAA');
    await serverFile(world.disk, 'b', 'BB', LATER);
    const a = await lookup('a');
    const opening = send(OPCODE.OPEN, a, u32(O_RDONLY), u32(0));
    const renaming = send(OPCODE.RENAME2, 1, u64(1), u32(0), u32(0), cstring('b'), cstring('a'));
    const fh = first(await answered(opening));
    expect((await answered(renaming)).error).toBe(0);
    expect(await read(a, fh)).toBe('AAAA');
  });
});
