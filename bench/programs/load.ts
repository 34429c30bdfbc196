/**
 * `load read|write FILE BYTES`: a large copy that goes on until it is killed. Prints `running` once data
 * has been flowing for some time: a copy is large because it goes on for long.
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
for (let at = 0; ; at = at + PIECE >= length ? 0 : at + PIECE) {
  if (direction === 'write') writeSync(fd, buffer, 0, PIECE, at);
  else readSync(fd, buffer, 0, PIECE, at);
  if (told || at < FLOWING) continue;
  since ??= performance.now();
  if (performance.now() - since < SETTLED) continue;
  told = true;
  process.stdout.write('running\n');
}
