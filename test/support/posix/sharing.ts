/** Several handles, several processes, and files whose name goes away while they are open. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import {
  contents,
  fails,
  made,
  pattern,
  python,
  readAt,
  type Suite,
  sameBytes,
  succeeds,
  using,
} from './kit.js';

export const sharingCases: Suite = {
  'handles: a second one reads what the first wrote and has not closed': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w', (writer) =>
      using(path, 'r', async (reader) => {
        sameBytes(await readAt(reader, 0, 10), Buffer.alloc(0));
        await writer.write('visible');
        sameBytes(await readAt(reader, 0, 10), Buffer.from('visible'));
        await writer.write(Buffer.from('VIS'), 0, 3, 0);
        sameBytes(await readAt(reader, 0, 10), Buffer.from('VISible'));
      }),
    );
  },
  'handles: a path opened while another writes sees the bytes': async (dir) => {
    const bytes = pattern(500_000);
    await using(join(dir, 'f'), 'w', async (writer) => {
      await writer.write(bytes);
      await contents(join(dir, 'f'), bytes);
    });
  },
  'handles: writers to disjoint ranges do not disturb one another': async (dir) => {
    const path = await made(join(dir, 'f'));
    const bytes = pattern(16 * 65_536, 5);
    await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        using(path, 'r+', async (file) => {
          for (let at = index * 65_536; at < (index + 1) * 65_536; at += 8_192) {
            await file.write(bytes, at, 8_192, at);
          }
        }),
      ),
    );
    await contents(path, bytes);
  },
  'handles: a log that four loops open anew for each line loses none': async (dir) => {
    const path = await made(join(dir, 'log'));
    const lines = Array.from({ length: 4 }, async (_, who) => {
      for (let n = 0; n < 60; n++) {
        await using(path, 'a', (file) => file.write(`${who} ${n}\n`));
      }
    });
    await Promise.all(lines);
    assert.equal((await readFile(path, 'utf8')).split('\n').length, 241);
  },
  'handles: what is truncated, written and read back by several at once': async (dir) => {
    const paths = await Promise.all([0, 1, 2].map((who) => made(join(dir, `f${who}`))));
    const loops = paths.map(async (path, who) => {
      for (let n = 0; n < 30; n++) {
        await using(path, 'r+', async (file) => {
          await file.truncate(5_000);
          await file.write(Buffer.alloc(100, who + 1), 0, 100, 5_000);
          assert.equal((await readAt(file, 0, 20_000)).length, 5_100);
        });
      }
    });
    const visitor = async () => {
      for (let n = 0; n < 90; n++) await using(join(dir, `f${n % 3}`), 'r', (file) => file.stat());
    };
    await Promise.all([...loops, visitor()]);
  },
  'handles: writers of one page in turns': async (dir) => {
    const path = await made(join(dir, 'f'));
    await using(path, 'r+', (first) =>
      using(path, 'r+', async (second) => {
        for (let at = 0; at < 3_000; at++) {
          await (at % 2 ? first : second).write(Buffer.from([at & 0xff]), 0, 1, at);
        }
      }),
    );
    await contents(
      path,
      Uint8Array.from({ length: 3_000 }, (_, at) => at & 0xff),
    );
  },
  'handles: O_TRUNC by another shortens what an open one sees': async (dir) => {
    const path = await made(join(dir, 'f'), 'long contents');
    await using(path, 'r', async (reader) => {
      sameBytes(await readAt(reader, 0, 4), Buffer.from('long'));
      await writeFile(path, 'new');
      assert.equal((await reader.stat()).size, 3);
      sameBytes(await readAt(reader, 0, 20), Buffer.from('new'));
    });
  },
  'handles: two hundred files open at once': async (dir) => {
    const files = await Promise.all(Array.from({ length: 200 }, (_, n) => open(join(dir, `f${n}`), 'w+')));
    await Promise.all(files.map((file, n) => file.write(`file ${n}`)));
    await Promise.all(
      files.map(async (file, n) => sameBytes(await readAt(file, 0, 20), Buffer.from(`file ${n}`))),
    );
    await Promise.all(files.map((file) => file.close()));
  },
  'unlinked: an open file is still read': async (dir) => {
    const path = join(dir, 'f');
    const bytes = pattern(400_000);
    await writeFile(path, bytes);
    await using(path, 'r', async (file) => {
      await unlink(path);
      await fails('ENOENT', stat(path));
      sameBytes(await readAt(file, 0, bytes.length), bytes);
    });
  },
  'unlinked: an open file is still written, and answers fstat and ftruncate': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w+', async (file) => {
      await file.write('before');
      await unlink(path);
      await file.write(' after');
      assert.equal((await file.stat()).size, 12);
      sameBytes(await readAt(file, 0, 20), Buffer.from('before after'));
      await file.truncate(3);
      assert.equal((await file.stat()).size, 3);
      await file.chmod(0o600);
      assert.equal((await file.stat()).mode & 0o777, 0o600);
      await file.sync();
    });
    await fails('ENOENT', stat(path));
  },
  'unlinked: fstat counts no link': async (dir) => {
    await using(await made(join(dir, 'f'), 'x'), 'r', async (file) => {
      await unlink(join(dir, 'f'));
      assert.equal((await file.stat()).nlink, 0);
    });
  },
  'unlinked: nothing of it stays in the directory': async (dir) => {
    await using(await made(join(dir, 'f'), 'x'), 'r+', async () => {
      await unlink(join(dir, 'f'));
      assert.deepEqual(await readdir(dir), []);
      await rm(dir, { recursive: true });
    });
    await fails('ENOENT', stat(dir));
  },
  'unlinked: a new file of the same name is another file': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w+', async (old) => {
      await old.write('old file');
      await unlink(path);
      await using(path, 'wx+', async (young) => {
        await young.write('young');
        await old.write(Buffer.from('OLD'), 0, 3, 0);
        sameBytes(await readAt(young, 0, 20), Buffer.from('young'));
        sameBytes(await readAt(old, 0, 20), Buffer.from('OLD file'));
        assert.notEqual((await young.stat()).ino, (await old.stat()).ino);
      });
    });
    await contents(path, 'young');
  },
  'renamed: an open file keeps reading and writing under its new name': async (dir) => {
    await using(join(dir, 'a'), 'w+', async (file) => {
      await file.write('first ');
      await rename(join(dir, 'a'), join(dir, 'b'));
      await file.write('second');
      sameBytes(await readAt(file, 0, 20), Buffer.from('first second'));
      await made(join(dir, 'a'), 'another');
      await file.write('!');
    });
    await contents(join(dir, 'b'), 'first second!');
    await contents(join(dir, 'a'), 'another');
  },
  'renamed: an open file whose directory was renamed': async (dir) => {
    await mkdir(join(dir, 'd'));
    await using(join(dir, 'd', 'f'), 'w+', async (file) => {
      await file.write('one ');
      await rename(join(dir, 'd'), join(dir, 'e'));
      await file.write('two');
      assert.equal((await file.stat()).size, 7);
      await file.sync();
    });
    await contents(join(dir, 'e', 'f'), 'one two');
    await fails('ENOENT', stat(join(dir, 'd')));
  },
  'replaced: the old file lives on for its handle and takes no byte of the new': async (dir) => {
    const target = await made(join(dir, 'target'), 'old target');
    await using(target, 'r+', (old) =>
      using(join(dir, 'source'), 'w+', async (source) => {
        await source.write('new contents');
        await rename(join(dir, 'source'), target);
        await old.write(Buffer.from('OLD'), 0, 3, 0);
        await source.write(Buffer.from('NEW'), 0, 3, 0);
        sameBytes(await readAt(old, 0, 30), Buffer.from('OLD target'));
        sameBytes(await readAt(source, 0, 30), Buffer.from('NEW contents'));
        await contents(target, 'NEW contents');
      }),
    );
    await contents(target, 'NEW contents');
    assert.deepEqual(await readdir(dir), ['target']);
  },
  'replaced: over and over, a reader sees one whole version each time': async (dir) => {
    const path = join(dir, 'f');
    const version = (n: number) => Buffer.alloc(20_000, n & 0xff);
    await writeFile(path, version(0));
    let done = false;
    const reading = async () => {
      while (!done) {
        const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
          // Replaced twice in a row while it is opened: the kernel looks a name up only once more.
          if (error.errno === -constants.errno.ESTALE) return null;
          throw error;
        });
        if (bytes === null) continue;
        assert.equal(bytes.length, 20_000);
        assert.ok(
          bytes.every((byte) => byte === bytes[0]),
          'two versions mixed',
        );
      }
    };
    const replacing = async () => {
      for (let n = 1; n <= 250; n++) {
        await writeFile(join(dir, 'tmp'), version(n));
        await rename(join(dir, 'tmp'), path);
        sameBytes(await readFile(path), version(n));
      }
    };
    await Promise.all([reading(), reading(), replacing().finally(() => (done = true))]);
  },
  'mmap: a private mapping reads the file': async (dir) => {
    const bytes = pattern(1_000_000);
    await writeFile(join(dir, 'f'), bytes);
    const answer = await python(
      `
import hashlib
fd = os.open(argv[0], os.O_RDONLY)
m = mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
print(hashlib.sha256(m).hexdigest(), end="")`,
      join(dir, 'f'),
    );
    assert.equal(answer, createHash('sha256').update(bytes).digest('hex'));
  },
  'mmap: a shared mapping writes the file': async (dir) => {
    const bytes = pattern(300_000);
    await writeFile(join(dir, 'f'), bytes);
    assert.equal(
      await python(
        `
fd = os.open(argv[0], os.O_RDWR)
m = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
m[10:17] = b"through"
m[200000:200003] = b"map"
m.flush()
m.close()
os.close(fd)`,
        join(dir, 'f'),
      ),
      '',
    );
    bytes.write('through', 10);
    bytes.write('map', 200_000);
    await contents(join(dir, 'f'), bytes);
  },
  'mmap: what it wrote without msync is there after close and munmap': async (dir, disk) => {
    await writeFile(join(dir, 'f'), Buffer.alloc(50_000));
    assert.equal(
      await python(
        `
fd = os.open(argv[0], os.O_RDWR)
m = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
os.close(fd)
m[49990:49993] = b"end"
m.close()
fd = os.open(argv[0], os.O_RDONLY)
os.fsync(fd)
os.close(fd)`,
        join(dir, 'f'),
      ),
      '',
    );
    const expected = Buffer.alloc(50_000);
    expected.write('end', 49_990);
    await contents(join(dir, 'f'), expected);
    await contents(join(disk, 'f'), expected);
  },
  'locks: fcntl excludes another process on this machine': async (dir) => {
    const answer = await python(
      `
fd = os.open(argv[0], os.O_RDWR | os.O_CREAT)
fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
pid = os.fork()
if pid == 0:
    other = os.open(argv[0], os.O_RDWR)
    try:
        fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), end=" ")
fcntl.lockf(fd, fcntl.LOCK_UN)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
other = os.open(argv[0], os.O_RDWR)
fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)`,
      join(dir, 'f'),
    );
    assert.equal(answer, '7 EAGAIN');
  },
  'O_TMPFILE: a file without a name': async (dir) => {
    assert.equal(
      await python(
        `
fd = os.open(argv[0], os.O_RDWR | os.O_TMPFILE, 0o600)
os.write(fd, b"x")`,
        dir,
      ),
      '',
    );
    assert.deepEqual(await readdir(dir), []);
  },
  'exec: a script in the directory runs': async (dir) => {
    await writeFile(join(dir, 'script'), '#!/bin/sh\necho "ran $1"\n', { mode: 0o755 });
    assert.equal(await succeeds(join(dir, 'script'), ['well']), 'ran well\n');
  },
  'exec: a program copied into the directory runs from its pages': async (dir) => {
    await succeeds('cp', ['--', '/bin/true', join(dir, 'program')]);
    await succeeds(join(dir, 'program'), []);
  },
};
