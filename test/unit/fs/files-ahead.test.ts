/** Small files that are read before a program opens them. */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import type { FsOptions } from '../../../src/fs/options.js';
import {
  type Connection,
  contentOf,
  type DirectFileSystem,
  list,
  NOT_PAGES,
  openDirect,
  path,
  serverFile,
} from '../../support/direct-filesystem.js';

const LATER = new Date('2022-02-02T00:00:00Z');

/** A directory `d` of so many small files, listed; what was asked so far is forgotten. */
async function direct(
  count: number,
  options: Partial<FsOptions> = {},
  connection: Connection = {},
): Promise<DirectFileSystem & { readonly names: readonly string[] }> {
  const world = await openDirect(options, {}, connection);
  await mkdir(join(world.disk, 'd'));
  for (let at = 0; at < count; at += 1) {
    await serverFile(world.disk, `d/${`${at}`.padStart(3, '0')}`, `content ${at}`);
  }
  const names = (await list(world, 'd')).map((name) => `d/${name}`);
  world.requests.length = 0;
  return { ...world, names };
}

async function quiet({ fs }: DirectFileSystem): Promise<void> {
  await expect.poll(() => fs.status().inFlight).toBe(0);
}

/** Reads the first files, so that the next ones are read ahead; answers one of these. */
async function begin(world: DirectFileSystem & { readonly names: readonly string[] }): Promise<string> {
  for (const name of world.names.slice(0, 3)) await contentOf(world, name);
  await quiet(world);
  const next = world.names[3] ?? '';
  expect(world.fs.status().prefetch.fetched.files).toBeGreaterThan(0);
  world.requests.length = 0;
  return next;
}

const opens = (requests: readonly string[]) => requests.filter((request) => request === 'open').length;

describe('files read one after the other', () => {
  it.each([0, 3])('are read ahead over %d lanes, and cost no round trip', async (lanes) => {
    const world = await direct(60, {}, { lanes });
    for (const name of world.names) {
      expect(await contentOf(world, name)).toBe(await readFile(join(world.disk, name), 'utf8'));
      await quiet(world);
    }
    // What the main channel carried: all of it without lanes, only the first files with them.
    const sent = [...world.requests, ...world.laneRequests];
    expect(opens(sent)).toBe(60);
    if (lanes > 0) expect(opens(world.requests)).toBeLessThanOrEqual(4);
    const { used, inVain } = world.fs.status().prefetch;
    expect(used.files).toBeGreaterThan(50);
    expect(inVain.files).toBe(0);
  });

  it('are waited for while they are on their way', async () => {
    const world = await direct(20);
    const held = deferred<void>();
    for (const name of world.names.slice(0, 2)) await contentOf(world, name);
    const third = await world.fs.open(path(world.names[2] ?? ''), O_RDONLY);
    world.after.set('read', () => held.promise);
    await expect.poll(() => world.requests.filter((request) => request === 'read').length).toBeGreaterThan(3);
    const opened = contentOf(world, world.names[3] ?? '');
    const before = opens(world.requests);
    held.resolve();
    world.after.delete('read');
    expect(await opened).toBe(await readFile(join(world.disk, world.names[3] ?? ''), 'utf8'));
    expect(opens(world.requests) - before).toBeLessThan(5);
    await world.fs.release(third.handle);
    await quiet(world);
  });

  it('are opened on the server when the lane that they were read over hangs, and the next take another', async () => {
    const world = await direct(60, {}, { lanes: 2 });
    const held = deferred<void>();
    onTestFinished(() => held.resolve());
    let last = performance.now();
    const readSome = async (from: number, to: number) => {
      for (const name of world.names.slice(from, to)) {
        expect(await contentOf(world, name)).toBe(await readFile(join(world.disk, name), 'utf8'));
        const now = performance.now();
        world.clock.advance(now - last);
        last = now;
      }
    };
    await readSome(0, 3);
    world.heldLanes.set(0, held.promise);
    await readSome(3, 30);
    const [hanging, well] = world.further;
    await expect.poll(() => hanging?.silence, { timeout: 5000 }).toBeGreaterThan(1000);
    const before = hanging?.inFlight;
    await readSome(30, 60);
    expect(hanging?.inFlight).toBe(before);
    expect(well?.inFlight).toBe(0);
    held.resolve();
    await quiet(world);
  });

  it('go on in the next directory when it becomes known', async () => {
    const world = await direct(6);
    await mkdir(join(world.disk, 'e'));
    for (let at = 0; at < 30; at += 1) await serverFile(world.disk, `e/${at + 10}`, 'x');
    for (const name of world.names) await contentOf(world, name);
    const next = (await list(world, 'e')).map((name) => `e/${name}`);
    await list(world, '');
    for (const name of next) {
      await contentOf(world, name);
      await quiet(world);
    }
    expect(world.fs.status().prefetch.used.files).toBeGreaterThan(25);
  });

  it('are read ahead of two programs at the same time, and beside one that reads here and there', async () => {
    const world = await direct(60);
    for (const directory of ['e', 'other']) {
      await mkdir(join(world.disk, directory));
      for (let at = 0; at < 60; at += 1) await serverFile(world.disk, `${directory}/${at + 100}`, 'x');
    }
    const second = (await list(world, 'e')).map((name) => `e/${name}`);
    const others = (await list(world, 'other')).map((name) => `other/${name}`);
    for (const [at, name] of world.names.entries()) {
      await contentOf(world, name);
      await contentOf(world, second[at] ?? '');
      await contentOf(world, others[(at * 37) % 60] ?? '');
      await quiet(world);
    }
    expect(world.fs.status().prefetch.used.files).toBeGreaterThan(100);
  });

  it('are left alone when the option says so', async () => {
    const world = await direct(20, { prefetch: false });
    for (const name of world.names) await contentOf(world, name);
    expect(world.fs.status().prefetch.fetched.files).toBe(0);
  });

  it('are left alone when they are empty, large or just changed', async () => {
    const world = await openDirect();
    for (const name of ['a', 'b', 'c']) await serverFile(world.disk, name, name);
    await serverFile(world.disk, 'd', '');
    await serverFile(world.disk, 'e', 'x'.repeat(200_000));
    await serverFile(world.disk, 'f', 'now', new Date());
    await list(world, '');
    for (const name of ['a', 'b', 'c']) await contentOf(world, name);
    await quiet(world);
    expect(world.fs.status().prefetch.fetched.files).toBe(0);
  });

  it('that nobody may read are tried once, and refused as ever', async () => {
    const world = await direct(20);
    for (const name of world.names.slice(0, 2)) await contentOf(world, name);
    let refusals = 0;
    world.before.set('open', () => {
      refusals += 1;
      // The first four are read ahead; the program's own comes behind them.
      if (refusals <= 4) throw new Error('refused');
    });
    await contentOf(world, world.names[2] ?? '');
    await quiet(world);
    world.requests.length = 0;
    world.before.set('open', () => Promise.reject(new Error('refused')));
    await expect(contentOf(world, world.names[3] ?? '')).rejects.toMatchObject({ code: 'EIO' });
    expect(opens(world.requests)).toBe(1);
    world.before.clear();
    expect(await contentOf(world, world.names[3] ?? '')).toBe(
      await readFile(join(world.disk, world.names[3] ?? ''), 'utf8'),
    );
    await quiet(world);
  });
});

describe('random access', () => {
  /** Requests that so many opens at random places among 1000 files in 50 directories cost. */
  async function cost(prefetch: boolean): Promise<number> {
    const world = await openDirect({ prefetch });
    const files: string[] = [];
    for (let d = 0; d < 50; d += 1) {
      const name = `d${d + 10}`;
      await mkdir(join(world.disk, name));
      for (let f = 0; f < 20; f += 1) {
        await serverFile(world.disk, `${name}/f${f + 10}`, 'x');
        files.push(`${name}/f${f + 10}`);
      }
    }
    await list(world, '');
    for (let d = 0; d < 50; d += 1) await list(world, `d${d + 10}`);
    await quiet(world);
    world.requests.length = 0;
    let seed = 42;
    for (let n = 0; n < 1500; n += 1) {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      await contentOf(world, files[(seed >>> 8) % files.length] ?? '');
      world.clock.advance(50);
    }
    await quiet(world);
    return world.requests.length;
  }

  it('costs hardly more requests than without reading ahead', async () => {
    expect(await cost(true)).toBeLessThan(1.05 * (await cost(false)));
  });
});

describe('what comes between reading ahead and opening', () => {
  it.each<[string, (world: DirectFileSystem, name: string) => Promise<void>, string]>([
    [
      'a write of ours',
      async ({ fs }, name) => {
        const { handle } = await fs.open(path(name), O_WRONLY);
        await fs.write(handle, 0, Buffer.from('WRITTEN'), NOT_PAGES);
        await fs.flush(handle);
        await fs.release(handle);
      },
      'WRITTEN',
    ],
    [
      'a truncation of ours',
      async ({ fs }, name) => {
        await fs.setattr({ path: path(name), handle: null }, { size: 3 });
      },
      'con',
    ],
    [
      'an open of ours that empties it',
      async ({ fs }, name) => {
        const { handle } = await fs.open(path(name), O_WRONLY | O_TRUNC);
        await fs.write(handle, 0, Buffer.from('anew'), NOT_PAGES);
        await fs.flush(handle);
        await fs.release(handle);
      },
      'anew',
    ],
    [
      'a rename of ours over it',
      async ({ fs, disk }, name) => {
        await serverFile(disk, 'other', 'the other');
        await fs.lookup(path('other'));
        await fs.rename(path('other'), path(name), { noReplace: false });
      },
      'the other',
    ],
    [
      'another machine, after the time that is trusted',
      async ({ disk, clock }, name) => {
        await serverFile(disk, name, 'changed', LATER);
        clock.advance(3000);
      },
      'changed',
    ],
  ])('%s shows', async (_what, change, expected) => {
    for (const when of ['before', 'while', 'after'] as const) {
      const world = await direct(20);
      const next = world.names[3] ?? '';
      const held = deferred<void>();
      if (when === 'before') await change(world, next);
      else if (when === 'while') world.after.set('fstat', () => held.promise);
      for (const name of world.names.slice(0, 3)) await contentOf(world, name);
      if (when === 'while') {
        await expect.poll(() => world.requests.includes('fstat')).toBe(true);
        world.after.delete('fstat');
        const changing = change(world, next);
        held.resolve();
        await changing;
      } else await quiet(world);
      if (when === 'after') await change(world, next);
      expect((await contentOf(world, next)).slice(0, expected.length), when).toBe(expected);
      await quiet(world);
    }
  });

  it('a removal of ours shows', async () => {
    const world = await direct(20);
    const next = await begin(world);
    await world.fs.unlink(path(next));
    await expect(world.fs.open(path(next), O_RDONLY)).rejects.toMatchObject({ code: 'ENOENT' });
    await quiet(world);
  });

  it('another machine shows at once where nothing is trusted', async () => {
    const world = await direct(20, { openTtl: 0 });
    const next = await begin(world);
    await serverFile(world.disk, next, 'changed', LATER);
    expect(await contentOf(world, next)).toBe('changed');
    await quiet(world);
  });

  it('a change of permissions shows, of the file and of a directory above it', async () => {
    for (const what of ['file', 'directory']) {
      const world = await direct(20);
      const next = await begin(world);
      const target = path(what === 'file' ? next : 'd');
      await world.fs.setattr({ path: target, handle: null }, { mode: what === 'file' ? 0o200 : 0o600 });
      await contentOf(world, next);
      expect(world.requests, what).toContain('open');
      await chmod(join(world.disk, 'd'), 0o755);
      await quiet(world);
    }
  });

  it('is not kept when the file is not what its name is known to be', async () => {
    const world = await direct(20);
    for (const name of world.names) await serverFile(world.disk, name, 'changed', LATER);
    for (const name of world.names.slice(0, 3)) await contentOf(world, name);
    await quiet(world);
    expect(await contentOf(world, world.names[3] ?? '')).toBe('changed');
    expect((await world.fs.lookup(path(world.names[4] ?? ''))).attributes?.size).toBe(7);
    await quiet(world);
  });
});

describe('pages that the kernel holds of a file', () => {
  it('are dropped by the first open of content that was read ahead, and kept by the next', async () => {
    const world = await direct(20);
    const next = path(await begin(world));
    for (const keepCache of [false, true]) {
      const opened = await world.fs.open(next, O_RDONLY);
      expect(opened.keepCache).toBe(keepCache);
      await world.fs.release(opened.handle);
    }
    expect(opens(world.requests)).toBeLessThan(5);
    await quiet(world);
  });
});
