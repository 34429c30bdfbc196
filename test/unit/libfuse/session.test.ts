/** Callbacks as fuse-native makes them, with records in memory that hold what its C structs would. */
import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { encodeText } from '../../../src/base/bytes.js';
import { deferred } from '../../../src/base/deferred.js';
import { ERRNO, FsError } from '../../../src/base/errno.js';
import { O_CREAT, O_EXCL, O_WRONLY } from '../../../src/base/mode.js';
import type { Operations, ReadResult, Stat } from '../../../src/fs/operations.js';
import { Handles } from '../../../src/libfuse/handles.js';
import { LibfuseSession } from '../../../src/libfuse/session.js';
import { fakeOperations, fileStat, readResult } from '../../support/fake-operations.js';
import { until } from '../../support/run.js';

/** `fuse_thread_locals_t` with a path and a `fuse_file_info`, which must be kept as long as it. */
function recordOf(fields: { path?: Buffer; flags?: number; fh?: number; times?: [number, number] } = {}) {
  const bytes = Buffer.alloc(360);
  const path = Buffer.concat([fields.path ?? Buffer.from('/f'), Buffer.alloc(1)]);
  const info = Buffer.alloc(40);
  info.writeInt32LE(fields.flags ?? 0, 0);
  info.writeBigUInt64LE(BigInt(fields.fh ?? 0), 24);
  bytes.writeBigUInt64LE(BigInt(koffi.address(path)), 24);
  bytes.writeBigUInt64LE(BigInt(koffi.address(info)), 48);
  const [atime = 0, mtime = 0] = fields.times ?? [];
  bytes.writeBigInt64LE(BigInt(atime), 104);
  bytes.writeBigInt64LE(BigInt(mtime), 112);
  return { bytes, path, info };
}

function served(given: Partial<Operations>) {
  const session = new LibfuseSession(fakeOperations(given));
  session.serve();
  const callbacks = session.callbacks();
  /** Makes a call; answers what fuse-native is told. */
  const call = (name: string, args: readonly unknown[], record = recordOf()): Promise<unknown[]> =>
    new Promise((resolve, reject) => {
      let answers = 0;
      const answer = (...values: unknown[]) =>
        ++answers === 1 ? resolve(values) : reject(new Error('twice'));
      session.during(record.bytes, () => (callbacks[name] as (...all: unknown[]) => void)(...args, answer));
    });
  return { session, call };
}

const opened = { handle: 41, keepCache: false, directIo: false, staleAttributes: false };

describe('calls', () => {
  it('answer what the filesystem says, or the negative errno', async () => {
    const { call } = served({ getattr: async () => fileStat });
    expect(await call('getattr', ['/f'])).toMatchObject([0, { mode: 0o100644, size: 5, mtime: 2000 }]);
    expect(await call('unlink', ['/f'])).toEqual([-ERRNO.EIO]);
    const full = served({ write: () => Promise.reject(new FsError('ENOSPC')), open: async () => opened });
    const [, number] = await full.call('open', ['/f', 1]);
    expect(await full.call('write', ['/f', number, Buffer.from('x'), 1, 0])).toEqual([-ERRNO.ENOSPC]);
  });

  it('get what their callbacks leave out from the record: flags of create, bytes of a name, both times', async () => {
    const seen: unknown[] = [];
    const { call } = served({
      create: async (path, flags) => {
        seen.push([path, flags]);
        return { ...fileStat, ...opened };
      },
      setattr: async (_, changes) => {
        seen.push(changes);
        return fileStat;
      },
    });
    const name = Buffer.from([0x2f, 0x61, 0xff]);
    await call('create', ['/a\uFFFD', 0o644], recordOf({ path: name, flags: O_WRONLY | O_CREAT | O_EXCL }));
    await call('utimens', ['/f', 1000, 1000], recordOf({ times: [1000, 2000] }));
    expect(seen).toEqual([['a\xff', O_WRONLY | O_CREAT | O_EXCL], { atime: 1, mtime: 2 }]);
  });

  it('tell the kernel to keep no pages where the filesystem says so', async () => {
    const { call } = served({ open: async () => ({ ...opened, directIo: true }) });
    const record = recordOf();
    await call('open', ['/f', 0], record);
    expect(record.info.readUInt8(20)).toBe(1);
  });

  it('copy data that is lent, no more than asked for, and give it back', async () => {
    let released = 0;
    const lent: ReadResult = {
      ...readResult(Buffer.from('abc'), Buffer.from('defgh')),
      release: () => {
        released++;
      },
    };
    const { call } = served({ open: async () => opened, read: async () => lent });
    const [, number] = await call('open', ['/f', 0]);
    const buffer = Buffer.alloc(5);
    expect(await call('read', ['/f', number, buffer, 5, 0])).toEqual([5]);
    expect([buffer.toString(), released]).toEqual(['abcde', 1]);
  });

  it('make ESTALE of a name that has gone, so that the kernel walks again', async () => {
    const { call } = served({ open: () => Promise.reject(new FsError('ENOENT')) });
    expect(await call('open', ['/f', 0])).toEqual([-ERRNO.ESTALE]);
  });
});

describe('the end', () => {
  it('answers whoever waits, gives back what comes too late, and releases what is open', async () => {
    const released: number[] = [];
    const late = deferred<typeof opened>();
    const reading = deferred<ReadResult>();
    let returned = 0;
    let opens = 0;
    const { session, call } = served({
      open: async () => (++opens === 1 ? opened : late.promise),
      read: () => reading.promise,
      release: async (handle) => void released.push(handle),
    });
    const [, number] = await call('open', ['/f', 0]);
    const waiting = [call('open', ['/g', 0]), call('read', ['/f', number, Buffer.alloc(1), 1, 0])];
    expect(session.stats()).toMatchObject({ inFlight: 2, openFiles: 1 });
    session.abort();
    expect(await Promise.all(waiting)).toEqual([[-ERRNO.ECONNABORTED], [-ERRNO.ECONNABORTED]]);
    expect(await session.gone).toBe('aborted');
    late.resolve({ ...opened, handle: 42 });
    reading.resolve({ parts: [Buffer.from('x')], release: () => void returned++ });
    expect(await session.done).toBe('aborted');
    await until('both to be given back', async () => released.length === 2 && returned === 1);
    expect(released.sort()).toEqual([41, 42]);
    expect(await call('getattr', ['/f'])).toEqual([-ERRNO.ECONNABORTED]);
    expect(session.stats()).toMatchObject({ state: 'ended', inFlight: 0, openFiles: 0 });
  });

  it('comes with a thread that ended: nobody is answered any more', async () => {
    const { session, call } = served({ getattr: () => new Promise<Stat>(() => undefined) });
    void call('getattr', ['/f']);
    await session.end('unmounted');
    expect(await session.done).toBe('unmounted');
    expect(session.stats().inFlight).toBe(0);
  });
});

describe('handles', () => {
  it('are small numbers from 1 on, used again, and unknown afterwards', () => {
    const handles = new Handles();
    const [a, b] = [handles.add(2 ** 40), handles.add(7)];
    expect([a, b, handles.get(a), handles.size]).toEqual([1, 2, 2 ** 40, 2]);
    expect(handles.remove(a)).toBe(2 ** 40);
    expect(() => handles.get(a)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => handles.remove(a)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(handles.add(9)).toBe(a);
    expect([...handles.drain()].sort()).toEqual([7, 9]);
    expect(handles.size).toBe(0);
  });

  it('of directories are apart from those of files', async () => {
    const { call } = served({
      open: async () => opened,
      opendir: async () => ({ handle: 5, keepCache: false }),
      readdir: async (handle) => {
        expect(handle).toBe(5);
        const entries = [{ name: encodeText('n'), type: 0o100000 }];
        return { entries, describe: () => undefined };
      },
    });
    await call('open', ['/f', 0]);
    const [, number] = await call('opendir', ['/', 0]);
    const [code, names, stats] = await call('readdir', ['/'], recordOf({ fh: number as number }));
    expect([code, names]).toEqual([0, ['.', '..', 'n']]);
    expect(stats).toMatchObject([{ mode: 0o040000 }, { mode: 0o040000 }, { mode: 0o100000 }]);
  });
});
