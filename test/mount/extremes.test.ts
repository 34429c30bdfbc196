/**
 * Large files at both ends of what can be set: caches of one block's worth and of gigabytes, one connection and
 * four, keys that change all the time. What matters is that every byte arrives, with several files at once and pieces that overlap.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, closeBackend, EXTREME_BACKENDS, REKEYING } from '../support/backends.js';
import { type Tools, toolsOf } from '../support/tools.js';

const FILES = ['a', 'b', 'c'];
const MEBIBYTES = 48;

describe.each([...EXTREME_BACKENDS, REKEYING])('large files on $name', (kind) => {
  let backend: Backend;
  let tools: Tools;
  let local: string;

  beforeAll(async () => {
    backend = await kind.open('extremes');
    local = await backend.scope.makeDirectory('local');
    tools = toolsOf(backend.scope, await backend.scope.makeDirectory('tools'));
    for (const name of FILES) {
      await tools('dd', 'if=/dev/urandom', `of=${join(local, name)}`, 'bs=1M', `count=${MEBIBYTES}`);
    }
  });
  afterAll(async () => {
    if (backend) await closeBackend(backend);
  });

  it('keep every byte, in and out, several at once', async () => {
    const { directory, disk } = backend;
    await Promise.all(FILES.map((name) => tools('cp', join(local, name), join(directory, name))));
    for (const name of FILES) await tools('cmp', join(local, name), join(disk, name));
    await Promise.all(FILES.map((name) => tools('cp', join(directory, name), join(local, `${name}-back`))));
    for (const name of FILES) await tools('cmp', join(local, name), join(local, `${name}-back`));
  });

  it('keep every byte when they are changed in place, in pieces of any size', async () => {
    const script = `
import os, random, sys
seed = random.randrange(2**32)
print('seed', seed)
random.seed(seed)
size = ${MEBIBYTES} * 2**20
files = [open(name, 'r+b', buffering=0) for name in sys.argv[1:]]
for step in range(400):
    length = random.choice([1, 100, 4096, 70_000, 300_000, 1_500_000])
    at = random.randrange(size - length)
    data = random.randbytes(length)
    for file in files:
        os.pwrite(file.fileno(), data, at)
    if step % 20 == 0:
        at = random.randrange(size - 2_000_000)
        seen = [os.pread(file.fileno(), 2_000_000, at) for file in files]
        assert seen[0] == seen[1], f'step {step}: read at {at} differs'
for file in files:
    os.fsync(file.fileno())
    file.close()
`;
    const said = await tools('python3', '-c', script, join(backend.directory, 'a'), join(local, 'a'));
    await tools('cmp', join(local, 'a'), join(backend.disk, 'a'));
    expect(said).toContain('seed');
  });
});
