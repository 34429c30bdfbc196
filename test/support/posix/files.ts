/** Opening, reading, writing and truncating one file through one handle at a time. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import {
  appendFile,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Suite } from './kit.js';
import {
  contents,
  fails,
  made,
  pattern,
  permissions,
  program,
  python,
  readAt,
  sameBytes,
  succeeds,
  using,
} from './kit.js';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;

export const fileCases: Suite = {
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
  'append: every write goes to the end': async (dir) => {
    const path = await made(join(dir, 'f'), 'start ');
    await using(path, O_WRONLY | O_APPEND, async (file) => {
      await file.write('one ');
      await file.write(Buffer.from('two '), 0, 4);
      assert.equal((await file.stat()).size, 14);
    });
    await contents(path, 'start one two ');
  },
  'append: two handles take turns and nothing is lost': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'a', (first) =>
      using(path, 'a', async (second) => {
        for (let turn = 0; turn < 20; turn++) {
          await first.write(`a${turn} `);
          await second.write(`b${turn} `);
        }
      }),
    );
    await contents(path, Array.from({ length: 20 }, (_, turn) => `a${turn} b${turn} `).join(''));
  },
  'append: two processes at once lose no line': async (dir) => {
    const path = join(dir, 'f');
    const append = (mark: string) =>
      python(
        `
fd = os.open(argv[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for n in range(200):
    os.write(fd, f"{argv[1]}{n:06d}\\n".encode())
os.close(fd)`,
        path,
        mark,
      );
    await Promise.all([append('a'), append('b')]);
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    assert.equal(lines.length, 400);
    for (const mark of ['a', 'b']) {
      const own = lines.filter((line) => line.startsWith(mark));
      assert.deepEqual(
        own,
        Array.from({ length: 200 }, (_, n) => `${mark}${String(n).padStart(6, '0')}`),
      );
    }
  },
  'append: O_APPEND with O_TRUNC starts from nothing': async (dir) => {
    const path = await made(join(dir, 'f'), 'old');
    await using(path, O_WRONLY | O_APPEND | O_TRUNC, async (file) => void (await file.write('new')));
    await contents(path, 'new');
  },
  'read: at offsets, across the end, and behind it': async (dir) => {
    const bytes = pattern(10_000);
    await writeFile(join(dir, 'f'), bytes);
    await using(join(dir, 'f'), 'r', async (file) => {
      sameBytes(await readAt(file, 0, 1), bytes.subarray(0, 1));
      sameBytes(await readAt(file, 4095, 2), bytes.subarray(4095, 4097));
      sameBytes(await readAt(file, 9_990, 100), bytes.subarray(9_990));
      sameBytes(await readAt(file, 10_000, 1), Buffer.alloc(0));
      sameBytes(await readAt(file, 1_000_000, 1), Buffer.alloc(0));
    });
  },
  'write: over a part leaves the rest': async (dir) => {
    const bytes = pattern(100_000);
    await writeFile(join(dir, 'f'), bytes);
    const patch = pattern(5_000, 2);
    await using(
      join(dir, 'f'),
      'r+',
      async (file) => void (await file.write(patch, 0, patch.length, 33_333)),
    );
    patch.copy(bytes, 33_333);
    await contents(join(dir, 'f'), bytes);
  },
  'write: backwards, in pieces': async (dir) => {
    const bytes = pattern(256 * 1024);
    await using(join(dir, 'f'), 'w', async (file) => {
      for (let at = bytes.length - 4096; at >= 0; at -= 4096) await file.write(bytes, at, 4096, at);
    });
    await contents(join(dir, 'f'), bytes);
  },
  'write: many small pieces make the whole': async (dir) => {
    const bytes = pattern(20_000);
    await using(join(dir, 'f'), 'w', async (file) => {
      for (let at = 0; at < bytes.length; at += 37) await file.write(bytes.subarray(at, at + 37));
    });
    await contents(join(dir, 'f'), bytes);
  },
  'write: what was written is read through the same handle before close': async (dir) => {
    await using(join(dir, 'f'), 'w+', async (file) => {
      const bytes = pattern(300_000);
      await file.write(bytes, 0, bytes.length, 0);
      sameBytes(await readAt(file, 0, bytes.length), bytes);
      const patch = Buffer.from('patched');
      await file.write(patch, 0, patch.length, 131_070);
      patch.copy(bytes, 131_070);
      sameBytes(await readAt(file, 0, bytes.length), bytes);
    });
  },
  'write: the size that stat tells counts what was written, before close': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w', async (file) => {
      await file.write(Buffer.alloc(12_345));
      assert.equal((await file.stat()).size, 12_345);
      assert.equal((await stat(path)).size, 12_345);
      await file.write(Buffer.alloc(1), 0, 1, 99_999);
      assert.equal((await stat(path)).size, 100_000);
    });
    assert.equal((await stat(path)).size, 100_000);
  },
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
  'fsync: and fdatasync put the bytes on the disk before close': async (dir, disk) => {
    await using(join(dir, 'f'), 'w', async (file) => {
      await file.write('first');
      await file.sync();
      await contents(join(disk, 'f'), 'first');
      await file.write(' second');
      await file.datasync();
      await contents(join(disk, 'f'), 'first second');
    });
  },
  'fsync: of a directory works': async (dir) => {
    assert.equal(await python('os.fsync(os.open(argv[0], os.O_RDONLY))', dir), '');
  },
  'close: what was written is on the disk when it returns': async (dir, disk) => {
    const bytes = pattern(3_000_000);
    await writeFile(join(dir, 'f'), bytes);
    await contents(join(disk, 'f'), bytes);
  },
  'O_SYNC: every write is on the disk when it returns': async (dir, disk) => {
    await using(join(dir, 'f'), constants.O_SYNC | O_WRONLY | O_CREAT, async (file) => {
      await file.write('at once');
      await contents(join(disk, 'f'), 'at once');
    });
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
  'big: 16 MiB written, random places read back': async (dir) => {
    const bytes = pattern(16 * 1024 * 1024, 7);
    await writeFile(join(dir, 'f'), bytes);
    await using(join(dir, 'f'), 'r', async (file) => {
      for (let turn = 0; turn < 200; turn++) {
        const offset = (turn * 7_919_117) % bytes.length;
        const length = 1 + ((turn * 104_729) % 200_000);
        sameBytes(
          await readAt(file, offset, length),
          bytes.subarray(offset, offset + length),
          `at ${offset}`,
        );
      }
    });
    await contents(join(dir, 'f'), bytes);
  },
  'big: parallel reads of one handle': async (dir) => {
    const bytes = pattern(8 * 1024 * 1024, 3);
    await writeFile(join(dir, 'f'), bytes);
    await using(join(dir, 'f'), 'r', async (file) => {
      const pieces = Array.from({ length: 64 }, (_, index) => index * 131_072);
      await Promise.all(
        pieces.map(async (offset) =>
          sameBytes(await readAt(file, offset, 131_072), bytes.subarray(offset, offset + 131_072)),
        ),
      );
    });
  },
  'big: rewritten in place over and over keeps the last': async (dir) => {
    const path = join(dir, 'f');
    for (let turn = 0; turn < 30; turn++) await writeFile(path, pattern(1_000 + turn * 501, turn));
    await contents(path, pattern(1_000 + 29 * 501, 29));
    await appendFile(path, 'tail');
    assert.equal((await stat(path)).size, 1_000 + 29 * 501 + 4);
  },
};
