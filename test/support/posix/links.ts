/** Symbolic and hard links. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { contents, fails, made, type Suite, succeeds, using } from './kit.js';

export const linkCases: Suite = {
  'symlink: relative, read through and listed as a link': async (dir) => {
    await made(join(dir, 'target'), 'reached');
    await symlink('target', join(dir, 'l'));
    assert.ok((await lstat(join(dir, 'l'))).isSymbolicLink());
    assert.equal((await lstat(join(dir, 'l'))).size, 6);
    assert.equal(await readlink(join(dir, 'l')), 'target');
    await contents(join(dir, 'l'), 'reached');
  },
  'symlink: absolute': async (dir) => {
    await made(join(dir, 'target'), 'reached');
    await symlink(join(dir, 'target'), join(dir, 'l'));
    assert.equal(await readlink(join(dir, 'l')), join(dir, 'target'));
    await contents(join(dir, 'l'), 'reached');
  },
  'symlink: dangling is made, read, and ENOENT through it': async (dir) => {
    await symlink('no/where', join(dir, 'l'));
    assert.equal(await readlink(join(dir, 'l')), 'no/where');
    await fails('ENOENT', stat(join(dir, 'l')));
    await fails('ENOENT', readFile(join(dir, 'l')));
    assert.deepEqual(await readdir(dir), ['l']);
  },
  'symlink: writing through a dangling one makes its target': async (dir) => {
    await symlink('target', join(dir, 'l'));
    await writeFile(join(dir, 'l'), 'made');
    await contents(join(dir, 'target'), 'made');
    await fails('EEXIST', open(join(dir, 'l'), 'wx'));
  },
  'symlink: a loop is ELOOP': async (dir) => {
    await symlink('b', join(dir, 'a'));
    await symlink('a', join(dir, 'b'));
    await fails('ELOOP', stat(join(dir, 'a')));
    await fails('ELOOP', open(join(dir, 'a'), 'r'));
    await fails('ELOOP', stat(join(dir, 'a', 'below')));
  },
  'symlink: O_NOFOLLOW is ELOOP': async (dir) => {
    await made(join(dir, 'f'));
    await symlink('f', join(dir, 'l'));
    await fails('ELOOP', open(join(dir, 'l'), constants.O_RDONLY | constants.O_NOFOLLOW));
  },
  'symlink: to a directory leads into it': async (dir) => {
    await mkdir(join(dir, 'd'));
    await symlink('d', join(dir, 'l'));
    await made(join(dir, 'l', 'f'), 'inside');
    await contents(join(dir, 'd', 'f'), 'inside');
    assert.deepEqual(await readdir(join(dir, 'l')), ['f']);
    await symlink('..', join(dir, 'd', 'up'));
    await contents(join(dir, 'd', 'up', 'd', 'f'), 'inside');
  },
  'symlink: an existing name is EEXIST, an empty target ENOENT': async (dir) => {
    await made(join(dir, 'f'), 'stays');
    await fails('EEXIST', symlink('x', join(dir, 'f')));
    await contents(join(dir, 'f'), 'stays');
    await fails('ENOENT', symlink('', join(dir, 'e')));
  },
  'symlink: a target of a thousand bytes comes back exactly': async (dir) => {
    const target = `${'x'.repeat(99)}/`.repeat(10);
    await symlink(target, join(dir, 'l'));
    assert.equal(await readlink(join(dir, 'l')), target);
    assert.equal((await lstat(join(dir, 'l'))).size, 1_000);
  },
  'symlink: bytes of the target come back exactly': async (dir) => {
    const target = Buffer.concat([Buffer.from("a'b\n//../ "), Buffer.from([0xff, 0x01, 0xc3])]);
    await symlink(target, join(dir, 'l'));
    assert.deepEqual(await readlink(join(dir, 'l'), { encoding: 'buffer' }), target);
  },
  'symlink: readlink of a file or directory is EINVAL': async (dir) => {
    await fails('EINVAL', readlink(await made(join(dir, 'f'))));
    await fails('EINVAL', readlink(dir));
    await fails('ENOENT', readlink(join(dir, 'missing')));
  },
  'symlink: removed, its target stays': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'd', 'f'), 'stays');
    await symlink('d', join(dir, 'l'));
    await rm(join(dir, 'l'), { recursive: true });
    await contents(join(dir, 'd', 'f'), 'stays');
  },
  'symlink: replaced by another target is read anew': async (dir) => {
    for (let turn = 0; turn < 5; turn++) {
      await symlink(`target-${turn}`, join(dir, 'l'));
      assert.equal(await readlink(join(dir, 'l')), `target-${turn}`);
      await unlink(join(dir, 'l'));
    }
  },
  'symlink: ln -sfn replaces at once': async (dir) => {
    await symlink('first', join(dir, 'l'));
    assert.equal(await readlink(join(dir, 'l')), 'first');
    await succeeds('ln', ['-sfn', 'second', join(dir, 'l')]);
    assert.equal(await readlink(join(dir, 'l')), 'second');
  },
  'symlink: utimes of the link itself leaves the target': async (dir) => {
    const file = await made(join(dir, 'f'));
    await utimes(file, 1_000_000_000, 1_000_000_001);
    await symlink('f', join(dir, 'l'));
    await lutimes(join(dir, 'l'), 1_100_000_000, 1_100_000_001);
    assert.equal((await lstat(join(dir, 'l'))).mtimeMs, 1_100_000_001_000);
    assert.equal((await stat(file)).mtimeMs, 1_000_000_001_000);
  },
  'symlink: chmod follows it': async (dir) => {
    const file = await made(join(dir, 'f'));
    await symlink('f', join(dir, 'l'));
    await chmod(join(dir, 'l'), 0o600);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  },
  'symlink: touch -h of a dangling one': async (dir) => {
    await symlink('nowhere', join(dir, 'l'));
    await succeeds('touch', ['-h', '-d', '@1200000000', join(dir, 'l')]);
    assert.equal((await lstat(join(dir, 'l'))).mtimeMs, 1_200_000_000_000);
  },
  'link: two names of one file': async (dir) => {
    await made(join(dir, 'a'), 'shared');
    assert.equal((await stat(join(dir, 'a'))).nlink, 1);
    await link(join(dir, 'a'), join(dir, 'b'));
    assert.equal((await stat(join(dir, 'a'))).nlink, 2);
    assert.equal((await stat(join(dir, 'b'))).nlink, 2);
    assert.equal((await stat(join(dir, 'a'))).ino, (await stat(join(dir, 'b'))).ino);
    await contents(join(dir, 'b'), 'shared');
  },
  'link: a write through one name shows through the other': async (dir) => {
    await made(join(dir, 'a'), 'before');
    await link(join(dir, 'a'), join(dir, 'b'));
    await contents(join(dir, 'a'), 'before');
    await contents(join(dir, 'b'), 'before');
    await writeFile(join(dir, 'b'), 'after, and longer');
    assert.equal((await stat(join(dir, 'a'))).size, 17);
    await contents(join(dir, 'a'), 'after, and longer');
    await using(join(dir, 'a'), 'r+', async (file) => {
      await file.write('AFTER');
      await contents(join(dir, 'b'), 'AFTER, and longer');
    });
  },
  'link: mode and times change through either name': async (dir) => {
    await made(join(dir, 'a'));
    await link(join(dir, 'a'), join(dir, 'b'));
    await stat(join(dir, 'b'));
    await chmod(join(dir, 'a'), 0o600);
    await utimes(join(dir, 'a'), 1_000_000_000, 1_000_000_001);
    const other = await stat(join(dir, 'b'));
    assert.equal(other.mode & 0o777, 0o600);
    assert.equal(other.mtimeMs, 1_000_000_001_000);
  },
  'link: one name removed, the other stays with one link': async (dir) => {
    await made(join(dir, 'a'), 'stays');
    await link(join(dir, 'a'), join(dir, 'b'));
    await stat(join(dir, 'b'));
    await unlink(join(dir, 'a'));
    await contents(join(dir, 'b'), 'stays');
    assert.equal((await stat(join(dir, 'b'))).nlink, 1);
    await made(join(dir, 'a'), 'a new file');
    await contents(join(dir, 'b'), 'stays');
  },
  'link: into another directory': async (dir) => {
    await made(join(dir, 'a'), 'x');
    await mkdir(join(dir, 'd'));
    await link(join(dir, 'a'), join(dir, 'd', 'b'));
    await contents(join(dir, 'd', 'b'), 'x');
    await unlink(join(dir, 'a'));
    await contents(join(dir, 'd', 'b'), 'x');
  },
  'link: errors': async (dir) => {
    await made(join(dir, 'a'), 'a');
    await made(join(dir, 'b'), 'b');
    await mkdir(join(dir, 'd'));
    await fails('EEXIST', link(join(dir, 'a'), join(dir, 'b')));
    await fails('ENOENT', link(join(dir, 'missing'), join(dir, 'c')));
    await fails('ENOENT', link(join(dir, 'a'), join(dir, 'missing', 'c')));
    await fails('EPERM', link(join(dir, 'd'), join(dir, 'e')));
    await contents(join(dir, 'b'), 'b');
  },
  'link: cp -l and ls -l agree': async (dir) => {
    await made(join(dir, 'a'), 'x');
    await succeeds('cp', ['-l', 'a', 'b'], dir);
    await succeeds('ln', ['a', 'c'], dir);
    const links = await succeeds('stat', ['-c', '%h', 'a', 'b', 'c'], dir);
    assert.equal(links, '3\n3\n3\n');
  },
};
