/** SFTP without SSH: over TCP, and over standard input and output. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { programPath } from '../support/packages.js';
import { descendants, endProcesses } from '../support/processes.js';
import { start, until } from '../support/run.js';
import { accepts, freePort } from '../support/sshd.js';

const world = new MountFixture('direct-sftp');

const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');

describe('SFTP without SSH', () => {
  it('directport mounts, and comes back when the server does', async () => {
    const port = await freePort();
    const server = await programPath('sftp-server');
    const serve = async () => {
      const child = start(
        await programPath('socat'),
        [`TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`, `EXEC:${server}`],
        {},
      );
      await until('socat', () => accepts(port));
      return child.pid ?? 0;
    };
    const stop = async (pid: number) => endProcesses([pid, ...(await descendants(pid))], 'SIGKILL');
    let pid = await serve();
    try {
      const mountpoint = await world.remora.mountpoint();
      const finished = await world.remora.run([
        `127.0.0.1:${world.disk}`,
        mountpoint,
        '-o',
        `directport=${port},ssh_config=none`,
      ]);
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      const mounted = await world.remora.adopt(mountpoint);
      const data = randomBytes(8 * 2 ** 20);
      await writeFile(join(mountpoint, 'direct'), data);
      expect(digest(await readFile(join(world.disk, 'direct')))).toBe(digest(data));
      await stop(pid);
      pid = await serve();
      await writeFile(join(mountpoint, 'after'), 'still here');
      expect(await readFile(join(world.disk, 'after'), 'utf8')).toBe('still here');
      await mounted.unmount();
    } finally {
      await stop(pid);
    }
  });

  it('passive says what it wants where there is no such thing', async () => {
    const finished = await world.remora.run([
      `there:${world.disk}`,
      await world.remora.mountpoint(),
      '-o',
      'passive,ssh_config=none',
    ]);
    expect(finished.stderr).toMatch(/^remora: passive takes a pipe or a socket[^\n]*\n$/);
    expect(finished.code).toBe(25);
  });

  it('passive speaks to the sftp-server at its standard input and output', async () => {
    const mountpoint = await world.remora.mountpoint();
    const server = start(await programPath('sftp-server'), [], { input: 'open' });
    const [node, main] = world.remora.program;
    const mount = start(node, [main, `there:${world.disk}`, mountpoint, '-o', 'passive,ssh_config=none'], {
      env: world.remora.environment,
      input: 'open',
    });
    server.stdout?.pipe(mount.stdin ?? process.stdout);
    mount.stdout?.pipe(server.stdin ?? process.stdout);
    const mounted = await world.remora.adopt(mountpoint);
    const data = randomBytes(16 * 2 ** 20);
    await writeFile(join(mountpoint, 'passive'), data);
    expect(digest(await readFile(join(world.disk, 'passive')))).toBe(digest(data));
    await mounted.unmount();
    await until('the command to end', async () => mount.exitCode !== null);
    expect(mount.exitCode).toBe(0);
    await until('the server to end', async () => server.exitCode !== null);
  });
});
