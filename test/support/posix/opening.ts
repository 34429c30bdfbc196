/** Creating and opening one file: modes, flags, and what may not be opened. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Suite } from './kit.js';
import { contents, fails, made, permissions, readAt, sameBytes, using } from './kit.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;

export const openingCases: Suite = {
  'create: a new file is empty and regular': async (dir) => {
    await using(join(dir, 'f'), 'w', async (file) => {
      const at = await file.stat();
      assert.ok(at.isFile());
      assert.equal(at.size, 0);
      assert.equal(at.nlink, 1);
    });
    await contents(join(dir, 'f'), '');
  },
  'create: the mode is the one asked for, less the umask': async (dir) => {
    await using(join(dir, 'f'), 'w', async () => {}, 0o666);
    assert.equal(await permissions(join(dir, 'f')), 0o644);
    await using(join(dir, 'g'), 'w', async () => {}, 0o600);
    assert.equal(await permissions(join(dir, 'g')), 0o600);
    await using(join(dir, 'x'), 'w', async () => {}, 0o755);
    assert.equal(await permissions(join(dir, 'x')), 0o755);
  },
  'create: a read-only mode does not bind the handle that created it': async (dir) => {
    await using(join(dir, 'f'), 'wx', async (file) => void (await file.write('still writable')), 0o444);
    await contents(join(dir, 'f'), 'still writable');
    assert.equal(await permissions(join(dir, 'f')), 0o444);
  },
  'create: O_EXCL on an existing file is EEXIST and leaves it alone': async (dir) => {
    const path = await made(join(dir, 'f'), 'old');
    await fails('EEXIST', open(path, 'wx'));
    await fails('EEXIST', open(path, O_CREAT | O_EXCL | O_TRUNC | O_WRONLY));
    await contents(path, 'old');
  },
  'create: O_EXCL on a directory is EEXIST': async (dir) => {
    await fails('EEXIST', open(dir, 'wx'));
  },
  'create: O_CREAT without O_EXCL opens an existing file as it is': async (dir) => {
    const path = await made(join(dir, 'f'), 'old');
    await using(path, O_CREAT | O_RDWR, async (file) =>
      sameBytes(await readAt(file, 0, 10), Buffer.from('old')),
    );
  },
  'create: in a missing directory is ENOENT': async (dir) => {
    await fails('ENOENT', open(join(dir, 'missing', 'f'), 'w'));
  },
  'create: below a file is ENOTDIR': async (dir) => {
    const path = await made(join(dir, 'f'));
    await fails('ENOTDIR', open(join(path, 'g'), 'w'));
    await fails('ENOTDIR', stat(join(path, 'g')));
  },
  'create: a name with a trailing slash is refused': async (dir) => {
    await fails('EISDIR', open(`${dir}/f/`, 'w'));
  },
  'open: a missing file is ENOENT': async (dir) => {
    await fails('ENOENT', open(join(dir, 'f'), 'r'));
    await fails('ENOENT', open(join(dir, 'f'), 'r+'));
  },
  'open: a directory for writing is EISDIR': async (dir) => {
    await mkdir(join(dir, 'd'));
    await fails('EISDIR', open(join(dir, 'd'), 'r+'));
    await fails('EISDIR', open(join(dir, 'd'), 'w'));
  },
  'open: a directory read as a file is EISDIR': async (dir) => {
    await fails('EISDIR', readFile(dir));
  },
  'open: O_DIRECTORY on a file is ENOTDIR': async (dir) => {
    const path = await made(join(dir, 'f'));
    await fails('ENOTDIR', open(path, O_RDONLY | O_DIRECTORY));
  },
  'open: O_TRUNC empties, for reading too what was there is gone': async (dir) => {
    const path = await made(join(dir, 'f'), 'long old contents');
    await using(path, O_RDWR | O_TRUNC, async (file) => {
      assert.equal((await file.stat()).size, 0);
      sameBytes(await readAt(file, 0, 10), Buffer.alloc(0));
      await file.write('new');
    });
    await contents(path, 'new');
  },
  'open: O_NOFOLLOW on a file works': async (dir) => {
    const path = await made(join(dir, 'f'), 'x');
    await using(path, O_RDONLY | O_NOFOLLOW, async (file) =>
      sameBytes(await readAt(file, 0, 2), Buffer.from('x')),
    );
  },
  'open: writing through a read-only handle is EBADF': async (dir) => {
    const path = await made(join(dir, 'f'), 'x');
    await using(path, 'r', (file) => fails('EBADF', file.write('y')));
    await using(path, 'a', (file) => fails('EBADF', file.read(Buffer.alloc(1), 0, 1, 0)));
  },
};
