/** Making, listing, emptying and removing directories. */
import assert from 'node:assert/strict';
import {
  lstat,
  mkdir,
  opendir,
  readdir,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { fails, made, permissions, python, type Suite, succeeds } from './kit.js';

async function fill(dir: string, count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, n) => `entry-${String(n).padStart(5, '0')}`);
  for (let at = 0; at < count; at += 50) {
    await Promise.all(names.slice(at, at + 50).map((name) => writeFile(join(dir, name), name)));
  }
  return names;
}

export const directoryCases: Suite = {
  'mkdir: makes an empty directory with the mode less the umask': async (dir) => {
    await mkdir(join(dir, 'd'));
    assert.ok((await stat(join(dir, 'd'))).isDirectory());
    assert.equal(await permissions(join(dir, 'd')), 0o755);
    await mkdir(join(dir, 'p'), 0o700);
    assert.equal(await permissions(join(dir, 'p')), 0o700);
    assert.deepEqual(await readdir(join(dir, 'd')), []);
  },
  'mkdir: an existing directory, file or link is EEXIST': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'f'));
    await symlink('nowhere', join(dir, 'l'));
    for (const name of ['d', 'f', 'l']) await fails('EEXIST', mkdir(join(dir, name)));
    await fails('EEXIST', mkdir(dir));
  },
  'mkdir: in a missing directory is ENOENT, below a file ENOTDIR': async (dir) => {
    await fails('ENOENT', mkdir(join(dir, 'missing', 'd')));
    await fails('ENOTDIR', mkdir(join(await made(join(dir, 'f')), 'd')));
  },
  'mkdir: the whole way at once': async (dir) => {
    await mkdir(join(dir, 'a/b/c/d'), { recursive: true });
    await mkdir(join(dir, 'a/b/c/d'), { recursive: true });
    assert.ok((await stat(join(dir, 'a/b/c/d'))).isDirectory());
  },
  'rmdir: an empty directory goes': async (dir) => {
    await mkdir(join(dir, 'd'));
    await rmdir(join(dir, 'd'));
    await fails('ENOENT', stat(join(dir, 'd')));
    assert.deepEqual(await readdir(dir), []);
  },
  'rmdir: one that holds something is ENOTEMPTY': async (dir) => {
    await mkdir(join(dir, 'd'));
    await made(join(dir, 'd', '.hidden'));
    await fails('ENOTEMPTY', rmdir(join(dir, 'd')));
    await unlink(join(dir, 'd', '.hidden'));
    await mkdir(join(dir, 'd', 'e'));
    await fails('ENOTEMPTY', rmdir(join(dir, 'd')));
  },
  'rmdir: a missing one is ENOENT, a file or link ENOTDIR': async (dir) => {
    await fails('ENOENT', rmdir(join(dir, 'missing')));
    await fails('ENOTDIR', rmdir(await made(join(dir, 'f'))));
    await mkdir(join(dir, 'd'));
    await symlink('d', join(dir, 'l'));
    await fails('ENOTDIR', rmdir(join(dir, 'l')));
  },
  'rmdir: "." is EINVAL': async (dir) => {
    assert.equal(await python('os.rmdir(argv[0])', `${dir}/.`), 'EINVAL');
  },
  'unlink: a directory is EISDIR': async (dir) => {
    await mkdir(join(dir, 'd'));
    await fails('EISDIR', unlink(join(dir, 'd')));
    assert.ok((await stat(join(dir, 'd'))).isDirectory());
  },
  'unlink: a missing name is ENOENT, and twice is ENOENT': async (dir) => {
    await fails('ENOENT', unlink(join(dir, 'f')));
    await made(join(dir, 'f'));
    await unlink(join(dir, 'f'));
    await fails('ENOENT', unlink(join(dir, 'f')));
  },
  'names: one that was missing is found as soon as it is made': async (dir) => {
    for (let turn = 0; turn < 5; turn++) {
      await fails('ENOENT', stat(join(dir, `f${turn}`)));
      await fails('ENOENT', stat(join(dir, `d${turn}`)));
      await made(join(dir, `f${turn}`), 'x');
      await mkdir(join(dir, `d${turn}`));
      assert.equal((await stat(join(dir, `f${turn}`))).size, 1);
      assert.ok((await stat(join(dir, `d${turn}`))).isDirectory());
    }
  },
  'names: one taken again by another kind': async (dir) => {
    const path = join(dir, 'name');
    await made(path, 'file');
    await unlink(path);
    await mkdir(path);
    assert.ok((await lstat(path)).isDirectory());
    await rmdir(path);
    await symlink('x', path);
    assert.ok((await lstat(path)).isSymbolicLink());
    await unlink(path);
    await made(path, 'file again');
    assert.equal((await stat(path)).size, 10);
  },
  'list: an empty directory': async (dir) => {
    assert.deepEqual(await readdir(dir), []);
  },
  'list: one entry': async (dir) => {
    await made(join(dir, 'only'));
    assert.deepEqual(await readdir(dir), ['only']);
  },
  'list: a thousand entries, each once': async (dir) => {
    const names = await fill(dir, 1_000);
    assert.deepEqual((await readdir(dir)).sort(), names);
  },
  'list: a thousand entries, each with its own attributes': async (dir) => {
    const names = await fill(dir, 300);
    const listing = await succeeds('ls', ['-l', '--time-style=+%s'], dir);
    assert.equal(listing.trim().split('\n').length, names.length + 1);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(dir, name))).size));
    assert.ok(sizes.every((size) => size === 11));
  },
  'list: "." and ".." come first and are directories': async (dir) => {
    const answer = await python(
      `
import subprocess
print(subprocess.run(["ls", "-aU", argv[0]], capture_output=True, text=True).stdout.split(), end="")`,
      await made(join(dir, 'f')).then(() => dir),
    );
    for (const name of ['.', '..', 'f']) assert.ok(answer.includes(`'${name}'`), answer);
    assert.ok((await stat(join(dir, '.'))).isDirectory());
    assert.equal((await stat(join(dir, '..', '.'))).isDirectory(), true);
  },
  'list: the type of each entry': async (dir) => {
    await made(join(dir, 'file'));
    await mkdir(join(dir, 'directory'));
    await symlink('file', join(dir, 'link'));
    const types = new Map(
      (await readdir(dir, { withFileTypes: true })).map((entry) => [
        entry.name,
        entry.isFile() ? 'file' : entry.isDirectory() ? 'directory' : entry.isSymbolicLink() ? 'link' : '?',
      ]),
    );
    assert.deepEqual([...types].sort(), [
      ['directory', 'directory'],
      ['file', 'file'],
      ['link', 'link'],
    ]);
  },
  'list: inode numbers agree with stat, and are the same the next time': async (dir) => {
    await fill(dir, 20);
    await mkdir(join(dir, 'd'));
    const answer = await python(
      `
first = {entry.name: entry.inode() for entry in os.scandir(argv[0])}
wrong = [name for name, ino in first.items() if os.lstat(os.path.join(argv[0], name)).st_ino != ino]
second = {entry.name: entry.inode() for entry in os.scandir(argv[0])}
print(wrong, first == second, len(set(first.values())) == len(first), end="")`,
      dir,
    );
    assert.equal(answer, '[] True True');
  },
  'list: a missing directory is ENOENT, a file ENOTDIR': async (dir) => {
    await fails('ENOENT', readdir(join(dir, 'missing')));
    await fails('ENOTDIR', readdir(await made(join(dir, 'f'))));
  },
  'list: changes show at once': async (dir) => {
    for (let turn = 0; turn < 10; turn++) {
      await made(join(dir, `f${turn}`));
      assert.equal((await readdir(dir)).length, turn + 1);
    }
    for (let turn = 0; turn < 10; turn++) {
      await unlink(join(dir, `f${turn}`));
      assert.equal((await readdir(dir)).length, 9 - turn);
    }
  },
  'list: rewinding an open directory sees what came since': async (dir) => {
    await made(join(dir, 'a'));
    const answer = await python(
      `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.c_void_p
libc.readdir.argtypes = libc.rewinddir.argtypes = [ctypes.c_void_p]
d = libc.opendir(argv[0].encode())
def names():
    found = []
    while True:
        entry = libc.readdir(d)
        if not entry: return sorted(found)
        found.append(ctypes.string_at(entry + 19).decode())
before = names()
open(os.path.join(argv[0], "b"), "w").close()
libc.rewinddir(d)
print(before, names(), end="")`,
      dir,
    );
    assert.equal(answer, "['.', '..', 'a'] ['.', '..', 'a', 'b']");
  },
  'list: reading while removing each entry seen misses none': async (dir) => {
    await fill(dir, 500);
    let seen = 0;
    for await (const entry of await opendir(dir, { bufferSize: 32 })) {
      await unlink(join(dir, entry.name));
      seen++;
    }
    assert.equal(seen, 500);
    assert.deepEqual(await readdir(dir), []);
  },
  'list: two readers of one directory at different places': async (dir) => {
    const names = await fill(dir, 200);
    const read = async () => {
      const found: string[] = [];
      for await (const entry of await opendir(dir, { bufferSize: 7 })) found.push(entry.name);
      return found.sort();
    };
    const [first, second] = await Promise.all([read(), read()]);
    assert.deepEqual(first, names);
    assert.deepEqual(second, names);
  },
  'tree: rm -r takes it all': async (dir) => {
    for (const sub of ['a', 'a/b', 'a/b/c', 'd']) {
      await mkdir(join(dir, 't', sub), { recursive: true });
      await fill(join(dir, 't', sub), 30);
    }
    await succeeds('rm', ['-r', join(dir, 't')]);
    await fails('ENOENT', stat(join(dir, 't')));
    assert.deepEqual(await readdir(dir), []);
  },
  'tree: removed while a process stands in it': async (dir) => {
    const answer = await python(
      `
os.mkdir(argv[0])
os.chdir(argv[0])
os.rmdir(argv[0])
open("f", "w")`,
      join(dir, 'd'),
    );
    assert.equal(answer, 'ENOENT');
    await rm(join(dir, 'd'), { recursive: true, force: true });
  },
  'rmdir: who has the directory open still sees it, and may change it': async (dir) => {
    const answer = await python(
      `
for be_gone in (os.rmdir, lambda name: (os.mkdir(name + "2"), os.rename(name + "2", name))):
    os.mkdir(argv[0], 0o750)
    at = os.open(argv[0], os.O_RDONLY)
    was = os.fstat(at)
    be_gone(argv[0])
    os.fchmod(at, 0o700)
    os.utime(at, (5, 6))
    now = os.fstat(at)
    assert stat.S_ISDIR(now.st_mode) and stat.S_IMODE(now.st_mode) == 0o700, oct(now.st_mode)
    assert (now.st_ino, now.st_uid, now.st_atime, now.st_mtime) == (was.st_ino, was.st_uid, 5, 6), now
    assert now.st_nlink == 0, now
    try:
        os.fchown(at, 12, 34)
        assert os.getuid() == 0 and os.fstat(at).st_uid == 12
    except PermissionError:
        assert os.getuid() != 0
    os.close(at)`,
      join(dir, 'd'),
    );
    assert.equal(answer, '');
    assert.equal(await permissions(join(dir, 'd')), 0o755);
  },
  'rmdir: who stands in the directory may look around, and finds nothing': async (dir) => {
    const answer = await python(
      `
os.mkdir(argv[0])
os.chdir(argv[0])
os.rmdir(argv[0])
assert os.stat(".").st_nlink == 0
assert os.access(".", os.R_OK | os.W_OK | os.X_OK)
assert os.listdir(".") == []
try:
    os.mkdir("sub")
except FileNotFoundError:
    pass`,
      join(dir, 'd'),
    );
    assert.equal(answer, '');
  },
  'tree: find sees everything once': async (dir) => {
    const paths: string[] = [];
    for (let a = 0; a < 6; a++) {
      for (let b = 0; b < 6; b++) {
        await mkdir(join(dir, `a${a}/b${b}`), { recursive: true });
        paths.push(`./a${a}/b${b}/f`);
        await made(join(dir, `a${a}/b${b}/f`));
      }
    }
    const found = (await succeeds('find', ['.', '-type', 'f'], dir)).trimEnd().split('\n');
    assert.deepEqual(found.sort(), paths.sort());
  },
};
