/**
 * `load read|write FILE BYTES`: a large copy that goes on until it is killed. Prints `running` once data
 * has been flowing for some time: a copy is large because it goes on for long. What is written begins anew
 * after so many bytes; what is read must not end, since a second time it would come from the kernel's pages.
 */
import { openSync, readSync, writeSync } from 'node:fs';

const PIECE = 256 * 1024;
/** Bytes after which the copy counts as flowing. */
const FLOWING = 4 * 2 ** 20;
/** Milliseconds that it has to have been flowing. */
const SETTLED = 2000;

const [, , direction = '', file = '', bytes = ''] = process.argv;
const length = Number(bytes);
const buffer = Buffer.alloc(PIECE, 0x5a);
const fd = openSync(file, direction === 'write' ? 'w' : 'r');
let told = false;
let since: number | null = null;
for (let done = 0; ; done += PIECE) {
  if (direction === 'write') writeSync(fd, buffer, 0, PIECE, done % length);
  else if (readSync(fd, buffer, 0, PIECE, done) === 0) throw new Error('the file has ended');
  if (told || done < FLOWING) continue;
  since ??= performance.now();
  if (performance.now() - since < SETTLED) continue;
  told = true;
  process.stdout.write('running\n');
}
