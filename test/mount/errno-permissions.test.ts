/** Errors of a plain user among files of root's. See errno-names.test.ts for how they are compared. */
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'vitest';
import { compareErrno } from '../support/errno-comparison.js';
import type { ErrnoCase } from '../support/errno-driver.js';
import { createUser, isRoot } from '../support/user.js';

const CASES: readonly ErrnoCase[] = [
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

async function furnish(root: string): Promise<void> {
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
}

describe.runIf(isRoot)('as root', () => {
  compareErrno('permissions of a plain user', CASES, { furnish, user: createUser });
});
