/** The life of a mount, from outside: mounted in every way there is, listed, used; and the guided tour. */
import { open, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mountAt } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;

beforeAll(async () => {
  scope = await Scope.open('lifecycle');
  disk = await scope.makeDirectory('disk');
  sshd = await Sshd.start(scope);
  await writeFile(join(disk, 'hello'), 'from the server\n');
});
afterAll(async () => {
  await scope?.close();
});
beforeEach(async () => {
  remora = await Remora.create(scope);
});
afterEach(async () => {
  await remora.discard();
});

describe('mount', () => {
  it('is silent, detached, and leaves nothing of the terminal behind', async () => {
    const mount = await remora.mount(sshd, disk);
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    const stat = (await readFile(`/proc/${mount.pid}/stat`, 'latin1')).replace(/^.*\) /, '').split(' ');
    expect(stat[3], 'a session of its own').toBe(String(mount.pid));
    expect(stat[4], 'no controlling terminal').toBe('0');
    expect(await readlink(`/proc/${mount.pid}/cwd`)).toBe('/');
    const info = await mountAt(mount.directory);
    expect(info).toMatchObject({ type: 'fuse.remora' });
    expect(info?.source).toContain(sshd.host);
    expect(info?.options).toMatch(/nosuid/);
    expect(info?.options).toMatch(/nodev/);
    await mount.unmount();
    await mount.ended();
  });

  it('takes options before, between and after its operands, as sshfs does', async () => {
    const [p, port = '', i, key = '', o, known = ''] = await remora.login(sshd);
    const mountpoint = await remora.mountpoint();
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const args = [o, known, source, `${p}${port}`, mountpoint, `${i}`, key, '-o', 'ro,reconnect', '-C'];
    expect(await remora.run(args.map(String))).toMatchObject({ code: 0, stderr: '', stdout: '' });
    const mount = await remora.adopt(mountpoint);
    await mount.unmount();
  });

  it('of the home directory: an empty directory, a dot, and ~', async () => {
    const home = await must('sh', ['-c', 'cd ~root 2>/dev/null || cd; pwd']);
    for (const directory of ['', '.', '~']) {
      const mount = await remora.mount(sshd, directory);
      if (isRoot) {
        const expected = (await readdir(home.trim())).sort();
        expect((await readdir(mount.directory)).sort()).toEqual(expected);
      }
      await mount.unmount();
    }
  });

  it('at a relative path, through a link, with spaces and a leading dash in its name', async () => {
    const login = await remora.login(sshd);
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const named = await remora.mountpoint('with space & $(dollar)');
    const dashed = await remora.mountpoint('-dash');
    await symlink(named, join(remora.home, 'link'));
    for (const [typed, real] of [
      ['./with space & $(dollar)', named],
      ['link', named],
      ['./-dash', dashed],
    ] as const) {
      const finished = await remora.run([source, typed, ...login], { cwd: remora.home });
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      const mount = await remora.adopt(real);
      expect(await readdir(real)).toContain('hello');
      const unmounted = await remora.run(['unmount', typed], { cwd: remora.home });
      expect(unmounted).toMatchObject({ code: 0, stderr: '' });
      await mount.ended();
    }
  });

  it('over a directory that is not empty, with nonempty', async () => {
    const mountpoint = await remora.mountpoint();
    await writeFile(join(mountpoint, 'below'), '');
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const args = [source, mountpoint, ...(await remora.login(sshd)), '-o', 'nonempty'];
    expect(await remora.run(args)).toMatchObject({ code: 0, stderr: '' });
    const mount = await remora.adopt(mountpoint);
    expect(await readdir(mountpoint)).toContain('hello');
    await mount.unmount();
    expect(await readdir(mountpoint)).toEqual(['below']);
  });

  it('where a FUSE filesystem is mounted already is 13, and that one stays', async () => {
    const mount = await remora.mount(sshd, disk);
    const source = `${sshd.user}@${sshd.host}:${disk}`;
    const again = await remora.run([
      source,
      mount.directory,
      ...(await remora.login(sshd)),
      '-o',
      'nonempty',
    ]);
    expect(again.code).toBe(13);
    expect(again.stderr).toMatch(/^remora: [^\n]+\n$/);
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mount.unmount();
  });

  it('twice of one server: each ends alone', async () => {
    const first = await remora.mount(sshd, disk);
    const second = await remora.mount(sshd, disk);
    await first.unmount();
    expect(await readFile(join(second.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await second.unmount();
  });

  it('read-only refuses every change with EROFS', async () => {
    const mount = await remora.mount(sshd, disk, { options: ['ro'] });
    await expect(open(join(mount.directory, 'new'), 'w')).rejects.toMatchObject({ code: 'EROFS' });
    await expect(open(join(mount.directory, 'hello'), 'r+')).rejects.toMatchObject({ code: 'EROFS' });
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mount.unmount();
  });

  // As with sshfs, umask stands for the permissions of everything: 0777 without it.
  it('with uid, gid and umask shows other owners and permissions', async () => {
    const mount = await remora.mount(sshd, disk, { options: ['uid=4321', 'gid=5432', 'umask=077'] });
    expect(await must('stat', ['-c', '%u %g %a', join(mount.directory, 'hello')])).toBe('4321 5432 700\n');
    await mount.unmount();
  });

  it.runIf(isRoot)('lets other users in with allow_other, and nobody else without', async () => {
    const user = await createUser(scope);
    const closed = await remora.mount(sshd, disk);
    expect((await run('cat', [join(closed.directory, 'hello')], { as: user })).stderr).toMatch(/denied/);
    await closed.unmount();
    const opened = await remora.mount(sshd, disk, { options: ['allow_other'] });
    expect(await must('cat', [join(opened.directory, 'hello')], { as: user })).toBe('from the server\n');
    await opened.unmount();
  });

  it.runIf(isRoot)('with idmap=user shows the files of another login as one’s own', async () => {
    const user = await createUser(scope);
    const server = await Sshd.start(scope, { user: user.name });
    await must('sh', ['-c', 'echo x > file'], { as: user, cwd: user.home });
    const mount = await remora.mount(server, user.home, { options: ['idmap=user'] });
    expect(await must('stat', ['-c', '%u %g', join(mount.directory, 'file')])).toBe('0 0\n');
    await writeFile(join(mount.directory, 'mine'), 'x');
    expect(await must('stat', ['-c', '%u %g', join(user.home, 'mine')])).toBe(`${user.uid} ${user.gid}\n`);
    await mount.unmount();
  });
});

describe('list', () => {
  it.runIf(isRoot)('prints nothing when there is nothing, and an empty array as JSON', async () => {
    // A user of one's own: other test files mount as this one at the same time.
    const alone = await Remora.create(scope, await createUser(scope));
    expect(await alone.run(['list'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(JSON.parse((await alone.run(['list', '--json'])).stdout)).toEqual([]);
  });

  it('shows each mount with its source, state and process', async () => {
    const mount = await remora.mount(sshd, disk);
    const { stdout } = await remora.run(['list']);
    expect(stdout).toContain(mount.directory);
    expect(stdout).toContain(`${sshd.user}@${sshd.host}:${disk}`);
    const [row, ...more] = await remora.listed();
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      source: `${sshd.user}@${sshd.host}:${disk}`,
      mountpoint: mount.directory,
      pid: mount.pid,
      driver: isRoot ? 'mount' : 'fusermount3',
    });
    await mount.unmount();
    expect((await remora.run(['list'])).stdout).not.toContain(mount.directory);
    expect(await remora.listed()).toEqual([]);
  });
});

describe('demo', () => {
  it('gives its tour, ends with 0 and leaves nothing', { timeout: 120_000 }, async () => {
    const temporary = await scope.makeDirectory('demo-tmp');
    const finished = await remora.run(['demo'], { env: { TMPDIR: temporary }, timeout: 90_000 });
    expect({ code: finished.code, stderr: finished.stderr }).toEqual({ code: 0, stderr: '' });
    expect(finished.stdout.split('\n').length).toBeGreaterThan(10);
    expect(await readdir(temporary)).toEqual([]);
    expect(await remora.statuses()).toEqual([]);
  });

  it('interrupted in the middle leaves nothing either', { timeout: 120_000 }, async () => {
    const temporary = await scope.makeDirectory('demo-tmp-2');
    const [node, main] = remora.program;
    const child = start(node, [main, 'demo'], { env: { ...remora.environment, TMPDIR: temporary } });
    const exit = new Promise<number | string | null>((resolve) => {
      child.on('exit', (code, name) => resolve(code ?? name));
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGINT');
    expect(await exit).not.toBe(0);
    await until('the temporary directory to be empty', async () => (await readdir(temporary)).length === 0);
    expect(await remora.statuses()).toEqual([]);
  });
});
