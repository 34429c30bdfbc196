/** Requests on regular files: opening, and everything that goes by a handle. */
import { FsError } from '../../base/errno.js';
import { O_ACCMODE, O_RDONLY } from '../../base/mode.js';
import type { Node } from '../nodes.js';
import { FUSE_FSYNC_FDATASYNC, FUSE_WRITE_CACHE, SEEK_DATA, SEEK_HOLE } from '../protocol/constants.js';
import { lseekOut, openOut, writeOut } from '../protocol/replies.js';
import {
  readCopyFileRangeIn,
  readCreateIn,
  readFallocateIn,
  readFlushIn,
  readFsyncIn,
  readLseekIn,
  readOpenIn,
  readReadIn,
  readReleaseIn,
  readWriteIn,
} from '../protocol/requests.js';
import {
  byName,
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

/** The reply counts bytes in 32 bits; whole pages below that. */
const MAX_COPY = 0xffff_f000;

/** writev(2) takes at most 1024 buffers (IOV_MAX), one of them the header. */
const MAX_CHUNKS = 1000;

/**
 * The kernel opens what it believes to exist. If it does not any more, ESTALE makes it walk the path anew: then
 * O_CREAT makes the file, and without it the program hears ENOENT.
 */
function walkAgain(state: State, node: Node, error: unknown): never {
  if (isMissing(error) && state.nodes.pathOf(node) !== null)
    throw new FsError('ESTALE', error.message, { cause: error });
  throw error;
}

export const open: Handler = async (state, header, reader) => {
  const { flags } = decode(reader, readOpenIn);
  const node = nodeOf(state, header.nodeid);
  const { path, opened } = await byName(state, node, async () => {
    const path = pathOf(state, node);
    return { path, opened: await state.operations.open(path, flags) };
  }).catch((error: unknown) => walkAgain(state, node, error));
  const abandon = () => {
    state.open.removeFile(opened.handle);
    void state.operations.release(opened.handle);
  };
  if (state.nodes.pathOf(node) !== path) {
    // The name turned out to be another file's: the kernel walks again on ESTALE, and finds that one.
    abandon();
    throw new FsError('ESTALE', `node ${node.id} was replaced on the server`);
  }
  if (opened.staleAttributes) await state.dropAttributes(node.id);
  return {
    deliver: () => {
      state.open.addFile(opened.handle, node.id);
      // Closing what was only read means nothing to the filesystem: kernels since 5.16 need not say it.
      return [openOut({ ...opened, noFlush: (flags & O_ACCMODE) === O_RDONLY })];
    },
    abandon,
  };
};

export const create: Handler = async (state, header, reader) => {
  const { flags, mode, name } = decode(reader, readCreateIn);
  const parent = nodeOf(state, header.nodeid);
  const expire = doubting(state, header, [parent, name]);
  const created = await state.gate.making(
    () => ({ made: childPath(state, parent, name) }),
    (path) => state.operations.create(path, flags, mode, header),
  );
  return {
    deliver: () => {
      const { node, entry } = deliverEntry(state, parent, name, created);
      state.open.addFile(created.handle, node.id);
      return [entry, openOut(created)];
    },
    abandon: () => {
      expire();
      state.open.removeFile(created.handle);
      void state.operations.release(created.handle);
    },
  };
};

/** At most `size` bytes of `chunks`: the kernel refuses a longer reply. */
function clampChunks(chunks: readonly Uint8Array[], size: number): readonly Uint8Array[] {
  const kept: Uint8Array[] = [];
  let left = size;
  for (const chunk of chunks) {
    if (left === 0) break;
    kept.push(chunk.length > left ? chunk.subarray(0, left) : chunk);
    left -= Math.min(left, chunk.length);
  }
  return kept.length > MAX_CHUNKS ? [Buffer.concat(kept)] : kept;
}

export const read: Handler = async (state, _header, reader) => {
  const { fh, offset, size } = decode(reader, readReadIn);
  const { parts, release } = await state.operations.read(fh, offset, size);
  return { deliver: () => clampChunks(parts, size), finish: release };
};

export const write: Handler = async (state, header, reader) => {
  const { fh, offset, writeFlags, data } = decode(reader, readWriteIn);
  const fromPageCache = (writeFlags & FUSE_WRITE_CACHE) !== 0;
  const isWanted = () => state.isPending(header.unique);
  return payload(writeOut(await state.operations.write(fh, offset, data, { fromPageCache, isWanted })));
};

export const flush: Handler = async (state, _header, reader) => {
  await state.operations.flush(decode(reader, readFlushIn).fh);
  return DONE;
};

export const fsync: Handler = async (state, _header, reader) => {
  const { fh, fsyncFlags } = decode(reader, readFsyncIn);
  await state.operations.fsync(fh, (fsyncFlags & FUSE_FSYNC_FDATASYNC) !== 0);
  return DONE;
};

export const release: Handler = async (state, _header, reader) => {
  const { fh } = decode(reader, readReleaseIn);
  state.open.removeFile(fh);
  await state.operations.release(fh);
  return DONE;
};

export const lseek: Handler = async (state, _header, reader) => {
  const { fh, offset, whence } = decode(reader, readLseekIn);
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FsError('EINVAL');
  return payload(lseekOut(await state.operations.lseek(fh, offset, whence)));
};

export const fallocate: Handler = async (state, _header, reader) => {
  const { fh, offset, length, mode } = decode(reader, readFallocateIn);
  await state.operations.fallocate(fh, mode, offset, length);
  return DONE;
};

export const copyFileRange: Handler = async (state, _header, reader) => {
  const { fhIn, offIn, fhOut, offOut, length, flags } = decode(reader, readCopyFileRangeIn);
  if (flags !== 0) throw new FsError('EINVAL');
  const asked = Math.min(length, MAX_COPY);
  return payload(writeOut(await state.operations.copyFileRange(fhIn, offIn, fhOut, offOut, asked)));
};
