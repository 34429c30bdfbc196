import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/base/mode.js';
import { BLOCK_SIZE, BlockCache } from '../../../src/cache/blocks.js';
import { DiskCache } from '../../../src/cache/disk/disk-cache.js';
import { MemoryPool } from '../../../src/cache/pool.js';
import { fsOptions } from '../../../src/cli/wiring.js';
import { completeOptions, parseOptions } from '../../../src/config/parse.js';
import { Content } from '../../../src/fs/content.js';
import { Lanes } from '../../../src/fs/lanes.js';
import { FileNode } from '../../../src/fs/open-file.js';
import type { Attributes } from '../../../src/fs/operations.js';
import { Remote } from '../../../src/fs/remote.js';
import {
  contentOf,
  type DirectFileSystem,
  LONG_AGO,
  ManualClock,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

let directory: string;
const caches: DiskCache[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-disk-'));
});
afterEach(async () => {
  for (const cache of caches.splice(0)) await cache.close();
  await rm(directory, { recursive: true });
});

function cache(): DiskCache {
  const made = new DiskCache({
    directory,
    server: 'me@nas',
    limit: 2 ** 26,
    pendingLimit: 2 ** 24,
    clock: new ManualClock(),
    report: (text) => expect.fail(text),
  });
  caches.push(made);
  return made;
}

/** A mount of a server whose files lie in `disk`; the disk cache is the same for all. */
interface Mounted extends DirectFileSystem {
  readonly onDisk: DiskCache;
}

async function mount(options: Parameters<typeof openDirect>[0] = {}): Promise<Mounted> {
  const onDisk = cache();
  return { ...(await openDirect(options, {}, { onDisk })), onDisk };
}

async function write({ fs }: DirectFileSystem, name: string, data: string): Promise<void> {
  const { handle } = await fs.create(path(name), O_WRONLY | O_CREAT, 0o644);
  await fs.write(handle, 0, Buffer.from(data), NOT_PAGES);
  await fs.flush(handle);
  await fs.release(handle);
}

const AGAIN = LONG_AGO.getTime() / 1000;

/** A mount of a server that has such a file `f`. */
async function mountWith(content: string, mtime = LONG_AGO): Promise<Mounted> {
  const mounted = await mount();
  await serverFile(mounted.disk, 'f', content, mtime);
  return mounted;
}

/** An earlier mount has read such a file `f`, and ended. */
async function wasRead(content: string): Promise<void> {
  const mounted = await mountWith(content);
  await contentOf(mounted, 'f');
  await mounted.onDisk.close();
}

describe('with cache_dir', () => {
  it('a file that the server told of a moment ago opens and is read without asking it again', async () => {
    await wasRead('kept');
    const second = await mountWith('kept');
    await second.fs.lookup(path('f'));
    expect(second.requests).toEqual(['lstat']);
    const { handle } = await second.fs.open(path('f'), O_RDONLY);
    expect((await readAll(second.fs, handle)).toString()).toBe('kept');
    await second.fs.release(handle);
    expect(second.requests).toEqual(['lstat']);
    // Another content is none of what is on disk.
    const third = await mountWith('other');
    await third.fs.lookup(path('f'));
    expect(await contentOf(third, 'f')).toBe('other');
  });

  it('content comes from disk after a remount, and open asks as ever', async () => {
    const long = 'x'.repeat(3 * BLOCK_SIZE + 5);
    const first = await mount();
    for (const [name, content] of [
      ['f', 'short'],
      ['g', long],
    ] as const)
      await serverFile(first.disk, name, content);
    expect(await contentOf(first, 'f')).toBe('short');
    expect(await contentOf(first, 'g')).toBe(long);
    await first.onDisk.close();

    const second = await mount();
    for (const [name, content] of [
      ['f', 'short'],
      ['g', long],
    ] as const)
      await serverFile(second.disk, name, content);
    expect(await contentOf(second, 'f')).toBe('short');
    expect(await contentOf(second, 'g')).toBe(long);
    expect(second.requests.filter((name) => name !== 'release')).toEqual([
      'open',
      'lstat',
      'close',
      'open',
      'lstat',
      'close',
    ]);
    expect(second.fs.status().disk).toMatchObject({ state: 'on', hits: 5, misses: 0 });
  });

  it.each([
    ['size', 'shorter!', LONG_AGO],
    ['time', 'short', new Date('2020-01-01T00:00:01Z')],
  ])('content of another %s is read anew', async (_what, content, mtime) => {
    await wasRead('SHORT');
    const second = await mountWith(content, mtime);
    expect(await contentOf(second, 'f')).toBe(content);
  });

  it('content of other permissions is read anew', async () => {
    await wasRead('short');
    const second = await mountWith('short');
    await chmod(join(second.disk, 'f'), 0o600);
    await contentOf(second, 'f');
    expect(second.requests).toContain('read');
  });

  it('content that may change without showing it is not stored', async () => {
    const first = await mount();
    const now = new Date(Math.floor(first.clock.now() / 1000) * 1000);
    await serverFile(first.disk, 'f', 'old', now);
    await contentOf(first, 'f');
    await first.onDisk.close();
    const second = await mountWith('new', now);
    second.clock.advance(10_000);
    expect(await contentOf(second, 'f')).toBe('new');
  });

  it('what was written is read, and not what the disk has of it', async () => {
    const old = 'o'.repeat(2 * BLOCK_SIZE);
    await wasRead(old);
    const { fs } = await mountWith(old);
    const { handle } = await fs.open(path('f'), O_RDWR);
    const whole = Buffer.from('n'.repeat(BLOCK_SIZE) + old.slice(BLOCK_SIZE));
    await fs.write(handle, 0, whole.subarray(0, BLOCK_SIZE), NOT_PAGES);
    expect((await readAll(fs, handle)).equals(whole)).toBe(true);
    // Sent and confirmed, while nobody has asked for the new time.
    await vi.waitUntil(() => fs.status().dirtyBytes === 0);
    expect((await readAll(fs, handle)).equals(whole)).toBe(true);
    await fs.fsync(handle);
    expect((await readAll(fs, handle)).equals(whole)).toBe(true);
    await fs.release(handle);
  });

  it('a file that is given its former time does not get its former content', async () => {
    await wasRead('old');
    const next = await mountWith('xxx', new Date('2021-01-01T00:00:00Z'));
    await write(next, 'f', 'new');
    await next.fs.setattr({ path: path('f'), handle: null }, { mtime: AGAIN, atime: AGAIN });
    expect(await contentOf(next, 'f')).toBe('new');
    await next.onDisk.close();
    const last = await mountWith('new');
    expect(await contentOf(last, 'f')).toBe('new');
  });

  it.each([false, true])('nor does a file that is made anew with it (posted: %s)', async (posts) => {
    await wasRead('old');
    const next = await mount({ posts });
    await serverFile(next.disk, 'f', 'old');
    await next.fs.unlink(path('f'));
    const { handle } = await next.fs.create(path('f'), O_WRONLY | O_CREAT, 0o644);
    await next.fs.write(handle, 0, Buffer.from('new'), NOT_PAGES);
    await next.fs.setattr({ path: path('f'), handle }, { mtime: AGAIN, atime: AGAIN });
    await next.fs.flush(handle);
    await next.fs.release(handle);
    await next.fs.flushAll();
    expect(await contentOf(next, 'f')).toBe('new');
  });

  it('nor does one whose former time is posted, or set by another of its names', async () => {
    await wasRead('old');
    const next = await mount({ posts: true });
    await serverFile(next.disk, 'f', 'old');
    for (const name of ['g', 'h']) {
      await next.fs.lookup(path(''));
      await write(next, name, 'anything');
      await next.fs.flushAll();
    }
    await write(next, 'f', 'new');
    await next.fs.flushAll();
    await next.fs.link(path('f'), path('e'));
    await next.fs.lookup(path('e'));
    await next.fs.setattr({ path: path('e'), handle: null }, { mtime: AGAIN, atime: AGAIN });
    expect(next.fs.status().posted).toBe(1);
    expect(await contentOf(next, 'f')).toBe('new');
    await next.fs.flushAll();
  });

  it('a file that takes the place of another that looks the same does not get its content', async () => {
    await wasRead('old');
    const next = await mountWith('old');
    await serverFile(next.disk, 'g', 'new');
    await next.fs.lookup(path('g'));
    await next.fs.rename(path('g'), path('f'), { noReplace: false });
    expect(await contentOf(next, 'f')).toBe('new');
    await next.onDisk.close();
    const last = await mountWith('new');
    expect(await contentOf(last, 'f')).toBe('new');
  });

  it.each([
    ['written', 'content', 'f', false],
    ['replaced', 'name', 'f', false],
    ['in a directory that was replaced', 'name', 'd/f', true],
  ] as const)(
    'nor is one believed that was %s while somebody watched',
    async (_what, change, name, isDirectory) => {
      const first = await mount();
      await mkdir(join(first.disk, 'd'));
      await serverFile(first.disk, name, 'old');
      await contentOf(first, name);
      await first.onDisk.close();
      const next = await mount();
      await mkdir(join(next.disk, 'd'));
      await serverFile(next.disk, name, 'new');
      // Of the file itself nothing is known in memory.
      next.fs.elsewhere.changed({
        directory: path(''),
        name: path(isDirectory ? 'd' : 'f'),
        isDirectory,
        ofName: change === 'name',
        ofContent: change === 'content',
        found: undefined,
      });
      expect(await contentOf(next, name)).toBe('new');
    },
  );

  it('a file that is held in memory as well is read anew where somebody watched', async () => {
    const next = await mountWith('old');
    await next.fs.lookup(path('f'));
    expect(await contentOf(next, 'f')).toBe('old');
    await serverFile(next.disk, 'f', 'new');
    const [directory, name, found] = [path(''), path('f'), undefined];
    const change = { directory, name, isDirectory: false, ofName: false, ofContent: true, found };
    next.fs.elsewhere.changed(change);
    expect(await contentOf(next, 'f')).toBe('new');
  });

  it('a refresh reads everything anew', async () => {
    await wasRead('old');
    const next = await mountWith('new');
    await next.fs.refresh(path(''));
    expect(await contentOf(next, 'f')).toBe('new');
  });

  it('a file that changed while the disk was read is read from the server', async () => {
    await wasRead('old');
    const next = await mountWith('old');
    const { handle } = await next.fs.open(path('f'), O_RDONLY);
    const load = next.onDisk.load.bind(next.onDisk);
    vi.spyOn(next.onDisk, 'load').mockImplementation(async (...args) => {
      const found = await load(...args);
      await serverFile(next.disk, 'f', 'new', new Date('2020-01-01T00:00:05Z'));
      await next.fs.refresh(path('f'));
      return found;
    });
    expect((await readAll(next.fs, handle)).toString()).toBe('new');
    await next.fs.release(handle);
  });
});

describe('a file that is not open', () => {
  const ATTRIBUTES: Attributes = {
    mode: 0o100644,
    size: BLOCK_SIZE + 3,
    uid: 1,
    gid: 2,
    atime: 5,
    mtime: 5,
    ctime: 5,
    nlink: 1,
  };

  async function world(options: Parameters<typeof openDirect>[0] = {}) {
    const clock = new ManualClock();
    const blocks = new BlockCache(2 ** 20);
    const onDisk = cache();
    const remote = new Remote({ limits: { maxRead: 32768 } } as never, ascii('/srv'), false);
    const all = { ...fsOptions(completeOptions(parseOptions([]).given)), ...options };
    const node = new FileNode(7, path('d/f'), ATTRIBUTES.size, 32768, new MemoryPool(32768));
    const stamp = (attributes: Attributes) => {
      node.seen = attributes;
      node.seenVersion = node.version;
      node.stamp = attributes;
      node.racy = false;
    };
    const state = { path: ascii('/srv/d/f'), state: ATTRIBUTES };
    for (const [index, fill] of [...'ab'].entries()) {
      const piece = blocks.take();
      piece.length = index === 0 ? BLOCK_SIZE : 3;
      piece.memory.fill(fill);
      onDisk.keep(state, index, piece);
      piece.release();
    }
    await onDisk.close();
    const next = cache();
    const loading = new Content(remote, new Lanes(remote, null), blocks, next, all, clock);
    stamp(ATTRIBUTES);
    return { loading, node, stamp, blocks };
  }

  it('is brought into memory from disk alone', async () => {
    const { loading, node, blocks } = await world();
    expect(await loading.load(node, ATTRIBUTES)).toBe(true);
    const held = [0, 1].map((index) => blocks.get(node.id, index));
    expect(held.map((block) => block?.data.toString('latin1', 0, 4))).toEqual(['aaaa', 'bbb']);
    for (const block of held) block?.release();
    expect(blocks.lentBytes).toBe(0);
  });

  it.each([
    ['other permissions', { mode: 0o100600 }],
    ['another owner', { uid: 9 }],
    ['another group', { gid: 9 }],
    ['another time', { mtime: 6 }],
    ['another size', { size: 5 }],
  ])('is not, with %s', async (_what, change) => {
    const { loading, node, stamp, blocks } = await world();
    const attributes = { ...ATTRIBUTES, ...change };
    stamp(attributes);
    expect(await loading.load(node, attributes)).toBe(false);
    stamp(ATTRIBUTES);
    expect(await loading.load(node, attributes)).toBe(false);
    expect(blocks.bytes + blocks.lentBytes).toBe(0);
  });

  it('is not while it may have changed', async () => {
    const { loading, node, stamp } = await world();
    node.racy = true;
    expect(await loading.load(node, ATTRIBUTES)).toBe(false);
    stamp(ATTRIBUTES);
    loading.changed(node, 0, 5, node.size);
    expect(await loading.load(node, ATTRIBUTES)).toBe(false);
  });

  it('is not where owners and permissions are not those of the server', async () => {
    const { loading, node } = await world({ showsPermissions: false });
    expect(await loading.load(node, ATTRIBUTES)).toBe(false);
  });
});
