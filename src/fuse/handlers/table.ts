/**
 * Which handler answers which opcode. What is not here answers ENOSYS, after which the kernel mostly stops
 * asking: extended attributes (programs then see EOPNOTSUPP), ioctl, poll, bmap, and locks, which are never
 * negotiated and stay with the kernel.
 */
import { OPCODE } from '../protocol/constants.js';
import { access, getattr, readlink, setattr, statfs } from './attributes.js';
import { fsyncdir, opendir, readdir, readdirplus, releasedir } from './directories.js';
import {
  copyFileRange,
  create,
  fallocate,
  flush,
  fsync,
  lseek,
  open,
  read,
  release,
  write,
} from './files.js';
import { link, lookup, mkdir, mknod, rename, rename2, rmdir, symlink, unlink } from './names.js';
import { DONE, type Handler } from './types.js';

export const HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [OPCODE.LOOKUP, lookup],
  [OPCODE.GETATTR, getattr],
  [OPCODE.SETATTR, setattr],
  [OPCODE.READLINK, readlink],
  [OPCODE.SYMLINK, symlink],
  [OPCODE.MKNOD, mknod],
  [OPCODE.MKDIR, mkdir],
  [OPCODE.UNLINK, unlink],
  [OPCODE.RMDIR, rmdir],
  [OPCODE.RENAME, rename],
  [OPCODE.RENAME2, rename2],
  [OPCODE.LINK, link],
  [OPCODE.OPEN, open],
  [OPCODE.READ, read],
  [OPCODE.WRITE, write],
  [OPCODE.STATFS, statfs],
  [OPCODE.RELEASE, release],
  [OPCODE.FSYNC, fsync],
  [OPCODE.FLUSH, flush],
  [OPCODE.OPENDIR, opendir],
  [OPCODE.READDIR, readdir],
  [OPCODE.READDIRPLUS, readdirplus],
  [OPCODE.RELEASEDIR, releasedir],
  [OPCODE.FSYNCDIR, fsyncdir],
  [OPCODE.ACCESS, access],
  [OPCODE.CREATE, create],
  [OPCODE.LSEEK, lseek],
  [OPCODE.FALLOCATE, fallocate],
  [OPCODE.COPY_FILE_RANGE, copyFileRange],
  [OPCODE.DESTROY, async () => DONE],
]);
