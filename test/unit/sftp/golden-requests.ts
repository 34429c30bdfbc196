/** Every request as a value and as the bytes it is on the wire. Id 0x01020304 throughout, handle "h1". */
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import * as c from '../../../src/sftp/constants.js';
import type { SftpHandle } from '../../../src/sftp/handle.js';
import type { Request } from '../../../src/sftp/requests.js';
import { wire } from '../../support/wire.js';

export const ID = 0x01020304;
const handle = 'h1' as SftpHandle;
const other = 'h2' as SftpHandle;
const path = '/a\xff' as ByteString;

const H = ['00 00 00 02  handle length', '"h1"'];
const P = ['00 00 00 03  path length', '2f 61 ff  "/a" and a byte that is not UTF-8'];

/** A packet of `type` with its length and id in front. */
function packet(length: string, type: string, ...rows: string[]): Buffer {
  return wire(`${length}  length`, `${type}  type`, '01 02 03 04  id', ...rows);
}

export const REQUESTS: readonly { name: string; request: Request; bytes: Buffer }[] = [
  {
    name: 'OPEN with a mode',
    request: { type: c.SSH_FXP_OPEN, filename: path, pflags: 0x1a, attrs: { permissions: 0o644 } },
    bytes: packet(
      '00 00 00 18',
      '03',
      ...P,
      '00 00 00 1a  WRITE | CREAT | TRUNC',
      '00 00 00 04  SSH_FILEXFER_ATTR_PERMISSIONS',
      '00 00 01 a4  0644',
    ),
  },
  { name: 'CLOSE', request: { type: c.SSH_FXP_CLOSE, handle }, bytes: packet('00 00 00 0b', '04', ...H) },
  {
    name: 'READ beyond 4 GiB',
    request: { type: c.SSH_FXP_READ, handle, offset: 0x1_0000_0002, len: 0x8000 },
    bytes: packet('00 00 00 17', '05', ...H, '00 00 00 01 00 00 00 02  offset', '00 00 80 00  len'),
  },
  {
    name: 'WRITE',
    request: { type: c.SSH_FXP_WRITE, handle, offset: 3, data: Buffer.from('xyz') },
    bytes: packet(
      '00 00 00 1a',
      '06',
      ...H,
      '00 00 00 00 00 00 00 03  offset',
      '00 00 00 03  length',
      '"xyz"',
    ),
  },
  { name: 'LSTAT', request: { type: c.SSH_FXP_LSTAT, path }, bytes: packet('00 00 00 0c', '07', ...P) },
  { name: 'FSTAT', request: { type: c.SSH_FXP_FSTAT, handle }, bytes: packet('00 00 00 0b', '08', ...H) },
  {
    name: 'SETSTAT of everything',
    request: {
      type: c.SSH_FXP_SETSTAT,
      path,
      attrs: { size: 5, uid: 1000, gid: 0xffffffff, permissions: 0o755, atime: 1, mtime: 0xffffffff },
    },
    bytes: packet(
      '00 00 00 2c',
      '09',
      ...P,
      '00 00 00 0f  SIZE | UIDGID | PERMISSIONS | ACMODTIME',
      '00 00 00 00 00 00 00 05  size',
      '00 00 03 e8  uid',
      'ff ff ff ff  gid',
      '00 00 01 ed  permissions',
      '00 00 00 01  atime',
      'ff ff ff ff  mtime',
    ),
  },
  {
    name: 'FSETSTAT of a size',
    request: { type: c.SSH_FXP_FSETSTAT, handle, attrs: { size: Number.MAX_SAFE_INTEGER } },
    bytes: packet('00 00 00 17', '0a', ...H, '00 00 00 01  SIZE', '00 1f ff ff ff ff ff ff  2^53 - 1'),
  },
  { name: 'OPENDIR', request: { type: c.SSH_FXP_OPENDIR, path }, bytes: packet('00 00 00 0c', '0b', ...P) },
  { name: 'READDIR', request: { type: c.SSH_FXP_READDIR, handle }, bytes: packet('00 00 00 0b', '0c', ...H) },
  { name: 'REMOVE', request: { type: c.SSH_FXP_REMOVE, path }, bytes: packet('00 00 00 0c', '0d', ...P) },
  {
    name: 'MKDIR without attributes',
    request: { type: c.SSH_FXP_MKDIR, path, attrs: {} },
    bytes: packet('00 00 00 10', '0e', ...P, '00 00 00 00  flags'),
  },
  { name: 'RMDIR', request: { type: c.SSH_FXP_RMDIR, path }, bytes: packet('00 00 00 0c', '0f', ...P) },
  { name: 'REALPATH', request: { type: c.SSH_FXP_REALPATH, path }, bytes: packet('00 00 00 0c', '10', ...P) },
  { name: 'STAT', request: { type: c.SSH_FXP_STAT, path }, bytes: packet('00 00 00 0c', '11', ...P) },
  {
    name: 'RENAME',
    request: { type: c.SSH_FXP_RENAME, oldpath: path, newpath: ascii('b') },
    bytes: packet('00 00 00 11', '12', ...P, '00 00 00 01  length', '"b"'),
  },
  { name: 'READLINK', request: { type: c.SSH_FXP_READLINK, path }, bytes: packet('00 00 00 0c', '13', ...P) },
  {
    name: 'SYMLINK, the target first as OpenSSH wants it',
    request: { type: c.SSH_FXP_SYMLINK, linkpath: path, targetpath: ascii('to') },
    bytes: packet('00 00 00 12', '14', '00 00 00 02  target length', '"to"', ...P),
  },
  {
    name: 'posix-rename',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.POSIX_RENAME, oldpath: path, newpath: ascii('b') },
    bytes: packet(
      '00 00 00 2d',
      'c8',
      '00 00 00 18  length',
      '"posix-rename@openssh.com"',
      ...P,
      '00 00 00 01  length',
      '"b"',
    ),
  },
  {
    name: 'hardlink',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.HARDLINK, oldpath: path, newpath: ascii('b') },
    bytes: packet(
      '00 00 00 29',
      'c8',
      '00 00 00 14  length',
      '"hardlink@openssh.com"',
      ...P,
      '00 00 00 01  length',
      '"b"',
    ),
  },
  {
    name: 'statvfs',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.STATVFS, path },
    bytes: packet('00 00 00 23', 'c8', '00 00 00 13  length', '"statvfs@openssh.com"', ...P),
  },
  {
    name: 'fstatvfs',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.FSTATVFS, handle },
    bytes: packet('00 00 00 23', 'c8', '00 00 00 14  length', '"fstatvfs@openssh.com"', ...H),
  },
  {
    name: 'fsync',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.FSYNC, handle },
    bytes: packet('00 00 00 20', 'c8', '00 00 00 11  length', '"fsync@openssh.com"', ...H),
  },
  {
    name: 'lsetstat of times',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.LSETSTAT, path, attrs: { atime: 1, mtime: 2 } },
    bytes: packet(
      '00 00 00 30',
      'c8',
      '00 00 00 14  length',
      '"lsetstat@openssh.com"',
      ...P,
      '00 00 00 08  ACMODTIME',
      '00 00 00 01  atime',
      '00 00 00 02  mtime',
    ),
  },
  {
    name: 'limits',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.LIMITS },
    bytes: packet('00 00 00 1b', 'c8', '00 00 00 12  length', '"limits@openssh.com"'),
  },
  {
    name: 'expand-path',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.EXPAND_PATH, path: ascii('~/x') },
    bytes: packet(
      '00 00 00 27',
      'c8',
      '00 00 00 17  length',
      '"expand-path@openssh.com"',
      '00 00 00 03  length',
      '"~/x"',
    ),
  },
  {
    name: 'copy-data',
    request: {
      type: c.SSH_FXP_EXTENDED,
      extension: c.COPY_DATA,
      readHandle: handle,
      readOffset: 1,
      length: 2,
      writeHandle: other,
      writeOffset: 3,
    },
    bytes: packet(
      '00 00 00 36',
      'c8',
      '00 00 00 09  length',
      '"copy-data"',
      ...H,
      '00 00 00 00 00 00 00 01  read offset',
      '00 00 00 00 00 00 00 02  read length',
      '00 00 00 02  length',
      '"h2"',
      '00 00 00 00 00 00 00 03  write offset',
    ),
  },
  {
    name: 'home-directory',
    request: { type: c.SSH_FXP_EXTENDED, extension: c.HOME_DIRECTORY, username: ascii('bo') },
    bytes: packet(
      '00 00 00 1d',
      'c8',
      '00 00 00 0e  length',
      '"home-directory"',
      '00 00 00 02  length',
      '"bo"',
    ),
  },
  {
    name: 'users-groups-by-id',
    request: {
      type: c.SSH_FXP_EXTENDED,
      extension: c.USERS_GROUPS_BY_ID,
      uids: [0, 1000],
      gids: [0xffffffff],
    },
    bytes: packet(
      '00 00 00 3b',
      'c8',
      '00 00 00 1e  length',
      '"users-groups-by-id@openssh.com"',
      '00 00 00 08  bytes of uids',
      '00 00 00 00  root',
      '00 00 03 e8  1000',
      '00 00 00 04  bytes of gids',
      'ff ff ff ff  the largest',
    ),
  },
];
