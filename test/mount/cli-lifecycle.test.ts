/**
 * The life of a mount, from outside: started, listed, used, unmounted in every way there is, killed, cut off.
 * After each end no process and no mount is there, and what was written is on the server.
 */
import { open, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { endProcesses, isAlive, mountAt, waitForMount, waitForUnmount } from '../support/processes.js';
import { type Mounted, type MountStatus, Remora } from '../support/remora.js';
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

/** The rows of `remora list --json` that are of this test; other files mount at the same time. */
async function listed(): Promise<readonly MountStatus[]> {
  const { stdout } = await remora.run(['list', '--json']);
  const rows: readonly MountStatus[] = JSON.parse(stdout);
  return rows.filter(({ mountpoint }) => mountpoint.startsWith(`${remora.home}/`));
}

async function ended(mount: Mounted): Promise<void> {
  await waitForUnmount(mount.directory);
  await until('the daemon to end', async () => !(await isAlive(mount.pid)));
  expect(await remora.statuses()).toEqual([]);
}

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
  const child = start('python3', ['-c', code, directory, file ?? '', text], { env: scope.environment });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const { pid } = child;
  if (pid === undefined) throw new Error('python3 does not start');
  scope.defer('squatter', () => endProcesses([pid], 'SIGKILL'));
  return pid;
}

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
    await ended(mount);
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
      await ended(mount);
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
    const [row, ...more] = await listed();
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      source: `${sshd.user}@${sshd.host}:${disk}`,
      mountpoint: mount.directory,
      pid: mount.pid,
      driver: isRoot ? 'mount' : 'fusermount3',
    });
    await mount.unmount();
    expect((await remora.run(['list'])).stdout).not.toContain(mount.directory);
    expect(await listed()).toEqual([]);
  });
});

describe('unmount', () => {
  it('sends what was written before it returns', async () => {
    const mount = await remora.mount(sshd, disk);
    await writeFile(join(mount.directory, 'late'), Buffer.alloc(5_000_000, 7));
    await mount.unmount();
    expect((await readFile(join(disk, 'late'))).equals(Buffer.alloc(5_000_000, 7))).toBe(true);
  });

  it('of a mount in use is 71 and names who uses it; --force ends it all the same', async () => {
    const mount = await remora.mount(sshd, disk);
    const pid = await squatter(mount.directory, 'held', 'written and held');
    const busy = await remora.run(['unmount', mount.directory]);
    expect(busy.code).toBe(71);
    expect(busy.stderr).toMatch(/^remora: [^\n]+\n$/);
    expect(busy.stderr).toContain(String(pid));
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    expect(await readFile(join(disk, 'held'), 'utf8'), 'flushed by the attempt').toBe('written and held');
    const forced = await remora.run(['unmount', '--force', mount.directory]);
    expect(forced).toMatchObject({ code: 0 });
    await ended(mount);
    await endProcesses([pid], 'SIGKILL');
  });

  it.each(isRoot ? ['umount', 'fusermount3 -u'] : ['fusermount3 -u'])(
    '%s ends the daemon',
    async (command) => {
      const mount = await remora.mount(sshd, disk);
      await writeFile(join(mount.directory, 'by-command'), command);
      const [program = '', ...args] = command.split(' ');
      await must(program, [...args, mount.directory]);
      await ended(mount);
      expect(await readFile(join(disk, 'by-command'), 'utf8')).toBe(command);
    },
  );

  it('lazily, while in use: the daemon serves until the last user has gone', async () => {
    const mount = await remora.mount(sshd, disk);
    const pid = await squatter(mount.directory, 'lazy', 'written and held');
    await must(
      isRoot ? 'umount' : 'fusermount3',
      isRoot ? ['-l', mount.directory] : ['-uz', mount.directory],
    );
    expect(await isAlive(mount.pid)).toBe(true);
    await endProcesses([pid], 'SIGTERM');
    await ended(mount);
    expect(await readFile(join(disk, 'lazy'), 'utf8')).toBe('written and held');
  });
});

describe('signals and accidents', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s to the daemon of a busy mount: data is sent, it ends',
    async (signal) => {
      const mount = await remora.mount(sshd, disk);
      const name = `held-${signal}`;
      const pid = await squatter(mount.directory, name, 'written, never closed');
      process.kill(mount.pid, signal);
      await ended(mount);
      expect(await readFile(join(disk, name), 'utf8')).toBe('written, never closed');
      await endProcesses([pid], 'SIGKILL');
    },
  );

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s to the command in the foreground unmounts',
    async (signal) => {
      const mountpoint = await remora.mountpoint();
      const [node, main] = remora.program;
      const args = [
        main,
        `${sshd.user}@${sshd.host}:${disk}`,
        mountpoint,
        ...(await remora.login(sshd)),
        '-f',
      ];
      const child = start(node, args, { env: remora.environment });
      let said = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      const exit = new Promise<number | string | null>((resolve) => {
        child.on('exit', (code, name) => resolve(code ?? name));
      });
      await waitForMount(mountpoint);
      const mount = await remora.adopt(mountpoint);
      await writeFile(join(mountpoint, `foreground-${signal}`), 'sent');
      child.kill(signal);
      expect(await exit).toBe(0);
      expect(said).toBe('');
      await ended(mount);
      expect(await readFile(join(disk, `foreground-${signal}`), 'utf8')).toBe('sent');
    },
  );

  it('umount of a foreground mount ends the command with 0', async () => {
    const mountpoint = await remora.mountpoint();
    const [node, main] = remora.program;
    const args = [main, `${sshd.user}@${sshd.host}:${disk}`, mountpoint, ...(await remora.login(sshd)), '-f'];
    const child = start(node, args, { env: remora.environment });
    const exit = new Promise<number | string | null>((resolve) => {
      child.on('exit', (code, name) => resolve(code ?? name));
    });
    await waitForMount(mountpoint);
    const mount = await remora.adopt(mountpoint);
    await must('fusermount3', ['-u', mountpoint]);
    expect(await exit).toBe(0);
    await ended(mount);
  });

  it('a daemon that was killed leaves a dead mount: refused as 15, listed, and removed by unmount', async () => {
    const mount = await remora.mount(sshd, disk);
    await endProcesses([mount.pid], 'SIGKILL');
    if ((await mountAt(mount.directory)) !== null) {
      const source = `${sshd.user}@${sshd.host}:${disk}`;
      const again = await remora.run([source, mount.directory, ...(await remora.login(sshd))]);
      expect(again.code).toBe(15);
      expect(again.stderr).toContain('unmount');
      const [row] = await listed();
      expect(row).toMatchObject({ mountpoint: mount.directory, state: 'dead' });
      expect(await remora.run(['unmount', mount.directory])).toMatchObject({ code: 0 });
    }
    expect(await mountAt(mount.directory)).toBe(null);
    expect(await listed()).toEqual([]);
  });

  it('a lost connection: errors instead of hanging, listed as disconnected, unmounted at once', async () => {
    const server = await Sshd.start(scope);
    const mount = await remora.mount(server, disk);
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await server.stop();
    await until('the loss to be noticed', async () => (await mount.status()).state === 'disconnected');
    const listing = await run('ls', [join(mount.directory, 'never-seen')], { timeout: 20_000 });
    expect(listing.code).not.toBe(0);
    expect(listing.stderr).toMatch(/error|not connected|timed out/i);
    expect((await remora.run(['list'])).stdout).toContain('disconnected');
    const begun = performance.now();
    expect((await remora.run(['unmount', mount.directory])).code).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await ended(mount);
  });

  it('a stopped server: what could not be sent is 72 and named, and --force gives it up', async () => {
    const server = await Sshd.start(scope);
    const mount = await remora.mount(server, disk);
    const pid = await squatter(mount.directory, 'lost-file', 'before');
    await server.stop();
    await until('the loss to be noticed', async () => (await mount.status()).state === 'disconnected');
    const refused = await remora.run(['unmount', mount.directory]);
    // Small writes may have reached the server before it went; then the mount is merely in use.
    expect([71, 72]).toContain(refused.code);
    if (refused.code === 72) expect(refused.stderr).toContain('lost-file');
    expect((await remora.run(['unmount', '--force', mount.directory])).code).toBe(0);
    await ended(mount);
    await endProcesses([pid], 'SIGKILL');
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
