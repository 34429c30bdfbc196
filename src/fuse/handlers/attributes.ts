/** Requests about what a file is: attributes, link targets, permissions and the filesystem's size. */
import { toBuffer } from '../../base/bytes.js';
import { FsError } from '../../base/errno.js';
import { ROOT } from '../../base/path.js';
import { attrOut, statfsOut } from '../protocol/replies.js';
import { readAccessIn, readGetattrIn, readSetattrIn } from '../protocol/requests.js';
import { DONE, decode, type Handler, nodeOf, pathOf, payload, targetOf } from './types.js';

export const getattr: Handler = async (state, header, reader) => {
  const { fh } = decode(reader, readGetattrIn);
  const node = nodeOf(state, header.nodeid);
  const stat = await state.operations.getattr(targetOf(state, node, fh));
  return payload(attrOut(node.ino, stat.attributes, stat.attrTtl));
};

export const setattr: Handler = async (state, header, reader) => {
  const { fh, changes } = decode(reader, readSetattrIn);
  const node = nodeOf(state, header.nodeid);
  const stat = await state.operations.setattr(targetOf(state, node, fh), changes);
  return payload(attrOut(node.ino, stat.attributes, stat.attrTtl));
};

export const readlink: Handler = async (state, header) => {
  const target = await state.operations.readlink(pathOf(state, nodeOf(state, header.nodeid)));
  return payload(toBuffer(target));
};

export const access: Handler = async (state, header, reader) => {
  const { mask } = decode(reader, readAccessIn);
  await state.operations.access(pathOf(state, nodeOf(state, header.nodeid)), mask);
  return DONE;
};

export const statfs: Handler = async (state, header) => {
  const node = state.nodes.get(header.nodeid);
  if (node === undefined) throw new FsError('ESTALE');
  return payload(statfsOut(await state.operations.statfs(state.nodes.pathOf(node) ?? ROOT)));
};
