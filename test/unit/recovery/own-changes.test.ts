/** A file that is open while we change it, or its name, and the connection is lost: it is still that file. */
import { readFileSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import {
  cutAfter,
  cutBefore,
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

/** Changes of an open file that we make ourselves. */
const OWN: readonly (readonly [
  string,
  string,
  (direct: DirectFileSystem, handle: number) => Promise<unknown>,
])[] = [
  [
    'emptied by another open',
    'open',
    async ({ fs }) => fs.release((await fs.open(path('file'), O_WRONLY | O_TRUNC)).handle),
  ],
  ['made longer', 'fsetstat', ({ fs }, handle) => fs.setattr({ path: path('file'), handle }, { size: 1000 })],
  ['made shorter', 'fsetstat', ({ fs }, handle) => fs.setattr({ path: path('file'), handle }, { size: 2 })],
  [
    'copied to',
    'copyData',
    async ({ fs }, handle) => {
      const source = await fs.open(path('source'), O_RDONLY);
      await fs.copyFileRange(source.handle, 0, handle, 0, 1000);
      await fs.release(source.handle);
    },
  ],
];

describe('an open file that is changed here when the connection is lost', () => {
  it.each(OWN)('goes on when it was %s', async (_how, request, change) => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    await serverFile(direct.disk, 'source', 's'.repeat(1000));
    const { handle } = await direct.fs.open(path('file'), O_RDWR);
    cutAfter(direct, request);
    await change(direct, handle);
    expect(await direct.fs.getattr({ path: null, handle })).toMatchObject({
      attributes: { size: statSync(join(direct.disk, 'file')).size },
    });
    await direct.fs.write(handle, 0, Buffer.from('C'), NOT_PAGES);
    await direct.fs.flush(handle);
    expect(readFileSync(join(direct.disk, 'file'), 'latin1')).toMatch(/^C/);
    await direct.fs.release(handle);
  });
});

describe('an open file whose rename is under way when the connection is lost', () => {
  it.each([
    ['had not happened', cutBefore],
    ['had happened', cutAfter],
  ])('goes on when the rename %s', async (_what, cut) => {
    const direct = await openDirect();
    await mkdir(join(direct.disk, 'directory'));
    await serverFile(direct.disk, 'directory/file', 'content');
    const { handle } = await direct.fs.open(path('directory/file'), O_RDONLY);
    cut(direct, 'posixRename');
    await direct.fs.rename(path('directory'), path('moved'), { noReplace: false });
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });

  it('goes on when the connection is lost once more while it is opened again', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    direct.link.cut();
    cutAfter(direct, 'fstat');
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });
});
