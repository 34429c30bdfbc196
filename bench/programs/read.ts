/** `read FILE BYTES`: reads a file from its beginning to its end as cp does; answers the seconds from open to close. */
import { closeSync, openSync, readSync } from 'node:fs';
import { answer, secondsOf } from './timing.js';

const PIECE = 256 * 1024;

const [, , file = '', bytes = ''] = process.argv;
const buffer = Buffer.allocUnsafe(PIECE).fill(0);
let total = 0;
const seconds = secondsOf(() => {
  const fd = openSync(file, 'r');
  for (let got = readSync(fd, buffer); got > 0; got = readSync(fd, buffer)) total += got;
  closeSync(fd);
});
if (total !== Number(bytes)) throw new Error(`${total} bytes instead of ${bytes}`);
answer(seconds);
