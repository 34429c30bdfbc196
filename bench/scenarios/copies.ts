/** A file copied within the mount: as cp does it, and by reading and writing every byte. */
import { join } from 'node:path';
import { must } from '../../test/support/run.js';
import { timed } from '../tools.js';
import { duration, mounted, type ScenarioFactory } from './scenario.js';

const COPY = 'copy';
const COMPARE_TIMEOUT = 60_000;

export const copies: ScenarioFactory = ({ copied: bytes }) =>
  [
    { name: 'copy', how: 'cp', args: [] },
    // Turns copy_file_range(2) off as well.
    { name: 'copy-through', how: 'cp --reflink=never', args: ['--reflink=never'] },
  ].map(({ name, how, args }) => ({
    name,
    about: `${how} of ${bytes / 2 ** 20} MiB within the mount`,
    metrics: [duration('time')],
    cap: 120,
    async prepare(data) {
      await data.file(bytes);
      await data.remove(COPY);
    },
    async run({ client, data, cap, record }) {
      const source = await data.file(bytes);
      const [from, to] = [join(mounted(client), source), join(mounted(client), COPY)];
      record('time', (await timed('cp', [...args, '--', from, to], cap)).seconds);
      await must('cmp', [data.at(source), data.at(COPY)], { timeout: COMPARE_TIMEOUT });
      await data.remove(COPY);
    },
  }));
