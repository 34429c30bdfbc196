/**
 * `random-files DIRECTORY REFERENCE COUNT`, names of files on standard input, one a line: opens, reads and closes COUNT of
 * them, which are the same and in the same order in every run, each once; answers the seconds, after comparing what was
 * read with the files of REFERENCE.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { places } from './places.js';
import { answer, secondsOf } from './timing.js';

/** Bytes of the longest file. */
const PIECE = 64 * 1024;

const [, , directory = '', reference = '', count = ''] = process.argv;
const names = readFileSync(0, 'utf8').split('\n').filter(Boolean);
const chosen = new Set<string>();
for (const place of places(names.length)) {
  chosen.add(names[place] ?? '');
  if (chosen.size === Math.min(Number(count), names.length)) break;
}

const contents = new Map<string, Buffer>();
const seconds = secondsOf(() => {
  for (const name of chosen) {
    const fd = openSync(join(directory, name), 'r');
    const buffer = Buffer.alloc(PIECE);
    contents.set(name, buffer.subarray(0, readSync(fd, buffer)));
    closeSync(fd);
  }
});
for (const [name, content] of contents) {
  if (!readFileSync(join(reference, name)).equals(content)) throw new Error(`wrong content of ${name}`);
}
answer(seconds);
