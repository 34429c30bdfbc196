/**
 * `stat-probe PAUSE LIMIT`, paths on standard input, one a line: calls stat on each, PAUSE milliseconds after
 * the one before, until all are done or LIMIT seconds have passed; answers the milliseconds that each took.
 */
import { readFileSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { answer, secondsOf } from './timing.js';

const [, , pause = '', limit = ''] = process.argv;
const end = performance.now() + Number(limit) * 1000;
const paths = readFileSync(0, 'utf8').split('\n').filter(Boolean);
const latencies: number[] = [];
for (const path of paths) {
  if (performance.now() > end) break;
  latencies.push(secondsOf(() => statSync(path)) * 1000);
  await setTimeout(Number(pause));
}
answer(...latencies);
