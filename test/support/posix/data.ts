/** Bytes of one file: read, written, appended, and when they are on the disk. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Suite } from './kit.js';
import { contents, made, pattern, python, readAt, sameBytes, using } from './kit.js';

const { O_APPEND, O_CREAT, O_SYNC, O_TRUNC, O_WRONLY } = constants;

export const dataCases: Suite = {
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
    await using(join(dir, 'f'), O_SYNC | O_WRONLY | O_CREAT, async (file) => {
      await file.write('at once');
      await contents(join(disk, 'f'), 'at once');
    });
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
