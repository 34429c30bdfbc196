/**
 * durability=async as a person meets it: what is answered is not yet on the server, an fsync makes sure, and what the
 * server refuses is told by status, by the next fsync and by unmount.
 */
import { mkdir, open, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { pause } from '../support/faults/server.js';
import { MountFixture } from '../support/mount-fixture.js';
import { endProcesses } from '../support/processes.js';
import { until } from '../support/run.js';

const world = new MountFixture('durability', { serverPerTest: true });

const posting = (...options: readonly string[]) => world.mount({ options: ['durability=async', ...options] });

async function sync(directory: string): Promise<void> {
  const handle = await open(directory);
  await handle.sync().finally(() => handle.close());
}

let directories = 0;

/** Mounts, and has a directory of its own in which the server has let files be made. */
async function prepared(...options: readonly string[]) {
  const mount = await posting(...options);
  const name = `d${++directories}`;
  const directory = join(mount.directory, name);
  await mkdir(directory);
  await writeFile(join(directory, 'first'), 'first');
  await sync(directory);
  return { mount, name, directory, disk: join(world.disk, name) };
}

it('an fsync of a directory waits for everything made before it, and a killed daemon takes nothing of that along', async () => {
  const { mount, directory, disk } = await prepared();
  const names = Array.from({ length: 100 }, (_, index) => `file-${index}`);
  for (const name of names) await writeFile(join(directory, name), name);
  await rm(join(directory, 'first'));
  await sync(mount.directory);
  await endProcesses([mount.pid], 'SIGKILL');
  expect((await readdir(disk)).sort()).toEqual(names.toSorted());
  expect(await readFile(join(disk, 'file-99'), 'utf8')).toBe('file-99');
  await mount.discard();
});

it('unmount waits for what was posted', async () => {
  const { mount, directory, disk } = await prepared();
  for (let index = 0; index < 50; index += 1)
    await writeFile(join(directory, `f${index}`), 'x'.repeat(index));
  expect(await world.remora.run(['unmount', mount.directory])).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(disk)).toHaveLength(51);
  expect(await readFile(join(disk, 'f49'), 'utf8')).toHaveLength(49);
});

it('what the server refuses is told by status, by fsync once, and by unmount with 72; programs then see the truth', async () => {
  // However slow the machine, the name is still known to be free when it is made.
  const { mount, name, directory, disk } = await prepared('negative_timeout=20');
  const failed = expect.stringContaining(`${name}/f: create`);
  const other = await open(join(mount.directory, 'other'), 'w');
  await rm(disk, { recursive: true });
  // A close that comes behind the refusal is told of it.
  const paused = await pause(world.sshd);
  await writeFile(join(directory, 'f'), 'content').finally(paused.resume);
  await until('the refusal', async () => JSON.stringify(await mount.status()).includes('"postedFailed":1'));
  const shown = await world.remora.run(['status', mount.directory]);
  expect(shown.stdout).toMatch(/posted +0 changes not confirmed; 1 change failed since mounting/);
  expect(shown.stdout).toEqual(failed);
  const metrics = await world.remora.run(['status', '--metrics', mount.directory]);
  expect(metrics.stdout).toMatch(/remora_posted_failures_total\{[^}]*\} 1/);
  await expect(other.sync()).rejects.toMatchObject({ code: 'ENOENT' });
  await other.sync();
  await other.close();
  await expect(readFile(join(directory, 'f'))).rejects.toMatchObject({ code: 'ENOENT' });
  const unmounted = await world.remora.run(['unmount', mount.directory]);
  expect(unmounted).toMatchObject({ code: 72 });
  expect(unmounted.stderr).toEqual(failed);
  // Nothing is left to be sent, so there is nothing to stay for.
  expect(unmounted.stderr).toContain('is unmounted');
  await mount.ended();
});

it('a file that is replaced right after it was opened stays open', async () => {
  const { directory } = await prepared('watch=off');
  for (const name of ['a', 'b']) {
    await writeFile(join(directory, name), name);
    await utimes(join(directory, name), 1_000_000_000, 1_000_000_000);
  }
  await sync(directory);
  for (const name of ['a', 'b']) await readFile(join(directory, name));
  const file = await open(join(directory, 'b'));
  await rename(join(directory, 'a'), join(directory, 'b'));
  expect((await file.stat()).size).toBe(1);
  await sync(directory);
  expect(await file.readFile('utf8')).toBe('b');
  await file.close();
  expect(await readFile(join(directory, 'b'), 'utf8')).toBe('a');
});

it('what cannot be sent is named by unmount with 72, and is given up only by force', async () => {
  const { mount, directory } = await prepared('timeout=1');
  await world.sshd.stop();
  await until('the loss to be noticed', async () => (await mount.status()).link.state !== 'connected');
  await writeFile(join(directory, 'late'), 'content');
  const first = await world.remora.run(['unmount', mount.directory]);
  expect(first).toMatchObject({ code: 72 });
  expect(first.stderr).toContain('/late');
  expect((await mount.status()).pid).toBe(mount.pid);
  expect(await world.remora.run(['unmount', '--force', mount.directory])).toMatchObject({ code: 72 });
  await mount.ended();
});

it('the word `async` of fstab changes nothing: a close waits for the server', async () => {
  const mount = await world.mount({ options: ['async'] });
  for (let index = 0; index < 20; index += 1) {
    await writeFile(join(mount.directory, `f${index}`), 'content');
    expect(await readFile(join(world.disk, `f${index}`), 'utf8')).toBe('content');
  }
  await mount.unmount();
});
