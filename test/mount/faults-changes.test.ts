/** Changes of names and sizes whose answer is lost, on a real sshd: each happens once, and is told as it was. */
import { lstat, mkdir, stat, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { FaultFixture } from '../support/faults/fixture.js';
import { shutDown } from '../support/faults/server.js';
import { until } from '../support/run.js';

const world = new FaultFixture('faults-changes');

describe('a change whose answer is lost', () => {
  interface Change {
    readonly what: string;
    readonly code: string;
    /** Whether it has happened on the server. */
    done(): Promise<boolean>;
  }

  const there = (name: string) =>
    lstat(world.onDisk(name)).then(
      () => true,
      () => false,
    );

  const CHANGES: readonly Change[] = [
    { what: 'mkdir', code: "os.mkdir(p + '/new')", done: () => there('new') },
    { what: 'rmdir', code: "os.rmdir(p + '/dir')", done: async () => !(await there('dir')) },
    { what: 'unlink', code: "os.unlink(p + '/file')", done: async () => !(await there('file')) },
    { what: 'symlink', code: "os.symlink('target', p + '/new')", done: () => there('new') },
    { what: 'link', code: "os.link(p + '/file', p + '/new')", done: () => there('new') },
    { what: 'rename', code: "os.rename(p + '/file', p + '/new')", done: async () => !(await there('file')) },
    {
      what: 'rename onto another file',
      code: "os.rename(p + '/file', p + '/other')",
      done: async () => !(await there('file')),
    },
    {
      what: 'exclusive create',
      code: "os.close(os.open(p + '/new', os.O_CREAT | os.O_EXCL | os.O_WRONLY))",
      done: () => there('new'),
    },
    {
      what: 'truncate',
      code: "os.truncate(p + '/file', 2)",
      done: async () => (await stat(world.onDisk('file'))).size === 2,
    },
  ];

  beforeEach(async () => {
    await mkdir(world.onDisk('dir'));
    await writeFile(world.onDisk('file'), 'content');
    await writeFile(world.onDisk('other'), 'other');
  });

  const calling = (code: string) =>
    world.program(
      `p = sys.argv[1]\nos.listdir(p)\nstep()\nprint(outcome(lambda: ${code}))`,
      world.mounted.directory,
    );

  it.each(CHANGES)('$what that has happened is a success', async ({ code, done }) => {
    await world.mount();
    const program = calling(code);
    await program.ready();
    world.proxy.stall(['down']);
    program.next();
    await until('the change', done);
    world.proxy.cut();
    world.proxy.flow();
    expect(await program.end()).toBe('None');
    expect(await done()).toBe(true);
    await world.worksAndEnds();
  });

  it.each(CHANGES)('$what that has not happened is made', async ({ code, done }) => {
    await world.mount();
    const program = calling(code);
    await program.ready();
    const asked = world.proxy.held('up');
    world.proxy.stall(['up']);
    program.next();
    await until('the request', async () => world.proxy.held('up') > asked);
    expect(await done()).toBe(false);
    world.proxy.cut();
    world.proxy.flow();
    expect(await program.end()).toBe('None');
    expect(await done()).toBe(true);
    await world.worksAndEnds();
  });

  it('and that somebody else has made before is told as it is', async () => {
    await world.mount();
    const program = calling("os.mkdir(p + '/new')");
    await program.ready();
    await shutDown(world.sshd);
    program.next();
    await mkdir(world.onDisk('new'));
    await writeFile(world.onDisk('new/theirs'), '');
    await world.sshd.resume();
    expect(await program.end()).toBe('EEXIST');
    await world.worksAndEnds();
  });
});
