/**
 * What the other side sees. A change made through the mount is on the server when the call returns; a change
 * made on the server shows in the mount within the time that names and attributes are trusted, and is never
 * a mixture of old and new.
 */
import assert from 'node:assert/strict';
import {
  appendFile,
  chmod,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { contents, eventually, exists, fails, made, type Suite, using } from './kit.js';

/** Made through the mount and on the server, also where a close does not wait for that. */
async function stored(path: string, text: string): Promise<void> {
  await made(path, text);
  await using(path, 'r+', (file) => file.sync());
}

export const behindCases: Suite = {
  'behind: names made, moved and removed here are so there': async (dir, disk) => {
    await made(join(dir, 'f'), 'x');
    await mkdir(join(dir, 'd'));
    await symlink('f', join(dir, 'l'));
    assert.deepEqual((await readdir(disk)).sort(), ['d', 'f', 'l']);
    assert.equal(await readlink(join(disk, 'l')), 'f');
    await rename(join(dir, 'f'), join(dir, 'd', 'g'));
    assert.deepEqual(await readdir(join(disk, 'd')), ['g']);
    await unlink(join(dir, 'd', 'g'));
    await rmdir(join(dir, 'd'));
    assert.deepEqual(await readdir(disk), ['l']);
  },
  'behind: a file rewritten there is read anew after open': async (dir, disk) => {
    await stored(join(dir, 'f'), 'old contents');
    await contents(join(dir, 'f'), 'old contents');
    await writeFile(join(disk, 'f'), 'new contents, longer');
    await eventually('the new contents', async () => {
      const seen = await readFile(join(dir, 'f'), 'utf8');
      assert.ok(['old contents', 'new contents, longer'].includes(seen), seen);
      return seen === 'new contents, longer';
    });
  },
  'behind: a file of the same size and another time is read anew': async (dir, disk) => {
    await stored(join(dir, 'f'), 'AAAA');
    await utimes(join(dir, 'f'), 1_000_000_000, 1_000_000_000);
    await using(join(dir, 'f'), 'r+', (file) => file.sync());
    await contents(join(dir, 'f'), 'AAAA');
    await writeFile(join(disk, 'f'), 'BBBB');
    await eventually('the new contents', async () => {
      const seen = await readFile(join(dir, 'f'), 'utf8');
      assert.ok(['AAAA', 'BBBB'].includes(seen), seen);
      return seen === 'BBBB';
    });
  },
  'behind: a big file replaced there by rename is one or the other': async (dir, disk) => {
    await using(join(dir, 'f'), 'wx', async (file) => {
      await file.writeFile(Buffer.alloc(300_000, 1));
      await file.sync();
    });
    await readFile(join(dir, 'f'));
    await writeFile(join(disk, 'tmp'), Buffer.alloc(200_000, 2));
    await rename(join(disk, 'tmp'), join(disk, 'f'));
    await eventually('the new file', async () => {
      const seen = await readFile(join(dir, 'f'));
      assert.ok(
        seen.every((byte) => byte === seen[0]),
        'old and new mixed',
      );
      assert.equal(seen.length, seen[0] === 1 ? 300_000 : 200_000);
      return seen[0] === 2;
    });
  },
  'behind: of two names of one file, one given to another file there is that file here': async (
    dir,
    disk,
  ) => {
    const [a, b] = [join(dir, 'a'), join(dir, 'b')];
    await stored(a, 'one');
    await link(a, b);
    await contents(b, 'one');
    await made(join(disk, 'tmp'), 'another');
    await rename(join(disk, 'tmp'), join(disk, 'a'));
    await eventually('the other file', async () => {
      await contents(b, 'one');
      const seen = await readFile(a, 'utf8');
      assert.ok(['one', 'another'].includes(seen), seen);
      return seen === 'another';
    });
    await writeFile(a, 'written');
    await contents(b, 'one');
    assert.equal(await readFile(join(disk, 'b'), 'utf8'), 'one');
  },
  'behind: of two names of one file, one removed there leaves the other good': async (dir, disk) => {
    const [first, second] = [join(dir, 'first'), join(dir, 'second')];
    for (const [gone, kept] of [
      [first, second],
      [second, first],
    ] as const) {
      await stored(first, 'one');
      await link(first, second);
      await using(second, 'r+', (file) => file.sync());
      await contents(second, 'one');
      await unlink(join(disk, basename(gone)));
      await eventually('the name to go', async () => {
        await contents(kept, 'one');
        assert.equal((await stat(kept)).size, 3);
        return !(await exists(gone));
      });
      await writeFile(kept, 'written');
      await using(kept, 'r+', (file) => file.sync());
      await eventually(
        'one link',
        async () => (await readdir(dir)).length === 1 && (await stat(kept)).nlink === 1,
      );
      assert.equal(await readFile(join(disk, basename(kept)), 'utf8'), 'written');
      await unlink(kept);
    }
  },
  'behind: a file that lost one of its names there gets another here': async (dir, disk) => {
    const [first, second, third] = ['first', 'second', 'third'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    await stored(first, 'one');
    await link(first, second);
    await using(second, 'r+', (file) => file.sync());
    await unlink(join(disk, 'first'));
    await link(second, third);
    await contents(third, 'one');
    await fails('ENOENT', link(second, join(dir, 'no', 'third')));
    await contents(second, 'one');
  },
  'behind: a name made there is found here': async (dir, disk) => {
    assert.equal(await exists(join(dir, 'f')), false);
    assert.deepEqual(await readdir(dir), []);
    await using(dir, 'r', (directory) => directory.sync());
    await made(join(disk, 'f'), 'made there');
    await eventually('the name', () => exists(join(dir, 'f')));
    await contents(join(dir, 'f'), 'made there');
    await eventually('the listing', async () => (await readdir(dir)).includes('f'));
  },
  'behind: a name removed there goes here': async (dir, disk) => {
    await stored(join(dir, 'f'), 'x');
    await stat(join(dir, 'f'));
    await unlink(join(disk, 'f'));
    await eventually('the name to go', async () => !(await exists(join(dir, 'f'))));
    await eventually('the listing', async () => (await readdir(dir)).length === 0);
  },
  'behind: a mode changed there shows here': async (dir, disk) => {
    await stored(join(dir, 'f'), 'x');
    await chmod(join(disk, 'f'), 0o600);
    await eventually('the mode', async () => ((await stat(join(dir, 'f'))).mode & 0o777) === 0o600);
  },
  'behind: what grows there grows here': async (dir, disk) => {
    await stored(join(dir, 'log'), 'line 1\n');
    await contents(join(dir, 'log'), 'line 1\n');
    await appendFile(join(disk, 'log'), 'line 2\n');
    await eventually('the second line', async () => {
      const seen = await readFile(join(dir, 'log'), 'utf8');
      assert.ok('line 1\nline 2\n'.startsWith(seen), seen);
      return seen === 'line 1\nline 2\n';
    });
  },
  'behind: append here goes behind what was appended there': async (dir, disk) => {
    await stored(join(dir, 'log'), 'here 1\n');
    await appendFile(join(disk, 'log'), 'there\n');
    await eventually('the size', async () => (await stat(join(dir, 'log'))).size === 13);
    await using(join(dir, 'log'), 'a', (file) => file.appendFile('here 2\n'));
    await contents(join(disk, 'log'), 'here 1\nthere\nhere 2\n');
  },
};
