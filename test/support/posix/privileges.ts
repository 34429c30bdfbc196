/** What only root may, and what everybody else may not. */
import assert from 'node:assert/strict';
import {
  chmod,
  chown,
  lchown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { contents, fails, made, python, type Suite, using } from './kit.js';

export const rootCases: Suite = {
  'root: chown of owner and group, together and alone': async (dir) => {
    const path = await made(join(dir, 'f'));
    await chown(path, 12_345, 23_456);
    let at = await stat(path);
    assert.deepEqual([at.uid, at.gid], [12_345, 23_456]);
    assert.equal(await python('os.chown(argv[0], 54321, -1)', path), '');
    at = await stat(path);
    assert.deepEqual([at.uid, at.gid], [54_321, 23_456]);
    assert.equal(await python('os.chown(argv[0], -1, 65432)', path), '');
    at = await stat(path);
    assert.deepEqual([at.uid, at.gid], [54_321, 65_432]);
  },
  'root: chown of a link itself leaves the target': async (dir) => {
    const path = await made(join(dir, 'f'));
    await symlink('f', join(dir, 'l'));
    await lchown(join(dir, 'l'), 12_345, 23_456);
    assert.equal((await lstat(join(dir, 'l'))).uid, 12_345);
    assert.equal((await stat(path)).uid, 0);
  },
  'root: chown through a handle': async (dir) => {
    await using(join(dir, 'f'), 'w', async (file) => {
      await file.chown(12_345, 23_456);
      assert.equal((await file.stat()).uid, 12_345);
    });
    assert.equal((await stat(join(dir, 'f'))).gid, 23_456);
  },
  'root: permissions do not bind': async (dir) => {
    const path = await made(join(dir, 'f'), 'read');
    await chmod(path, 0);
    await contents(path, 'read');
    await writeFile(path, 'written');
    await mkdir(join(dir, 'd'), 0);
    await made(join(dir, 'd', 'f'));
    assert.deepEqual(await readdir(join(dir, 'd')), ['f']);
  },
};

export const userCases: Suite = {
  'user: a file without permissions is EACCES': async (dir) => {
    const path = await made(join(dir, 'f'), 'secret');
    await chmod(path, 0o000);
    await fails('EACCES', readFile(path));
    await fails('EACCES', open(path, 'r+'));
    await fails('EACCES', open(path, 'w'));
    await fails('EACCES', truncate(path, 0));
    await chmod(path, 0o600);
    await contents(path, 'secret');
  },
  'user: a read-only file is EACCES for writing': async (dir) => {
    const path = await made(join(dir, 'f'), 'kept');
    await chmod(path, 0o444);
    await fails('EACCES', open(path, 'r+'));
    await fails('EACCES', open(path, 'a'));
    await fails('EACCES', open(path, 'w'));
    await contents(path, 'kept');
    await unlink(path);
  },
  'user: a write-only file is EACCES for reading': async (dir) => {
    const path = await made(join(dir, 'f'), 'old');
    await chmod(path, 0o200);
    await fails('EACCES', readFile(path));
    await writeFile(path, 'new');
    await chmod(path, 0o600);
    await contents(path, 'new');
  },
  'user: in a read-only directory nothing is made, moved or removed': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'd', 'f'), 'stays');
    await mkdir(join(dir, 'd', 'e'));
    await chmod(join(dir, 'd'), 0o555);
    await fails('EACCES', open(join(dir, 'd', 'new'), 'w'));
    await fails('EACCES', mkdir(join(dir, 'd', 'new')));
    await fails('EACCES', symlink('x', join(dir, 'd', 'new')));
    await fails('EACCES', link(join(dir, 'd', 'f'), join(dir, 'd', 'new')));
    await fails('EACCES', unlink(join(dir, 'd', 'f')));
    await fails('EACCES', rmdir(join(dir, 'd', 'e')));
    await fails('EACCES', rename(join(dir, 'd', 'f'), join(dir, 'd', 'g')));
    await fails('EACCES', rename(join(dir, 'd', 'f'), join(dir, 'g')));
    await writeFile(join(dir, 'd', 'f'), 'but contents change');
    await chmod(join(dir, 'd'), 0o755);
  },
  'user: a directory that may not be read is EACCES to list': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'd', 'f'), 'x');
    await chmod(join(dir, 'd'), 0o311);
    await fails('EACCES', readdir(join(dir, 'd')));
    await contents(join(dir, 'd', 'f'), 'x');
    await chmod(join(dir, 'd'), 0o755);
  },
  'user: a directory that may not be searched is EACCES below': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'd', 'f'), 'x');
    await chmod(join(dir, 'd'), 0o644);
    await fails('EACCES', open(join(dir, 'd', 'f'), 'r'));
    await fails('EACCES', open(join(dir, 'd', 'new'), 'w'));
    await chmod(join(dir, 'd'), 0o755);
  },
  'user: chown to somebody else is EPERM': async (dir) => {
    await fails('EPERM', chown(await made(join(dir, 'f')), 0, 0));
  },
};
