/**
 * Errors are true: SFTP version 3 says "Failure" for nearly everything, and a program sees what the same call gives on
 * a local filesystem of the same kind all the same. Every case runs twice, on a directory and through a mount of
 * OpenSSH; where the two may differ, the reason stands beside the case. Here: calls on names and files of one's own.
 *
 * In no file of `errno-*`: EDQUOT, for which no filesystem of an ordinary kernel can be made in a test without a quota
 * tool (its rule is in test/unit/fs/writes.test.ts), and ESTALE, which takes a lost session
 * (faults-open-files.test.ts).
 */
import { compareErrno } from '../support/errno-comparison.js';
import type { ErrnoCase } from '../support/errno-driver.js';

const CASES: readonly ErrnoCase[] = [
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

compareErrno('names and files', CASES);
