/**
 * What an open file tells the client that opens it again after the connection was lost: where it is by now, and
 * whether what is there is still that file. Size and time as last seen, or our own writes, settle that. A file
 * that only seems to have grown (a log that somebody follows) is compared with what was read of it: nobody may
 * read the end of one file behind the beginning of another.
 */
import { BLOCK_SIZE } from '../cache/blocks.js';
import { READ_AHEAD_START } from '../cache/read-ahead.js';
import type { Keeper } from '../recovery/handles.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';
import type { Content } from './content.js';
import { toAttributes } from './identity.js';
import type { OpenFile } from './open-file.js';
import type { Parts } from './parts.js';
import { judgeReopened } from './same-file.js';

export function keeperOf(parts: Parts, file: OpenFile): Keeper {
  const { remote, identity, lanes, content, kernel } = parts;
  const { node } = file;
  return {
    paths: () => (node.path === null ? [] : lanes.namesOf(node.path).map((path) => remote.at(path))),
    changing: () => {
      node.mayDiffer = true;
    },
    isSame: async (found, client, handle) => {
      const attributes = toAttributes(identity, found, node.seen?.nlink ?? 1);
      const { size, cutTo, grownTo, arrivedTo: arrived } = node;
      const sizes = { shortest: Math.min(size, cutTo), longest: Math.max(size, grownTo), arrived };
      const ours = node.mayDiffer ? sizes : null;
      const verdict = judgeReopened(node.seen, attributes, ours);
      if (verdict === 'same') return true;
      if (verdict === 'other' || !(await holdsWhatWasRead(content, file, client, handle))) return false;
      parts.freshness.adopt(node, attributes);
      if (node.path !== null) kernel?.invalidateData(node.path);
      return true;
    },
  };
}

/** Was anything read of it, or will anything be written into the middle of it? */
function hasStake({ node, readAhead, canWrite, append }: OpenFile): boolean {
  return node.isDirty || readAhead !== READ_AHEAD_START || (canWrite && !append);
}

/** Does it hold what was read of it? A file that nobody has a stake in may hold anything. */
async function holdsWhatWasRead(
  content: Content,
  file: OpenFile,
  client: SftpClient,
  handle: SftpHandle,
): Promise<boolean> {
  const sample = content.sample(file.node);
  if (sample === null) return file.node.mayDiffer || !hasStake(file);
  const now = Buffer.alloc(sample.data.length);
  const length = Math.min(now.length, client.limits.maxRead);
  const got = await client.readInto(handle, sample.index * BLOCK_SIZE, [now.subarray(0, length)]);
  return got === length && now.subarray(0, length).equals(sample.data.subarray(0, length));
}
