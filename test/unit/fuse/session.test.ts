/** One reply to each request, whatever it holds: errors, nodes, handles, and the end of a session. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { FsError } from '../../../src/base/errno.js';
import { OPCODE } from '../../../src/fuse/protocol/constants.js';
import { invalInode } from '../../../src/fuse/protocol/replies.js';
import { FuseSession } from '../../../src/fuse/session.js';
import { directoryStat, fakeOperations, fileStat, readResult } from '../../support/fake-operations.js';
import { READ, serve } from '../../support/fuse-session.js';
import {
  cstring,
  initRequest,
  RecordingTransport,
  request,
  settle,
  u32,
  u64,
} from '../../support/fuse-wire.js';

const [ENOENT, EIO, EINVAL, ENAMETOOLONG, ENOSYS, ESTALE, EPROTO] = [2, 5, 22, 36, 38, 116, 71];

describe('dispatch', () => {
  it('answers INIT and then is ready', async () => {
    const { transport, session } = serve({});
    await expect(session.ready).resolves.toMatchObject({ major: 7, maxWrite: 1048576 });
    expect(transport.replyTo(1).payload).toHaveLength(64);
  });

  it('refuses an old kernel, to it and to whoever mounts', async () => {
    const transport = new RecordingTransport();
    const session = new FuseSession({ operations: fakeOperations({}), transport });
    session.dispatch(request(OPCODE.INIT, { unique: 1 }, u32(7), u32(30), u32(0), u32(0)));
    await settle();
    expect(transport.replyTo(1).error).toBe(EPROTO);
    await expect(session.ready).rejects.toThrow('7.31 (Linux 5.4) or newer is needed');
  });

  it('looks up, and counts it', async () => {
    const { session, call, lookup } = serve({ lookup: async () => fileStat, getattr: async () => fileStat });
    const id = await lookup(1, 'a');
    expect(await lookup(1, 'a')).toBe(id);
    session.dispatch(request(OPCODE.FORGET, { nodeid: id }, u64(1)));
    expect((await call(OPCODE.GETATTR, id, u32(0), u32(0), u64(0))).error).toBe(0);
    session.dispatch(request(OPCODE.BATCH_FORGET, { nodeid: 0 }, u32(1), u32(0), u64(id), u64(1)));
    expect((await call(OPCODE.GETATTR, id, u32(0), u32(0), u64(0))).error).toBe(ESTALE);
    expect(session.stats().nodes).toBe(1);
  });

  it('remembers a missing name for as long as it may', async () => {
    let entryTtl = 1500;
    const { call } = serve({ lookup: async () => ({ attributes: null, attrTtl: 0, entryTtl }) });
    const missing = async () => {
      const { error, payload } = await call(OPCODE.LOOKUP, 1, cstring('x'));
      return { error, nodeid: payload.readBigUInt64LE(0), seconds: payload.readBigUInt64LE(16) };
    };
    expect(await missing()).toEqual({ error: 0, nodeid: 0n, seconds: 1n });
    entryTtl = 0;
    expect(await missing()).toEqual({ error: 0, nodeid: 0n, seconds: 0n });
  });

  it('passes the errno of a failure, and EIO for what is our own fault', async () => {
    const { call } = serve({
      unlink: async () => {
        throw new FsError('ENOENT');
      },
      rmdir: () => {
        throw new TypeError('a bug');
      },
    });
    expect((await call(OPCODE.UNLINK, 1, cstring('x'))).error).toBe(ENOENT);
    expect((await call(OPCODE.RMDIR, 1, cstring('x'))).error).toBe(EIO);
  });

  it.each([
    ['name of 256 bytes', 'x'.repeat(256), ENAMETOOLONG],
    ['name with a slash', 'a/b', EINVAL],
    ['name ..', '..', EINVAL],
    ['empty name', '', EINVAL],
  ])('%s does not get to the filesystem', async (_what, text, errno) => {
    const { call } = serve({ mkdir: async () => directoryStat });
    expect((await call(OPCODE.MKDIR, 1, u32(0), u32(0), cstring(text))).error).toBe(errno);
  });

  it.each([
    OPCODE.GETXATTR,
    OPCODE.SETXATTR,
    OPCODE.LISTXATTR,
    OPCODE.SETLK,
    OPCODE.IOCTL,
    OPCODE.POLL,
    4242,
  ])('opcode %d answers ENOSYS', async (opcode) => {
    expect((await serve({}).call(opcode, 1, u64(0))).error).toBe(ENOSYS);
  });

  it('renames within the node table, and refuses to exchange', async () => {
    const rename = vi.fn(async () => undefined);
    const { call, lookup } = serve({ lookup: async () => fileStat, rename, getattr: async () => fileStat });
    const id = await lookup(1, 'a');
    const body = (flags: number) => [u64(1), u32(flags), u32(0), cstring('a'), cstring('b')];
    expect((await call(OPCODE.RENAME2, 1, ...body(2))).error).toBe(EINVAL);
    expect((await call(OPCODE.RENAME2, 1, ...body(1))).error).toBe(0);
    expect(rename.mock.calls).toEqual([['a', 'b', { noReplace: true }]]);
    expect(await lookup(1, 'b')).toBe(id);
  });

  it('a hard link is the same node', async () => {
    const { call, lookup } = serve({ lookup: async () => fileStat, link: async () => fileStat });
    const id = await lookup(1, 'a');
    const { payload } = await call(OPCODE.LINK, 1, u64(id), cstring('b'));
    expect(Number(payload.readBigUInt64LE(0))).toBe(id);
  });

  it('a removed file is reached through any handle it has, and does not exist without', async () => {
    const getattr = vi.fn(async () => fileStat);
    const { call, lookup } = serve({
      lookup: async () => fileStat,
      open: async () => ({ handle: 42, keepCache: false, directIo: false, staleAttributes: false }),
      unlink: async () => undefined,
      release: async () => undefined,
      getattr,
    });
    const id = await lookup(1, 'a');
    await call(OPCODE.OPEN, id, u32(0), u32(0));
    await call(OPCODE.UNLINK, 1, cstring('a'));
    expect((await call(OPCODE.GETATTR, id, u32(0), u32(0), u64(0))).error).toBe(0);
    expect(getattr.mock.calls).toEqual([[{ path: null, handle: 42 }]]);
    await call(OPCODE.RELEASE, id, u64(42), u32(0), u32(0), u64(0));
    expect((await call(OPCODE.GETATTR, id, u32(0), u32(0), u64(0))).error).toBe(ENOENT);
  });

  it('makes the kernel ask for the size of a file that has changed, before it may read', async () => {
    const { call, lookup, transport } = serve({
      lookup: async () => fileStat,
      open: async () => ({ handle: 42, keepCache: false, directIo: false, staleAttributes: true }),
    });
    const id = await lookup(1, 'a');
    await call(OPCODE.OPEN, id, u32(0), u32(0));
    expect(transport.notifications).toEqual([invalInode(id, false)]);
  });

  it('a file made where a removed one was known is another node', async () => {
    const { call, lookup } = serve({ lookup: async () => directoryStat, mkdir: async () => directoryStat });
    const id = await lookup(1, 'a');
    const { payload } = await call(OPCODE.MKDIR, 1, u32(0), u32(0), cstring('a'));
    expect(Number(payload.readBigUInt64LE(0))).not.toBe(id);
  });

  it('sends the chunks of a read as they are, and never more than was asked for', async () => {
    const { call } = serve({
      read: async () => readResult(Buffer.from('abc'), Buffer.from('defg'), Buffer.from('h')),
    });
    expect((await call(OPCODE.READ, 1, ...READ(1, 0, 5))).payload.toString()).toBe('abcde');
    expect((await call(OPCODE.READ, 1, ...READ(1, 0, 100))).payload.toString()).toBe('abcdefgh');
  });

  it('hands over a write before the buffer is used again', async () => {
    const seen: string[] = [];
    const { session, transport } = serve({
      write: (_handle, _offset, data) => {
        seen.push(Buffer.from(data).toString());
        return Promise.resolve(data.length);
      },
    });
    const whole = request(
      OPCODE.WRITE,
      { unique: 4 },
      u64(1),
      u64(0),
      u32(3),
      u32(0),
      u64(0),
      u64(0),
      Buffer.from('xyz'),
    );
    session.dispatch(whole);
    whole.fill(0);
    await settle();
    expect(seen).toEqual(['xyz']);
    expect(transport.replyTo(4).payload.readUInt32LE(0)).toBe(3);
  });

  it('bounds what a copy may answer to 32 bits', async () => {
    const copyFileRange = vi.fn(async (...args: number[]) => args[4] ?? 0);
    const { call } = serve({ copyFileRange });
    const body = [u64(1), u64(0), u64(1), u64(2), u64(0), u64(2 ** 40), u64(0)];
    expect((await call(OPCODE.COPY_FILE_RANGE, 1, ...body)).payload.readUInt32LE(0)).toBe(0xfffff000);
  });
});

describe('the end', () => {
  it('releases what is still open, and answers nothing any more', async () => {
    const release = vi.fn(async () => undefined);
    const releasedir = vi.fn(async () => Promise.reject(new FsError('EIO')));
    const { call, session, transport } = serve({
      open: async () => ({ handle: 7, keepCache: false, directIo: false, staleAttributes: false }),
      opendir: async () => ({ handle: 8, keepCache: false }),
      lookup: () => new Promise(() => undefined),
      release,
      releasedir,
    });
    await call(OPCODE.OPEN, 1, u32(0), u32(0));
    await call(OPCODE.OPENDIR, 1, u32(0), u32(0));
    session.dispatch(request(OPCODE.LOOKUP, { unique: 100 }, cstring('x')));
    await session.end('aborted');
    expect(await session.done).toBe('aborted');
    expect(release).toHaveBeenCalledWith(7);
    expect(releasedir).toHaveBeenCalledWith(8);
    expect(transport.replies.filter((reply) => reply.unique === 100)).toEqual([]);
    expect(session.stats()).toMatchObject({ state: 'ended', inFlight: 0, openFiles: 0, openDirectories: 0 });
  });

  it('gives back a handle whose reply the kernel did not take, and forgets it', async () => {
    const release = vi.fn(async () => undefined);
    const releasedir = vi.fn(async () => undefined);
    const { call, transport, session } = serve({
      open: async () => ({ handle: 7, keepCache: false, directIo: false, staleAttributes: false }),
      opendir: async () => ({ handle: 8, keepCache: false }),
      release,
      releasedir,
    });
    transport.accepts = false;
    await call(OPCODE.OPEN, 1, u32(0), u32(0));
    await call(OPCODE.OPENDIR, 1, u32(0), u32(0));
    expect(release).toHaveBeenCalledWith(7);
    expect(releasedir).toHaveBeenCalledWith(8);
    expect(session.stats()).toMatchObject({ openFiles: 0, openDirectories: 0 });
  });
});

describe('abort', () => {
  it('answers every waiting program with ECONNABORTED, then ends the connection; late answers go nowhere', async () => {
    let finish: (result: ReturnType<typeof readResult>) => void = () => {};
    const { transport, session } = serve({
      read: () => new Promise((resolve) => (finish = resolve)),
    });
    session.dispatch(request(OPCODE.READ, { unique: 40 }, ...READ(7, 0, 10)));
    await settle();
    expect(transport.aborted).toBe(false);
    session.abort();
    expect(transport.replyTo(40).error).toBe(103);
    expect(transport.aborted).toBe(true);
    finish(readResult(Buffer.from('late')));
    await settle();
    expect(transport.replies.filter(({ unique }) => unique === 40)).toHaveLength(1);
  });
});

describe('property', () => {
  const SILENT: readonly number[] = [OPCODE.FORGET, OPCODE.BATCH_FORGET, OPCODE.INTERRUPT];
  const opcode = fc.oneof(fc.constantFrom(...Object.values(OPCODE)), fc.nat(70));

  it('every request gets exactly one reply, whatever it holds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(opcode, fc.nat(3), fc.uint8Array({ maxLength: 120 }), fc.boolean()), {
          maxLength: 20,
        }),
        async (requests) => {
          const { transport, session } = serve({
            lookup: async () => fileStat,
            mkdir: async () => directoryStat,
            create: async () => ({
              ...fileStat,
              handle: 1,
              keepCache: true,
              directIo: false,
              staleAttributes: false,
            }),
            read: async () => readResult(Buffer.alloc(300)),
            readdir: async () => ({ entries: [], describe: () => undefined }),
          });
          const expected: number[] = [1];
          for (const [index, [code, nodeid, body, lies]] of requests.entries()) {
            const unique = 10 + index * 2;
            const whole = request(code, { unique, nodeid }, Buffer.from(body));
            if (lies) whole.writeUInt32LE(body.length, 0);
            expect(() => session.dispatch(whole)).not.toThrow();
            if (!SILENT.includes(code)) expected.push(unique);
          }
          await settle();
          const replied = transport.replies
            .map((reply) => reply.unique)
            .filter((unique) => unique % 2 === 0 || unique === 1);
          // An INTERRUPT of something unknown is the one silent request that may be told to come again.
          const interrupts = requests.flatMap(([code], index) =>
            code === OPCODE.INTERRUPT ? [10 + index * 2] : [],
          );
          expect(replied.filter((unique) => !interrupts.includes(unique)).sort((a, b) => a - b)).toEqual(
            expected,
          );
          expect(session.stats().inFlight).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('a request too short for a header is dropped', () => {
    const { transport, session } = serve({});
    const whole = initRequest(3);
    for (let length = 0; length < 40; length++) session.dispatch(whole.subarray(0, length));
    expect(transport.replies.filter((reply) => reply.unique === 3)).toEqual([]);
  });
});
