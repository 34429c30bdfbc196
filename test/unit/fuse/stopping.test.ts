/** Programs that are let go before their call has an answer. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { FsError } from '../../../src/base/errno.js';
import type { Operations, Stat } from '../../../src/fs/operations.js';
import type { Fate, ThreadSignals } from '../../../src/fuse/interrupts.js';
import { FUSE_EXPIRE_ONLY, OPCODE } from '../../../src/fuse/protocol/constants.js';
import { FuseSession } from '../../../src/fuse/session.js';
import { fakeOperations, fileStat } from '../../support/fake-operations.js';
import {
  cstring,
  initRequest,
  RecordingTransport,
  request,
  settle,
  u32,
  u64,
} from '../../support/fuse-wire.js';

const [EINTR, EEXIST] = [4, 17];
const SIGKILL = 1n << 8n;
const SIGALRM = 1n << 13n;
const NOTHING: ThreadSignals = { pending: 0n, blocked: 0n, ignored: 0n, caught: 0n };

describe('FUSE_INTERRUPT', () => {
  let transport: RecordingTransport;
  const FATAL = { ...NOTHING, pending: SIGKILL };
  const HANDLED = { ...NOTHING, pending: SIGALRM, caught: SIGALRM };

  beforeEach(() => {
    vi.useFakeTimers();
    transport = new RecordingTransport();
    isStalled = false;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** What the session is told of the server. */
  let isStalled: boolean;

  function serve(
    operations: Partial<Operations>,
    threadSignals: ThreadSignals | null,
    fateOf: () => Fate = () => 'lives',
  ): FuseSession {
    const session = new FuseSession({
      operations: fakeOperations(operations),
      transport,
      threadSignals: () => threadSignals,
      isStalled: () => isStalled,
      fateOf,
    });
    session.dispatch(initRequest());
    return session;
  }

  const interrupt = (unique: number) =>
    request(OPCODE.INTERRUPT, { unique: unique + 1, nodeid: 0 }, u64(unique));
  const lookup = (unique: number) => request(OPCODE.LOOKUP, { unique }, cstring('x'));
  const never = () => new Promise<never>(() => undefined);

  it('is tried again by the kernel when its request is not known', () => {
    serve({}, FATAL).dispatch(interrupt(4));
    expect(transport.replyTo(5)).toMatchObject({ error: 11 });
  });

  it('answers EINTR at once to a thread that dies', async () => {
    const session = serve({ lookup: never }, FATAL);
    await settle();
    session.dispatch(lookup(4));
    session.dispatch(interrupt(4));
    expect(transport.replyTo(4).error).toBe(4);
    expect(session.stats().inFlight).toBe(0);
  });

  it('has no reply of its own', () => {
    const session = serve({ lookup: never }, FATAL);
    session.dispatch(lookup(4));
    session.dispatch(interrupt(4));
    expect(transport.replies.filter((reply) => reply.unique === 5)).toEqual([]);
  });

  it('gives a handled signal a second of grace, in which the call may succeed', async () => {
    let finish: (value: null) => void = () => undefined;
    const gate = new Promise<null>((resolve) => {
      finish = resolve;
    });
    const session = serve({ lookup: () => gate.then(() => ({ ...fileStat })) }, HANDLED);
    session.dispatch(lookup(4));
    await settle();
    session.dispatch(interrupt(4));
    vi.advanceTimersByTime(999);
    finish(null);
    await settle();
    expect(transport.replyTo(4).error).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(transport.replyTo(4).error).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('answers EINTR when the grace is over, once, however often it is interrupted', async () => {
    const session = serve({ lookup: never }, HANDLED);
    session.dispatch(lookup(4));
    session.dispatch(interrupt(4));
    vi.advanceTimersByTime(500);
    session.dispatch(interrupt(4));
    vi.advanceTimersByTime(499);
    expect(transport.replies.filter((reply) => reply.unique === 4)).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(transport.replyTo(4).error).toBe(4);
  });

  it.each([
    ['FLUSH', OPCODE.FLUSH, 'flush', [u64(9), u64(0), u64(0)]],
    ['UNLINK', OPCODE.UNLINK, 'unlink', [cstring('x')]],
    ['MKDIR', OPCODE.MKDIR, 'mkdir', [u32(0o755), u32(0), cstring('x')]],
    ['CREATE', OPCODE.CREATE, 'create', [u32(0o101), u32(0o644), u32(0), u32(0), cstring('x')]],
  ] as const)(
    'never tells a program that goes on that its %s was interrupted: it would do it twice',
    async (_name, opcode, call, body) => {
      let fail: (error: Error) => void = () => undefined;
      const failing = new Promise<never>((_resolve, reject) => {
        fail = reject;
      });
      const session = serve({ [call]: () => failing }, HANDLED);
      session.dispatch(request(opcode, { unique: 4 }, ...body));
      await settle();
      session.dispatch(interrupt(4));
      vi.advanceTimersByTime(60_000);
      expect(transport.replies.filter((reply) => reply.unique === 4)).toEqual([]);
      fail(new FsError('ENOSPC'));
      await settle();
      expect(transport.replyTo(4).error).toBe(28);
    },
  );

  it.each([
    ['MKDIR', OPCODE.MKDIR, 'mkdir', [u32(0o755), u32(0), cstring('x')], ['x'], EEXIST],
    [
      'CREATE',
      OPCODE.CREATE,
      'create',
      [u32(0o101), u32(0o644), u32(0), u32(0), cstring('x')],
      ['x'],
      EEXIST,
    ],
    ['UNLINK', OPCODE.UNLINK, 'unlink', [cstring('x')], ['x'], EINTR],
    ['RENAME', OPCODE.RENAME, 'rename', [u64(1), cstring('x'), cstring('y')], ['x', 'y'], EINTR],
  ] as const)(
    'has the kernel ask anew at once for the name of a %s whose program ends, and the answer waits for it',
    async (_name, opcode, call, body, names, errno) => {
      const { promise, reject } = deferred<never>();
      const looked: string[] = [];
      const session = serve(
        {
          [call]: () => promise,
          lookup: async (path) => {
            looked.push(path);
            return { ...fileStat };
          },
        },
        FATAL,
      );
      await settle();
      session.dispatch(request(opcode, { unique: 4 }, ...body));
      await settle();
      expect(transport.notifications).toEqual([]);
      session.dispatch(interrupt(4));
      await settle();
      // What makes the kernel doubt at once what it believes of the name.
      expect(transport.replyTo(4).error).toBe(errno);
      const expired = () => transport.notifications.map((bytes) => bytes.subarray(32, 33).toString());
      expect(expired()).toEqual(names);
      for (const bytes of transport.notifications) expect(bytes.readUInt32LE(28)).toBe(FUSE_EXPIRE_ONLY);
      session.dispatch(request(OPCODE.LOOKUP, { unique: 6 }, cstring('x')));
      await settle();
      expect(looked).toEqual([]);
      reject(new FsError('EEXIST'));
      await settle();
      expect(looked).toEqual(['x']);
      expect(transport.replyTo(6).error).toBe(0);
      expect(expired()).toEqual(names);
    },
  );

  it('leaves a directory alone that was made all the same: somebody may be in it', async () => {
    const made = deferred<Stat>();
    const session = serve({ mkdir: () => made.promise }, FATAL);
    await settle();
    session.dispatch(request(OPCODE.MKDIR, { unique: 4 }, u32(0o755), u32(0), cstring('x')));
    await settle();
    session.dispatch(interrupt(4));
    await settle();
    made.resolve({ ...fileStat });
    await settle();
    expect(transport.notifications).toHaveLength(1);
  });

  it.each([
    ['WRITE', OPCODE.WRITE, 'write', [u64(9), u64(0), u32(1), u32(0), u64(0), u64(0), Buffer.from('x')]],
    ['FLUSH', OPCODE.FLUSH, 'flush', [u64(9), u64(0), u64(0)]],
    ['OPEN', OPCODE.OPEN, 'open', [u32(0), u32(0)]],
    ['OPEN to append', OPCODE.OPEN, 'open', [u32(0o2001), u32(0)]],
  ] as const)(
    'ends a %s under a handled signal while the server is stalled',
    async (_name, opcode, call, body) => {
      const session = serve({ [call]: never }, HANDLED);
      session.dispatch(request(opcode, { unique: 4 }, ...body));
      await settle();
      session.dispatch(interrupt(4));
      vi.advanceTimersByTime(20_000);
      expect(transport.replies.filter((reply) => reply.unique === 4)).toEqual([]);
      // The kernel tells of the signal once, so it must be remembered.
      isStalled = true;
      vi.advanceTimersByTime(1000);
      expect(transport.replyTo(4).error).toBe(4);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it.each([
    ['a killed', 'killed', true],
    ['an ending', 'ends', false],
    ['a living', 'lives', false],
  ] as const)(
    '%s program closes a file on a stalled server: let go of it: %s, %s',
    async (_name, fate, goes) => {
      const session = serve({ flush: never }, null, () => fate);
      await settle();
      session.dispatch(request(OPCODE.FLUSH, { unique: 4 }, u64(9), u64(0), u64(0)));
      vi.advanceTimersByTime(5000);
      expect(session.stats().inFlight).toBe(1);
      isStalled = true;
      vi.advanceTimersByTime(1000);
      expect(session.stats().inFlight).toBe(goes ? 0 : 1);
      await session.end('aborted');
    },
  );

  it.each([
    ['OPEN with O_TRUNC', OPCODE.OPEN, 'open', [u32(0o1001), u32(0)]],
    ['SETATTR', OPCODE.SETATTR, 'setattr', [Buffer.alloc(88)]],
    ['UNLINK', OPCODE.UNLINK, 'unlink', [cstring('x')]],
    ['CREATE', OPCODE.CREATE, 'create', [u32(0o101), u32(0o644), u32(0), u32(0), cstring('x')]],
  ] as const)('never ends a %s so, even on a stalled server', async (_name, opcode, call, body) => {
    isStalled = true;
    const session = serve({ [call]: never }, HANDLED);
    session.dispatch(request(opcode, { unique: 4 }, ...body));
    await settle();
    session.dispatch(interrupt(4));
    vi.advanceTimersByTime(60_000);
    expect(transport.replies.filter((reply) => reply.unique === 4)).toEqual([]);
    await session.end('aborted');
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['FLUSH', OPCODE.FLUSH, 'flush', [u64(9), u64(0), u64(0)]],
    ['FSYNC', OPCODE.FSYNC, 'fsync', [u64(9), u32(0), u32(0)]],
    ['WRITE', OPCODE.WRITE, 'write', [u64(9), u64(0), u32(1), u32(0), u64(0), u64(0), Buffer.from('x')]],
  ] as const)(
    'an interrupted %s gives back the error that it would have told',
    async (_name, opcode, call, body) => {
      const undelivered = vi.fn();
      let fail: (error: Error) => void = () => undefined;
      const failing = new Promise<never>((_resolve, reject) => {
        fail = reject;
      });
      const session = serve({ [call]: () => failing }, FATAL);
      session.dispatch(request(opcode, { unique: 4 }, ...body));
      await settle();
      session.dispatch(interrupt(4));
      expect(transport.replyTo(4).error).toBe(4);
      fail(new FsError('ENOSPC', 'disk full', { undelivered }));
      await settle();
      expect(undelivered).toHaveBeenCalledOnce();
    },
  );

  it('an error that was told is not given back, though the program ends with it', async () => {
    const undelivered = vi.fn();
    const session = serve(
      { fsync: () => Promise.reject(new FsError('EIO', 'lost', { undelivered })) },
      null,
      () => (transport.replies.some(({ unique }) => unique === 4) ? 'ends' : 'lives'),
    );
    session.dispatch(request(OPCODE.FSYNC, { unique: 4 }, u64(9), u32(0), u32(0)));
    await settle();
    expect(transport.replyTo(4).error).toBe(5);
    expect(undelivered).not.toHaveBeenCalled();
  });

  it.each([
    ['OPEN', OPCODE.OPEN, 'open', 'release', [u32(0), u32(0)]],
    ['OPENDIR', OPCODE.OPENDIR, 'opendir', 'releasedir', [u32(0), u32(0)]],
    ['CREATE', OPCODE.CREATE, 'create', 'release', [u32(0o101), u32(0o644), u32(0), u32(0), cstring('x')]],
  ] as const)(
    'an interrupted %s gives back the handle it gets later',
    async (_name, opcode, call, give, body) => {
      let finish: (value: unknown) => void = () => undefined;
      const opened = { handle: 9, keepCache: false, directIo: false, staleAttributes: false };
      const released = vi.fn(async () => undefined);
      const session = serve(
        {
          [call]: () => new Promise((resolve) => (finish = resolve)),
          [give]: released,
        },
        FATAL,
      );
      session.dispatch(request(opcode, { unique: 4 }, ...body));
      session.dispatch(interrupt(4));
      finish({ ...fileStat, ...opened });
      await settle();
      expect(transport.replyTo(4).error).toBe(call === 'create' ? EEXIST : EINTR);
      expect(released.mock.calls).toEqual([[9]]);
      expect(session.stats()).toMatchObject({ nodes: 1, openFiles: 0, openDirectories: 0, inFlight: 0 });
    },
  );

  it('an interrupted LOOKUP counts no lookup when it succeeds later', async () => {
    let finish: (value: typeof fileStat) => void = () => undefined;
    const session = serve({ lookup: () => new Promise((resolve) => (finish = resolve)) }, FATAL);
    session.dispatch(lookup(4));
    session.dispatch(interrupt(4));
    finish(fileStat);
    await settle();
    expect(session.stats().nodes).toBe(1);
  });
});
