/**
 * How a mount dies: killed, cut off from its terminal, stopped in the middle of a copy, without room for its log.
 * In each case no dead mount stays that needs root, what close() confirmed is on the server, and what was not is
 * told.
 */
import { open, readdir, readFile, readlink, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { isDeadMount } from '../../src/cli/mountpoint.js';
import { MountFixture } from '../support/mount-fixture.js';
import {
  endProcesses,
  isAlive,
  mountAt,
  spentInOneSecond,
  waitForMount,
  waitForUnmount,
} from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, start, until } from '../support/run.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot } from '../support/user.js';

const world = new MountFixture('dying');

/** The watchers of a user's mounts: they bear no mark, since they inherit no environment. */
async function watchers(of: Remora): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  const commands = await Promise.all(lines);
  return pids.filter((_, i) => commands[i]?.includes(join(of.home, 'remora'))).map(Number);
}

/** Nothing of a mount is left: no watcher, no socket, no lock. */
async function nothingLeft(of: Remora): Promise<void> {
  await until('the watcher to end', async () => (await watchers(of)).length === 0);
  expect(await readdir(join(of.home, 'remora'))).toEqual([]);
}

/** Copies numbered files into `directory`, and tells of each whose close() has succeeded, until a call fails. */
function copier(directory: string, size: number, as?: Remora['as']) {
  const code = `
import errno, os, sys
i = 0
mounted = os.stat(sys.argv[1]).st_dev
while True:
    try:
        fd = os.open(f"{sys.argv[1]}/copy{i}", os.O_WRONLY | os.O_CREAT)
        # Between two files the mount may go without any call that it could fail.
        if os.fstat(fd).st_dev != mounted:
            print("failed GONE", flush=True)
            break
        os.write(fd, bytes([i % 251]) * int(sys.argv[2]))
        os.close(fd)
    except OSError as error:
        print("failed", errno.errorcode[error.errno], flush=True)
        break
    print("closed", i, flush=True)
    i += 1`;
  const child = start('python3', ['-c', code, directory, String(size)], { env: world.scope.environment, as });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return {
    confirmed: () => [...said.matchAll(/^closed (\d+)$/gm)].map(([, number]) => Number(number)),
    failure: () => until('an error', async () => /^failed (\w+)$/m.exec(said)?.[1]),
  };
}

async function expectWhole(directory: string, numbers: readonly number[], size: number): Promise<void> {
  for (const number of numbers) {
    const content = await readFile(join(directory, `copy${number}`));
    expect(content.equals(Buffer.alloc(size, number % 251)), `copy${number} is whole`).toBe(true);
  }
}

describe('a serving process that is killed', () => {
  const users = isRoot ? ['root', 'a plain user'] : ['a plain user'];

  it.each(users)('as %s, during a copy: the mount goes at once, what was confirmed is whole', async (who) => {
    const as = who === 'root' || !isRoot ? undefined : await createUser(world.scope);
    const own = as === undefined ? world.remora : await Remora.create(world.scope, as);
    const server = as === undefined ? world.sshd : await Sshd.start(world.scope, { user: as.name });
    const target = await world.scope.makeDirectory(`killed-${who.replaceAll(' ', '-')}`, as);
    const mount = await own.mount(server, target);
    expect(await watchers(own)).toHaveLength(1);
    const size = 300_000;
    const copy = copier(mount.directory, size, as);
    await until('a few files', async () => copy.confirmed().length > 5);
    process.kill(mount.pid, 'SIGKILL');
    const begun = performance.now();
    expect(['ENOTCONN', 'ECONNABORTED', 'ENOENT', 'EACCES']).toContain(await copy.failure());
    await waitForUnmount(mount.directory, 5_000);
    expect(performance.now() - begun).toBeLessThan(4_000);
    await expectWhole(target, copy.confirmed(), size);
    await nothingLeft(own);
    const again = await own.mount(server, target, { name: 'again' });
    await again.unmount();
    await nothingLeft(own);
  });

  it('leaves the mount of a successor alone', async () => {
    const first = await world.mount({ name: 'shared' });
    const held = await open(join(first.directory, 'hello'), 'r');
    await must('fusermount3', ['-uz', first.directory]);
    const second = await world.remora.run(await world.mounting(first.directory));
    expect(second).toMatchObject({ code: 0, stderr: '' });
    const mount = await world.remora.adopt(first.directory);
    expect(await isAlive(first.pid), 'it serves the file that is still open').toBe(true);
    await endProcesses([first.pid], 'SIGKILL');
    await until('the first watcher to end', async () => (await watchers(world.remora)).length <= 1);
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await held.close().catch(() => {});
    await mount.unmount();
    await nothingLeft(world.remora);
  });

  it('with no_auto_unmount leaves a dead mount, which the next mount removes and says so with -v', async () => {
    const dead = await world.mount({ options: ['no_auto_unmount'] });
    expect(await watchers(world.remora)).toEqual([]);
    await endProcesses([dead.pid], 'SIGKILL');
    // The kernel closes the descriptor a moment after the process is gone.
    await until('a dead mount', () => isDeadMount(dead.directory));
    const row = JSON.parse((await world.remora.run(['status', dead.directory, '--json'])).stdout);
    expect(row).toMatchObject({ state: 'dead', link: null });
    const args = [...(await world.mounting(dead.directory)), '-v'];
    const finished = await world.remora.run(args);
    expect(finished.code, finished.stderr).toBe(0);
    expect(finished.stderr).toMatch(/^remora: .*removed the dead mount/m);
    const mount = await world.remora.adopt(dead.directory);
    expect(await readFile(join(mount.directory, 'hello'), 'utf8')).toBe('from the server\n');
    await mount.unmount();
    expect(await mountAt(dead.directory), 'nothing lies below').toBe(null);
  });

  it('a dead mount of another kind is refused as 15 and stays', async () => {
    const dead = await world.mount({ options: ['no_auto_unmount', 'subtype=other'] });
    await endProcesses([dead.pid], 'SIGKILL');
    await until('a dead mount', () => isDeadMount(dead.directory));
    const finished = await world.remora.run(await world.mounting(dead.directory));
    expect(finished).toMatchObject({ code: 15 });
    expect(finished.stderr).toMatch(/^remora: [^\n]+\n$/);
    expect(await mountAt(dead.directory)).not.toBe(null);
    await must('fusermount3', ['-uz', dead.directory]);
  });
});

it('an orderly end leaves no watcher, lock or socket', async () => {
  const mount = await world.mount();
  const [watcher = 0] = await watchers(world.remora);
  const environ = await readFile(`/proc/${watcher}/environ`, 'utf8');
  expect(environ.split('\0').filter((line) => line !== '')).toHaveLength(1);
  const descriptors = (await readdir(`/proc/${watcher}/fd`)).map((fd) =>
    readlink(`/proc/${watcher}/fd/${fd}`),
  );
  const files = (await Promise.all(descriptors)).filter(
    (path) => path.startsWith('/') && path !== '/dev/null',
  );
  expect(files, 'no descriptor of the mount is inherited').toEqual([expect.stringMatching(/\.lock$/)]);
  await mount.unmount();
  await nothingLeft(world.remora);
});

describe.runIf(isRoot)('a full disk under the log', () => {
  let state: string;
  beforeAll(async () => {
    state = await world.scope.makeDirectory('state');
    await must('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', state]);
    world.scope.defer('tmpfs', async () => void (await must('umount', [state])));
  });

  it('costs lines of the log and nothing else', async () => {
    const mountpoint = await world.remora.mountpoint();
    const args = await world.mounting(mountpoint);
    // Every layer tells every step: the log is full at once.
    const env = { XDG_STATE_HOME: state, DEBUG: 'remora:*' };
    expect(await world.remora.run(args, { env })).toMatchObject({ code: 0 });
    const mount = await world.remora.adopt(mountpoint);
    const name = join(mountpoint, 'written');
    for (let i = 0; i < 50; i++) await writeFile(`${name}${i}`, `content ${i}`);
    expect(await readFile(`${name}7`, 'utf8')).toBe('content 7');
    const { bavail } = await statfs(state);
    expect(bavail, 'the disk was full').toBe(0);
    expect(await spentInOneSecond(mount.pid), 'milliseconds in a second of rest').toBeLessThan(400);
    await mount.unmount();
    for (let i = 0; i < 50; i++) {
      expect(await readFile(join(world.disk, `written${i}`), 'utf8')).toBe(`content ${i}`);
    }
  });
});

describe('a terminal that is closed', () => {
  it('under a foreground mount: data is sent, the mount goes, the command ends with 0', async () => {
    const mountpoint = await world.remora.mountpoint();
    const args = [...(await world.mounting(mountpoint)), '-f'];
    const hangup = hangUp([...world.remora.program, ...args], 'remora-shall-never-say-this');
    await waitForMount(mountpoint);
    const mount = await world.remora.adopt(mountpoint);
    const file = await open(join(mountpoint, 'held'), 'w');
    await file.write('written, never closed');
    hangup.now();
    expect(await hangup.code).toBe(0);
    await waitForUnmount(mountpoint);
    await until('the daemon to end', async () => !(await isAlive(mount.pid)));
    expect(await readFile(join(world.disk, 'held'), 'utf8')).toBe('written, never closed');
    await file.close().catch(() => {});
    await nothingLeft(world.remora);
  });

  it('while a question is asked: nothing is mounted, the command ends as interrupted', async () => {
    const [p = '', port = '', i = '', key = ''] = await world.remora.login(world.sshd);
    const known = ['-o', `UserKnownHostsFile=${join(world.remora.home, 'none')},GlobalKnownHostsFile=none`];
    const mountpoint = await world.remora.mountpoint();
    const args = [world.source, mountpoint, p, port, i, key, ...known];
    const hangup = hangUp([...world.remora.program, ...args], '(yes/no');
    await hangup.asked;
    hangup.now();
    expect(await hangup.code).toBe(130);
    expect(await mountAt(mountpoint)).toBe(null);
  });

  /** A program on a terminal of its own; `asked` resolves when it has printed `word`. */
  function hangUp(command: readonly string[], word: string) {
    const code = `
import os, pty, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen = b""
while True:
    ready = select.select([0, fd], [], [])[0]
    if fd in ready:
        seen += os.read(fd, 4096)
        if sys.argv[1].encode() in seen:
            print("asked", flush=True)
            seen = b""
    if 0 in ready:
        break
os.close(fd)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 128 - status)`;
    const child = start('python3', ['-c', code, word, ...command], {
      env: world.remora.environment,
      stdin: 'pipe',
    });
    return {
      asked: new Promise((resolve) => child.stdout?.once('data', resolve)),
      now: () => child.stdin?.write('\n'),
      code: new Promise((resolve) => child.on('exit', resolve)),
    };
  }
});

it('SIGTERM during a copy: what close() confirmed is on the server, later calls get errors', async () => {
  const target = await world.scope.makeDirectory('terminated');
  const mount = await world.remora.mount(world.sshd, target);
  const size = 300_000;
  const copy = copier(mount.directory, size);
  await until('a few files', async () => copy.confirmed().length > 5);
  process.kill(mount.pid, 'SIGTERM');
  await copy.failure();
  await waitForUnmount(mount.directory);
  await until('the daemon to end', async () => !(await isAlive(mount.pid)));
  await expectWhole(target, copy.confirmed(), size);
  await nothingLeft(world.remora);
});
