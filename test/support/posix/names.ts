/** Names as bytes: odd ones, long ones, deep ones. */
import assert from 'node:assert/strict';
import {
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { contents, fails, made, type Suite } from './kit.js';

const within = (dir: string, name: Uint8Array): Buffer => Buffer.concat([Buffer.from(`${dir}/`), name]);

/** A name of every kind, and the bytes it is made of. */
const ODD: Readonly<Record<string, Buffer>> = {
  'a newline': Buffer.from('line\nbreak'),
  quotes: Buffer.from(`it's "quoted" \`so\` $HOME`),
  'a backslash': Buffer.from('back\\slash \\012'),
  spaces: Buffer.from('  space at both ends  '),
  'a leading dash': Buffer.from('-rf'),
  'shell words': Buffer.from('*?[a-z]{x,y};&|<>(!)#'),
  'control characters': Buffer.from([1, 7, 8, 9, 27, 31, 127]),
  UTF8: Buffer.from('größe-日本語-🦈'),
  'decomposed UTF-8': Buffer.from('e\u0301'),
  'invalid UTF-8': Buffer.from([0xff, 0xfe, 0x80, 0xc3]),
  latin1: Buffer.from([0x6e, 0x61, 0xef, 0x76, 0x65]),
  'two dots and more': Buffer.from('...'),
  'a percent and a comma': Buffer.from('100%s,a=b'),
};

const odd: Suite = Object.fromEntries(
  Object.entries(ODD).map(([what, name]) => [
    `names: ${what}`,
    async (dir: string, disk: string) => {
      const path = within(dir, name);
      await writeFile(path, 'contents');
      assert.equal(await readFile(path, 'utf8'), 'contents');
      assert.deepEqual(await readdir(dir, { encoding: 'buffer' }), [name]);
      assert.deepEqual(await readdir(disk, { encoding: 'buffer' }), [name]);
      await rename(path, within(dir, Buffer.concat([name, Buffer.from('2')])));
      await rename(within(dir, Buffer.concat([name, Buffer.from('2')])), path);
      await symlink(name, join(dir, 'link'));
      assert.deepEqual(await readlink(join(dir, 'link'), { encoding: 'buffer' }), name);
      assert.equal(await readFile(join(dir, 'link'), 'utf8'), 'contents');
      await unlink(path);
      await mkdir(path);
      await writeFile(Buffer.concat([path, Buffer.from('/inside')]), 'x');
      assert.deepEqual(await readdir(path), ['inside']);
      await unlink(Buffer.concat([path, Buffer.from('/inside')]));
      await rmdir(path);
    },
  ]),
);

export const nameCases: Suite = {
  ...odd,
  'names: two that differ only in an invalid byte are two files': async (dir) => {
    const first = within(dir, Buffer.from([0x61, 0xff]));
    const second = within(dir, Buffer.from([0x61, 0xfe]));
    await writeFile(first, 'first');
    await writeFile(second, 'second');
    assert.equal(await readFile(first, 'utf8'), 'first');
    assert.equal(await readFile(second, 'utf8'), 'second');
    assert.equal((await readdir(dir)).length, 2);
  },
  'names: case matters': async (dir) => {
    await made(join(dir, 'File'), 'upper');
    await made(join(dir, 'file'), 'lower');
    await contents(join(dir, 'File'), 'upper');
    assert.equal((await readdir(dir)).length, 2);
  },
  'names: 255 bytes are allowed': async (dir) => {
    const name = 'n'.repeat(255);
    await contents(await made(join(dir, name), 'long'), 'long');
    assert.deepEqual(await readdir(dir), [name]);
    await rename(join(dir, name), join(dir, 'm'.repeat(255)));
    await mkdir(join(dir, name));
    assert.equal((await readdir(dir)).length, 2);
  },
  'names: 256 bytes are ENAMETOOLONG everywhere': async (dir) => {
    const long = join(dir, 'n'.repeat(256));
    const file = await made(join(dir, 'f'));
    await fails('ENAMETOOLONG', open(long, 'w'));
    await fails('ENAMETOOLONG', stat(long));
    await fails('ENAMETOOLONG', mkdir(long));
    await fails('ENAMETOOLONG', symlink('x', long));
    await fails('ENAMETOOLONG', rename(file, long));
    await fails('ENAMETOOLONG', unlink(long));
    await fails('ENAMETOOLONG', stat(join(long, 'below')));
    assert.deepEqual(await readdir(dir), ['f']);
  },
  'names: a path deeper than a thousand bytes': async (dir) => {
    let path = dir;
    for (let level = 0; level < 60; level++) {
      path = join(path, `level-${String(level).padStart(12, '0')}`);
      await mkdir(path);
    }
    await contents(await made(join(path, 'bottom'), 'deep'), 'deep');
    await rename(join(dir, 'level-000000000000'), join(dir, 'renamed'));
    await contents(join(path.replace('level-000000000000', 'renamed'), 'bottom'), 'deep');
  },
  'names: slashes repeated and dots in between': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'd', 'f'), 'found');
    await contents(`${dir}//d/.//../d///f`, 'found');
    await fails('ENOTDIR', stat(`${dir}/d/f/`));
    await fails('ENOTDIR', stat(`${dir}/d/f/..`));
  },
};
