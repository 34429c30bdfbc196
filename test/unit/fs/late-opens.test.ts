/** Files that programs have open and the server does not, since all that was asked of them is here. */
import { rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { O_RDONLY } from '../../../src/base/mode.js';
import {
  contentOf,
  type DirectFileSystem,
  LONG_AGO,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

const LATER = new Date('2022-02-02T00:00:00Z');

describe('a file that the server does not know to be open', () => {
  /** Opens a file of which all is here; the server hears nothing of it. */
  async function openLate(): Promise<DirectFileSystem & { readonly name: string; readonly handle: number }> {
    const world = await openDirect({ prefetch: false });
    await serverFile(world.disk, 'f', 'content');
    await world.fs.lookup(path('f'));
    await contentOf(world, 'f');
    world.requests.length = 0;
    const { handle } = await world.fs.open(path('f'), O_RDONLY);
    expect(world.requests).toEqual([]);
    return { ...world, name: 'f', handle };
  }

  it('is read, described and closed without a request', async () => {
    const { fs, handle, requests } = await openLate();
    expect((await readAll(fs, handle)).toString()).toBe('content');
    expect((await fs.getattr({ path: path('f'), handle })).attributes.size).toBe(7);
    await fs.flush(handle);
    await fs.release(handle);
    expect(requests).toEqual([]);
  });

  it('is opened a second later', async () => {
    const { fs, handle, requests, disk } = await openLate();
    await expect.poll(() => requests, { timeout: 5000 }).toEqual(['open', 'fstat']);
    await rm(join(disk, 'f'));
    await fs.refresh(path('f'));
    expect((await readAll(fs, handle)).toString()).toBe('content');
    await fs.release(handle);
  });

  it.each<[string, (fs: DirectFileSystem['fs']) => Promise<unknown>]>([
    ['removed', (fs) => fs.unlink(path('f'))],
    ['replaced', (fs) => fs.rename(path('other'), path('f'), { noReplace: false })],
    ['given another mode', (fs) => fs.setattr({ path: path('f'), handle: null }, { mode: 0 })],
    ['renamed', (fs) => fs.rename(path('f'), path('g'), { noReplace: false })],
  ])('outlives being %s by us', async (_what, change) => {
    const { fs, handle, disk } = await openLate();
    await serverFile(disk, 'other', 'the other');
    await fs.lookup(path('other'));
    await change(fs);
    await fs.refresh(path(''));
    expect((await readAll(fs, handle)).toString()).toBe('content');
    await fs.release(handle);
  });

  it('never mixes with what took its name', async () => {
    const { fs, handle, disk, clock } = await openLate();
    await serverFile(disk, 'new', 'another', LATER);
    await rename(join(disk, 'new'), join(disk, 'f'));
    clock.advance(4000);
    const opened = await fs.open(path('f'), O_RDONLY);
    expect((await readAll(fs, opened.handle)).toString()).toBe('another');
    expect((await readAll(fs, handle)).toString()).toBe('content');
    expect((await fs.getattr({ path: null, handle }).catch((error) => error)).code).toBe('ESTALE');
    for (const each of [handle, opened.handle]) await fs.release(each);
  });

  it('is read on after the connection was lost, or stale if it is another file by then', async () => {
    for (const isChanged of [false, true]) {
      const { fs, handle, disk, link } = await openLate();
      link.cut();
      if (isChanged) {
        await writeFile(join(disk, 'f'), 'CHANGED');
        await utimes(join(disk, 'f'), LATER, LATER);
      } else await utimes(join(disk, 'f'), LONG_AGO, LONG_AGO);
      expect((await readAll(fs, handle)).toString()).toBe('content');
      await fs.refresh(path('f'));
      const read = readAll(fs, handle);
      if (isChanged) await expect(read).rejects.toMatchObject({ code: 'ESTALE' });
      else expect((await read).toString()).toBe('content');
      await fs.release(handle);
    }
  });
});
