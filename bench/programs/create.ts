/** `create DIRECTORY COUNT`: writes COUNT new small files, one after the other; answers the seconds. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { answer, secondsOf } from './timing.js';

const [, , directory = '', count = ''] = process.argv;
const seconds = secondsOf(() => {
  for (let index = 0; index < Number(count); index++) {
    const fd = openSync(join(directory, `file-${index}`), 'wx');
    writeSync(fd, `content of file ${index}\n`);
    closeSync(fd);
  }
});
answer(seconds);
