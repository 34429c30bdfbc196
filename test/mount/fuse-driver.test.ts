/**
 * The kernel driver against the kernel: a small filesystem in memory, served by a child process, as root
 * through mount(2) and as a plain user through fusermount3.
 */
import type { ChildProcess } from 'node:child_process';
import { copyFile, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  abortConnection,
  findFuseMount,
  isMountPoint,
  type MountError,
  unmountPath,
} from '../../src/fuse/index.js';
import { endProcesses, isAlive } from '../support/processes.js';
import { type Identity, must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';

const isRoot = process.getuid?.() === 0;
const NOBODY: Identity = { name: 'nobody', uid: 65534, gid: 65534 };

interface Served {
  readonly child: ChildProcess;
  readonly mountpoint: string;
  readonly output: () => string;
}

let scope: Scope;
let served = 0;

beforeAll(async () => {
  scope = await Scope.open('fuse');
  await copyFile(join(import.meta.dirname, '../support/memfs-child.mjs'), join(scope.directory, 'child.mjs'));
});
afterAll(() => scope.close());

async function serve(as: Identity | undefined, options: object = {}): Promise<Served> {
  const stage = inject('stage');
  const mountpoint = await scope.makeDirectory(`mnt ${++served}`, as);
  const mount = { mountpoint, fsname: 'mem,ory', subtype: 'remora', ...options };
  const child = start(
    stage.node,
    [join(scope.directory, 'child.mjs'), join(stage.directory, 'dist'), JSON.stringify(mount)],
    { as, env: scope.environment },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (data) => (text += data));
  const { pid } = child;
  if (pid === undefined) throw new Error('the server did not start');
  scope.defer(`server ${pid}`, async () => {
    if (await isMountPoint(mountpoint)) await unmountPath(mountpoint, { lazy: true });
    await endProcesses([pid]);
  });
  await until('the mount to be served', async () => {
    if (child.exitCode !== null) throw new Error(`the server ended: ${text}`);
    return text.includes('ready');
  });
  return { child, mountpoint, output: () => text };
}

/** Waits for the server's last words: why it ended, and what it still held. */
async function ending({
  child,
  output,
}: Served): Promise<{ reason: string; stats: Record<string, unknown> }> {
  await until('the server to end', async () => child.exitCode !== null && output().includes('done'));
  const [, reason = '', stats = '{}'] = /done (\w+) (.*)/.exec(output()) ?? [];
  return { reason, stats: JSON.parse(stats) };
}

const WAYS: readonly (readonly [string, Identity | undefined, string])[] = isRoot
  ? [
      ['root through mount(2)', undefined, 'mount'],
      ['a plain user through fusermount3', NOBODY, 'fusermount3'],
    ]
  : [['a plain user through fusermount3', undefined, 'fusermount3']];

describe.each(WAYS)('%s', (_name, as, method) => {
  let mounted: Served;
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
    mounted = await serve(as);
  });

  it('is mounted as asked', async () => {
    expect(mounted.output()).toContain(`ready ${method}`);
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
    const { reason, stats } = await ending(mounted);
    expect(reason).toBe('unmounted');
    expect(stats).toMatchObject({ inFlight: 0, openFiles: 0, openDirectories: 0, openHandles: 0 });
    await expect(unmount()).rejects.toMatchObject({ kind: 'not-mounted' });
  });
});

describe('ends', () => {
  const user = isRoot ? NOBODY : undefined;

  it('by its own unmounting', async () => {
    const mounted = await serve(user);
    mounted.child.kill('SIGTERM');
    expect((await ending(mounted)).reason).toBe('unmounted');
    expect(await isMountPoint(mounted.mountpoint)).toBe(false);
  });

  it.runIf(isRoot)('by an abort, which frees a program that is stuck', async () => {
    const mounted = await serve(undefined);
    const stuck = run('cat', [join(mounted.mountpoint, 'stall')]);
    const mount = await findFuseMount(mounted.mountpoint);
    if (mount === undefined) throw new Error('not mounted');
    await abortConnection(mount);
    expect((await stuck).code).not.toBe(0);
    expect((await ending(mounted)).reason).toBe('aborted');
    await unmountPath(mounted.mountpoint, { lazy: true });
  });
});
