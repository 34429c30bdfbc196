/** Directories listed before a program opens them: for walks, within bounds, and with nothing but the truth. */
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import { type DirectFileSystem, list, openDirect, path } from '../../support/direct-filesystem.js';

const HOUR = 3_600_000;

/** Directories `00`, `01`… in `parent`, each with one file. */
async function siblings(disk: string, count: number, parent = ''): Promise<string[]> {
  const names = Array.from({ length: count }, (_, at) => join(parent, `${at}`.padStart(2, '0')));
  for (const name of names) {
    await mkdir(join(disk, name), { recursive: true });
    await writeFile(join(disk, name, 'file'), 'x');
  }
  return names;
}

/** OPENDIRs sent since the last call. */
function opened(world: DirectFileSystem): number {
  const count = world.requests.filter((request) => request === 'opendir').length;
  world.requests.length = 0;
  return count;
}

/** Nothing more is under way. */
async function quiet(world: DirectFileSystem): Promise<void> {
  await expect.poll(() => world.fs.status().inFlight).toBe(0);
}

describe('a walk', () => {
  it.each([
    ['in the order of the listing', (names: string[]) => names],
    ['sorted by name', (names: string[]) => [...names].sort()],
  ])('%s takes a fraction of the round trips', async (_how, order) => {
    const world = await openDirect();
    await siblings(world.disk, 60);
    const children = order(await list(world, ''));
    // Every answer waits until nothing more is asked: so many waits, so many round trips.
    let trips = 0;
    let waiting: (() => void)[] = [];
    const answer = () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length > 1) return;
        setTimeout(() => {
          trips += 1;
          const all = waiting;
          waiting = [];
          for (const next of all) next();
        }, 10);
      });
    world.after.set('opendir', answer);
    world.after.set('readdir', answer);
    for (const child of children) expect(await list(world, child)).toEqual(['file']);
    world.after.clear();
    expect(trips).toBeLessThan((2 * children.length) / 4);
    await quiet(world);
    expect(opened(world)).toBe(1 + children.length);
  });

  it('goes down: the children of what was listed ahead are listed ahead as well', async () => {
    const world = await openDirect();
    for (const top of ['a', 'b', 'c']) await siblings(world.disk, 3, top);
    const [first, second, third] = await list(world, '');
    await list(world, first ?? '');
    await quiet(world);
    expect(opened(world)).toBe(6);
    for (const child of await list(world, first ?? '')) await list(world, join(first ?? '', child));
    await quiet(world);
    opened(world);
    for (const next of [second, third]) {
      for (const child of await list(world, next ?? '')) await list(world, join(next ?? '', child));
    }
    await quiet(world);
    expect(opened(world)).toBeLessThan(8);
  });

  it('that is only one listing, or a directory somewhere among others, lists nothing else', async () => {
    const world = await openDirect();
    await siblings(world.disk, 20);
    await list(world, '');
    expect(opened(world)).toBe(1);
    await list(world, (await list(world, ''))[7] ?? '');
    await quiet(world);
    expect(opened(world)).toBe(1);
  });

  it('level by level is foreseen as well', async () => {
    const world = await openDirect();
    for (const top of ['a', 'b', 'c', 'd', 'e', 'f']) await siblings(world.disk, 5, top);
    let level = [''];
    for (let depth = 0; depth < 3; depth += 1) {
      const below: string[] = [];
      for (const directory of level) {
        // By then it is seen that it goes by levels: what is wanted is there, and needs no answer.
        const isForeseen = depth === 2 || (depth === 1 && level.indexOf(directory) > 1);
        const held = deferred<void>();
        if (isForeseen) world.after.set('opendir', () => held.promise);
        const names = await list(world, directory);
        world.after.delete('opendir');
        held.resolve();
        await quiet(world);
        if (depth < 2) below.push(...names.map((name) => join(directory, name)));
      }
      level = below;
    }
    expect(opened(world)).toBe(1 + 6 + 30);
  });

  it('may have several going at once: threads that go through parts of one directory', async () => {
    const world = await openDirect();
    await siblings(world.disk, 60);
    const children = await list(world, '');
    const parts = [0, 15, 30, 45].map((from) => children.slice(from, from + 15));
    const foreseen: number[] = [];
    for (let step = 0; step < 15; step += 1) {
      for (const part of parts) await list(world, part[step] ?? '');
      await quiet(world);
      foreseen.push(opened(world));
    }
    // Each had to show where it goes with two steps; then what it lists was listed before.
    expect(foreseen.slice(0, 3).reduce((sum, count) => sum + count)).toBeGreaterThan(20);
    expect(foreseen.reduce((sum, count) => sum + count)).toBe(1 + 60);
    expect(foreseen.at(-1)).toBe(0);
  });

  it('that ended long ago is not gone on with', async () => {
    const world = await openDirect({ dirTtl: HOUR });
    await siblings(world.disk, 20);
    const [first] = await list(world, '');
    world.clock.advance(60_000);
    await list(world, first ?? '');
    await quiet(world);
    expect(opened(world)).toBe(2);
  });

  it('that ends early has listed no more than a few in vain', async () => {
    const world = await openDirect();
    await siblings(world.disk, 60);
    const children = await list(world, '');
    for (const child of children.slice(0, 5)) await list(world, child);
    await quiet(world);
    expect(opened(world)).toBeLessThan(1 + 5 + 9);
  });

  it('does not go through symbolic links', async () => {
    const world = await openDirect();
    await siblings(world.disk, 1);
    for (const name of ['l1', 'l2', 'l3']) await symlink('.', join(world.disk, name));
    await list(world, '');
    await list(world, '00');
    await quiet(world);
    expect(opened(world)).toBe(2);
  });

  it('lists nothing ahead where listings are not trusted', async () => {
    const world = await openDirect({ dirTtl: 0 });
    await siblings(world.disk, 20);
    for (const child of (await list(world, '')).slice(0, 3)) await list(world, child);
    await quiet(world);
    expect(opened(world)).toBe(4);
  });
});

describe('a listing that was made ahead', () => {
  it('is joined by an open that comes while it is under way', async () => {
    const world = await openDirect();
    await siblings(world.disk, 2);
    const [first = '', second = ''] = await list(world, '');
    const held = deferred<void>();
    world.after.set('readdir', () => held.promise);
    const [one, two] = [list(world, first), list(world, second)];
    await expect.poll(() => world.requests.filter((name) => name === 'readdir').length).toBe(6);
    world.after.clear();
    held.resolve();
    expect(await Promise.all([one, two])).toEqual([['file'], ['file']]);
    expect(opened(world)).toBe(3);
  });

  it('is trusted as long as one that was asked for', async () => {
    const world = await openDirect();
    await siblings(world.disk, 2);
    const [first = '', second = ''] = await list(world, '');
    await list(world, first);
    await quiet(world);
    await writeFile(join(world.disk, second, 'new'), '');
    expect(await list(world, second)).toEqual(['file']);
    world.clock.advance(20_001);
    expect((await list(world, second)).sort()).toEqual(['file', 'new']);
  });

  it('is not believed when a change of ours crossed it', async () => {
    const world = await openDirect();
    await siblings(world.disk, 2);
    const [first = '', second = ''] = await list(world, '');
    const held = deferred<void>();
    world.after.set('readdir', () => held.promise);
    const walking = list(world, first);
    await expect.poll(() => world.requests.filter((name) => name === 'readdir').length).toBe(6);
    await world.fs.unlink(path(join(second, 'file')));
    world.after.clear();
    held.resolve();
    await walking;
    expect(await list(world, second)).toEqual([]);
  });

  it('fails silently, and whoever opens the directory asks and learns the true reason', async () => {
    const world = await openDirect();
    await siblings(world.disk, 2);
    const [first = '', second = ''] = await list(world, '');
    await rm(join(world.disk, second), { recursive: true });
    await list(world, first);
    await quiet(world);
    expect(opened(world)).toBe(3);
    await expect(list(world, second)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(opened(world)).toBe(1);
  });

  it('is asked for again by whoever had joined it when it failed', async () => {
    const world = await openDirect();
    await siblings(world.disk, 2);
    const [first = '', second = ''] = await list(world, '');
    const held = deferred<void>();
    const failure = async () => {
      await held.promise;
      throw new SftpStatusError(4, 'Failure');
    };
    let calls = 0;
    world.before.set('opendir', () => {
      calls += 1;
      return calls === 2 ? failure() : undefined;
    });
    const [one, two] = [list(world, first), list(world, second)];
    await one;
    held.resolve();
    expect(await two).toEqual(['file']);
    expect(calls).toBe(3);
  });
});
