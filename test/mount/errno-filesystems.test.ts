/**
 * Errors of further filesystems below the mounted directory: another one, a read-only one, full ones. See
 * errno-names.test.ts for how they are compared.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareErrno } from '../support/errno-comparison.js';
import { type ErrnoCase, endings } from '../support/errno-driver.js';
import { SmallDisk } from '../support/faults/disk.js';
import { Remora } from '../support/remora.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { isRoot } from '../support/user.js';

const CASES: readonly ErrnoCase[] = [
  ['rename of a file to another filesystem', 'EXDEV', "os.rename(d + '/file', r + '/other/file')"],
  ['rename of a directory to another filesystem', 'EXDEV', "os.rename(d + '/full', r + '/other/full')"],
  [
    'rename from another filesystem',
    'EXDEV',
    "open(r + '/other/f', 'w').close(); os.rename(r + '/other/f', d + '/f')",
  ],
  [
    'rename onto a file of another filesystem',
    'EXDEV',
    "open(r + '/other/g', 'w').close(); os.rename(d + '/file', r + '/other/g')",
  ],
  ['link to another filesystem', 'EXDEV', "os.link(d + '/file', r + '/other/link')"],
  ['mv to another filesystem copies', 'ok', "shutil.move(d + '/file', r + '/other/moved')"],

  ['read-only: open for writing', 'EROFS', "os.open(r + '/ro/file', os.O_WRONLY)"],
  ['read-only: open with O_TRUNC', 'EROFS', "os.open(r + '/ro/file', os.O_WRONLY | os.O_TRUNC)"],
  ['read-only: open for reading', 'ok', "os.read(os.open(r + '/ro/file', os.O_RDONLY), 9)"],
  ['read-only: create', 'EROFS', "os.open(r + '/ro/new', os.O_WRONLY | os.O_CREAT)"],
  ['read-only: create exclusively', 'EROFS', "os.open(r + '/ro/new', os.O_WRONLY | os.O_CREAT | os.O_EXCL)"],
  ['read-only: mkdir', 'EROFS', "os.mkdir(r + '/ro/new')"],
  ['read-only: symlink', 'EROFS', "os.symlink('x', r + '/ro/new')"],
  ['read-only: link', 'EROFS', "os.link(r + '/ro/file', r + '/ro/new')"],
  ['read-only: rename', 'EROFS', "os.rename(r + '/ro/file', r + '/ro/new')"],
  ['read-only: unlink', 'EROFS', "os.unlink(r + '/ro/file')"],
  ['read-only: rmdir', 'EROFS', "os.rmdir(r + '/ro/dir')"],
  ['read-only: truncate', 'EROFS', "os.truncate(r + '/ro/file', 0)"],
  ['read-only: chmod', 'EROFS', "os.chmod(r + '/ro/file', 0o600)"],
  ['read-only: utime', 'EROFS', "os.utime(r + '/ro/file')"],
  ['read-only: mkdir of what is there', 'EEXIST', "os.mkdir(r + '/ro/dir')"],
  // The kernel looks the name up first, where it does not know that the filesystem behind is read-only.
  ['read-only: unlink of nothing', 'EROFS', "os.unlink(r + '/ro/none')", 'ENOENT'],

  [
    'full: one large write',
    'ENOSPC',
    "first(r + '/small/f', lambda fd: os.write(fd, bytes(4 << 20)), lambda fd: os.write(fd, b'x'))",
  ],
  [
    'full: many small writes',
    'ENOSPC',
    "first(r + '/small/f', lambda fd: [os.write(fd, bytes(1000)) for _ in range(3000)])",
  ],
  [
    'full: appends',
    'ENOSPC',
    "first(r + '/small/f', lambda fd: [os.write(fd, bytes(50_000)) for _ in range(60)], flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND)",
  ],
  [
    'full: synchronous writes',
    'ENOSPC',
    "first(r + '/small/f', lambda fd: [os.write(fd, bytes(50_000)) for _ in range(60)], flags=os.O_WRONLY | os.O_CREAT | os.O_SYNC)",
  ],
  [
    'full: pieces from the end to the beginning',
    'ENOSPC',
    "first(r + '/small/f', lambda fd: [os.pwrite(fd, bytes(40_000), at * 50_000) for at in range(60, -1, -1)])",
  ],
  [
    'full: one byte more',
    'ENOSPC',
    "fill(r + '/small/full'); f = r + '/small/f'\ntry: first(f, lambda fd: os.write(fd, b'x'))\nfinally: os.unlink(r + '/small/full')",
  ],
  [
    'full: each of two descriptors',
    'ok',
    `
import errno
fds = [os.open(r + '/small/f', os.O_WRONLY | os.O_CREAT) for _ in range(2)]
told = []
for fd in fds:
    try:
        try:
            for at in range(60):
                os.pwrite(fd, bytes(50_000), (60 * fds.index(fd) + at) * 50_000)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        told.append(error.errno)
os.unlink(r + '/small/f')
assert told == [errno.ENOSPC] * 2, told`,
  ],
  [
    'full: whoever writes beside one that only holds the file',
    'ok',
    `
import errno
fill(r + '/small/full')
writer, other = [os.open(r + '/small/f', os.O_WRONLY | os.O_CREAT) for _ in range(2)]
told = []
for call in [lambda: os.write(writer, bytes(10_000)), lambda: os.fsync(writer), lambda: os.close(writer)]:
    try: call()
    except OSError as error: told.append(error.errno)
try: os.close(other)
except OSError as error: assert error.errno == errno.ENOSPC, error
os.unlink(r + '/small/f')
os.unlink(r + '/small/full')
assert told == [errno.ENOSPC], told`,
  ],
  [
    'full: twenty times in a row',
    'ok',
    `
import errno
for turn in range(20):
    try:
        first(r + '/small/f', lambda fd: os.write(fd, bytes(1_500_000)), lambda fd: os.write(fd, b'x'))
    except OSError as error:
        assert error.errno == errno.ENOSPC, (turn, error)
    else:
        assert False, turn`,
  ],
  [
    'full: a copy',
    'ENOSPC',
    "open(r + '/other/big', 'wb').write(bytes(3 << 20))\ntry: shutil.copyfile(r + '/other/big', r + '/small/f')\nfinally: os.unlink(r + '/small/f')",
  ],
  [
    'full: a copy on the same filesystem',
    'ENOSPC',
    "with open(r + '/small/a', 'wb') as a: a.write(bytes(700_000))\ntry: shutil.copyfile(r + '/small/a', r + '/small/b')\nfinally: [os.unlink(r + '/small/' + n) for n in ['a', 'b']]",
  ],
  ['full: truncate makes a hole', 'ok', "first(r + '/small/f', lambda fd: os.ftruncate(fd, 4 << 20))"],
  [
    'full: space that is freed can be used again',
    'ok',
    "fill(r + '/small/full'); os.unlink(r + '/small/full'); first(r + '/small/f', lambda fd: os.write(fd, bytes(500_000)))",
  ],
  ['no inodes: create', 'ENOSPC', "os.open(r + '/inodes/new', os.O_WRONLY | os.O_CREAT)"],
  [
    'no inodes: create exclusively',
    'ENOSPC',
    "os.open(r + '/inodes/new', os.O_WRONLY | os.O_CREAT | os.O_EXCL)",
  ],
  ['no inodes: mkdir', 'ENOSPC', "os.mkdir(r + '/inodes/new')"],
  ['no inodes: symlink', 'ENOSPC', "os.symlink('x', r + '/inodes/new')"],
];

/** A page of a full tmpfs cannot be touched at all; through the mount it is, and the error comes with the sending. */
const MAPPED: ErrnoCase = [
  'full: a memory map',
  'ENOSPC',
  `
def through_map(fd):
    os.ftruncate(fd, 3 << 20)
    with mmap.mmap(fd, 3 << 20) as pages:
        for at in range(0, 3 << 20, 4096):
            pages[at] = 1
        pages.flush()
first(r + '/small/f', through_map)`,
];

/** One for EXDEV, a small one, one without inodes, a read-only one. */
async function furnish(root: string, scope: Scope): Promise<void> {
  const made = async (name: string, options: string) => {
    await mkdir(join(root, name));
    return SmallDisk.mount(scope, join(root, name), options);
  };
  await made('other', 'size=16m');
  await made('small', 'size=1m');
  await made('inodes', 'nr_inodes=1');
  const readOnly = await made('ro', 'size=1m');
  await writeFile(join(readOnly.directory, 'file'), 'kept');
  await mkdir(join(readOnly.directory, 'dir'));
  await readOnly.readOnly(true);
}

describe.runIf(isRoot)('as root', () => {
  let scope: Scope;
  beforeAll(async () => {
    scope = await Scope.open('errno-mapped');
  });
  afterAll(async () => {
    await scope?.close();
  });

  compareErrno('other filesystems', CASES, { furnish });

  it('full: a long write that is cut short is told by the next call: ENOSPC', async () => {
    const disk = await scope.makeDirectory('cut');
    await SmallDisk.mount(scope, disk, 'size=1m');
    const remora = await Remora.create(scope);
    const mount = await remora.mount(await Sshd.start(scope, { sftp: 'external' }), disk);
    const cut: ErrnoCase = [
      'a write that is cut short',
      'ENOSPC',
      `
def cut(fd):
    assert os.write(fd, bytes(64 << 20)) < 64 << 20
first(r + '/f', cut)`,
    ];
    expect(await endings(scope, mount.directory, [cut])).toEqual({ [cut[0]]: 'ENOSPC' });
    await mount.unmount();
  });

  it('full: a memory map is told by msync, fsync or close: ENOSPC', async () => {
    const disk = await scope.makeDirectory('disk');
    await mkdir(join(disk, 'small'));
    await SmallDisk.mount(scope, join(disk, 'small'), 'size=1m');
    const remora = await Remora.create(scope);
    const mount = await remora.mount(await Sshd.start(scope, { sftp: 'external' }), disk);
    expect(await endings(scope, mount.directory, [MAPPED])).toEqual({ [MAPPED[0]]: 'ENOSPC' });
    await mount.unmount();
  });
});
