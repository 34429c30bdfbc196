/** How long a stat takes that has to ask the server, while a large copy runs beside it. */
import { join } from 'node:path';
import { present } from '../../src/base/assert.js';
import { endProcesses } from '../../test/support/processes.js';
import { start } from '../../test/support/run.js';
import { filesOf } from '../data.js';
import { quantile } from '../results.js';
import { helper, helperPath, OverCap } from '../tools.js';
import { mounted, quantity, type ScenarioFactory } from './scenario.js';

const COPY = 'copied';
/** Milliseconds between two probes. */
const PAUSE = 10;

export const latency: ScenarioFactory = ({ load, probes, project }) =>
  (['read', 'write'] as const).map((direction) => ({
    name: `stat-during-${direction}`,
    about: `stat of files not seen before while a large file is ${direction === 'read' ? 'read' : 'written'}`,
    metrics: [quantity('median', 'ms'), quantity('p99', 'ms')],
    cap: 120,
    async prepare(data) {
      await data.tree(project);
      await data.remove(COPY);
      if (direction === 'read') await data.endless();
    },
    async run({ client, data, cap, record }) {
      const directory = mounted(client);
      const file = direction === 'read' ? await data.endless() : COPY;
      const tree = await data.tree(project);
      const paths = filesOf(project).map((name) => join(directory, tree, name));
      const every = Math.max(1, Math.floor(paths.length / probes));
      const chosen = paths.filter((_, index) => index % every === 0).slice(0, probes);
      const stop = await startLoad(direction, join(directory, file), load, cap);
      try {
        const latencies = await helper('stat-probe', [PAUSE, cap / 2], cap, { input: chosen.join('\n') });
        record('median', quantile(latencies, 0.5) ?? 0);
        record('p99', quantile(latencies, 0.99) ?? 0);
      } finally {
        await stop();
        await data.remove(COPY);
      }
    },
  }));

/** Starts the copy and waits until data flows; answers how to end it. */
async function startLoad(
  direction: 'read' | 'write',
  file: string,
  bytes: number,
  cap: number,
): Promise<() => Promise<void>> {
  const child = start(process.execPath, [helperPath('load'), direction, file, String(bytes)]);
  const stop = () => endProcesses([present(child.pid, 'pid of the copy')], 'SIGKILL');
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new OverCap(cap)), cap * 1000);
      child.stdout?.once('data', () => resolve());
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the copy ended with ${code}`)));
    });
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return stop;
}
