/**
 * Accidents of which somebody must hear: a terminal that is closed under a foreground mount, and data that was
 * written by a program that is gone when the server is.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { endProcesses, waitForMount } from '../support/processes.js';
import { start, until } from '../support/run.js';

const world = new MountFixture('accidents', { serverPerTest: true });

/** A program that has a file of the mount open, and writes to it when it is told to. */
function writer(path: string, text: string) {
  const code = `
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("open", flush=True)
sys.stdin.readline()
os.write(fd, sys.argv[2].encode())
print("written", flush=True)
sys.stdin.readline()`;
  const child = start('python3', ['-c', code, path, text], { env: world.scope.environment, stdin: 'pipe' });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const says = (word: string) => until(word, async () => said.includes(word));
  return { child, says };
}

it('what a killed program wrote when the server was gone is named by unmount with 72, and is given up only by force', async () => {
  const mount = await world.mount({ options: ['timeout=1'] });
  const { child, says } = writer(join(mount.directory, 'lost'), 'x'.repeat(50_000));
  await says('open');
  await world.sshd.stop();
  await until('the loss to be noticed', async () => (await mount.status()).link.state !== 'connected');
  child.stdin?.write('\n');
  await says('written');
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  const first = await world.remora.run(['unmount', mount.directory]);
  expect(first).toMatchObject({ code: 72 });
  expect(first.stderr).toMatch(/lost: 48\.8 KiB/);
  expect((await mount.status()).pid).toBe(mount.pid);
  const second = await world.remora.run(['unmount', '--force', mount.directory]);
  expect(second).toMatchObject({ code: 72 });
  expect(second.stderr).toMatch(/lost: 48\.8 KiB/);
  await mount.ended();
});

it('a foreground mount whose messages nobody reads any more sends its data and ends all the same', async () => {
  const mountpoint = await world.remora.mountpoint();
  const [node, main] = world.remora.program;
  const args = [main, ...(await world.mounting(mountpoint)), '-f'];
  const command = start(node, args, { env: world.remora.environment });
  await waitForMount(mountpoint);
  const mount = await world.remora.adopt(mountpoint);
  const { child, says } = writer(join(mountpoint, 'held'), 'written, never closed');
  await says('open');
  child.stdin?.write('\n');
  await says('written');
  command.stderr?.destroy();
  command.stdout?.destroy();
  process.kill(mount.pid, 'SIGTERM');
  await mount.ended();
  expect(await readFile(join(world.disk, 'held'), 'utf8')).toBe('written, never closed');
  await endProcesses([child.pid ?? 0], 'SIGKILL');
});
