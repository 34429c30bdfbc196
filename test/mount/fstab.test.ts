/**
 * Mounts that mount(8) and autofs make: the lines of docs/SYSTEM.md, and others that sshfs's users have, with the type
 * changed, in a mount namespace with an fstab and an /sbin of its own.
 */
import { cp, lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { MountNamespace } from '../support/namespace.js';
import { endProcesses } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { must, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { handOver } from '../support/server.js';
import { Sshd } from '../support/sshd.js';
import { createUser, isRoot, type SystemUser } from '../support/user.js';

let scope: Scope;
let space: MountNamespace;
let sshd: Sshd;
let remora: Remora;
let user: SystemUser;
let disk = '';
let source = '';
/** What logs in to the test's server. */
let login = '';

const DOCUMENT = resolve(import.meta.dirname, '..', '..', 'docs', 'SYSTEM.md');

const { node, directory: stage } = inject('stage');
const main = join(stage, 'dist', 'cli', 'main.js');

describe.runIf(isRoot)('as root, with a namespace of its own', () => {
  beforeAll(async () => {
    scope = await Scope.open('fstab');
    disk = await scope.makeDirectory('disk', undefined, 0o777);
    await writeFile(join(disk, 'hello'), 'from the server\n');
    await writeFile(join(disk, 'secret'), 'for root\n', { mode: 0o600 });
    await symlink(join(disk, 'hello'), join(disk, 'absolute'));
    user = await createUser(scope);
    sshd = await Sshd.start(scope);
    remora = await Remora.create(scope, undefined, [node, main]);
    source = `${sshd.user}@${sshd.host}:${disk}`;
    login = `port=${sshd.port},UserKnownHostsFile=${sshd.knownHosts},IdentityFile=${sshd.keyFile},ssh_config=none`;
    space = await MountNamespace.open(scope);
    const sbin = (await must('readlink', ['-f', '/sbin'])).trim();
    const fstab = join(scope.directory, 'fstab');
    await writeFile(fstab, '');
    await cp(sbin, join(scope.directory, 'sbin'), { recursive: true, verbatimSymlinks: true });
    await space.bind(join(scope.directory, 'sbin'), sbin);
    await space.bind(await scope.makeDirectory('share'), '/usr/local/share');
    await space.bind(fstab, '/etc/fstab');
    await command(['system', 'install']);
    // For mount.fuse3, which looks in the PATH of a shell that nobody has told of one.
    const program = join(scope.directory, 'sbin', 'remora');
    await writeFile(program, `#!${node}\nimport(${JSON.stringify(main)});\n`, { mode: 0o755 });
  });
  afterAll(async () => {
    await scope?.close();
  });
  afterEach(async () => {
    await space.run('umount', ['--all', '--lazy', '--types', 'fuse.remora']);
    await until('no mount of the test before', async () => (await remora.statuses()).length === 0);
  });

  const surroundings = (as?: SystemUser) =>
    as === undefined ? remora.environment : { ...remora.environment, XDG_RUNTIME_DIR: as.home };

  /** Runs a program in the namespace, which has to be silent and to succeed. */
  async function quietly(program: string, args: readonly string[], as?: SystemUser): Promise<void> {
    const finished = await space.run(program, args, { as, env: surroundings(as) });
    expect(finished, `${program} ${args.join(' ')}`).toMatchObject({ code: 0, stdout: '', stderr: '' });
  }

  async function command(args: readonly string[]) {
    return space.run(node, [main, ...args], { env: remora.environment });
  }

  const tell = (...lines: readonly string[]) =>
    writeFile(join(scope.directory, 'fstab'), `${lines.join('\n')}\n`);

  /** The line of the document for `place`, with what is this test's own: the server, the login, the directory. */
  async function documented(place: string, directory: string): Promise<string> {
    const text = await readFile(DOCUMENT, 'utf8');
    const line = new RegExp(`^ {4}(\\S+ +${place} .*)$`, 'm').exec(text)?.[1];
    expect(line, `a line for ${place} in ${DOCUMENT}`).toBeDefined();
    return adapted(line ?? '').replace(place, directory);
  }

  const adapted = (line: string) =>
    line
      .replace('me@nas:/srv', source)
      .replace('me@nas\\:/srv', source.replace(':', '\\:'))
      .replace(/IdentityFile=[^, ]+/, login);

  const typeAt = async (directory: string) => (await space.mountAt(directory))?.type;

  it('fstab: mounted by its directory, and by mount -a once', async () => {
    const nas = await remora.mountpoint();
    const srv = await remora.mountpoint();
    const wiki = await remora.mountpoint();
    const auto = await remora.mountpoint();
    await tell(
      await documented('/mnt/nas', nas),
      await documented('/mnt/srv', srv),
      await documented('/mnt/auto', auto),
      `${source} ${wiki} fuse.remora defaults,auto,_netdev,nofail,comment=nas,x-gvfs-show,uid=1000,gid=1001,umask=022,reconnect,ServerAliveInterval=15,ServerAliveCountMax=3,noatime,cache=yes,kernel_cache,compression=no,workaround=all,${login} 0 0`,
    );
    await quietly('mount', ['-a', '-t', 'fuse.remora']);
    expect([await typeAt(nas), await typeAt(auto)], 'noauto').toEqual([undefined, undefined]);
    expect(await space.mountAt(srv)).toMatchObject({ type: 'fuse.remora', source });
    const made = await space.mountAt(wiki);
    expect(made).toMatchObject({ type: 'fuse.remora', source });
    expect(made?.options).toContain('noatime');
    const shown = await must('stat', ['-c', '%u %g %a', space.inside(join(wiki, 'hello'))]);
    expect(shown).toBe('1000 1001 755\n');
    await quietly('mount', ['-a', '-t', 'fuse.remora']);
    expect(await remora.statuses(), 'what is mounted is not mounted again').toHaveLength(2);

    await quietly('mount', [nas]);
    expect((await space.mountAt(nas))?.options, 'what users implies').toMatch(/nosuid.*nodev.*noexec/);
    expect(await readFile(space.inside(join(nas, 'hello')), 'utf8')).toBe('from the server\n');
    await quietly('umount', [nas]);
    await quietly('mount', [auto]);
    expect(await typeAt(auto)).toBe('fuse.remora');

    await quietly('umount', ['-a', '-t', 'fuse.remora']);
    for (const place of [nas, srv, wiki, auto]) expect(await typeAt(place)).toBeUndefined();
  });

  it('fstab: what people write beside that is accepted, and takes effect', async () => {
    const theirs = await scope.makeDirectory('theirs', user);
    await writeFile(join(theirs, 'own'), '');
    await must('chown', [user.name, join(theirs, 'own')]);
    const words = [
      'transform_symlinks',
      'follow_symlinks',
      'delay_connect',
      'idmap=user',
      'allow_other,default_permissions',
      '_netdev,x-systemd.automount,noauto,users,nofail',
    ];
    const places = await Promise.all(words.map(() => remora.mountpoint()));
    const [relative = '', followed = '', delayed = '', mapped = '', shared = '', demanded = ''] = places;
    const sourceOf = (word: string) =>
      word === 'idmap=user' ? `${user.name}@${sshd.host}:${theirs}` : source;
    await tell(
      ...words.map((word, at) => `${sourceOf(word)} ${places[at]} fuse.remora ${word},${login} 0 0`),
    );
    await quietly('mount', ['-a', '-t', 'fuse.remora']);
    const statuses = await remora.statuses();
    const filesystemAt = (place: string) =>
      statuses.find(({ mountpoint }) => mountpoint === place)?.filesystem;
    expect(await readlink(space.inside(join(relative, 'absolute')))).toBe('hello');
    expect((await lstat(space.inside(join(followed, 'absolute')))).isFile()).toBe(true);
    expect([filesystemAt(delayed), filesystemAt(shared)]).toEqual([null, expect.anything()]);
    expect(await readFile(space.inside(join(delayed, 'hello')), 'utf8')).toBe('from the server\n');
    expect((await lstat(space.inside(join(mapped, 'own')))).uid).toBe(0);
    const read = (name: string) => space.run('cat', [join(shared, name)], { as: user });
    expect(await read('hello')).toMatchObject({ code: 0, stdout: 'from the server\n' });
    expect(await read('secret')).toMatchObject({ code: 1, stdout: '' });

    expect(await typeAt(demanded), 'noauto').toBeUndefined();
    await quietly('mount', [demanded]);
    expect((await space.mountAt(demanded))?.options, 'what users implies').toMatch(/nosuid.*nodev.*noexec/);
    await quietly('umount', ['-a', '-t', 'fuse.remora']);
  });

  it('fstab of old: program#source, of type fuse', async () => {
    const place = await remora.mountpoint();
    await tell(await documented('/mnt/old', place));
    await quietly('mount', [place]);
    expect(await typeAt(place)).toBe('fuse.remora');
    expect((await space.mountAt(place))?.options, 'what mount.fuse3 asks for').not.toMatch(/nosuid|nodev/);
    await quietly('umount', [place]);

    const line = `remora#${source} ${place} fuse noauto,nosuid,nodev,${login} 0 0`;
    await tell(line);
    await quietly('mount', [place]);
    expect((await space.mountAt(place))?.options).toMatch(/nosuid.*nodev/);
    await quietly('umount', [place]);
    await tell(line.replace('noauto', 'reconect'));
    expect(await space.run('mount', [place]), "remora's own exit code").toMatchObject({ code: 2 });
  });

  it('fstab of a user: who mounts it is who unmounts it', async () => {
    const place = await scope.makeDirectory('users', user);
    const key = await handOver(sshd.keyFile, user, join(user.home, 'key'));
    const own = login.replace(sshd.keyFile, key);
    await tell(`${source} ${place} fuse.remora noauto,user,_netdev,reconnect,${own} 0 0`);
    await quietly('mount', [place], user);
    const text = await space.run('cat', [join(place, 'hello')], { as: user });
    expect(text.stdout).toBe('from the server\n');
    const listed = await space.run(node, [main, 'list'], { as: user, env: surroundings(user) });
    expect(listed.stdout, 'found again by its user').toMatch(/ serving .* direct /);
    await quietly('umount', [place], user);
    expect(await typeAt(place)).toBeUndefined();

    const foreign = await remora.mountpoint();
    await tell(`${source} ${foreign} fuse.remora noauto,user,${own} 0 0`);
    const refused = await space.run('mount', [foreign], { as: user, env: surroundings(user) });
    expect(refused, "not the user's to write to").toMatchObject({ code: 32 });
  });

  it('mount -t, by hand, with both names of the type, without any environment', async () => {
    for (const type of ['fuse.remora', 'remora']) {
      const place = await remora.mountpoint();
      const mark = Object.entries(remora.environment).map(([name, value]) => `${name}=${value}`);
      await quietly('env', ['-i', ...mark, 'mount', '-t', type, source, place, '-o', login]);
      expect(await typeAt(place)).toBe('fuse.remora');
      const other = await space.run('mount', ['-o', 'remount,ro', place], { env: remora.environment });
      expect(other).toMatchObject({
        code: 1,
        stderr:
          "remora: option 'remount' is not supported: unmount, and mount again with the other options\n",
      });
      expect(await command(['unmount', place])).toMatchObject({ code: 0, stderr: '' });
    }
  });

  it('what autofs and careful people call: sloppy, without mtab, pretending, telling', async () => {
    const place = await remora.mountpoint();
    const options = ['-t', 'fuse.remora', '-o', login, source, place];
    await quietly('mount', ['-f', ...options]);
    expect(await typeAt(place), 'pretended').toBeUndefined();
    await quietly('mount', ['-n', '-s', ...options]);
    expect(await typeAt(place)).toBe('fuse.remora');
    await quietly('umount', [place]);
    const told = await space.run('mount', ['-v', ...options], { env: remora.environment });
    expect(told.stderr).toContain(`remora: mounting at ${place}\n`);
    await quietly('umount', [place]);
  });

  // Nobody but the group of processes that was asked to mount may enter the place; systemd's automount is the same.
  it('autofs: mounted when it is entered, unmounted when nobody uses it', async () => {
    const root = await scope.makeDirectory('auto');
    const [master, map] = [join(scope.directory, 'auto.master'), join(scope.directory, 'auto.remora')];
    await writeFile(master, `${root} ${map} --timeout=1\n`);
    const text = await readFile(DOCUMENT, 'utf8');
    const entries = [...text.matchAll(/^ {4}(\w+ +-fstype=.*)$/gm)].map(([, line = '']) => adapted(line));
    expect(entries).toHaveLength(2);
    await writeFile(map, `${entries.join('\n')}\n`);
    const daemon = space.start('automount', ['--foreground', '--dont-check-daemon', master], {
      env: remora.environment,
    });
    const pid = daemon.pid ?? 0;
    scope.defer('automount', () => endProcesses([pid]));
    await until('autofs', async () => (await typeAt(root)) === 'autofs');
    for (const key of ['nas', 'old']) {
      const entered = await space.run('cat', [join(root, key, 'hello')], { timeout: 20_000 });
      expect(entered, key).toMatchObject({ code: 0, stdout: 'from the server\n' });
      expect(await typeAt(join(root, key))).toBe('fuse.remora');
    }
    await until('autofs to unmount', async () => (await remora.statuses()).length === 0, 30_000);
    await endProcesses([pid]);
  });

  it('failures keep their sentence, with an exit status of mount(8)', async () => {
    const place = await remora.mountpoint();
    const wrong = await space.run('mount', ['-t', 'fuse.remora', '-o', 'reconect', source, place]);
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.stderr).toContain("did you mean 'reconnect'?");
    const missing = [`${source}/none`, place, '-o', login];
    const failed = await space.run('mount', ['-t', 'fuse.remora', ...missing], { env: remora.environment });
    expect(failed).toMatchObject({ code: 32 });
    expect(failed.stderr).toMatch(/^remora: .*none/);
    expect(await typeAt(place)).toBeUndefined();
  });

  it('remora system: says what it does, once, and removes its own files alone', async () => {
    const helper = '/sbin/mount.fuse.remora';
    const again = await command(['system', 'install']);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain(`already there: ${helper}\n`);
    expect(
      again.stdout
        .trimEnd()
        .split('\n')
        .every((line) => line.startsWith('already there: ')),
    ).toBe(true);
    const removed = await command(['system', 'remove']);
    expect(removed.stdout).toContain(`removed: ${helper}\n`);
    expect(await command(['system', 'remove'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    // mount.fuse3 does without the helper.
    const place = await remora.mountpoint();
    await quietly('mount', ['-t', 'fuse.remora', '-o', login, source, place]);
    await quietly('umount', [place]);

    const manual = space.inside('/usr/local/share/man/man1/remora.1');
    await mkdir(dirname(manual), { recursive: true });
    await symlink('/old/place/remora-fs/man/remora.1', manual);
    const moved = await command(['system', 'remove']);
    expect(moved.stdout, 'a link of an earlier installation').toMatch(/^removed: .*remora\.1\n$/);
    await symlink('../../../lib/node_modules/remora-fs/man/remora.1', manual);

    await writeFile(space.inside(helper), '#!/bin/sh\n# of the distribution\n');
    const others = await command(['system', 'install']);
    expect(others.stdout).toContain(`left alone, since it is not Remora's: ${helper}\n`);
    const kept = (await command(['system', 'remove'])).stdout;
    expect(kept).toContain(`not Remora's: ${helper}\n`);
    expect(kept, "npm's").toMatch(/not Remora's: .*remora\.1\n/);
    expect(await readFile(space.inside(helper), 'utf8')).toContain('of the distribution');
    const denied = await space.run(node, [main, 'system', 'install'], { as: user });
    expect(denied).toMatchObject({ code: 1 });
    expect(denied.stderr).toMatch(
      /^remora: \/sbin\/.* cannot be changed .*as root: sudo .* system install\n$/,
    );
  });
});
