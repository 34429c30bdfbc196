/** What the client keeps in memory: right after mounting, and after listing one very large directory. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { timed } from '../tools.js';
import { usageOf } from '../usage.js';
import { check, duration, mounted, quantity, type ScenarioFactory } from './scenario.js';

export const memory: ScenarioFactory = ({ crowd }) => [
  {
    name: 'memory-at-rest',
    about: 'memory of the client after mounting and one ls',
    metrics: [quantity('resident', 'MiB')],
    cap: 60,
    once: true,
    async prepare(data) {
      await data.empty('empty');
    },
    async run({ client, cap, record }) {
      await timed('ls', ['-l', mounted(client)], cap);
      record('resident', (await usageOf(await client.processes())).resident);
    },
  },
  {
    name: 'large-directory',
    about: `ls -l of one directory of ${crowd} files, and the client's memory after it`,
    metrics: [duration('time'), quantity('resident', 'MiB'), quantity('peak', 'MiB')],
    cap: 180,
    once: true,
    async prepare(data) {
      await data.crowd(crowd);
    },
    async run({ client, data, cap, record }) {
      const name = await data.crowd(crowd);
      const { seconds, stdout } = await timed('ls', ['-l', join(mounted(client), name)], cap);
      const lines = stdout.split('\n').filter((line) => line.startsWith('-')).length;
      check(lines === (await readdir(data.at(name))).length, `${lines} of ${crowd} entries`);
      record('time', seconds);
      const usage = await usageOf(await client.processes());
      record('resident', usage.resident);
      record('peak', usage.peak);
    },
  },
];
