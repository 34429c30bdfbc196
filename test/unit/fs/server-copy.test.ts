/** copy_file_range on the server: what is copied, over which channel, and what the caller is told when it cannot be. */
import { appendFile, link, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import { COPY_DATA, EXTENSION_REVISIONS } from '../../../src/sftp/constants.js';
import {
  type Connection,
  cutAfter,
  cutBefore,
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
} from '../../support/direct-filesystem.js';

const MIB = 2 ** 20;
/** More than two first pieces. */
const LARGE = 24 * MIB;
/** Milliseconds of the server for one piece: too long for the channel that others wait for. */
const SLOW = 300;

const count = (requests: readonly string[], name: string) => requests.filter((each) => each === name).length;

interface Copying extends DirectFileSystem {
  readonly from: number;
  readonly to: number;
  close(): Promise<void>;
}

/** A file `from` on the server, and a new file `to`, both open. */
async function copying(content: Uint8Array | string, connection: Connection = {}): Promise<Copying> {
  const world = await openDirect({}, {}, connection);
  const { fs, disk } = world;
  await writeFile(join(disk, 'from'), content);
  const source = await fs.open(path('from'), O_RDONLY);
  const target = await fs.create(path('to'), O_RDWR | O_CREAT, 0o644);
  const close = async () => {
    for (const handle of [source.handle, target.handle]) {
      await fs.flush(handle);
      await fs.release(handle);
    }
  };
  return { ...world, from: source.handle, to: target.handle, close };
}

/** As programs copy: until all is there, or nothing comes. */
async function copyAll({ fs, from, to }: Copying, length: number): Promise<number> {
  let done = 0;
  for (;;) {
    const copied = await fs.copyFileRange(from, done, to, done, length - done);
    done += copied;
    if (copied === 0 || done === length) return done;
  }
}

function numbered(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 4096) bytes.writeUInt32LE(at, at);
  return bytes;
}

describe('what is copied', () => {
  it('includes what the source has not sent, and what comes behind the end of the target', async () => {
    const world = await copying('');
    const { fs, disk, to } = world;
    const writer = await fs.open(path('from'), O_WRONLY);
    await fs.write(writer.handle, 0, Buffer.from('just written'), NOT_PAGES);
    expect(await fs.copyFileRange(world.from, 5, to, 4, 100)).toBe(7);
    expect(await readFile(join(disk, 'to'))).toEqual(Buffer.from('\0\0\0\0written'));
    await fs.flush(writer.handle);
    await fs.release(writer.handle);
    await world.close();
  });

  it('ends where a source ends that another machine has cut, though the target goes on', async () => {
    const world = await copying('0123456789');
    const { fs, disk, from, to } = world;
    await fs.write(to, 0, Buffer.from('abcdefghijklmnop'), NOT_PAGES);
    await truncate(join(disk, 'from'), 4);
    expect(await fs.copyFileRange(from, 0, to, 1, 10)).toBe(4);
    expect(await fs.copyFileRange(from, 4, to, 5, 6)).toBe(0);
    expect((await readAll(fs, to)).toString()).toBe('a0123fghijklmnop');
    await world.close();
  });

  it('is known afterwards: size and time cost no question, neither for stat nor for close', async () => {
    const world = await copying('content');
    const { fs, requests, from, to } = world;
    await fs.copyFileRange(from, 0, to, 0, 7);
    requests.length = 0;
    const { attributes } = await fs.getattr({ path: path('to'), handle: to });
    expect(attributes.size).toBe(7);
    expect(attributes.mtime).toBeGreaterThan(Date.now() / 1000 - 60);
    await fs.flush(to);
    expect(requests).toEqual([]);
    await world.close();
  });

  it('takes the place of what was read of the target, and of its other names', async () => {
    const { fs, disk, forgotten } = await openDirect();
    await writeFile(join(disk, 'from'), 'new');
    await writeFile(join(disk, 'to'), 'old');
    await link(join(disk, 'to'), join(disk, 'twin'));
    const listing = await fs.opendir(path(''));
    await fs.readdir(listing.handle, true);
    await fs.releasedir(listing.handle);
    const source = await fs.open(path('from'), O_RDONLY);
    const target = await fs.open(path('to'), O_RDWR);
    const twin = await fs.open(path('twin'), O_RDONLY);
    for (const { handle } of [target, twin]) expect((await readAll(fs, handle)).toString()).toBe('old');
    await fs.copyFileRange(source.handle, 0, target.handle, 0, 3);
    for (const { handle } of [target, twin]) expect((await readAll(fs, handle)).toString()).toBe('new');
    expect(forgotten).toContain('data twin');
    for (const { handle } of [source, target, twin]) await fs.release(handle);
  });
});

describe('what is refused', () => {
  it('is ENOSYS where the server cannot, so that the kernel asks once', async () => {
    const extensions = new Set([...EXTENSION_REVISIONS.keys()].filter((name) => name !== COPY_DATA));
    const world = await copying('x', { extensions });
    await expect(copyAll(world, 1)).rejects.toMatchObject({ code: 'ENOSYS' });
    await world.close();
  });

  it('is EBADF for a target that appends or is not written, and a source that is not read', async () => {
    const world = await copying('x');
    const { fs, from, to } = world;
    const append = await fs.open(path('to'), O_WRONLY | O_APPEND);
    const writer = await fs.open(path('from'), O_WRONLY);
    const pairs = [
      [from, append.handle],
      [from, from],
      [writer.handle, to],
    ] as const;
    for (const [a, b] of pairs) {
      await expect(fs.copyFileRange(a, 0, b, 0, 1)).rejects.toMatchObject({ code: 'EBADF' });
    }
    for (const { handle } of [append, writer]) await fs.release(handle);
    await world.close();
  });

  it('is EINVAL where a file would overlap itself, and left to the kernel where it would not', async () => {
    const world = await copying('x'.repeat(100));
    const { fs } = world;
    const own = await fs.open(path('from'), O_RDWR);
    await expect(fs.copyFileRange(own.handle, 0, own.handle, 20, 21)).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await expect(fs.copyFileRange(own.handle, 20, own.handle, 0, 20)).rejects.toMatchObject({
      code: 'EOPNOTSUPP',
    });
    await fs.release(own.handle);
    await world.close();
  });

  it('is left to the kernel between two names that may be one file', async () => {
    const { fs, disk, requests } = await openDirect();
    await writeFile(join(disk, 'a'), 'x'.repeat(100));
    await link(join(disk, 'a'), join(disk, 'b'));
    const listing = await fs.opendir(path(''));
    await fs.readdir(listing.handle, true);
    await fs.releasedir(listing.handle);
    const [a, b] = [await fs.open(path('a'), O_RDONLY), await fs.open(path('b'), O_WRONLY)];
    await expect(fs.copyFileRange(a.handle, 0, b.handle, 50, 100)).rejects.toMatchObject({
      code: 'EOPNOTSUPP',
    });
    expect(requests).not.toContain('copyData');
    for (const { handle } of [a, b]) await fs.release(handle);
  });
});

describe('a copy whose connection is lost', () => {
  it.each([
    ['before the server has it', cutBefore],
    ['when the server has done it', cutAfter],
  ])('%s is made again', async (_, cut) => {
    const bytes = numbered(LARGE);
    const world = await copying(bytes);
    cut(world, 'copyData');
    expect(await copyAll(world, LARGE)).toBe(LARGE);
    expect(count(world.requests, 'copyData')).toBeGreaterThan(3);
    await world.close();
    expect((await readFile(join(world.disk, 'to'))).equals(bytes)).toBe(true);
  });

  it('goes on beside the talk when the channel for data is lost', async () => {
    const bytes = numbered(2 * LARGE);
    const world = await copying(bytes, { lanes: 1 });
    world.after.set('copyData', async () => world.clock.advance(SLOW));
    world.beforeLane.set('copyData', () => {
      for (const lane of world.further) lane.end();
    });
    expect(await copyAll(world, bytes.length)).toBe(bytes.length);
    expect(world.laneRequests).toContain('copyData');
    await world.close();
    expect((await readFile(join(world.disk, 'to'))).equals(bytes)).toBe(true);
  });
});

describe('a long copy', () => {
  it('moves to a channel for data, and is cut into pieces by what the server does in the time', async () => {
    const bytes = numbered(LARGE);
    const world = await copying(bytes, { lanes: 2 });
    const { fs, from, to, requests, laneRequests, clock, after } = world;
    after.set('copyData', async () => clock.advance(SLOW));
    const first = await fs.copyFileRange(from, 0, to, 0, LARGE);
    expect(first).toBe(16 * MIB);
    expect(count(requests, 'copyData')).toBe(2);
    expect(count(laneRequests, 'copyData')).toBe(0);
    expect(await fs.copyFileRange(from, first, to, first, LARGE - first)).toBe(LARGE - first);
    expect(count(requests, 'copyData')).toBe(2);
    expect(count(laneRequests, 'copyData')).toBeGreaterThan(0);
    await world.close();
    expect((await readFile(join(world.disk, 'to'))).equals(bytes)).toBe(true);
  });

  it('does not take a target that grows between two answers for another file', async () => {
    const world = await copying(numbered(LARGE));
    const { fs, disk, from, to, after, before } = world;
    const held = deferred<void>();
    after.set('copyData', () => held.promise);
    const copy = fs.copyFileRange(from, 0, to, 0, LARGE);
    await expect.poll(async () => (await readFile(join(disk, 'to'))).length).toBe(16 * MIB);
    await truncate(join(disk, 'to'), MIB);
    // On another channel than the copy's, each answer is older than the next one.
    before.set('fstat', () => appendFile(join(disk, 'to'), 'more'));
    await fs.getattr({ path: path('to'), handle: null });
    const reader = await fs.open(path('to'), O_RDONLY);
    before.clear();
    expect(fs.handles().filter((handle) => handle.path === 'to')).toHaveLength(2);
    held.resolve();
    await copy;
    await fs.release(reader.handle);
    await world.close();
  });
});
