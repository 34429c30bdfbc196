/** Requests about names: looking up, making, removing, renaming and linking. */
import type { ByteString } from '../../base/bytes.js';
import { FsError } from '../../base/errno.js';
import { isDirectory } from '../../base/mode.js';
import type { Path } from '../../base/path.js';
import type { Stat } from '../../fs/operations.js';
import { RENAME_NOREPLACE } from '../protocol/constants.js';
import { entryOut, negativeEntryOut } from '../protocol/replies.js';
import {
  type InHeader,
  type RenameIn,
  readLinkIn,
  readMkdirIn,
  readMknodIn,
  readName,
  readRename2In,
  readRenameIn,
  readSymlinkIn,
} from '../protocol/requests.js';
import {
  type Completion,
  childPath,
  DONE,
  decode,
  deliverEntry,
  type Handler,
  nodeOf,
  pathOf,
  payload,
  type State,
} from './types.js';

export const lookup: Handler = async (state, header, reader) => {
  const name = decode(reader, readName);
  const parent = nodeOf(state, header.nodeid);
  const path = childPath(state, parent, name);
  const found = await state.operations.lookup(path);
  const { attributes, attrTtl, entryTtl } = found;
  if (attributes === null) {
    // The directory moved while the server was asked about its old path: the kernel walks again on ESTALE.
    if (childPath(state, parent, name) !== path) throw new FsError('ESTALE');
    if (entryTtl > 0) return payload(negativeEntryOut(entryTtl));
    throw new FsError('ENOENT');
  }
  return {
    deliver: () => [deliverEntry(state, parent, name, { attributes, attrTtl, entryTtl }).entry],
  };
};

/** MKDIR, MKNOD and SYMLINK succeed only where nothing was, so a node still known by that name is another file. */
async function make(
  state: State,
  header: InHeader,
  name: ByteString,
  call: (path: Path) => Promise<Stat>,
): Promise<Completion> {
  const parent = nodeOf(state, header.nodeid);
  const made = await call(childPath(state, parent, name));
  state.nodes.unlink(parent, name);
  return { deliver: () => [deliverEntry(state, parent, name, made).entry] };
}

export const mkdir: Handler = async (state, header, reader) => {
  const { mode, name } = decode(reader, readMkdirIn);
  return make(state, header, name, (path) => state.operations.mkdir(path, mode));
};

export const mknod: Handler = async (state, header, reader) => {
  const { mode, name } = decode(reader, readMknodIn);
  return make(state, header, name, (path) => state.operations.mknod(path, mode));
};

export const symlink: Handler = async (state, header, reader) => {
  const { name, target } = decode(reader, readSymlinkIn);
  return make(state, header, name, (path) => state.operations.symlink(path, target));
};

export const unlink: Handler = async (state, header, reader) => {
  const name = decode(reader, readName);
  const parent = nodeOf(state, header.nodeid);
  await state.operations.unlink(childPath(state, parent, name));
  state.nodes.unlink(parent, name);
  return DONE;
};

export const rmdir: Handler = async (state, header, reader) => {
  const name = decode(reader, readName);
  const parent = nodeOf(state, header.nodeid);
  await state.operations.rmdir(childPath(state, parent, name));
  state.nodes.unlink(parent, name);
  return DONE;
};

async function doRename(state: State, header: InHeader, args: RenameIn): Promise<Completion> {
  // RENAME_EXCHANGE and RENAME_WHITEOUT have no counterpart in SFTP.
  if ((args.flags & ~RENAME_NOREPLACE) !== 0) throw new FsError('EINVAL');
  const from = nodeOf(state, header.nodeid);
  const to = nodeOf(state, args.newdir);
  await state.operations.rename(childPath(state, from, args.oldname), childPath(state, to, args.newname), {
    noReplace: (args.flags & RENAME_NOREPLACE) !== 0,
  });
  state.nodes.rename(from, args.oldname, to, args.newname);
  return DONE;
}

export const rename: Handler = async (state, header, reader) =>
  doRename(state, header, decode(reader, readRenameIn));

export const rename2: Handler = async (state, header, reader) =>
  doRename(state, header, decode(reader, readRename2In));

export const link: Handler = async (state, header, reader) => {
  const { oldnodeid, newname } = decode(reader, readLinkIn);
  const node = nodeOf(state, oldnodeid);
  if (isDirectory(node.type)) throw new FsError('EPERM');
  const parent = nodeOf(state, header.nodeid);
  const stat = await state.operations.link(pathOf(state, node), childPath(state, parent, newname));
  state.nodes.link(node, parent, newname);
  return {
    deliver: () => {
      state.nodes.lookupAgain(node);
      return [entryOut({ nodeid: node.id, ino: node.ino, ...stat })];
    },
  };
};
