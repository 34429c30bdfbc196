/** What the soak times: each system call by itself. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Calls, readWhole, type Step } from '../../soak/calls.js';

let directory: string;
let calls: Calls;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-calls-'));
  calls = new Calls({ worker: 'w', report: join(directory, 'report'), current: join(directory, 'current') });
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(directory, { recursive: true });
});

const pass = (milliseconds: number) => vi.advanceTimersByTime(milliseconds);

async function longest(): Promise<unknown> {
  calls.done();
  return JSON.parse(await readFile(join(directory, 'report'), 'utf8')).longest;
}

it('a call has the time that it took', async () => {
  calls.attempt('open', 'f', 0, () => pass(700));
  expect(await longest()).toEqual({ call: 'open f', milliseconds: 700 });
});

it('several calls that belong together have the time of the longest, also of one that fails', async () => {
  const fails = (step: Step) => {
    step(() => pass(700));
    step(() => {
      pass(900);
      throw Object.assign(new Error('late'), { code: 'ETIMEDOUT', errno: -110 });
    });
  };
  expect(calls.attempt('read', 'f', 0, fails)).toEqual({ errno: 'ETIMEDOUT' });
  const lines = (await readFile(join(directory, 'report'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ is: 'failed', errno: 'ETIMEDOUT' }]);
  await rm(join(directory, 'report'));
  expect(await longest()).toEqual({ call: 'read f', milliseconds: 900 });
});

it('a call that fails among several is reported by its own name: an fsync may tell what nothing else may', async () => {
  const fails = (name?: string) => (step: Step) =>
    step(() => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC', errno: -28 });
    }, name);
  calls.attempt('fill', 'f', 0, fails('fsync'));
  calls.attempt('fill', 'f', 0, fails());
  const lines = (await readFile(join(directory, 'report'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).call)).toEqual(['fsync f', 'fill f']);
});

it('a file is read whole, by calls that are each timed', async () => {
  const content = Buffer.alloc(300_000, 'content');
  await writeFile(join(directory, 'f'), content);
  let steps = 0;
  const step: Step = (make) => {
    steps += 1;
    return make();
  };
  expect(readWhole(join(directory, 'f'), step).equals(content)).toBe(true);
  expect(steps).toBe(6);
});
