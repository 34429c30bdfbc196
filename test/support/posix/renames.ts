/** rename(2): what replaces what, what is refused, and where everything is afterwards. */
import assert from 'node:assert/strict';
import { link, lstat, mkdir, readdir, readlink, rename, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { contents, fails, made, python, type Suite } from './kit.js';

export const renameCases: Suite = {
  'rename: a file to a new name': async (dir) => {
    await made(join(dir, 'a'), 'contents');
    const before = await stat(join(dir, 'a'));
    await rename(join(dir, 'a'), join(dir, 'b'));
    await fails('ENOENT', stat(join(dir, 'a')));
    await contents(join(dir, 'b'), 'contents');
    assert.equal((await stat(join(dir, 'b'))).ino, before.ino);
    assert.deepEqual(await readdir(dir), ['b']);
  },
  'rename: to another directory and back': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'f'), 'moved');
    await rename(join(dir, 'f'), join(dir, 'd', 'g'));
    await contents(join(dir, 'd', 'g'), 'moved');
    assert.deepEqual(await readdir(dir), ['d']);
    await rename(join(dir, 'd', 'g'), join(dir, 'f'));
    assert.deepEqual(await readdir(join(dir, 'd')), []);
  },
  'rename: over an existing file replaces it': async (dir) => {
    await made(join(dir, 'a'), 'new');
    await made(join(dir, 'b'), 'old and longer');
    await rename(join(dir, 'a'), join(dir, 'b'));
    await contents(join(dir, 'b'), 'new');
    assert.equal((await stat(join(dir, 'b'))).size, 3);
    assert.deepEqual(await readdir(dir), ['b']);
  },
  'rename: onto itself does nothing': async (dir) => {
    await made(join(dir, 'a'), 'same');
    await rename(join(dir, 'a'), join(dir, 'a'));
    await contents(join(dir, 'a'), 'same');
  },
  'rename: onto another link of the same file leaves both': async (dir) => {
    await made(join(dir, 'a'), 'both');
    await link(join(dir, 'a'), join(dir, 'b'));
    await rename(join(dir, 'a'), join(dir, 'b'));
    await contents(join(dir, 'a'), 'both');
    await contents(join(dir, 'b'), 'both');
  },
  'rename: a missing source is ENOENT': async (dir) => {
    await made(join(dir, 'b'), 'stays');
    await fails('ENOENT', rename(join(dir, 'a'), join(dir, 'b')));
    await contents(join(dir, 'b'), 'stays');
  },
  'rename: into a missing directory is ENOENT, below a file ENOTDIR': async (dir) => {
    await made(join(dir, 'a'), 'stays');
    await made(join(dir, 'f'));
    await fails('ENOENT', rename(join(dir, 'a'), join(dir, 'missing', 'b')));
    await fails('ENOTDIR', rename(join(dir, 'a'), join(dir, 'f', 'b')));
    await contents(join(dir, 'a'), 'stays');
  },
  'rename: a directory with all that is in it': async (dir) => {
    await mkdir(join(dir, 'd', 'e'), { recursive: true });
    await made(join(dir, 'd', 'e', 'f'), 'inside');
    await stat(join(dir, 'd', 'e', 'f'));
    await rename(join(dir, 'd'), join(dir, 'x'));
    await contents(join(dir, 'x', 'e', 'f'), 'inside');
    await fails('ENOENT', stat(join(dir, 'd', 'e', 'f')));
    await fails('ENOENT', stat(join(dir, 'd')));
    await mkdir(join(dir, 'd'));
    assert.deepEqual(await readdir(join(dir, 'd')), []);
  },
  'rename: a directory over an empty one': async (dir) => {
    await mkdir(join(dir, 'a'));
    await made(join(dir, 'a', 'f'), 'x');
    await mkdir(join(dir, 'b'));
    await rename(join(dir, 'a'), join(dir, 'b'));
    assert.deepEqual(await readdir(dir), ['b']);
    assert.deepEqual(await readdir(join(dir, 'b')), ['f']);
  },
  'rename: a directory over one that holds something is ENOTEMPTY': async (dir) => {
    await mkdir(join(dir, 'a'));
    await mkdir(join(dir, 'b'));
    await made(join(dir, 'b', 'f'), 'stays');
    await fails('ENOTEMPTY', rename(join(dir, 'a'), join(dir, 'b')));
    await contents(join(dir, 'b', 'f'), 'stays');
    assert.ok((await stat(join(dir, 'a'))).isDirectory());
  },
  'rename: a file over a directory is EISDIR': async (dir) => {
    await made(join(dir, 'f'), 'stays');
    await mkdir(join(dir, 'd'));
    await fails('EISDIR', rename(join(dir, 'f'), join(dir, 'd')));
    await contents(join(dir, 'f'), 'stays');
  },
  'rename: a directory over a file is ENOTDIR': async (dir) => {
    await made(join(dir, 'f'), 'stays');
    await mkdir(join(dir, 'd'));
    await fails('ENOTDIR', rename(join(dir, 'd'), join(dir, 'f')));
    await contents(join(dir, 'f'), 'stays');
    assert.ok((await stat(join(dir, 'd'))).isDirectory());
  },
  'rename: a directory into itself is EINVAL': async (dir) => {
    await mkdir(join(dir, 'd', 'e'), { recursive: true });
    await fails('EINVAL', rename(join(dir, 'd'), join(dir, 'd', 'e', 'x')));
    await fails('EINVAL', rename(join(dir, 'd'), join(dir, 'd', 'x')));
    assert.deepEqual(await readdir(join(dir, 'd')), ['e']);
  },
  'rename: over the directory that holds it is ENOTEMPTY': async (dir) => {
    await mkdir(join(dir, 'd', 'e'), { recursive: true });
    await fails('ENOTEMPTY', rename(join(dir, 'd', 'e'), join(dir, 'd')));
    assert.deepEqual(await readdir(join(dir, 'd')), ['e']);
  },
  'rename: a link moves, not its target': async (dir) => {
    await made(join(dir, 'f'), 'target');
    await symlink('f', join(dir, 'l'));
    await rename(join(dir, 'l'), join(dir, 'm'));
    assert.equal(await readlink(join(dir, 'm')), 'f');
    await made(join(dir, 'g'), 'over the link');
    await rename(join(dir, 'g'), join(dir, 'm'));
    assert.ok((await lstat(join(dir, 'm'))).isFile());
    await contents(join(dir, 'f'), 'target');
  },
  'rename: RENAME_NOREPLACE does not replace': async (dir) => {
    await made(join(dir, 'a'), 'a');
    await made(join(dir, 'b'), 'b');
    const noReplace = (from: string, to: string) =>
      python(
        `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, argv[0].encode(), -100, argv[1].encode(), 1) != 0:
    raise OSError(ctypes.get_errno(), "renameat2")`,
        join(dir, from),
        join(dir, to),
      );
    assert.equal(await noReplace('a', 'b'), 'EEXIST');
    await contents(join(dir, 'b'), 'b');
    assert.equal(await noReplace('a', 'c'), '');
    await contents(join(dir, 'c'), 'a');
  },
  'rename: a chain of names ends with the right contents': async (dir) => {
    await made(join(dir, 'n0'), 'travels');
    for (let n = 0; n < 40; n++) await rename(join(dir, `n${n}`), join(dir, `n${n + 1}`));
    await contents(join(dir, 'n40'), 'travels');
    assert.deepEqual(await readdir(dir), ['n40']);
  },
  'rename: two files swap by a third name': async (dir) => {
    await made(join(dir, 'a'), 'first');
    await made(join(dir, 'b'), 'second one');
    await rename(join(dir, 'a'), join(dir, 't'));
    await rename(join(dir, 'b'), join(dir, 'a'));
    await rename(join(dir, 't'), join(dir, 'b'));
    await contents(join(dir, 'a'), 'second one');
    await contents(join(dir, 'b'), 'first');
  },
  'rename: two directories swap, and their files with them': async (dir) => {
    for (const name of ['a', 'b']) {
      await mkdir(join(dir, name));
      await made(join(dir, name, 'f'), `of ${name}`);
    }
    await rename(join(dir, 'a'), join(dir, 't'));
    await rename(join(dir, 'b'), join(dir, 'a'));
    await rename(join(dir, 't'), join(dir, 'b'));
    await contents(join(dir, 'a', 'f'), 'of b');
    await contents(join(dir, 'b', 'f'), 'of a');
  },
};
