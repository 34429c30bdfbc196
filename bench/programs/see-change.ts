/**
 * `see-change size|name MOUNTED SERVED`: makes a change in SERVED, the server's own directory, and looks at MOUNTED, the
 * same directory as a client shows it, until it is there; answers the seconds. Whoever calls ends it when that takes long.
 */
import { appendFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { answer } from './timing.js';

/** Milliseconds between two looks. */
const PAUSE = 5;
const GROWING = 'file-0';
const NEW = 'new-file';

const [, , change = '', mounted = '', served = ''] = process.argv;

/** Makes the change; answers how to see whether it shows. */
function make(): () => boolean {
  if (change === 'name') {
    writeFileSync(join(served, NEW), 'new');
    return () => readdirSync(mounted).includes(NEW);
  }
  appendFileSync(join(served, GROWING), ' and more');
  const { size } = statSync(join(served, GROWING));
  return () => statSync(join(mounted, GROWING)).size === size;
}

const begin = performance.now();
const isSeen = make();
while (!isSeen()) await setTimeout(PAUSE);
answer((performance.now() - begin) / 1000);
