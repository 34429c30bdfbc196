/** Requests on open directories: a listing is a snapshot of `.`, `..` and the entries; an offset is the next index. */
import type { ByteString } from '../../base/bytes.js';
import { S_IFDIR } from '../../base/mode.js';
import type { Listing } from '../../fs/operations.js';
import type { Node } from '../nodes.js';
import { DirentPacker } from '../protocol/dirents.js';
import { opendirOut } from '../protocol/replies.js';
import { readFsyncIn, readOpenIn, readReadIn, readReleaseIn } from '../protocol/requests.js';
import { DONE, decode, directoryOf, type Handler, nodeOf, type State } from './types.js';

/** One READDIR fills at most this much, whatever is asked for. */
const MAX_LISTING_BYTES = 1024 * 1024;

const DOT = '.' as ByteString;
const DOT_DOT = '..' as ByteString;

export const opendir: Handler = async (state, header, reader) => {
  decode(reader, readOpenIn);
  const node = nodeOf(state, header.nodeid);
  const { handle, keepCache } = await state.gate.using(
    () => directoryOf(state, node),
    (path) => state.operations.opendir(path),
  );
  return {
    deliver: () => [opendirOut(handle, state.open.addDirectory(handle, node, keepCache))],
    abandon: () => {
      state.open.removeDirectory(handle);
      void state.operations.releasedir(handle);
    },
  };
};

interface Window {
  readonly offset: number;
  readonly size: number;
  readonly plus: boolean;
}

/** Packs the part of the listing from `offset` on; each READDIRPLUS entry that goes out counts as a lookup. */
function pack(state: State, node: Node, listing: Listing, { offset, size, plus }: Window): Buffer {
  const packer = new DirentPacker(Math.min(size, MAX_LISTING_BYTES), plus);
  const { entries } = listing;
  for (let index = offset; index < entries.length + 2; index++) {
    const next = index + 1;
    const listed = entries[index - 2];
    if (listed === undefined) {
      const name = index === 0 ? DOT : DOT_DOT;
      if (!packer.fits(name)) break;
      const ino = index === 0 ? node.ino : state.nodes.parentIno(node);
      packer.add({ name, ino, mode: S_IFDIR, next });
      continue;
    }
    const { name, type } = listed;
    if (!packer.fits(name)) break;
    const found = plus ? listing.describe(listed) : undefined;
    if (found?.attributes === null) continue;
    if (found === undefined) {
      // An entry without attributes: the kernel looks it up if anybody wants them.
      packer.add({ name, ino: state.nodes.inoOf(node, name), mode: type, next });
    } else {
      const { attributes, attrTtl, entryTtl, names } = found;
      const child = state.nodes.lookup(node, name, attributes.mode, names);
      state.nodes.tell(child, attributes);
      packer.add({
        name,
        ino: child.ino,
        mode: attributes.mode,
        next,
        entry: { nodeid: child.id, ino: child.ino, attributes, attrTtl, entryTtl },
      });
    }
  }
  return packer.finish();
}

function reading(plus: boolean): Handler {
  return async (state, header, reader) => {
    const { fh, offset, size } = decode(reader, readReadIn);
    const node = nodeOf(state, header.nodeid);
    const listing = await state.operations.readdir(fh, offset === 0);
    return { deliver: () => [pack(state, node, listing, { offset, size, plus })] };
  };
}

export const readdir = reading(false);
export const readdirplus = reading(true);

export const releasedir: Handler = async (state, _header, reader) => {
  const { fh } = decode(reader, readReleaseIn);
  state.open.removeDirectory(fh);
  await state.operations.releasedir(fh);
  return DONE;
};

export const fsyncdir: Handler = async (state, _header, reader) => {
  await state.operations.fsyncdir(decode(reader, readFsyncIn).fh);
  return DONE;
};
