import { randomBytes } from 'node:crypto';
import { readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import type { FileSystem } from '../../../src/fs/filesystem.js';
import { ConnectionLostError } from '../../../src/sftp/errors.js';
import { NOT_PAGES, openDirect, path } from '../../support/direct-filesystem.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const PIECE = 128 * KIB;

const direct = (lanes = 3) => openDirect({ dirtyBytes: 64 * MIB }, {}, { lanes });

async function readWhole(fs: FileSystem, handle: number, from: number, to: number): Promise<Buffer> {
  const whole: Buffer[] = [];
  for (let at = from; at < to; at += PIECE) {
    const { parts, release } = await fs.read(handle, at, PIECE);
    whole.push(Buffer.concat(parts));
    release();
  }
  return Buffer.concat(whole);
}

async function writeWhole(fs: FileSystem, handle: number, data: Buffer): Promise<void> {
  for (let at = 0; at < data.length; at += PIECE) {
    await fs.write(handle, at, data.subarray(at, at + PIECE), NOT_PAGES);
  }
}

const count = (requests: readonly string[], name: string) => requests.filter((each) => each === name).length;

describe('a large file', () => {
  it('is read over further lanes, and the home lane is left to the rest', async () => {
    const { fs, disk, requests, laneRequests } = await direct();
    const data = randomBytes(32 * MIB);
    const half = data.length / 2;
    await writeFile(join(disk, 'f'), data);
    const { handle } = await fs.open(path('f'), O_RDONLY);
    expect((await readWhole(fs, handle, 0, half)).equals(data.subarray(0, half))).toBe(true);
    await expect.poll(() => count(laneRequests, 'fstat')).toBe(3);
    await expect.poll(() => fs.status().inFlight).toBe(0);
    const before = count(requests, 'read');
    expect((await readWhole(fs, handle, half, data.length)).equals(data.subarray(half))).toBe(true);
    expect(count(requests, 'read')).toBe(before);
    expect(count(laneRequests, 'read')).toBeGreaterThan(0);
    await fs.release(handle);
    expect(count(laneRequests, 'close')).toBe(3);
  });

  it('is written over further lanes', async () => {
    const { fs, disk, laneRequests } = await direct();
    // Large enough that it is still being written when the lanes join, however slow the machine is.
    const data = randomBytes(48 * MIB);
    const { handle } = await fs.create(path('f'), O_WRONLY | O_CREAT, 0o644);
    await writeWhole(fs, handle, data);
    await fs.flush(handle);
    expect((await readFile(join(disk, 'f'))).equals(data)).toBe(true);
    expect(count(laneRequests, 'write')).toBeGreaterThan(10);
    await fs.release(handle);
  });

  it('keeps to the home lane while it is small', async () => {
    const { fs, disk, laneRequests } = await direct();
    await writeFile(join(disk, 'f'), randomBytes(200 * KIB));
    const { handle } = await fs.open(path('f'), O_RDWR);
    await readWhole(fs, handle, 0, 200 * KIB);
    await writeWhole(fs, handle, Buffer.alloc(200 * KIB));
    await fs.flush(handle);
    await fs.release(handle);
    expect(laneRequests).toEqual([]);
  });

  it('shows the size and time of its last write after a flush', async () => {
    const { fs, disk } = await direct();
    const { handle } = await fs.create(path('f'), O_RDWR | O_CREAT, 0o644);
    await writeWhole(fs, handle, randomBytes(9 * MIB));
    await fs.write(handle, 9 * MIB, Buffer.from('end'), NOT_PAGES);
    await fs.flush(handle);
    const { attributes } = await fs.getattr({ path: path('f'), handle: null });
    const there = await stat(join(disk, 'f'));
    expect(attributes.size).toBe(9 * MIB + 3);
    expect(attributes.mtime).toBe(Math.floor(there.mtimeMs / 1000));
    await fs.release(handle);
  });

  it('is whole when writes overlap each other on lanes that lag', async () => {
    const write = fc.record({ at: fc.nat(40), length: fc.integer({ min: 1, max: 24 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { minLength: 20, maxLength: 60 }), async (writes) => {
        const { fs, disk } = await direct();
        const { handle } = await fs.create(path('f'), O_RDWR | O_CREAT, 0o644);
        // Enough for lanes to be opened, then writes that cut across each other everywhere.
        const model = Buffer.alloc(4 * MIB, 'm');
        await writeWhole(fs, handle, model);
        for (const [number, { at, length }] of writes.entries()) {
          const data = Buffer.alloc(length * 50_000, number + 1);
          const offset = at * 45_000;
          data.copy(model, offset);
          await fs.write(handle, offset, data.subarray(0, model.length - offset), NOT_PAGES);
          if (number % 7 === 0) {
            const seen = await readWhole(fs, handle, 0, model.length);
            expect(seen.equals(model)).toBe(true);
          }
        }
        await fs.flush(handle);
        expect((await readFile(join(disk, 'f'))).equals(model)).toBe(true);
        await fs.release(handle);
      }),
      { numRuns: 8 },
    );
  }, 60_000);

  it('is written while what is read fills its lane: that goes the other way', async () => {
    const { fs, disk, after } = await direct(0);
    await writeFile(join(disk, 'read'), randomBytes(8 * MIB));
    const reader = await fs.open(path('read'), O_RDONLY);
    const held = deferred<void>();
    after.set('read', () => held.promise);
    const reading = Promise.all(
      Array.from({ length: 4 }, (_, at) => fs.read(reader.handle, at * 2 * MIB, MIB)),
    );
    const writer = await fs.create(path('written'), O_WRONLY | O_CREAT, 0o644);
    await fs.write(writer.handle, 0, Buffer.from('data'), NOT_PAGES);
    await fs.flush(writer.handle);
    expect(await readFile(join(disk, 'written'), 'utf8')).toBe('data');
    held.resolve();
    for (const { release } of await reading) release();
    await fs.release(writer.handle);
    await fs.release(reader.handle);
  });

  it('survives the loss of its lanes, one after the other, while it is written and read', async () => {
    const { fs, disk, further } = await direct();
    const data = randomBytes(24 * MIB);
    const { handle } = await fs.create(path('f'), O_RDWR | O_CREAT, 0o644);
    for (let at = 0; at < data.length; at += PIECE) {
      await fs.write(handle, at, data.subarray(at, at + PIECE), NOT_PAGES);
      if (at === 8 * MIB) further[0]?.end();
      if (at === 16 * MIB) further[1]?.end();
    }
    await fs.flush(handle);
    expect((await readFile(join(disk, 'f'))).equals(data)).toBe(true);
    await fs.release(handle);

    const again = await fs.open(path('f'), O_RDONLY);
    const reading = readWhole(fs, again.handle, 0, data.length);
    further[2]?.end();
    expect((await reading).equals(data)).toBe(true);
    await fs.release(again.handle);
  });

  it('has the time of a write that came behind one that a program had set', async () => {
    const { fs, disk, requests, laneRequests, after } = await direct();
    const { handle } = await fs.create(path('f'), O_WRONLY | O_CREAT, 0o644);
    await writeWhole(fs, handle, Buffer.alloc(MIB));
    await expect.poll(() => count(laneRequests, 'fstat')).toBe(3);
    await writeWhole(fs, handle, Buffer.alloc(MIB));
    await fs.setattr({ path: path('f'), handle }, { atime: 1, mtime: 1 });
    await fs.fsync(handle);
    const held = deferred<void>();
    after.set('fsetstat', () => held.promise);
    await fs.setattr({ path: path('f'), handle }, { atime: 1, mtime: 1 });
    const before = count(laneRequests, 'write');
    requests.length = 0;
    await writeWhole(fs, handle, Buffer.alloc(MIB));
    const flushed = fs.flush(handle);
    // Where there is an order, and behind the request that sets the time.
    expect(count(requests, 'write')).toBeGreaterThan(0);
    expect(count(laneRequests, 'write')).toBe(before);
    after.clear();
    held.resolve();
    await flushed;
    expect((await stat(join(disk, 'f'))).mtimeMs).toBeGreaterThan(1000);
    await fs.release(handle);
  });

  it('gets its attributes and its data in the order of the calls, however the lanes lag', async () => {
    const { fs, disk, laneRequests } = await direct();
    const { handle } = await fs.create(path('f'), O_WRONLY | O_CREAT, 0o644);
    await writeWhole(fs, handle, Buffer.alloc(MIB));
    await expect.poll(() => count(laneRequests, 'fstat')).toBe(3);
    for (let round = 0; round < 3; round += 1) {
      await writeWhole(fs, handle, Buffer.alloc(MIB, round));
      await fs.setattr({ path: path('f'), handle }, { atime: 1, mtime: 1 });
      await fs.setattr({ path: path('f'), handle }, { mode: 0o600 + round });
    }
    await fs.setattr({ path: path('f'), handle }, { size: 10 });
    await fs.flush(handle);
    await fs.release(handle);
    const there = await stat(join(disk, 'f'));
    expect(there).toMatchObject({ size: 10, mode: 0o100602 });
    expect(there.mtimeMs).toBeGreaterThan(1000);
  });

  it('does not use a handle of the file that took its name', async () => {
    const { fs, disk, beforeLane, laneRequests } = await direct();
    const data = randomBytes(8 * MIB);
    await writeFile(join(disk, 'f'), data);
    await writeFile(join(disk, 'other'), randomBytes(8 * MIB + 1));
    const { handle } = await fs.open(path('f'), O_RDONLY);
    beforeLane.set('open', async () => rename(join(disk, 'other'), join(disk, 'f')).catch(() => undefined));
    expect((await readWhole(fs, handle, 0, data.length)).equals(data)).toBe(true);
    expect(count(laneRequests, 'open')).toBeGreaterThan(0);
    expect(count(laneRequests, 'read')).toBe(0);
    await fs.release(handle);
    await expect.poll(() => count(laneRequests, 'close')).toBe(count(laneRequests, 'open'));
  });

  it('does without lanes where the server refuses to open it again, and asks once', async () => {
    const { fs, disk, beforeLane, laneRequests } = await direct();
    beforeLane.set('open', () => Promise.reject(new Error('refused')));
    const data = randomBytes(8 * MIB);
    const { handle } = await fs.create(path('f'), O_WRONLY | O_CREAT, 0o200);
    await writeWhole(fs, handle, data);
    await fs.flush(handle);
    await fs.release(handle);
    expect((await readFile(join(disk, 'f'))).equals(data)).toBe(true);
    expect(count(laneRequests, 'open')).toBe(3);
  });

  it('is told its error once when a lane cannot write', async () => {
    const { fs, beforeLane } = await direct();
    const { handle } = await fs.create(path('f'), O_WRONLY | O_CREAT, 0o644);
    beforeLane.set('write', () => Promise.reject(new Error('no room')));
    const told = await (async () => {
      for (let round = 0; round < 200; round += 1) {
        await writeWhole(fs, handle, Buffer.alloc(2 * MIB));
        await fs.flush(handle);
      }
      return 'nothing';
    })().catch((error: { code?: string }) => error.code);
    expect(told).toBe('EIO');
    await fs.release(handle);
  });
});

describe('data that has to wait', () => {
  it('is read for others through their own handle when a lane is lost and its reader has closed', async () => {
    const { fs, disk, further, beforeLane, laneRequests } = await direct(1);
    const data = randomBytes(96 * MIB);
    await writeFile(join(disk, 'f'), data);
    const first = await fs.open(path('f'), O_RDONLY);
    await readWhole(fs, first.handle, 0, 2 * MIB);
    await expect.poll(() => count(laneRequests, 'fstat')).toBe(1);
    await expect.poll(() => fs.status().inFlight).toBe(0);
    beforeLane.set('read', async () => {
      await expect.poll(() => further[0]?.state).toBe('closed');
    });
    const asked = fs.read(first.handle, 90 * MIB, PIECE);
    await expect.poll(() => count(laneRequests, 'read')).toBeGreaterThan(0);
    const second = await fs.open(path('f'), O_RDONLY);
    const shared = fs.read(second.handle, 90 * MIB, PIECE);
    await fs.release(first.handle);
    further[0]?.end();
    const wanted = data.subarray(90 * MIB, 90 * MIB + PIECE);
    for (const read of [asked, shared]) {
      const { parts, release } = await read;
      expect(Buffer.concat(parts).equals(wanted)).toBe(true);
      release();
    }
    await fs.release(second.handle);
  });

  it('is not waited for on one silent lane after the other: what a lost one was asked, the home lane is', async () => {
    const { fs, disk, further, requests, beforeLane, laneRequests } = await direct(2);
    await writeFile(join(disk, 'f'), '');
    await truncate(join(disk, 'f'), 96 * MIB);
    const { handle } = await fs.open(path('f'), O_RDONLY);
    await readWhole(fs, handle, 0, 2 * MIB);
    await expect.poll(() => count(laneRequests, 'fstat')).toBe(2);
    await expect.poll(() => fs.status().inFlight).toBe(0);
    // Neither answers any more; the first that is asked is given up.
    beforeLane.set('read', async () => {
      const asked = further.find(({ state }) => state === 'open');
      asked?.end();
      throw new ConnectionLostError('silent');
    });
    [requests.length, laneRequests.length] = [0, 0];
    const { parts, release } = await fs.read(handle, 90 * MIB, 1);
    expect(parts[0]?.length).toBe(1);
    release();
    expect([count(laneRequests, 'read'), count(requests, 'read')]).toEqual([1, 1]);
    beforeLane.clear();
    await fs.release(handle);
  });

  it('arrives whole where a READ may be shorter than a block', async () => {
    const each = await openDirect({}, {}, { maxRead: 5000 });
    const data = randomBytes(300_001);
    await writeFile(join(each.disk, 'f'), data);
    const { handle } = await each.fs.open(path('f'), O_RDONLY);
    expect((await readWhole(each.fs, handle, 0, data.length)).equals(data)).toBe(true);
    await each.fs.release(handle);
  });

  it('does not go to the file that a rename under way has given the name to', async () => {
    const { fs, disk, after } = await direct(1);
    const [old, young] = [Buffer.alloc(4 * MIB, 'o'), Buffer.alloc(4 * MIB, 'y')];
    await writeFile(join(disk, 'f'), old);
    await writeFile(join(disk, 'tmp'), young);
    const { handle } = await fs.open(path('f'), O_RDWR);
    let answer = () => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    after.set('posixRename', () => held);
    const renaming = fs.rename(path('tmp'), path('f'), { noReplace: false });
    await expect.poll(async () => (await readFile(join(disk, 'f')))[0]).toBe('y'.charCodeAt(0));
    await writeWhole(fs, handle, old);
    await fs.flush(handle);
    await expect.poll(() => fs.status().inFlight).toBe(0);
    await writeWhole(fs, handle, old);
    answer();
    await renaming;
    await writeWhole(fs, handle, old);
    await fs.release(handle);
    expect((await readFile(join(disk, 'f'))).equals(young)).toBe(true);
  });
});
