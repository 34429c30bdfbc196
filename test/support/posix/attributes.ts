/** Modes, times, sizes, and what the filesystem says of itself. Times are whole seconds, as SFTP has them. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { access, chmod, mkdir, readFile, rename, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contents, fails, made, permissions, python, type Suite, succeeds, using } from './kit.js';

const T1 = 1_000_000_000;
const T2 = 1_500_000_000;

const now = () => Math.floor(Date.now() / 1_000);

async function times(path: string): Promise<readonly [number, number]> {
  const at = await stat(path);
  return [at.atimeMs / 1_000, at.mtimeMs / 1_000];
}

export const attributeCases: Suite = {
  'chmod: every permission bit of a file': async (dir) => {
    const path = await made(join(dir, 'f'));
    for (const mode of [0o000, 0o111, 0o222, 0o444, 0o600, 0o640, 0o755, 0o777]) {
      await chmod(path, mode);
      assert.equal(await permissions(path), mode);
    }
  },
  'chmod: set-user-id and set-group-id': async (dir) => {
    const path = await made(join(dir, 'f'));
    await chmod(path, 0o4755);
    assert.equal(await permissions(path), 0o4755);
    await chmod(path, 0o2755);
    assert.equal(await permissions(path), 0o2755);
  },
  'chmod: a sticky directory': async (dir) => {
    await mkdir(join(dir, 'd'));
    await chmod(join(dir, 'd'), 0o1777);
    assert.equal(await permissions(join(dir, 'd')), 0o1777);
  },
  'chmod: through a handle': async (dir) => {
    await using(join(dir, 'f'), 'w', async (file) => {
      await file.chmod(0o640);
      assert.equal((await file.stat()).mode & 0o7777, 0o640);
      await file.write('x');
    });
    assert.equal(await permissions(join(dir, 'f')), 0o640);
  },
  'chmod: is on the disk at once': async (dir, disk) => {
    const path = await made(join(dir, 'f'));
    await chmod(path, 0o610);
    assert.equal(await permissions(join(disk, 'f')), 0o610);
  },
  'chmod: a missing file is ENOENT': async (dir) => {
    await fails('ENOENT', chmod(join(dir, 'f'), 0o600));
  },
  'chmod: leaves size, contents and modification time': async (dir) => {
    const path = await made(join(dir, 'f'), 'contents');
    await utimes(path, T1, T2);
    await chmod(path, 0o600);
    assert.equal((await times(path))[1], T2);
    await contents(path, 'contents');
  },
  'utimes: both times': async (dir) => {
    const path = await made(join(dir, 'f'));
    await utimes(path, T1, T2);
    assert.deepEqual(await times(path), [T1, T2]);
  },
  'utimes: of a directory': async (dir) => {
    await mkdir(join(dir, 'd'));
    await utimes(join(dir, 'd'), T1, T2);
    assert.equal((await times(join(dir, 'd')))[1], T2);
  },
  'utimes: through a handle': async (dir) => {
    await using(join(dir, 'f'), 'w', (file) => file.utimes(T1, T2));
    assert.deepEqual(await times(join(dir, 'f')), [T1, T2]);
  },
  'utimes: only the access time (UTIME_OMIT)': async (dir) => {
    const path = await made(join(dir, 'f'));
    await utimes(path, T1, T2);
    await succeeds('touch', ['-a', '-d', '@1200000000', path]);
    assert.deepEqual(await times(path), [1_200_000_000, T2]);
  },
  'utimes: only the modification time (UTIME_OMIT)': async (dir) => {
    const path = await made(join(dir, 'f'));
    await utimes(path, T1, T2);
    await succeeds('touch', ['-m', '-d', '@1200000000', path]);
    assert.deepEqual(await times(path), [T1, 1_200_000_000]);
  },
  'utimes: now (UTIME_NOW)': async (dir) => {
    const path = await made(join(dir, 'f'));
    await utimes(path, T1, T2);
    await succeeds('touch', [path]);
    for (const time of await times(path)) assert.ok(Math.abs(time - now()) <= 5, String(time));
  },
  'utimes: only the access time, now': async (dir) => {
    const path = await made(join(dir, 'f'));
    await utimes(path, T1, T2);
    await succeeds('touch', ['-a', path]);
    const [atime, mtime] = await times(path);
    assert.equal(mtime, T2);
    assert.ok(Math.abs(atime - now()) <= 5);
  },
  'utimes: the beginning of time, and after 2038': async (dir) => {
    const path = await made(join(dir, 'f'));
    for (const time of [0, 1, 2_147_483_647, 2_147_483_648, 4_000_000_000]) {
      await utimes(path, time, time);
      assert.deepEqual(await times(path), [time, time]);
    }
  },
  'utimes: with nanoseconds keeps at least the second': async (dir) => {
    const path = await made(join(dir, 'f'));
    await python('os.utime(argv[0], ns=(1000000000_123456789, 1500000000_987654321))', path);
    const [atime, mtime] = await times(path);
    assert.equal(Math.floor(atime), T1);
    assert.equal(Math.floor(mtime), T2);
  },
  'utimes: set before close stays after it': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w', async (file) => {
      await file.write('written late');
      await file.utimes(T1, T2);
    });
    assert.equal((await times(path))[1], T2);
    await contents(path, 'written late');
    assert.equal((await times(path))[1], T2);
  },
  'utimes: by path while a writer is open, then closed': async (dir) => {
    const path = join(dir, 'f');
    await using(path, 'w', async (file) => {
      await file.write(Buffer.alloc(100_000));
      await utimes(path, T1, T2);
    });
    assert.equal((await times(path))[1], T2);
  },
  'utimes: what was set by path is on the disk once the writer is closed': async (dir, disk) => {
    const path = join(dir, 'f');
    await using(path, 'w', async (file) => {
      await file.write(Buffer.alloc(100_000));
      await utimes(path, T1, T2);
    });
    assert.equal((await times(join(disk, 'f')))[1], T2);
  },
  'utimes: kept through rename': async (dir) => {
    const path = await made(join(dir, 'a'), 'x');
    await utimes(path, T1, T2);
    await rename(path, join(dir, 'b'));
    assert.equal((await times(join(dir, 'b')))[1], T2);
  },
  'utimes: a missing file is ENOENT': async (dir) => {
    await fails('ENOENT', utimes(join(dir, 'f'), T1, T2));
  },
  'times: writing moves the modification time to now': async (dir) => {
    const path = await made(join(dir, 'f'));
    await utimes(path, T1, T2);
    assert.equal((await times(path))[1], T2);
    await writeFile(path, 'x');
    assert.ok(Math.abs((await times(path))[1] - now()) <= 5);
  },
  'times: truncating moves the modification time to now': async (dir) => {
    const path = await made(join(dir, 'f'), 'xyz');
    await utimes(path, T1, T2);
    await using(path, 'r+', (file) => file.truncate(1));
    assert.ok(Math.abs((await times(path))[1] - now()) <= 5);
  },
  'times: making and removing entries moves that of the directory': async (dir) => {
    await mkdir(join(dir, 'd'));
    for (const change of [
      () => made(join(dir, 'd', 'f')),
      () => rename(join(dir, 'd', 'f'), join(dir, 'd', 'g')),
      () => mkdir(join(dir, 'd', 'e')),
    ]) {
      await utimes(join(dir, 'd'), T1, T2);
      await change();
      assert.ok(Math.abs((await times(join(dir, 'd')))[1] - now()) <= 5);
    }
  },
  'times: reading does not move the modification time': async (dir) => {
    const path = await made(join(dir, 'f'), 'x');
    await utimes(path, T1, T2);
    await readFile(path);
    assert.equal((await times(path))[1], T2);
  },
  'access: F_OK, R_OK and W_OK of one’s own file': async (dir) => {
    const path = await made(join(dir, 'f'));
    await access(path, constants.F_OK);
    await access(path, constants.R_OK | constants.W_OK);
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    await fails('ENOENT', access(join(dir, 'missing')));
  },
  'access: X_OK tells whether anyone may run it': async (dir) => {
    const path = await made(join(dir, 'f'));
    await chmod(path, 0o644);
    await fails('EACCES', access(path, constants.X_OK));
    await chmod(path, 0o755);
    await access(path, constants.X_OK);
  },
  'ownership: what I make belongs to me': async (dir) => {
    const path = await made(join(dir, 'f'));
    await mkdir(join(dir, 'd'));
    for (const made of [path, join(dir, 'd')]) {
      const at = await stat(made);
      assert.equal(at.uid, process.getuid?.());
      assert.equal(at.gid, process.getgid?.());
    }
  },
  'ownership: chown to what it is already': async (dir) => {
    const path = await made(join(dir, 'f'));
    await succeeds('chown', [`${process.getuid?.()}:${process.getgid?.()}`, path]);
    assert.equal((await stat(path)).uid, process.getuid?.());
  },
  'mkfifo: makes a fifo': async (dir) => {
    assert.equal(await python('os.mkfifo(argv[0])', join(dir, 'fifo')), '');
    assert.ok((await stat(join(dir, 'fifo'))).isFIFO());
  },
  'mknod: a regular file': async (dir) => {
    assert.equal(await python('os.mknod(argv[0], stat.S_IFREG | 0o640)', join(dir, 'f')), '');
    assert.equal(await permissions(join(dir, 'f')), 0o640);
    assert.equal(await python('os.mknod(argv[0], stat.S_IFREG | 0o640)', join(dir, 'f')), 'EEXIST');
  },
  'xattr: asking is answered cleanly': async (dir) => {
    const path = await made(join(dir, 'f'));
    const answer = await python('print(os.listxattr(argv[0]), end="")', path);
    assert.match(answer, /^(\[.*\]|ENOTSUP|EOPNOTSUPP)$/);
  },
  'statfs: sensible numbers': async (dir, disk) => {
    const here = await statfs(dir);
    const there = await statfs(disk);
    assert.ok(here.bsize >= 512);
    assert.ok(here.blocks > 0 && here.bfree <= here.blocks && here.bavail <= here.bfree);
    const total = (of: { bsize: number; blocks: number }) => of.bsize * of.blocks;
    assert.ok(Math.abs(total(here) / total(there) - 1) < 0.01, `${total(here)} against ${total(there)}`);
    assert.match(await succeeds('df', ['-P', dir]), /%/);
    assert.equal(await python('print(os.statvfs(argv[0]).f_namemax, end="")', dir), '255');
  },
  'stat: blocks are told, so that du counts': async (dir) => {
    await writeFile(join(dir, 'f'), Buffer.alloc(1_000_000, 1));
    const at = await stat(join(dir, 'f'));
    assert.ok(at.blocks >= 1_900, `${at.blocks} blocks`);
    assert.ok(at.blksize >= 4_096);
  },
};
