/** The life of a mount, from outside: mounted in every way there is, listed, used; and the guided tour. */
import { open, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { mountAt } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, run, start, until } from '../support/run.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

const world = new MountFixture('lifecycle');

describe('mount', () => {
  it('is silent, detached, and leaves nothing of the terminal behind', async () => {
    const mount = await world.mount();
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    const stat = (await readFile(`/proc/${mount.pid}/stat`, 'latin1')).replace(/^.*\) /, '').split(' ');
    expect(stat[3], 'a session of its own').toBe(String(mount.pid));
    expect(stat[4], 'no controlling terminal').toBe('0');
    expect(await readlink(`/proc/${mount.pid}/cwd`)).toBe('/');
    const info = await mountAt(mount.directory);
    expect(info).toMatchObject({ type: 'fuse.remora' });
    expect(info?.source).toContain(world.sshd.host);
    expect(info?.options).toMatch(/nosuid/);
    expect(info?.options).toMatch(/nodev/);
    await mount.unmount();
    await mount.ended();
  });

  it('takes options before, between and after its operands, as sshfs does', async () => {
    const [p, port = '', i, key = '', o, known = ''] = await world.remora.login(world.sshd);
    const mountpoint = await world.remora.mountpoint();
    const args = [o, known, world.source, `${p}${port}`, mountpoint, `${i}`, key, '-o', 'ro,reconnect', '-C'];
    expect(await world.remora.run(args.map(String))).toMatchObject({ code: 0, stderr: '', stdout: '' });
    const mount = await world.remora.adopt(mountpoint);
    await mount.unmount();
  });

  it('of the home directory: an empty directory, a dot, and ~', async () => {
    const home = await must('sh', ['-c', 'cd ~root 2>/dev/null || cd; pwd']);
    for (const directory of ['', '.', '~']) {
      const mount = await world.remora.mount(world.sshd, directory);
      if (isRoot) {
        const expected = (await readdir(home.trim())).sort();
        expect((await readdir(mount.directory)).sort()).toEqual(expected);
      }
      await mount.unmount();
    }
  });

  it('at a relative path, through a link, with spaces and a leading dash in its name', async () => {
    const login = await world.remora.login(world.sshd);
    const named = await world.remora.mountpoint('with space & $(dollar)');
    const dashed = await world.remora.mountpoint('-dash');
    await symlink(named, join(world.remora.home, 'link'));
    for (const [typed, real] of [
      ['./with space & $(dollar)', named],
      ['link', named],
      ['./-dash', dashed],
    ] as const) {
      const finished = await world.remora.run([world.source, typed, ...login], { cwd: world.remora.home });
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      const mount = await world.remora.adopt(real);
      expect(await readdir(real)).toContain('hello');
      const unmounted = await world.remora.run(['unmount', typed], { cwd: world.remora.home });
      expect(unmounted).toMatchObject({ code: 0, stderr: '' });
      await mount.ended();
    }
  });

  it('over a directory that is not empty, with nonempty', async () => {
    const mountpoint = await world.remora.mountpoint();
    await writeFile(join(mountpoint, 'below'), '');
    const args = [...(await world.mounting(mountpoint)), '-o', 'nonempty'];
    expect(await world.remora.run(args)).toMatchObject({ code: 0, stderr: '' });
    const mount = await world.remora.adopt(mountpoint);
    expect(await readdir(mountpoint)).toContain('hello');
    await mount.unmount();
    expect(await readdir(mountpoint)).toEqual(['below']);
  });

  it('where a FUSE filesystem is mounted already is 13, and that one stays', async () => {
    const mount = await world.mount();
    const again = await world.remora.run([...(await world.mounting(mount.directory)), '-o', 'nonempty']);
    expect(again.code).toBe(13);
    expect(again.stderr).toMatch(/^remora: [^\n]+\n$/);
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mount.unmount();
  });

  it('twice of one server: each ends alone', async () => {
    const first = await world.mount();
    const second = await world.mount();
    await first.unmount();
    expect(await readFile(join(second.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await second.unmount();
  });

  it('read-only refuses every change with EROFS', async () => {
    const mount = await world.mount({ options: ['ro'] });
    await expect(open(join(mount.directory, 'new'), 'w')).rejects.toMatchObject({ code: 'EROFS' });
    await expect(open(join(mount.directory, 'hello'), 'r+')).rejects.toMatchObject({ code: 'EROFS' });
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mount.unmount();
  });

  // As with sshfs, umask stands for the permissions of everything: 0777 without it.
  it('with uid, gid and umask shows other owners and permissions', async () => {
    const mount = await world.mount({ options: ['uid=4321', 'gid=5432', 'umask=077'] });
    expect(await must('stat', ['-c', '%u %g %a', join(mount.directory, 'hello')])).toBe('4321 5432 700\n');
    await mount.unmount();
  });

  it.runIf(isRoot)('lets other users in with allow_other, and nobody else without', async () => {
    const user = await createUser(world.scope);
    const closed = await world.mount();
    expect((await run('cat', [join(closed.directory, 'hello')], { as: user })).stderr).toMatch(/denied/);
    await closed.unmount();
    const opened = await world.mount({ options: ['allow_other'] });
    expect(await must('cat', [join(opened.directory, 'hello')], { as: user })).toBe('from the server\n');
    await opened.unmount();
  });

  it.runIf(isRoot)('with idmap=user shows the files of another login as one’s own', async () => {
    const user = await createUser(world.scope);
    const server = await Sshd.start(world.scope, { user: user.name });
    await must('sh', ['-c', 'echo x > file'], { as: user, cwd: user.home });
    const mount = await world.remora.mount(server, user.home, { options: ['idmap=user'] });
    expect(await must('stat', ['-c', '%u %g', join(mount.directory, 'file')])).toBe('0 0\n');
    await writeFile(join(mount.directory, 'mine'), 'x');
    expect(await must('stat', ['-c', '%u %g', join(user.home, 'mine')])).toBe(`${user.uid} ${user.gid}\n`);
    await mount.unmount();
  });
});

describe('list', () => {
  it.runIf(isRoot)('prints nothing when there is nothing, and an empty array as JSON', async () => {
    // A user of one's own: other test files mount as this one at the same time.
    const alone = await Remora.create(world.scope, await createUser(world.scope));
    expect(await alone.run(['list'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(JSON.parse((await alone.run(['list', '--json'])).stdout)).toEqual([]);
  });

  it('shows each mount with its source, state and process', async () => {
    const mount = await world.mount();
    const { stdout } = await world.remora.run(['list']);
    expect(stdout).toContain(mount.directory);
    expect(stdout).toContain(world.source);
    const [row, ...more] = await world.remora.listed();
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      source: world.source,
      mountpoint: mount.directory,
      pid: mount.pid,
      driver: 'direct',
    });
    await mount.unmount();
    expect((await world.remora.run(['list'])).stdout).not.toContain(mount.directory);
    expect(await world.remora.listed()).toEqual([]);
  });
});

describe('demo', () => {
  it('gives its tour, ends with 0 and leaves nothing', { timeout: 120_000 }, async () => {
    const temporary = await world.scope.makeDirectory('demo-tmp');
    const finished = await world.remora.run(['demo'], { env: { TMPDIR: temporary }, timeout: 90_000 });
    expect({ code: finished.code, stderr: finished.stderr }).toEqual({ code: 0, stderr: '' });
    expect(finished.stdout.split('\n').length).toBeGreaterThan(10);
    expect(await readdir(temporary)).toEqual([]);
    expect(await world.remora.statuses()).toEqual([]);
  });

  it('interrupted in the middle leaves nothing either', { timeout: 120_000 }, async () => {
    const temporary = await world.scope.makeDirectory('demo-tmp-2');
    const [node, main] = world.remora.program;
    const child = start(node, [main, 'demo'], { env: { ...world.remora.environment, TMPDIR: temporary } });
    const exit = new Promise<number | string | null>((resolve) => {
      child.on('exit', (code, name) => resolve(code ?? name));
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGINT');
    expect(await exit).not.toBe(0);
    await until('the temporary directory to be empty', async () => (await readdir(temporary)).length === 0);
    expect(await world.remora.statuses()).toEqual([]);
  });
});
