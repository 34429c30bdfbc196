/**
 * Accidents of which somebody must hear: a terminal that is closed under a foreground mount, and data that was
 * written by a program that is gone when the server is.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { endProcesses, waitForMount } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('accidents');
  disk = await scope.makeDirectory('disk');
});
afterAll(async () => {
  await scope?.close();
});
beforeEach(async () => {
  sshd = await Sshd.start(scope);
  remora = await Remora.create(scope);
});
afterEach(async () => {
  await remora.discard();
});

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
  const child = start('python3', ['-c', code, path, text], { env: scope.environment, stdin: 'pipe' });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const says = (word: string) => until(word, async () => said.includes(word));
  return { child, says };
}

it('what a killed program wrote when the server was gone is named by unmount with 72, and is given up only by force', async () => {
  const mount = await remora.mount(sshd, disk, { options: ['timeout=1'] });
  const { child, says } = writer(join(mount.directory, 'lost'), 'x'.repeat(50_000));
  await says('open');
  await sshd.stop();
  await until('the loss to be noticed', async () => (await mount.status()).link.state !== 'connected');
  child.stdin?.write('\n');
  await says('written');
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  const first = await remora.run(['unmount', mount.directory]);
  expect(first).toMatchObject({ code: 72 });
  expect(first.stderr).toMatch(/lost: 48\.8 KiB/);
  expect((await mount.status()).pid).toBe(mount.pid);
  const second = await remora.run(['unmount', '--force', mount.directory]);
  expect(second).toMatchObject({ code: 72 });
  expect(second.stderr).toMatch(/lost: 48\.8 KiB/);
  await mount.ended();
});

it('a foreground mount whose messages nobody reads any more sends its data and ends all the same', async () => {
  const mountpoint = await remora.mountpoint();
  const [node, main] = remora.program;
  const args = [main, `${sshd.user}@${sshd.host}:${disk}`, mountpoint, ...(await remora.login(sshd)), '-f'];
  const command = start(node, args, { env: remora.environment });
  await waitForMount(mountpoint);
  const mount = await remora.adopt(mountpoint);
  const { child, says } = writer(join(mountpoint, 'held'), 'written, never closed');
  await says('open');
  child.stdin?.write('\n');
  await says('written');
  command.stderr?.destroy();
  command.stdout?.destroy();
  process.kill(mount.pid, 'SIGTERM');
  await mount.ended();
  expect(await readFile(join(disk, 'held'), 'utf8')).toBe('written, never closed');
  await endProcesses([child.pid ?? 0], 'SIGKILL');
});
