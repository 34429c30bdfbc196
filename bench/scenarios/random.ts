/** Pages of 4 KiB from anywhere in a large file: one at a time, and 16 at a time. */
import { join } from 'node:path';
import { helperNumber } from '../tools.js';
import { mounted, rate, type ScenarioFactory } from './scenario.js';

export const random: ScenarioFactory = ({ sequential: bytes, randomReads }) =>
  [
    { name: 'random-read', depth: 1, count: randomReads.alone },
    { name: 'random-read-16', depth: 16, count: randomReads.together },
  ].map(({ name, depth, count }) => ({
    name,
    about: `read 4 KiB at random places, ${depth} at a time`,
    metrics: [rate('reads', count)],
    cap: 60,
    async prepare(data) {
      await data.file(bytes);
    },
    async run({ client, data, cap, record }) {
      const file = await data.file(bytes);
      const args = [join(mounted(client), file), data.at(file), count, depth];
      const env = { UV_THREADPOOL_SIZE: String(depth) };
      record('reads', count / (await helperNumber('random-read', args, cap, { env })));
    },
  }));
