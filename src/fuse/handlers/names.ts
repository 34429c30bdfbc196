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
  doubting,
  type Handler,
  isMissing,
  nodeOf,
  pathOf,
  payload,
  type State,
} from './types.js';

export const lookup: Handler = async (state, header, reader) => {
  const name = decode(reader, readName);
  const parent = nodeOf(state, header.nodeid);
  const found = await state.gate.using(
    () => childPath(state, parent, name),
    (path) => state.operations.lookup(path),
  );
  const { attributes, entryTtl } = found;
  if (attributes === null) {
    if (entryTtl > 0) state.toldAbsent(parent, name);
    return payload(negativeEntryOut(entryTtl));
  }
  return {
    deliver: () => [deliverEntry(state, parent, name, { ...found, attributes }).entry],
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
  const abandon = doubting(state, header, [parent, name]);
  const made = await state.gate.making(() => ({ made: childPath(state, parent, name) }), call);
  state.nodes.unlink(parent, name);
  return {
    deliver: () => [deliverEntry(state, parent, name, made).entry],
    abandon,
  };
}

export const mkdir: Handler = async (state, header, reader) => {
  const { mode, name } = decode(reader, readMkdirIn);
  return make(state, header, name, (path) => state.operations.mkdir(path, mode, header));
};

export const mknod: Handler = async (state, header, reader) => {
  const { mode, name } = decode(reader, readMknodIn);
  return make(state, header, name, (path) => state.operations.mknod(path, mode, header));
};

export const symlink: Handler = async (state, header, reader) => {
  const { name, target } = decode(reader, readSymlinkIn);
  return make(state, header, name, (path) => state.operations.symlink(path, target, header));
};

async function remove(
  state: State,
  header: InHeader,
  name: ByteString,
  call: (path: Path) => Promise<void>,
): Promise<Completion> {
  const parent = nodeOf(state, header.nodeid);
  const path = () => childPath(state, parent, name);
  const abandon = doubting(state, header, [parent, name]);
  await state.gate.changing(
    () => [path()],
    async () => {
      await call(path());
      state.nodes.remove(parent, name);
    },
  );
  return { ...DONE, abandon };
}

export const unlink: Handler = async (state, header, reader) =>
  remove(state, header, decode(reader, readName), (path) => state.operations.unlink(path));

export const rmdir: Handler = async (state, header, reader) =>
  remove(state, header, decode(reader, readName), (path) => state.operations.rmdir(path));

async function doRename(state: State, header: InHeader, args: RenameIn): Promise<Completion> {
  // RENAME_EXCHANGE and RENAME_WHITEOUT have no counterpart in SFTP.
  if ((args.flags & ~RENAME_NOREPLACE) !== 0) throw new FsError('EINVAL');
  const from = nodeOf(state, header.nodeid);
  const to = nodeOf(state, args.newdir);
  const oldPath = () => childPath(state, from, args.oldname);
  const newPath = () => childPath(state, to, args.newname);
  const noReplace = (args.flags & RENAME_NOREPLACE) !== 0;
  const abandon = doubting(state, header, [from, args.oldname], [to, args.newname]);
  await state.gate.changing(
    () => [oldPath(), newPath()],
    async () => {
      await state.operations.rename(oldPath(), newPath(), { noReplace });
      state.nodes.rename(from, args.oldname, to, args.newname);
      const moved = state.nodes.child(to, args.newname);
      if (moved !== undefined) state.dropTargets(moved);
    },
  );
  return { ...DONE, abandon };
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
  const abandon = doubting(state, header, [parent, newname]);
  const linked = async (): Promise<Stat> => {
    let name: Path | null = null;
    try {
      return await state.gate.making(
        () => ({ made: childPath(state, parent, newname), used: pathOf(state, node) }),
        (made, used) => {
          name = used;
          return state.operations.link(used, made);
        },
      );
    } catch (error) {
      // That name turned out to be gone on the server, and was taken from the file, which has another.
      const now = state.nodes.pathOf(node);
      if (isMissing(error) && name !== null && now !== null && now !== name) return linked();
      throw error;
    }
  };
  const stat = await linked();
  state.nodes.link(node, parent, newname);
  state.dropTargets(node);
  return {
    deliver: () => {
      state.nodes.lookupAgain(node);
      return [entryOut({ nodeid: node.id, ino: node.ino, ...stat })];
    },
    abandon,
  };
};
