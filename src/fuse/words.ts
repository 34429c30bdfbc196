/**
 * Requests and replies in words, for `-d` and for what has failed: one line a call, with the names of the kernel's
 * own header for what is called, and paths for what it is called on. Pure; reads the bytes that the codec reads.
 */
import { type ByteString, decodeText } from '../base/bytes.js';
import { joinPath, type Path } from '../base/path.js';
import type { AttributeChanges } from '../fs/operations.js';
import type { NodeTable } from './nodes.js';
import { OPCODE, opcodeName, SIZEOF_ENTRY_OUT, SIZEOF_IN_HEADER } from './protocol/constants.js';
import {
  type InHeader,
  readAccessIn,
  readCopyFileRangeIn,
  readCreateIn,
  readFallocateIn,
  readGetattrIn,
  readInHeader,
  readLinkIn,
  readLseekIn,
  readMkdirIn,
  readMknodIn,
  readOpenIn,
  readReadIn,
  readReleaseIn,
  readRename2In,
  readRenameIn,
  readSetattrIn,
  readSymlinkIn,
} from './protocol/requests.js';
import { WireReader } from './protocol/wire.js';

/** Where the name stands in a request that has one, behind the header. */
const NAME_AT: ReadonlyMap<number, number> = new Map<number, number>([
  [OPCODE.LOOKUP, 0],
  [OPCODE.SYMLINK, 0],
  [OPCODE.UNLINK, 0],
  [OPCODE.RMDIR, 0],
  [OPCODE.MKDIR, 8],
  [OPCODE.RENAME, 8],
  [OPCODE.LINK, 8],
  [OPCODE.MKNOD, 16],
  [OPCODE.RENAME2, 16],
  [OPCODE.CREATE, 16],
]);

/** The name that a request is about in the directory it names; null when it is about the file itself. */
export function nameIn(opcode: number, request: Buffer): ByteString | null {
  const at = NAME_AT.get(opcode);
  if (at === undefined) return null;
  const from = SIZEOF_IN_HEADER + at;
  const end = request.indexOf(0, from);
  return end < 0 ? null : (request.toString('latin1', from, end) as ByteString);
}

/** The path that a request is about; null for what has no name any more. */
export function pathIn(nodes: NodeTable, nodeid: number, name: ByteString | null): Path | null {
  const node = nodes.get(nodeid);
  const path = node === undefined ? null : nodes.pathOf(node);
  return path === null || name === null ? path : joinPath(path, name);
}

const octal = (mode: number) => `0${mode.toString(8)}`;

function changesIn(changes: AttributeChanges): string {
  const said = Object.entries(changes).map(
    ([name, value]) => `${name}=${name === 'mode' && typeof value === 'number' ? octal(value) : value}`,
  );
  return said.join(' ');
}

/** What a request has beside a path and a name. */
function argumentsIn(nodes: NodeTable, opcode: number, reader: WireReader): string {
  const other = (nodeid: number, name: ByteString) => shown(pathIn(nodes, nodeid, name));
  switch (opcode) {
    case OPCODE.GETATTR: {
      const { fh } = readGetattrIn(reader);
      return fh === null ? '' : `fh ${fh}`;
    }
    case OPCODE.SETATTR: {
      const { fh, changes } = readSetattrIn(reader);
      return `${fh === null ? '' : `fh ${fh} `}${changesIn(changes)}`;
    }
    case OPCODE.SYMLINK:
      return `to ${decodeText(readSymlinkIn(reader).target)}`;
    case OPCODE.MKDIR:
      return octal(readMkdirIn(reader).mode);
    case OPCODE.MKNOD:
      return octal(readMknodIn(reader).mode);
    case OPCODE.RENAME:
    case OPCODE.RENAME2: {
      const read = opcode === OPCODE.RENAME ? readRenameIn : readRename2In;
      const { newdir, newname, flags } = read(reader);
      return `to ${other(newdir, newname)}${flags === 0 ? '' : ` flags ${flags}`}`;
    }
    case OPCODE.LINK:
      return `from ${shown(pathIn(nodes, readLinkIn(reader).oldnodeid, null))}`;
    case OPCODE.OPEN:
    case OPCODE.OPENDIR:
      return `flags ${octal(readOpenIn(reader).flags)}`;
    case OPCODE.CREATE: {
      const { flags, mode } = readCreateIn(reader);
      return `flags ${octal(flags)} ${octal(mode)}`;
    }
    case OPCODE.READ:
    case OPCODE.READDIR:
    case OPCODE.READDIRPLUS:
    case OPCODE.WRITE: {
      // fuse_write_in begins as fuse_read_in does.
      const { fh, offset, size } = readReadIn(reader);
      return `fh ${fh} ${size} bytes at ${offset}`;
    }
    case OPCODE.RELEASE:
    case OPCODE.RELEASEDIR:
    case OPCODE.FLUSH:
    case OPCODE.FSYNC:
    case OPCODE.FSYNCDIR:
      // All of them begin with it.
      return `fh ${readReleaseIn(reader).fh}`;
    case OPCODE.ACCESS:
      return `mask ${readAccessIn(reader).mask}`;
    case OPCODE.LSEEK: {
      const { fh, offset, whence } = readLseekIn(reader);
      return `fh ${fh} ${offset} whence ${whence}`;
    }
    case OPCODE.FALLOCATE: {
      const { fh, mode, offset, length } = readFallocateIn(reader);
      return `fh ${fh} mode ${mode} ${length} bytes at ${offset}`;
    }
    case OPCODE.COPY_FILE_RANGE: {
      const { fhIn, offIn, fhOut, offOut, length } = readCopyFileRangeIn(reader);
      return `fh ${fhIn} ${length} bytes at ${offIn} to fh ${fhOut} at ${offOut}`;
    }
    default:
      return '';
  }
}

/** A path as it is shown: `/` is the root of the mount. */
export function shown(path: Path | null): string {
  if (path === null) return '(removed)';
  return path === '' ? '/' : decodeText(path);
}

/** `READ docs/a.txt fh 3 131072 bytes at 0`. */
export function describeRequest(nodes: NodeTable, request: Buffer): string {
  const reader = new WireReader(request);
  const { opcode, nodeid }: InHeader = readInHeader(reader);
  const name = opcodeName(opcode);
  if (nodeid === 0) return name;
  // The node is gone by the time this is told.
  if (opcode === OPCODE.FORGET) return `${name} node ${nodeid}`;
  const path = shown(pathIn(nodes, nodeid, nameIn(opcode, request)));
  return [name, path, argumentsIn(nodes, opcode, reader)].filter((word) => word !== '').join(' ');
}

const ENTRY: ReadonlySet<number> = new Set<number>([
  OPCODE.LOOKUP,
  OPCODE.CREATE,
  OPCODE.MKDIR,
  OPCODE.MKNOD,
  OPCODE.SYMLINK,
  OPCODE.LINK,
]);

/** Offsets in `fuse_entry_out`, `fuse_attr_out` and `fuse_attr`. */
const ENTRY_ATTR = 40;
const ATTR_OUT_ATTR = 16;
const ATTR_SIZE = 8;
const ATTR_MODE = 60;

/** What a reply without an error says, from its payload: `ino 5`, `131072 bytes`, `fh 3`. */
export function describeReply(opcode: number, parts: readonly Uint8Array[]): string {
  const bytes = Buffer.concat(parts.slice(0, 2).map((part) => part.subarray(0, SIZEOF_ENTRY_OUT)));
  const number = (at: number) => (bytes.length < at + 8 ? 0 : Number(bytes.readBigUInt64LE(at)));
  if (ENTRY.has(opcode) && bytes.length >= SIZEOF_ENTRY_OUT) {
    if (number(0) === 0) return 'ENOENT';
    const ino = `ino ${number(ENTRY_ATTR)}`;
    return opcode === OPCODE.CREATE ? `${ino} fh ${number(SIZEOF_ENTRY_OUT)}` : ino;
  }
  switch (opcode) {
    case OPCODE.GETATTR:
    case OPCODE.SETATTR: {
      const mode = octal(bytes.readUInt32LE(ATTR_OUT_ATTR + ATTR_MODE));
      return `ino ${number(ATTR_OUT_ATTR)} size ${number(ATTR_OUT_ATTR + ATTR_SIZE)} mode ${mode}`;
    }
    case OPCODE.OPEN:
    case OPCODE.OPENDIR:
      return `fh ${number(0)}`;
    case OPCODE.WRITE:
    case OPCODE.COPY_FILE_RANGE:
      return `${bytes.readUInt32LE(0)} bytes`;
    case OPCODE.READ:
    case OPCODE.READDIR:
    case OPCODE.READDIRPLUS:
      return `${parts.reduce((sum, part) => sum + part.length, 0)} bytes`;
    case OPCODE.READLINK:
      return decodeText(bytes.toString('latin1') as ByteString);
    case OPCODE.LSEEK:
      return String(number(0));
    default:
      return 'ok';
  }
}
