/**
 * Errors are true: SFTP version 3 says "Failure" for nearly everything, and a program sees what the same call gives on
 * a local filesystem of the same kind all the same. Every case runs twice, on a directory and through a mount of
 * OpenSSH; where the two may differ, the reason stands beside the case.
 *
 * Not here: EDQUOT, for which no filesystem of an ordinary kernel can be made in a test without a quota tool (its rule
 * is in test/unit/fs/writes.test.ts), and ESTALE, which takes a lost session (faults.test.ts).
 */
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ErrnoCase, endings } from '../support/errno-driver.js';
import { SmallDisk } from '../support/faults/disk.js';
import { limitHandles } from '../support/faults/server.js';
import { type Mounted, Remora } from '../support/remora.js';
import type { Identity } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

/** Calls in the furnished directory of each case. */
const PLAIN: readonly ErrnoCase[] = [
  ['mkdir of a directory', 'EEXIST', "os.mkdir(d + '/dir')"],
  ['mkdir of a file', 'EEXIST', "os.mkdir(d + '/file')"],
  ['mkdir of a dangling link', 'EEXIST', "os.mkdir(d + '/dangling')"],
  ['symlink onto a file', 'EEXIST', "os.symlink('x', d + '/file')"],
  ['symlink onto a directory', 'EEXIST', "os.symlink('x', d + '/dir')"],
  ['link onto a file', 'EEXIST', "open(d + '/g', 'w').close(); os.link(d + '/file', d + '/g')"],
  ['link onto a directory', 'EEXIST', "os.link(d + '/file', d + '/dir')"],
  ['O_EXCL of a file', 'EEXIST', "os.open(d + '/file', os.O_CREAT | os.O_EXCL | os.O_WRONLY)"],
  ['O_EXCL of a directory', 'EEXIST', "os.open(d + '/dir', os.O_CREAT | os.O_EXCL | os.O_WRONLY)"],
  ['O_EXCL of a dangling link', 'EEXIST', "os.open(d + '/dangling', os.O_CREAT | os.O_EXCL | os.O_WRONLY)"],

  ['rmdir of a full directory', 'ENOTEMPTY', "os.rmdir(d + '/full')"],
  ['rename onto a full directory', 'ENOTEMPTY', "os.rename(d + '/dir', d + '/full')"],
  ['rename onto a parent', 'ENOTEMPTY', "os.rename(d + '/full/below', d + '/full')"],

  ['open of a directory for writing', 'EISDIR', "os.open(d + '/dir', os.O_WRONLY)"],
  ['open of a directory with O_CREAT', 'EISDIR', "os.open(d + '/dir', os.O_RDWR | os.O_CREAT)"],
  ['read of a directory', 'EISDIR', "os.read(os.open(d + '/dir', os.O_RDONLY), 1)"],
  ['unlink of a directory', 'EISDIR', "os.unlink(d + '/dir')"],
  ['truncate of a directory', 'EISDIR', "os.truncate(d + '/dir', 0)"],
  ['rename of a file onto a directory', 'EISDIR', "os.rename(d + '/file', d + '/dir')"],

  ['stat below a file', 'ENOTDIR', "os.stat(d + '/file/x')"],
  ['open below a file', 'ENOTDIR', "os.open(d + '/file/x', os.O_RDONLY)"],
  ['create below a file', 'ENOTDIR', "os.open(d + '/file/x', os.O_WRONLY | os.O_CREAT)"],
  ['mkdir below a file', 'ENOTDIR', "os.mkdir(d + '/file/x')"],
  ['symlink below a file', 'ENOTDIR', "os.symlink('t', d + '/file/x')"],
  ['rename to below a file', 'ENOTDIR', "os.rename(d + '/dir', d + '/file/x')"],
  ['listing of a file', 'ENOTDIR', "os.listdir(d + '/file')"],
  ['O_DIRECTORY of a file', 'ENOTDIR', "os.open(d + '/file', os.O_RDONLY | os.O_DIRECTORY)"],
  ['rmdir of a file', 'ENOTDIR', "os.rmdir(d + '/file')"],
  ['rmdir of a link to a directory', 'ENOTDIR', "os.symlink('dir', d + '/l'); os.rmdir(d + '/l')"],
  ['rename of a directory onto a file', 'ENOTDIR', "os.rename(d + '/dir', d + '/file')"],
  ['a file with a slash behind it', 'ENOTDIR', "os.stat(d + '/file/')"],

  ['stat of nothing', 'ENOENT', "os.stat(d + '/none')"],
  ['stat of a dangling link', 'ENOENT', "os.stat(d + '/dangling')"],
  ['open of nothing', 'ENOENT', "os.open(d + '/none', os.O_RDONLY)"],
  ['open of a dangling link', 'ENOENT', "os.open(d + '/dangling', os.O_RDWR)"],
  ['listing of nothing', 'ENOENT', "os.listdir(d + '/none')"],
  ['unlink of nothing', 'ENOENT', "os.unlink(d + '/none')"],
  ['rmdir of nothing', 'ENOENT', "os.rmdir(d + '/none')"],
  ['readlink of nothing', 'ENOENT', "os.readlink(d + '/none')"],
  ['rename of nothing', 'ENOENT', "os.rename(d + '/none', d + '/file')"],
  ['rename into nothing', 'ENOENT', "os.rename(d + '/file', d + '/none/x')"],
  ['link of nothing', 'ENOENT', "os.link(d + '/none', d + '/x')"],
  ['link into nothing', 'ENOENT', "os.link(d + '/file', d + '/none/x')"],
  ['mkdir in nothing', 'ENOENT', "os.mkdir(d + '/none/x')"],
  ['create in nothing', 'ENOENT', "os.open(d + '/none/x', os.O_CREAT | os.O_WRONLY)"],
  ['symlink in nothing', 'ENOENT', "os.symlink('x', d + '/none/x')"],
  ['symlink to an empty target', 'ENOENT', "os.symlink('', d + '/x')"],
  ['chmod of nothing', 'ENOENT', "os.chmod(d + '/none', 0o600)"],
  ['utime of nothing', 'ENOENT', "os.utime(d + '/none')"],
  ['truncate of nothing', 'ENOENT', "os.truncate(d + '/none', 0)"],
  ['statvfs of nothing', 'ENOENT', "os.statvfs(d + '/none')"],

  ['stat of a loop', 'ELOOP', "os.stat(d + '/loop')"],
  ['open of a loop', 'ELOOP', "os.open(d + '/loop', os.O_RDONLY)"],
  ['create through a loop', 'ELOOP', "os.open(d + '/loop', os.O_CREAT | os.O_WRONLY)"],
  ['mkdir below a loop', 'ELOOP', "os.mkdir(d + '/loop/x')"],
  ['rename from below a loop', 'ELOOP', "os.rename(d + '/loop/x', d + '/y')"],
  ['O_NOFOLLOW of a link', 'ELOOP', "os.open(d + '/link', os.O_RDONLY | os.O_NOFOLLOW)"],
  [
    'a chain of 41 links',
    'ELOOP',
    "[os.symlink(f'c{i + 1}', f'{d}/c{i}') for i in range(40)]; os.symlink('file', d + '/c40'); os.stat(d + '/c0')",
  ],

  ['stat of a name of 256 bytes', 'ENAMETOOLONG', "os.stat(d + '/' + 'n' * 256)"],
  ['create of a name of 256 bytes', 'ENAMETOOLONG', "open(d + '/' + 'n' * 256, 'w')"],
  ['a name of 255 bytes', 'ok', "open(d + '/' + 'n' * 255, 'w').close(); os.unlink(d + '/' + 'n' * 255)"],
  ['mkdir of a name of 256 bytes', 'ENAMETOOLONG', "os.mkdir(d + '/' + 'n' * 256)"],
  ['symlink at a name of 256 bytes', 'ENAMETOOLONG', "os.symlink('x', d + '/' + 'n' * 256)"],
  ['rename to a name of 256 bytes', 'ENAMETOOLONG', "os.rename(d + '/file', d + '/' + 'n' * 256)"],
  ['link to a name of 256 bytes', 'ENAMETOOLONG', "os.link(d + '/file', d + '/' + 'n' * 256)"],
  ['a path of 5000 bytes', 'ENAMETOOLONG', "os.stat(d + '/x' * 2500)"],
  ['symlink to 5000 bytes', 'ENAMETOOLONG', "os.symlink('t' * 5000, d + '/x')"],

  ['rename of a directory into itself', 'EINVAL', "os.rename(d + '/dir', d + '/dir/x')"],
  ['readlink of a file', 'EINVAL', "os.readlink(d + '/file')"],
  ['truncate to less than nothing', 'EINVAL', "os.truncate(d + '/file', -1)"],
  ['link of a directory', 'EPERM', "os.link(d + '/dir', d + '/x')"],
  ['write to what is open for reading', 'EBADF', "os.write(os.open(d + '/file', os.O_RDONLY), b'x')"],
];

/** Further filesystems below the mounted directory: `other`, a read-only one, and ones that are full. */
const FILESYSTEMS: readonly ErrnoCase[] = [
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
    "open(r + '/small/a', 'wb').write(bytes(700_000))\ntry: shutil.copyfile(r + '/small/a', r + '/small/b')\nfinally: [os.unlink(r + '/small/' + n) for n in ['a', 'b']]",
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

/** As a plain user, among files of root's. */
const DENIED: readonly ErrnoCase[] = [
  ['open of an unreadable file', 'EACCES', "os.open(r + '/theirs/secret', os.O_RDONLY)"],
  ['open of a readable file for writing', 'EACCES', "os.open(r + '/theirs/public', os.O_RDWR)"],
  ['truncate of a readable file', 'EACCES', "os.truncate(r + '/theirs/public', 0)"],
  ['create in their directory', 'EACCES', "open(r + '/theirs/new', 'w')"],
  ['mkdir in their directory', 'EACCES', "os.mkdir(r + '/theirs/new')"],
  ['symlink in their directory', 'EACCES', "os.symlink('x', r + '/theirs/new')"],
  ['unlink in their directory', 'EACCES', "os.unlink(r + '/theirs/public')"],
  ['rmdir in their directory', 'EACCES', "os.rmdir(r + '/theirs/dir')"],
  ['rename in their directory', 'EACCES', "os.rename(r + '/theirs/public', r + '/theirs/new')"],
  ['rename out of their directory', 'EACCES', "os.rename(r + '/theirs/public', d + '/new')"],
  ['rename into their directory', 'EACCES', "os.rename(d + '/file', r + '/theirs/new')"],
  ['link into their directory', 'EACCES', "os.link(d + '/file', r + '/theirs/new')"],
  ['listing of a closed directory', 'EACCES', "os.listdir(r + '/closed')"],
  ['stat in a closed directory', 'EACCES', "os.stat(r + '/closed/file')"],
  ['open in a closed directory', 'EACCES', "os.open(r + '/closed/file', os.O_RDONLY)"],
  ['create in a closed directory', 'EACCES', "open(r + '/closed/new', 'w')"],
  ['chmod of their file', 'EPERM', "os.chmod(r + '/theirs/public', 0o777)"],
  ['utime of their file to some time', 'EPERM', "os.utime(r + '/theirs/public', (1, 1))"],
  ['chown of their file', 'EPERM', "os.chown(r + '/theirs/public', os.getuid(), -1)"],
  ['chown of an own file to root', 'EPERM', "os.chown(d + '/file', 0, 0)"],
  ['unlink of their file in a sticky directory', 'EPERM', "os.unlink(r + '/sticky/theirs')"],
  [
    'rename of their file in a sticky directory',
    'EPERM',
    "os.rename(r + '/sticky/theirs', r + '/sticky/new')",
  ],
  [
    'rename onto their file in a sticky directory',
    'EPERM',
    "open(r + '/sticky/own', 'w').close(); os.rename(r + '/sticky/own', r + '/sticky/theirs')",
  ],
  ['rmdir of their directory in a sticky directory', 'EPERM', "os.rmdir(r + '/sticky/dir')"],
];

let scope: Scope;
let sshd: Sshd;
let remora: Remora;

beforeAll(async () => {
  scope = await Scope.open('errno');
  sshd = await Sshd.start(scope, { sftp: 'external' });
  remora = await Remora.create(scope);
});
afterAll(async () => {
  await scope?.close();
});

/** Runs the cases on a plain directory and through a mount, both furnished by `furnish`. */
function compared(
  what: string,
  cases: readonly ErrnoCase[],
  furnish: (root: string) => Promise<void>,
  user?: () => Promise<Identity>,
): void {
  describe(what, () => {
    let local: Readonly<Record<string, string>>;
    let mounted: Readonly<Record<string, string>>;
    let mount: Mounted;

    beforeAll(async () => {
      const as = await user?.();
      const label = what.replaceAll(/\W+/g, '-');
      const [plain, disk] = [
        await scope.makeDirectory(`${label}-local`, as),
        await scope.makeDirectory(`${label}-disk`, as),
      ];
      for (const root of [plain, disk]) await furnish(root);
      mount = await mountFor(disk, as);
      local = await endings(scope, plain, cases, as);
      mounted = await endings(scope, mount.directory, cases, as);
    });
    afterAll(async () => {
      await mount?.unmount();
    });

    for (const [name, errno, , onMount = errno] of cases) {
      it(`${name}: ${errno}`, () => {
        expect({ local: local[name], mounted: mounted[name] }).toEqual({ local: errno, mounted: onMount });
      });
    }
  });
}

async function mountFor(disk: string, as: Identity | undefined): Promise<Mounted> {
  if (as === undefined) return remora.mount(sshd, disk);
  const theirs = await Sshd.start(scope, { user: as.name });
  return (await Remora.create(scope, as)).mount(theirs, disk);
}

compared('names and files', PLAIN, async () => {});

describe.runIf(isRoot)('as root', () => {
  /** Filesystems of a root: one for EXDEV, a read-only one, a full one, one without inodes. */
  async function furnish(root: string): Promise<void> {
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

  compared('other filesystems', FILESYSTEMS, furnish);

  it('full: a memory map is told by msync, fsync or close: ENOSPC', async () => {
    const disk = await scope.makeDirectory('mapped-disk');
    await mkdir(join(disk, 'small'));
    await SmallDisk.mount(scope, join(disk, 'small'), 'size=1m');
    const mount = await remora.mount(sshd, disk);
    expect(await endings(scope, mount.directory, [MAPPED])).toEqual({ [MAPPED[0]]: 'ENOSPC' });
    await mount.unmount();
  });

  compared(
    'permissions of a plain user',
    DENIED,
    async (root) => {
      await mkdir(join(root, 'theirs'));
      await mkdir(join(root, 'theirs', 'dir'));
      await mkdir(join(root, 'sticky'));
      await mkdir(join(root, 'sticky', 'dir'));
      await mkdir(join(root, 'closed'));
      await writeFile(join(root, 'theirs', 'public'), 'text');
      await writeFile(join(root, 'theirs', 'secret'), 'text', { mode: 0o600 });
      await writeFile(join(root, 'sticky', 'theirs'), 'text');
      await writeFile(join(root, 'closed', 'file'), 'text');
      await chmod(join(root, 'sticky'), 0o1777);
      await chmod(join(root, 'closed'), 0o700);
      await chown(join(root, 'theirs'), 0, 0);
    },
    () => createUser(scope),
  );
});

describe('a server that runs out of handles', () => {
  const OPENING = `
fds = []
try:
    for index in range(64):
        fds.append(os.open(f'{d}/f{index}', os.O_RDWR | os.O_CREAT))
finally:
    for fd in fds: os.close(fd)`;
  const cases: readonly ErrnoCase[] = [
    ['many files', 'EMFILE', OPENING],
    ['and it works afterwards', 'ok', "open(d + '/new', 'w').close(); os.listdir(d)"],
  ];
  const expected = Object.fromEntries(cases.map(([name, errno]) => [name, errno]));

  it('because it has few from the beginning: EMFILE', async () => {
    const disk = await scope.makeDirectory('few-disk');
    const few = await Sshd.start(scope, { sftp: 'prlimit --nofile=24:24 /usr/lib/openssh/sftp-server' });
    const mount = await remora.mount(few, disk);
    expect(await endings(scope, mount.directory, cases)).toEqual(expected);
    await mount.unmount();
  });

  it('because its limit was lowered: EMFILE', async () => {
    const disk = await scope.makeDirectory('lowered-disk');
    const lowered = await Sshd.start(scope, { sftp: 'external' });
    const mount = await remora.mount(lowered, disk);
    await limitHandles(lowered, 24);
    expect(await endings(scope, mount.directory, cases)).toEqual(expected);
    await mount.unmount();
  });
});
