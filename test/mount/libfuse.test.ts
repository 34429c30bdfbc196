/**
 * A mount by the portable driver, from its beginning to each of its ends: what people do with it, what they are told
 * when it cannot be, and that it leaves as little behind as one by the built-in driver.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MountNamespace } from '../support/namespace.js';
import { endProcesses, isAlive, mountAt, waitForUnmount } from '../support/processes.js';
import { type Mounted, Remora } from '../support/remora.js';
import { must, run, start, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

/** An npm that runs install scripts may have left it out: then the mount says how it is installed. */
const NOT_HERE = process.arch !== 'x64';

const USERS = isRoot ? ['root', 'a plain user'] : ['a plain user'];

describe.skipIf(NOT_HERE).each(USERS)(
  'driver=libfuse as %s (fuse-native has a libfuse for x86-64 alone)',
  (who) => {
    let scope: Scope;
    let remora: Remora;
    let sshd: Sshd;
    let disk: string;

    beforeAll(async () => {
      scope = await Scope.open('libfuse');
      const as = isRoot && who !== 'root' ? await createUser(scope) : undefined;
      disk = await scope.makeDirectory('disk', as, 0o777);
      sshd = await Sshd.start(scope, as ? { user: as.name } : {});
      remora = await Remora.create(scope, as);
      await writeFile(join(disk, 'hello'), 'from the server\n', { mode: 0o644 });
    });
    afterAll(async () => {
      await scope?.close();
    });
    afterEach(async () => {
      await remora.discard();
    });

    const mount = (...options: string[]): Promise<Mounted> =>
      remora.mount(sshd, disk, { options: ['driver=libfuse', ...options] });

    const as = (program: string, args: readonly string[], cwd?: string) =>
      must(program, args, { as: remora.as, env: scope.environment, ...(cwd ? { cwd } : {}) });

    it('clones with git, packs and unpacks with tar, and leaves nothing behind', async () => {
      const mounted = await mount();
      expect(((await mounted.status()) as unknown as { driver: string }).driver).toBe('libfuse');
      const work = join(mounted.directory, 'work');
      const git = ['-c', 'user.name=x', '-c', 'user.email=x@example.org', '-c', 'safe.directory=*'];
      await as('git', [...git, 'init', '-q', '-b', 'main', join(work, 'origin')]);
      await as(
        'sh',
        ['-c', 'for i in 1 2 3 4 5; do echo $i > f$i; done; mkdir d; ln -s ../f1 d/link'],
        join(work, 'origin'),
      );
      await as('git', [...git, 'add', '.'], join(work, 'origin'));
      await as('git', [...git, 'commit', '-q', '-m', 'first'], join(work, 'origin'));
      await as('git', [...git, 'clone', '-q', join(work, 'origin'), join(work, 'clone')]);
      expect(await as('git', [...git, 'status', '--porcelain'], join(work, 'clone'))).toBe('');
      await as('git', [...git, 'fsck', '--strict'], join(work, 'clone'));

      await as('touch', ['-d', '2001-02-03 04:05:06', join(work, 'clone', 'f1')]);
      await as('tar', ['-cf', 'packed.tar', 'clone'], work);
      await as('mkdir', ['unpacked'], work);
      await as('tar', ['-xf', 'packed.tar', '-C', 'unpacked'], work);
      await as('diff', ['-r', '--no-dereference', 'clone', 'unpacked/clone'], work);
      expect(await as('stat', ['-c', '%y', 'unpacked/clone/f1'], work)).toMatch(/^2001-02-03 04:05:06\./);
      await mounted.unmount();
      expect(await readdir(join(remora.home, 'remora'))).toEqual([]);
      await as('diff', ['-r', '--no-dereference', 'clone', 'unpacked/clone'], join(disk, 'work'));
      await must('rm', ['-r', join(disk, 'work')]);
    });

    it('obeys the options of a mount', async () => {
      const mounted = await mount('ro,noexec,default_permissions,subtype=portable', 'fsname=a\\,b c');
      const at = await mountAt(mounted.directory);
      expect(at).toMatchObject({ type: 'fuse.portable', source: 'a,b c' });
      expect(at?.options.split(',')).toEqual(expect.arrayContaining(['ro', 'noexec', 'nosuid', 'nodev']));
      const refused = await run('touch', [join(mounted.directory, 'new')], { as: remora.as });
      expect(refused.stderr).toMatch(/Read-only file system/);
      await mounted.unmount();
    });

    it('sees at once what the server has of an opened file', async () => {
      const mounted = await mount('dcache_timeout=600');
      const path = join(mounted.directory, 'grows');
      await writeFile(join(disk, 'grows'), 'short', { mode: 0o666 });
      expect(await as('cat', [path])).toBe('short');
      await writeFile(join(disk, 'grows'), 'much longer than before');
      await until('the new contents', async () => (await as('cat', [path])) === 'much longer than before');
      await mounted.unmount();
    });

    it('knows who else makes a file: O_EXCL reaches the server', async () => {
      const mounted = await mount();
      const missing = await run('stat', [join(mounted.directory, 'lock')], { as: remora.as });
      expect(missing.stderr).toMatch(/No such file/);
      await writeFile(join(disk, 'lock'), 'of another');
      const code = 'import os, sys; os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY)';
      const made = await run('python3', ['-c', code, join(mounted.directory, 'lock')], { as: remora.as });
      expect(made.stderr).toMatch(/FileExistsError/);
      expect(await readFile(join(disk, 'lock'), 'utf8')).toBe('of another');
      await mounted.unmount();
    });

    it('goes with a killed process, without a dead mount', async () => {
      const mounted = await mount();
      await endProcesses([mounted.pid], 'SIGKILL');
      await waitForUnmount(mounted.directory);
      await until('everything to go', async () => (await readdir(join(remora.home, 'remora'))).length === 0);
    });

    it('ends when somebody else unmounts it', async () => {
      const mounted = await mount();
      await as(who === 'root' ? 'umount' : 'fusermount3', [
        ...(who === 'root' ? [] : ['-u']),
        mounted.directory,
      ]);
      await mounted.ended();
    });

    it('lets stuck programs go when it is forced', async () => {
      const mounted = await mount();
      const reader = start('python3', ['-c', STUCK, join(mounted.directory, 'hello')], {
        env: scope.environment,
        stdin: 'pipe',
        as: remora.as,
      });
      let said = '';
      reader.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      await until('the program to have opened', async () => said.includes('open'));
      const sessions = await sshd.sessions();
      for (const pid of sessions) process.kill(pid, 'SIGSTOP');
      reader.stdin?.write('\n');
      await until('a call that waits', async () => {
        const { kernel } = await mounted.status();
        return (kernel as { inFlight: number }).inFlight > 0;
      });
      const forced = await remora.run(['unmount', '--force', mounted.directory], { timeout: 30_000 });
      for (const pid of sessions) if (await isAlive(pid)) process.kill(pid, 'SIGCONT');
      expect(forced).toMatchObject({ code: 0, stderr: '' });
      await until('the program to hear of it', async () => said.includes('failed ECONNABORTED'));
      await mounted.ended();
    });

    it('says who may allow allow_other', async () => {
      if (who === 'root') return (await mount('allow_other')).unmount();
      const configuration = await readFile('/etc/fuse.conf', 'utf8').catch(() => '');
      if (/^\s*user_allow_other/m.test(configuration)) return;
      await expect(mount('allow_other')).rejects.toThrow(/exit code 63: .*user_allow_other/);
      expect(await mountAt(join(remora.home, 'm1'))).toBe(null);
    });
  },
);

describe.skipIf(NOT_HERE || !isRoot)('driver=libfuse, who is let in', () => {
  let scope: Scope;
  let owner: SystemUser;
  let stranger: SystemUser;

  beforeAll(async () => {
    scope = await Scope.open('libfuse-others');
    owner = await createUser(scope);
    stranger = await createUser(scope);
  });
  afterAll(async () => {
    await scope?.close();
  });

  /** Who can read a file and list its directory, on a mount of `owner`'s where fusermount lets others in. */
  async function readers(option: string): Promise<readonly string[]> {
    const disk = await scope.makeDirectory(`disk-${option}`, owner);
    await writeFile(join(disk, 'hello'), 'hello\n', { mode: 0o644 });
    const sshd = await Sshd.start(scope, { user: owner.name });
    const remora = await Remora.create(scope, owner);
    const mountpoint = await remora.mountpoint();
    const configuration = join(scope.directory, 'fuse.conf');
    await writeFile(configuration, 'user_allow_other\n', { mode: 0o644 });
    const space = await MountNamespace.open(scope);
    const bound = await space.run('mount', ['--bind', configuration, '/etc/fuse.conf']);
    expect(bound.stderr).toBe('');

    const command = (...args: readonly string[]) => {
      const [node, main] = remora.program;
      return space.run(node, [main, ...args], { as: owner, env: remora.environment, timeout: 30_000 });
    };
    const source = `${owner.name}@${sshd.host}:${disk}`;
    const login = await remora.login(sshd);
    try {
      const mounted = await command(source, mountpoint, ...login, '-o', `driver=libfuse,${option}`);
      expect(mounted).toMatchObject({ code: 0, stderr: '' });
      const people = { owner, root: undefined, stranger };
      const tries = Object.entries(people).map(async ([who, as]) => {
        const script = 'cat "$1/hello"; ls "$1"';
        const { stdout } = await space.run('sh', ['-c', script, 'sh', mountpoint], { as });
        return stdout === 'hello\nhello\n' ? who : stdout;
      });
      return (await Promise.all(tries)).filter((who) => who !== '');
    } finally {
      expect(await command('unmount', '--force', mountpoint)).toMatchObject({ code: 0 });
    }
  }

  it('the one who mounts and root, with allow_root', async () => {
    expect(await readers('allow_root')).toEqual(['owner', 'root']);
  });

  it('everybody, with allow_other', async () => {
    expect(await readers('allow_other')).toEqual(['owner', 'root', 'stranger']);
  });

  it('nobody else, with neither', async () => {
    expect(await readers('noatime')).toEqual(['owner']);
  });

  it('does not know who makes a file: it stays the login’s', async () => {
    const disk = await scope.makeDirectory('disk-given');
    const sshd = await Sshd.start(scope);
    const remora = await Remora.create(scope);
    const mounted = await remora.mount(sshd, disk, { options: ['driver=libfuse,allow_other'] });
    await must('sh', ['-c', 'cd "$1"; touch f; mkdir d; ln -s f l', 'sh', mounted.directory], {
      as: stranger,
    });
    const owners = await must('stat', ['-c', '%u', 'f', 'd', 'l'], { cwd: disk });
    expect(owners).toBe('0\n0\n0\n');
    await mounted.unmount();
  });
});

/** Opens a file, waits for a word, reads, and tells how that went. */
const STUCK = `
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
sys.stdin.readline()
try:
    os.read(fd, 100)
    print("done", flush=True)
except OSError as error:
    print("failed", errno.errorcode[error.errno], flush=True)`;
