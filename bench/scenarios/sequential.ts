/** One large file from its beginning to its end, and what that costs the client; and 4 KiB at a time. */
import { join } from 'node:path';
import { must } from '../../test/support/run.js';
import { type Data, digest } from '../data.js';
import { helperNumber } from '../tools.js';
import { usageOf } from '../usage.js';
import {
  check,
  GIB,
  MB,
  mounted,
  quantity,
  type ScenarioFactory,
  type Stage,
  throughput,
} from './scenario.js';

const COPY = 'written';
const SMALL_PIECE = 4096;
/** Milliseconds for a comparison outside of the measured time, over the slowest link. */
const COMPARE_TIMEOUT = 600_000;

/** Moving a file of the server's, or one there, in seconds; and the check of what arrived. */
interface Transfer {
  move(stage: Stage, name: string): Promise<number>;
  verify(stage: Stage, name: string): Promise<void>;
}

/** Name of the metric of a client that has done nothing before: a program that compiles as it runs is slow then. */
const FRESH = 'just mounted';

export const sequential: ScenarioFactory = ({ sequential: bytes, twice, smallWrites }) => {
  const metrics = [
    ...(twice ? [throughput(FRESH, bytes)] : []),
    throughput('throughput', bytes),
    quantity('client CPU', 'CPU s/GiB'),
    quantity('client peak memory', 'MiB'),
  ];
  const prepare = async (data: Data) => {
    await data.file(bytes);
    if (twice) await data.file(bytes, 'second');
    await data.remove(COPY);
  };
  const read: Transfer = {
    move: ({ client, cap }, name) => client.read(name, bytes, cap),
    // The pages that the program was given are still the kernel's, so they are what is compared.
    async verify({ client, data }, name) {
      if (client.directory === null) return;
      await must('cmp', [join(client.directory, name), data.at(name)], { timeout: COMPARE_TIMEOUT });
    },
  };
  const write: Transfer = {
    move: ({ client, data, cap }, name) => client.write(data.at(name), COPY, bytes, cap),
    async verify({ data }, name) {
      await must('cmp', [data.at(name), data.at(COPY)], { timeout: COMPARE_TIMEOUT });
      await data.remove(COPY);
    },
  };
  const run =
    ({ move, verify }: Transfer) =>
    async (stage: Stage) => {
      if (twice) {
        const name = await stage.data.file(bytes, 'second');
        stage.record(FRESH, bytes / MB / (await move(stage, name)));
        await verify(stage, name);
      }
      const name = await stage.data.file(bytes);
      await costing(stage, bytes, () => move(stage, name));
      await verify(stage, name);
    };
  return [
    {
      name: 'sequential-read',
      about: 'read a large file from beginning to end',
      metrics,
      cap: 180,
      copies: true,
      prepare,
      run: run(read),
    },
    {
      name: 'sequential-write',
      about: 'write a large file, with fsync before close',
      metrics,
      cap: 180,
      copies: true,
      prepare,
      run: run(write),
    },
    {
      name: 'small-writes',
      about: 'write a file 4 KiB at a time, and close it',
      metrics: [throughput('throughput', smallWrites)],
      cap: 120,
      async prepare(data) {
        await data.file(smallWrites);
        await data.remove(COPY);
      },
      async run({ client, data, cap, record }) {
        const source = data.at(await data.file(smallWrites));
        const target = join(mounted(client), COPY);
        const args = [source, target, SMALL_PIECE, smallWrites, 'close'];
        record('throughput', smallWrites / MB / (await helperNumber('write', args, cap)));
        const [wanted, got] = await Promise.all([
          digest(source, smallWrites),
          digest(data.at(COPY), smallWrites),
        ]);
        check(wanted === got, 'small writes');
        await data.remove(COPY);
      },
    },
  ];
};

/** Runs one transfer and notes its throughput and its cost. */
async function costing(stage: Stage, bytes: number, transfer: () => Promise<number>): Promise<void> {
  const { client, record } = stage;
  const processes = await client.processes();
  const before = await usageOf(processes);
  record('throughput', bytes / MB / (await transfer()));
  const after = await usageOf(processes);
  record('client CPU', (after.cpu - before.cpu) / (bytes / GIB));
  record('client peak memory', after.peak);
}
