/**
 * `write SOURCE TARGET PIECE BYTES fsync|close`: writes the first BYTES of SOURCE, which are in memory before
 * the clock starts, in pieces; answers the seconds from open to close, with fsync before close where asked.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { answer, secondsOf } from './timing.js';

const [, , source = '', target = '', piece = '', bytes = '', end = ''] = process.argv;
const length = Number(bytes);
const step = Number(piece);
const content = Buffer.alloc(length);
const from = openSync(source, 'r');
for (let at = 0; at < length; ) {
  const got = readSync(from, content, at, Math.min(64 * 2 ** 20, length - at), at);
  if (got === 0) throw new Error(`${source} is too short`);
  at += got;
}
closeSync(from);

const seconds = secondsOf(() => {
  const fd = openSync(target, 'w');
  for (let at = 0; at < length; ) at += writeSync(fd, content, at, Math.min(step, length - at));
  if (end === 'fsync') fsyncSync(fd);
  closeSync(fd);
});
answer(seconds);
