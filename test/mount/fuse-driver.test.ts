/**
 * The kernel driver against the kernel: a small filesystem in memory, served by a child process, as root
 * through mount(2) and as a plain user through fusermount3.
 */
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  abortConnection,
  findFuseMount,
  isMountPoint,
  type MountError,
  unmountPath,
} from '../../src/fuse/index.js';
import { MountedMemory } from '../support/memfs.js';
import { endProcesses, isAlive, spentInOneSecond } from '../support/processes.js';
import { type Identity, must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';

const isRoot = process.getuid?.() === 0;
const NOBODY: Identity = { name: 'nobody', uid: 65534, gid: 65534 };

let scope: Scope;

beforeAll(async () => {
  scope = await Scope.open('fuse');
});
afterAll(() => scope.close());

const WAYS: readonly (readonly [string, Identity | undefined, string])[] = isRoot
  ? [
      ['root through mount(2)', undefined, 'mount'],
      ['a plain user through fusermount3', NOBODY, 'fusermount3'],
    ]
  : [['a plain user through fusermount3', undefined, 'fusermount3']];

describe.each(WAYS)('%s', (_name, as, method) => {
  let mounted: MountedMemory;
  const sh = (script: string) =>
    must('sh', ['-euc', `cd "$0"; ${script}`, mounted.mountpoint], { as, timeout: 20_000 });

  /** Starts a program that ends with the test at the latest. */
  function begin(program: string, ...args: string[]): number {
    const { pid } = start(program, args, { as, env: scope.environment });
    if (pid === undefined) throw new Error(`${program} did not start`);
    onTestFinished(() => endProcesses([pid], 'SIGKILL'));
    return pid;
  }

  beforeAll(async () => {
    mounted = await MountedMemory.serve(scope, as);
  });

  it('is mounted as asked', async () => {
    expect(mounted.output).toContain(`ready ${method}`);
    expect(await findFuseMount(mounted.mountpoint)).toMatchObject({
      source: 'mem,ory',
      fstype: 'fuse.remora',
      userId: as?.uid ?? process.getuid?.(),
    });
  });

  it('lists, writes, reads and tells its size', async () => {
    expect(await sh('echo hello > a; echo more >> a; cat a')).toContain('hello\nmore');
    expect((await sh('mkdir dir; mv a dir/b; ls -A . dir; ls -a dir')).split(/\s+/)).toEqual(
      expect.arrayContaining(['dir', 'sink', 'stall', 'zero', 'b', '.', '..']),
    );
    expect(await sh('cp dir/b dir/copy; cmp dir/b dir/copy; stat -f -c %b.%a .')).toContain('1000.400');
  });

  it('keeps inode numbers through renames, and shares them between hard links', async () => {
    const [before, after, linked, fresh] = (
      await sh(
        'echo 1 > i; ls -i i | cut -d" " -f1; mv i j; stat -c %i j; ln j k; stat -c %i k; echo 2 > i; stat -c %i i',
      )
    )
      .trim()
      .split('\n');
    expect(after).toBe(before);
    expect(linked).toBe(before);
    expect(fresh).not.toBe(before);
  });

  it('keeps an unlinked file for whoever has it open', async () => {
    expect(
      await sh('echo kept > u; exec 3< u; rm u; stat -L -c %s /proc/self/fd/3; cat <&3; ls u || echo gone'),
    ).toMatch(/5\nkept\ngone/);
  });

  it('carries symbolic links, modes, times and truncation', async () => {
    const told = await sh(
      'ln -s dir/b s; readlink s; chmod 600 i; touch -d @-5 i; stat -c "%a %Y" i; truncate -s 3 i; stat -c %s i',
    );
    expect(told.trim().split('\n')).toEqual(['dir/b', '600 -5', '3']);
  });

  it('has no extended attributes, and says so as every program understands', async () => {
    expect(await sh('cp -a dir dir2; ls dir2')).toContain('b');
  });

  it.each([
    ['SIGKILL', 'stat', 'hang-kill'],
    ['SIGTERM', 'stat', 'hang-term'],
    ['SIGINT', 'stat', 'hang-int'],
    ['SIGINT', 'cat', 'stall'],
  ] as const)('%s ends a %s of %s that is never answered', async (signal, program, name) => {
    const pid = begin(program, join(mounted.mountpoint, name));
    await until('the program to wait for the answer', async () =>
      /fuse|request_wait_answer|folio/.test(await readFile(`/proc/${pid}/wchan`, 'utf8')),
    );
    process.kill(pid, signal);
    await until('the program to end', async () => !(await isAlive(pid)), 5_000);
  });

  it('is busy while a program is inside, and leaves nothing behind when it goes', async () => {
    const pid = begin('sh', '-c', 'cd "$0" && exec sleep 60', mounted.mountpoint);
    await until(
      'a program to be inside',
      async () => (await readlink(`/proc/${pid}/cwd`)) === mounted.mountpoint,
    );
    const unmount = () => unmountPath(mounted.mountpoint, { lazy: false });
    await expect(unmount()).rejects.toMatchObject({
      name: 'MountError',
      kind: 'busy',
    } satisfies Partial<MountError>);
    await endProcesses([pid]);
    await unmount();
    const { reason, stats } = await mounted.ending();
    expect(reason).toBe('unmounted');
    expect(stats).toMatchObject({ inFlight: 0, openFiles: 0, openDirectories: 0, openHandles: 0 });
    await expect(unmount()).rejects.toMatchObject({ kind: 'not-mounted' });
  });
});

describe('ends', () => {
  const user = isRoot ? NOBODY : undefined;

  it('by its own unmounting', async () => {
    const mounted = await MountedMemory.serve(scope, user);
    mounted.child.kill('SIGTERM');
    expect((await mounted.ending()).reason).toBe('unmounted');
    expect(await isMountPoint(mounted.mountpoint)).toBe(false);
  });

  it('when whoever held it for a moment has let go', async () => {
    const mounted = await MountedMemory.serve(scope, user);
    const { pid = 0 } = start('sh', ['-c', 'cd "$0" && exec sleep 60', mounted.mountpoint], { as: user });
    onTestFinished(() => endProcesses([pid], 'SIGKILL'));
    await until(
      'a program to be inside',
      async () => (await readlink(`/proc/${pid}/cwd`)) === mounted.mountpoint,
    );
    const unmounting = unmountPath(mounted.mountpoint, { lazy: false });
    process.kill(pid, 'SIGKILL');
    await unmounting;
    expect((await mounted.ending()).reason).toBe('unmounted');
  });

  it('at once when the process exits, with the mount still there', async () => {
    const mounted = await MountedMemory.serve(scope, user);
    mounted.send('exit');
    await until('the process to be gone', async () => mounted.child.exitCode === 0, 5_000);
    await expect(run('ls', [mounted.mountpoint])).resolves.toMatchObject({ code: 2 });
    await unmountPath(mounted.mountpoint, { lazy: false });
  });

  it.runIf(isRoot)('by an abort, which frees a program that is stuck', async () => {
    const mounted = await MountedMemory.serve(scope);
    const stuck = run('cat', [join(mounted.mountpoint, 'stall')]);
    const mount = await findFuseMount(mounted.mountpoint);
    if (mount === undefined) throw new Error('not mounted');
    await abortConnection(mount);
    expect((await stuck).code).not.toBe(0);
    expect((await mounted.ending()).reason).toBe('aborted');
    await unmountPath(mounted.mountpoint, { lazy: true });
  });
});

describe('a close that waits for a stalled server', () => {
  it.each([
    ['ends when the program is killed', 'SIGKILL'],
    ['ends with a signal that the program handles', 'SIGINT'],
  ] as const)('%s', async (_name, signal) => {
    const mounted = await MountedMemory.serve(scope);
    const code = 'import os, sys; os.close(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY))';
    const { pid } = start('python3', ['-c', code, join(mounted.mountpoint, 'unclosed')], {
      env: scope.environment,
    });
    if (pid === undefined) throw new Error('python3 did not start');
    onTestFinished(() => endProcesses([pid], 'SIGKILL'));
    await until('the close', async () => (await mounted.requests())('CREATE') > 0);
    process.kill(pid, signal);
    await mounted.command('stall');
    await until('the program to end', async () => !(await isAlive(pid)), 5_000);
  });
});

describe('the device', () => {
  it('costs an idle mount nothing', async () => {
    const { pid } = await MountedMemory.serve(scope);
    // What Node compiles and collects after a start is not the mount's.
    await until('a second without work', async () => (await spentInOneSecond(pid)) <= 20);
  });

  it('serves many callers at once, large writes among them, each its own data', async () => {
    const { mountpoint } = await MountedMemory.serve(scope);
    const writer = (name: string) =>
      must('sh', [
        '-euc',
        'head -c 3000000 /dev/urandom > "$1"; dd if="$1" of="$0" bs=1M status=none; cmp "$0" "$1"',
        join(mountpoint, name),
        join(scope.directory, name),
      ]);
    await Promise.all(Array.from({ length: 8 }, (_, index) => writer(`parallel-${index}`)));
  });
});
