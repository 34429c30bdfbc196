/** Requests about what a file is: attributes, link targets, permissions and the filesystem's size. */
import { toBuffer } from '../../base/bytes.js';
import { FsError } from '../../base/errno.js';
import { ROOT } from '../../base/path.js';
import { attrOut, statfsOut } from '../protocol/replies.js';
import { readAccessIn, readGetattrIn, readSetattrIn } from '../protocol/requests.js';
import { byName, DONE, decode, type Handler, nodeOf, pathOf, payload, targetOf } from './types.js';

export const getattr: Handler = async (state, header, reader) => {
  const { fh } = decode(reader, readGetattrIn);
  const node = nodeOf(state, header.nodeid);
  for (;;) {
    const { target, stat } = await byName(state, node, async () => {
      const target = targetOf(state, node, fh);
      return { target, stat: await state.operations.getattr(target) };
    });
    // A name that turned out to be another file's was taken from the node: then its handle is asked.
    if (state.nodes.pathOf(node) === target.path) {
      state.nodes.tell(node, stat.attributes);
      return payload(attrOut(node.ino, stat.attributes, stat.attrTtl));
    }
  }
};

export const setattr: Handler = async (state, header, reader) => {
  const { fh, changes } = decode(reader, readSetattrIn);
  const node = nodeOf(state, header.nodeid);
  const stat = await byName(state, node, async () =>
    state.operations.setattr(targetOf(state, node, fh), changes),
  );
  state.nodes.tell(node, stat.attributes);
  return payload(attrOut(node.ino, stat.attributes, stat.attrTtl));
};

export const readlink: Handler = async (state, header) => {
  const node = nodeOf(state, header.nodeid);
  // A target that is good in one directory may lead out of the mount from one less deep.
  const path = () => state.nodes.shallowestPathOf(node) ?? pathOf(state, node);
  const target = await state.gate.using(path, (path) => state.operations.readlink(path));
  return payload(toBuffer(target));
};

export const access: Handler = async (state, header, reader) => {
  const { mask } = decode(reader, readAccessIn);
  const node = nodeOf(state, header.nodeid);
  await byName(state, node, async () => state.operations.access(targetOf(state, node, null), mask));
  return DONE;
};

export const statfs: Handler = async (state, header) => {
  const node = state.nodes.get(header.nodeid);
  if (node === undefined) throw new FsError('ESTALE');
  return payload(statfsOut(await state.operations.statfs(state.nodes.pathOf(node) ?? ROOT)));
};
