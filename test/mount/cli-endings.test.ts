/**
 * Every end of a mount, from outside: unmounted in every way there is, signalled, killed, cut off. After each no
 * process and no mount is there, and what was written is on the server.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { endProcesses, isAlive, mountAt, waitForMount } from '../support/processes.js';
import { must, run, start, until } from '../support/run.js';
import { Sshd } from '../support/sshd.js';
import { isRoot } from '../support/user.js';

const world = new MountFixture('endings');

/** A process that stands in `directory` (and holds `file` open with `text` written, not synced). */
async function squatter(directory: string, file?: string, text = ''): Promise<number> {
  const code = `
import os, sys, time
os.chdir(sys.argv[1])
if sys.argv[2]:
    fd = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, sys.argv[3].encode())
print("ready", flush=True)
time.sleep(600)`;
  const child = start('python3', ['-c', code, directory, file ?? '', text], { env: world.scope.environment });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const { pid } = child;
  if (pid === undefined) throw new Error('python3 does not start');
  world.scope.defer('squatter', () => endProcesses([pid], 'SIGKILL'));
  return pid;
}

/** Mounts with the command in the foreground; `exit` answers its code or signal, `said` what it wrote to stderr. */
async function foreground() {
  const mountpoint = await world.remora.mountpoint();
  const [node, main] = world.remora.program;
  const args = [main, ...(await world.mounting(mountpoint)), '-f'];
  const child = start(node, args, { env: world.remora.environment });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const exit = new Promise<number | string | null>((resolve) => {
    child.on('exit', (code, name) => resolve(code ?? name));
  });
  await waitForMount(mountpoint);
  const mount = await world.remora.adopt(mountpoint);
  return { mount, child, exit, said: () => said };
}

describe('unmount', () => {
  it('sends what was written before it returns', async () => {
    const mount = await world.mount();
    await writeFile(join(mount.directory, 'late'), Buffer.alloc(5_000_000, 7));
    await mount.unmount();
    expect((await readFile(join(world.disk, 'late'))).equals(Buffer.alloc(5_000_000, 7))).toBe(true);
  });

  it('of a mount in use is 71 and names who uses it; --force ends it all the same', async () => {
    const mount = await world.mount();
    const pid = await squatter(mount.directory, 'held', 'written and held');
    const busy = await world.remora.run(['unmount', mount.directory]);
    expect(busy.code).toBe(71);
    expect(busy.stderr).toMatch(/^remora: [^\n]+\n$/);
    expect(busy.stderr).toContain(String(pid));
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    expect(await readFile(join(world.disk, 'held'), 'utf8'), 'flushed by the attempt').toBe(
      'written and held',
    );
    const forced = await world.remora.run(['unmount', '--force', mount.directory]);
    expect(forced).toMatchObject({ code: 0 });
    await mount.ended();
    await endProcesses([pid], 'SIGKILL');
  });

  it.each(isRoot ? ['umount', 'fusermount3 -u'] : ['fusermount3 -u'])(
    '%s ends the daemon',
    async (command) => {
      const mount = await world.mount();
      await writeFile(join(mount.directory, 'by-command'), command);
      const [program = '', ...args] = command.split(' ');
      await must(program, [...args, mount.directory]);
      await mount.ended();
      expect(await readFile(join(world.disk, 'by-command'), 'utf8')).toBe(command);
    },
  );

  it('lazily, while in use: the daemon serves until the last user has gone', async () => {
    const mount = await world.mount();
    const pid = await squatter(mount.directory, 'lazy', 'written and held');
    await must(
      isRoot ? 'umount' : 'fusermount3',
      isRoot ? ['-l', mount.directory] : ['-uz', mount.directory],
    );
    expect(await isAlive(mount.pid)).toBe(true);
    await endProcesses([pid], 'SIGTERM');
    await mount.ended();
    expect(await readFile(join(world.disk, 'lazy'), 'utf8')).toBe('written and held');
  });
});

describe('signals and accidents', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s to the daemon of a busy mount: data is sent, it ends',
    async (signal) => {
      const mount = await world.mount();
      const name = `held-${signal}`;
      const pid = await squatter(mount.directory, name, 'written, never closed');
      process.kill(mount.pid, signal);
      await mount.ended();
      expect(await readFile(join(world.disk, name), 'utf8')).toBe('written, never closed');
      await endProcesses([pid], 'SIGKILL');
    },
  );

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s to the command in the foreground unmounts',
    async (signal) => {
      const { mount, child, exit, said } = await foreground();
      await writeFile(join(mount.directory, `foreground-${signal}`), 'sent');
      child.kill(signal);
      expect(await exit).toBe(0);
      expect(said()).toBe('');
      await mount.ended();
      expect(await readFile(join(world.disk, `foreground-${signal}`), 'utf8')).toBe('sent');
    },
  );

  it('umount of a foreground mount ends the command with 0', async () => {
    const { mount, exit } = await foreground();
    await must('fusermount3', ['-u', mount.directory]);
    expect(await exit).toBe(0);
    await mount.ended();
  });

  it('a daemon that was killed with nobody to clean up leaves a dead mount: listed, and removed by unmount', async () => {
    const mount = await world.mount({ options: ['no_auto_unmount'] });
    await endProcesses([mount.pid], 'SIGKILL');
    await until('a dead mount', async () => (await world.remora.listed())[0]?.state === 'dead');
    expect(await world.remora.run(['unmount', mount.directory])).toMatchObject({ code: 0 });
    expect(await mountAt(mount.directory)).toBe(null);
    expect(await world.remora.listed()).toEqual([]);
  });

  it('a server that is gone: errors in time instead of hanging, listed as such, unmounted at once', async () => {
    const server = await Sshd.start(world.scope);
    const mount = await world.remora.mount(server, world.disk, { options: ['timeout=1'] });
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await server.stop();
    await until('the loss to be noticed', async () => (await mount.status()).link.state !== 'connected');
    const listing = await run('ls', [join(mount.directory, 'never-seen')], { timeout: 20_000 });
    expect(listing.code).not.toBe(0);
    expect(listing.stderr).toMatch(/timed out/i);
    expect((await world.remora.run(['list'])).stdout).toMatch(/offline|connecting/);
    const begun = performance.now();
    expect((await world.remora.run(['unmount', mount.directory])).code).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await mount.ended();
  });

  it('a stopped server: what could not be sent is 72 and named, and --force gives it up', async () => {
    const server = await Sshd.start(world.scope);
    const mount = await world.remora.mount(server, world.disk, { options: ['timeout=1'] });
    const pid = await squatter(mount.directory, 'lost-file', 'before');
    await server.stop();
    await until('the loss to be noticed', async () => (await mount.status()).link.state !== 'connected');
    const refused = await world.remora.run(['unmount', mount.directory]);
    // Small writes may have reached the server before it went; then the mount is merely in use.
    expect([71, 72]).toContain(refused.code);
    if (refused.code === 72) expect(refused.stderr).toContain('lost-file');
    expect((await world.remora.run(['unmount', '--force', mount.directory])).code).toBe(
      refused.code === 72 ? 72 : 0,
    );
    await mount.ended();
    await endProcesses([pid], 'SIGKILL');
  });
});
