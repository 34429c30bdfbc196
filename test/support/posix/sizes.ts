/** How long a file is: truncated, with holes, allocated, copied in parts. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Suite } from './kit.js';
import {
  contents,
  fails,
  made,
  pattern,
  program,
  python,
  readAt,
  sameBytes,
  succeeds,
  using,
} from './kit.js';

export const sizeCases: Suite = {
  'holes: a write far behind the end reads as zeros before it': async (dir) => {
    await using(join(dir, 'f'), 'w+', async (file) => {
      await file.write(Buffer.from('end'), 0, 3, 1_000_000);
      assert.equal((await file.stat()).size, 1_000_003);
      sameBytes(await readAt(file, 999_990, 20), Buffer.concat([Buffer.alloc(10), Buffer.from('end')]));
      sameBytes(await readAt(file, 0, 4096), Buffer.alloc(4096));
    });
    const bytes = await readFile(join(dir, 'f'));
    assert.ok(bytes.subarray(0, 1_000_000).every((byte) => byte === 0));
  },
  'holes: read by another handle while the write behind them is on its way': async (dir) => {
    for (const offset of [1, 100, 4_096, 70_000, 1_000_000]) {
      const path = join(dir, `f${offset}`);
      await using(path, 'w+', async (file) => {
        await file.write(Buffer.from('end'), 0, 3, offset);
        assert.ok((await readdir(dir)).includes(`f${offset}`));
        await contents(path, Buffer.concat([Buffer.alloc(offset), Buffer.from('end')]));
      });
    }
  },
  'holes: they take no room on the disk': async (dir, disk) => {
    await truncate(await made(join(dir, 'f')), 64 * 1024 * 1024);
    const at = await stat(join(disk, 'f'));
    assert.equal(at.size, 64 * 1024 * 1024);
    assert.ok(at.blocks < 1024, `${at.blocks} blocks`);
  },
  'truncate: by path, shorter and longer': async (dir) => {
    const path = await made(join(dir, 'f'), 'abcdefghij');
    await truncate(path, 4);
    await contents(path, 'abcd');
    await truncate(path, 8);
    await contents(path, 'abcd\0\0\0\0');
    await truncate(path, 0);
    await contents(path, '');
  },
  'truncate: by handle, seen at once by that handle and by path': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w+', async (file) => {
      await file.write('abcdefghij');
      await file.truncate(3);
      assert.equal((await file.stat()).size, 3);
      assert.equal((await stat(path)).size, 3);
      sameBytes(await readAt(file, 0, 10), Buffer.from('abc'));
      await file.truncate(6);
      sameBytes(await readAt(file, 0, 10), Buffer.from('abc\0\0\0'));
    });
    await contents(path, 'abc\0\0\0');
  },
  'truncate: what was cut off does not come back when the file grows again': async (dir) => {
    const path = join(dir, 'f');
    const bytes = pattern(200_000);
    await writeFile(path, bytes);
    await contents(path, bytes);
    await truncate(path, 100_001);
    await truncate(path, 200_000);
    await contents(path, Buffer.concat([bytes.subarray(0, 100_001), Buffer.alloc(99_999)]));
  },
  'truncate: then write behind the new end': async (dir) => {
    const path = await made(join(dir, 'f'), 'x'.repeat(10_000));
    await using(path, 'r+', async (file) => {
      await file.truncate(10);
      await file.write(Buffer.from('tail'), 0, 4, 5_000);
    });
    await contents(
      path,
      Buffer.concat([Buffer.from('x'.repeat(10)), Buffer.alloc(4_990), Buffer.from('tail')]),
    );
  },
  'truncate: of a file open for writing elsewhere': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w+', async (file) => {
      await file.write(Buffer.alloc(50_000, 1));
      await truncate(path, 10);
      assert.equal((await file.stat()).size, 10);
      await file.write(Buffer.from('z'), 0, 1, 20);
    });
    await contents(path, Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(10), Buffer.from('z')]));
  },
  'truncate: a missing file is ENOENT, a directory EISDIR': async (dir) => {
    await fails('ENOENT', truncate(join(dir, 'missing'), 0));
    await mkdir(join(dir, 'd'));
    assert.equal(await python('os.truncate(argv[0], 0)', join(dir, 'd')), 'EISDIR');
  },
  'truncate: through a read-only handle is EINVAL': async (dir) => {
    const path = await made(join(dir, 'f'), 'x');
    await using(path, 'r', (file) => fails('EINVAL', file.truncate(0)));
  },
  'copy: copy_file_range copies parts, holes and ends exactly': async (dir) => {
    const bytes = pattern(700_000);
    await writeFile(join(dir, 'a'), bytes);
    await writeFile(join(dir, 'b'), Buffer.alloc(10, 9));
    const copied = await python(
      `
a = os.open(argv[0], os.O_RDONLY)
b = os.open(argv[1], os.O_RDWR)
done = 0
while done < 600000:
    n = os.copy_file_range(a, b, 600000 - done, 50000 + done, 5 + done)
    if n == 0: break
    done += n
print(done, end="")`,
      join(dir, 'a'),
      join(dir, 'b'),
    );
    assert.equal(copied, '600000');
    await contents(join(dir, 'b'), Buffer.concat([Buffer.alloc(5, 9), bytes.subarray(50_000, 650_000)]));
  },
  'copy: copy_file_range stops at the end of the source': async (dir) => {
    await made(join(dir, 'a'), 'short');
    await made(join(dir, 'b'));
    const answer = await python(
      `
a = os.open(argv[0], os.O_RDONLY)
b = os.open(argv[1], os.O_RDWR)
print(os.copy_file_range(a, b, 1000, 0, 0), os.copy_file_range(a, b, 1000, 5, 5), end="")`,
      join(dir, 'a'),
      join(dir, 'b'),
    );
    assert.equal(answer, '5 0');
    await contents(join(dir, 'b'), 'short');
  },
  'copy: copy_file_range within one file may not overlap, and works where it does not': async (dir) => {
    const path = await made(join(dir, 'f'), '0123456789');
    const copy = (from: number, to: number, length: number) =>
      python(
        `
a = os.open(argv[0], os.O_RDWR)
print(os.copy_file_range(a, a, ${length}, ${from}, ${to}), end="")`,
        path,
      );
    assert.equal(await copy(0, 3, 5), 'EINVAL');
    assert.equal(await copy(0, 5, 5), '5');
    await contents(path, '0123401234');
  },
  'copy: copy_file_range beyond the end leaves a hole, and to a file that appends is EBADF': async (dir) => {
    const [a, b] = [await made(join(dir, 'a'), 'copied'), await made(join(dir, 'b'), 'kept')];
    const copy = (flags: string) =>
      python(
        `
a = os.open(argv[0], os.O_RDONLY)
b = os.open(argv[1], os.O_WRONLY | ${flags})
print(os.copy_file_range(a, b, 6, 0, 8), end="")`,
        a,
        b,
      );
    assert.equal(await copy('os.O_APPEND'), 'EBADF');
    assert.equal(await copy('0'), '6');
    await contents(b, 'kept\0\0\0\0copied');
  },
  'copy: what was read of a file before it was copied to is not read again': async (dir) => {
    const [a, b] = [await made(join(dir, 'a'), 'new content'), await made(join(dir, 'b'), 'old content')];
    await using(b, 'r', async (file) => {
      assert.equal((await readAt(file, 0, 11)).toString(), 'old content');
      await succeeds('cp', [a, b]);
      assert.equal((await readAt(file, 0, 11)).toString(), 'new content');
      assert.equal((await stat(b)).size, 11);
    });
  },
  'copy: cp --reflink=auto makes the same file': async (dir) => {
    const bytes = pattern(2_000_000);
    await writeFile(join(dir, 'a'), bytes);
    await succeeds('cp', ['--reflink=auto', 'a', 'b'], dir);
    await contents(join(dir, 'b'), bytes);
    await copyFile(join(dir, 'a'), join(dir, 'c'));
    await contents(join(dir, 'c'), bytes);
  },
  'copy: cp of a file that is still being written takes what is written': async (dir) => {
    await using(join(dir, 'a'), 'w', async (file) => {
      await file.write(pattern(500_000));
      await succeeds('cp', ['a', 'b'], dir);
    });
    await contents(join(dir, 'b'), pattern(500_000));
  },
  'fallocate: posix_fallocate grows the file and keeps its bytes': async (dir) => {
    const path = await made(join(dir, 'f'), 'kept');
    assert.equal(await python('os.posix_fallocate(os.open(argv[0], os.O_RDWR), 0, 100000)', path), '');
    assert.equal((await stat(path)).size, 100_000);
    await contents(path, Buffer.concat([Buffer.from('kept'), Buffer.alloc(99_996)]));
  },
  'fallocate: punching a hole either works or is refused, and never harms': async (dir) => {
    const bytes = pattern(50_000);
    await writeFile(join(dir, 'f'), bytes);
    const punched = await program('fallocate', ['--punch-hole', '-o', '4096', '-l', '8192', join(dir, 'f')]);
    if (punched.code === 0) bytes.fill(0, 4096, 12_288);
    else assert.match(punched.stderr, /support/);
    await contents(join(dir, 'f'), bytes);
  },
  'seek: SEEK_END, SEEK_DATA and SEEK_HOLE are consistent with the size': async (dir) => {
    await made(join(dir, 'f'), 'x'.repeat(5_000));
    const answer = await python(
      `
fd = os.open(argv[0], os.O_RDONLY)
print(os.lseek(fd, 0, os.SEEK_END), os.lseek(fd, 10, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE), end=" ")
os.lseek(fd, 5000, os.SEEK_DATA)`,
      join(dir, 'f'),
    );
    assert.equal(answer, '5000 10 5000 ENXIO');
  },
};
