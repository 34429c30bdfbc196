/** The mount point itself can be looked at whatever the server does, also where the server lists it for us. */
import { basename, dirname } from 'node:path';
import { expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { isAlive } from '../support/processes.js';
import { must, run } from '../support/run.js';

/** Milliseconds: far below what a server is waited for. */
const SOON = 10_000;

const world = new MountFixture('root', { serverPerTest: true });

it.each([
  ['with what is trusted', []],
  ['with nothing trusted', ['dcache_timeout=0']],
])('a tree of this machine that holds the mount point is listed, %s', async (_how, options) => {
  const { home } = world.remora;
  const mount = await world.remora.mount(world.sshd, home, { options });
  const place = mount.directory;
  expect(dirname(place)).toBe(home);
  const list = ['-c', `import os; print(sorted(os.listdir('${place}')))`];
  for (const _turn of [1, 2]) {
    expect(await must('python3', list, { timeout: SOON })).toContain(`'${basename(place)}'`);
  }
  await mount.unmount();
});

it('with a stalled server, a listing of the directory above ends, with the attributes that were known last', async () => {
  const mount = await world.mount({ options: ['dcache_timeout=0'] });
  const look = ['-c', '%F %a %s', mount.directory];
  const before = await must('stat', look);
  const pids = await world.sshd.sessions();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    expect(await must('stat', look, { timeout: SOON })).toBe(before);
    expect((await run('ls', ['-l', dirname(mount.directory)], { timeout: SOON })).code).toBe(0);
  } finally {
    for (const pid of pids) if (await isAlive(pid)) process.kill(pid, 'SIGCONT');
  }
  await mount.unmount();
});
