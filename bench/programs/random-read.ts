/**
 * `random-read FILE REFERENCE COUNT DEPTH`: reads COUNT pages of 4 KiB at places that are the same in every
 * run, DEPTH at a time; answers the seconds, after comparing each page with REFERENCE. The caller gives libuv
 * as many threads as DEPTH.
 */
import { open } from 'node:fs/promises';
import { places } from './places.js';
import { answer } from './timing.js';

const PAGE = 4096;

const [, , file = '', reference = '', count = '', depth = ''] = process.argv;
const total = Number(count);

const original = await open(reference, 'r');
const pages = Math.floor((await original.stat()).size / PAGE);
const generator = places(pages);
const offsets = Array.from({ length: total }, () => Number(generator.next().value) * PAGE);
const buffers = offsets.map(() => Buffer.alloc(PAGE));
const handle = await open(file, 'r');
const jobs = offsets.entries();

async function work(): Promise<void> {
  // All workers take from one iterator, so each page is read once.
  for (const [index, offset] of jobs) {
    const buffer = buffers[index] ?? Buffer.alloc(PAGE);
    const { bytesRead } = await handle.read(buffer, 0, PAGE, offset);
    if (bytesRead !== PAGE) throw new Error(`${bytesRead} bytes at ${offset}`);
  }
}

const begin = process.hrtime.bigint();
await Promise.all(Array.from({ length: Number(depth) }, work));
const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
await handle.close();

const expected = Buffer.alloc(PAGE);
for (const [index, offset] of offsets.entries()) {
  await original.read(expected, 0, PAGE, offset);
  if (buffers[index]?.equals(expected) !== true) throw new Error(`wrong content at ${offset}`);
}
await original.close();
answer(seconds);
