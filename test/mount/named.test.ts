/** Mounts by the configuration file: by name, all at once, and with its options below those of the command line. */
import { access, chmod, mkdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountFixture } from '../support/mount-fixture.js';
import { endProcesses, mountAt } from '../support/processes.js';
import { runOnTerminal } from '../support/pty.js';
import { Remora } from '../support/remora.js';
import { type RunOptions, start, until } from '../support/run.js';
import { createUser, isRoot } from '../support/user.js';

const world = new MountFixture('named');

const home = (name: string) => join(world.remora.home, name);

/** Writes a configuration file that logs in to the server, for a person of the tests. */
async function configure(text: string, defaults = '', person: Remora = world.remora): Promise<string> {
  const { host, port, knownHosts } = world.sshd;
  const [, , , keyFile] = await person.login(world.sshd);
  const directory = join(person.home, '.config/remora');
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'config.toml');
  const login = `
[defaults]
ssh_config = "none"
StrictHostKeyChecking = true
${defaults}
[host."${host}"]
port = ${port}
IdentityFile = "${keyFile}"
UserKnownHostsFile = ["${knownHosts}"]
GlobalKnownHostsFile = "none"
`;
  await writeFile(file, login + text, { mode: 0o644 });
  return file;
}

const section = (name: string, lines = '') =>
  `[mount.${name}]\nsource = "${world.source}"\nmountpoint = "~/${name}"\n${lines}\n`;

const run = (line: string, options?: RunOptions) => world.remora.run(line.split(' '), options);

describe('a mount with a name', () => {
  it('is mounted, found and unmounted by it, and its mount point is made', async () => {
    await configure(section('work', 'ro = true'));
    const finished = await run('work -v');
    expect(finished).toMatchObject({ code: 0, stdout: '' });
    expect(finished.stderr).toContain(`${home('work')}: made the directory`);
    const mount = await world.remora.adopt(home('work'));
    expect(await readFile(home('work/hello'), 'utf8')).toBe('from the server\n');
    expect((await mountAt(home('work')))?.options).toMatch(/\bro\b/);

    expect((await run('status work')).stdout).toContain(`on ${home('work')}\n`);
    expect(await run('reconnect work')).toMatchObject({ code: 0 });
    expect(await run('refresh work')).toMatchObject({ code: 0, stderr: '' });
    expect(await run('warm work')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^1 file, /) });
    expect((await run('list')).stdout).toMatch(new RegExp(`^work +\\S+ +${home('work')} `, 'm'));
    const [row] = (await world.remora.listed()) as readonly { name?: unknown }[];
    expect(row?.name).toBe('work');
    const { stdout } = await run('status work --json');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'work' });
    expect(await run('unmount work')).toMatchObject({ code: 0, stderr: '' });
    await mount.ended();
    expect((await stat(home('work'))).mode & 0o777).toBe(0o700);
    expect(await run('unmount work')).toMatchObject({
      code: 70,
      stderr: `remora: ${home('work')} is not mounted\n`,
    });
  });

  it('at another place, with options of the command line first, and called like a command', async () => {
    await configure(
      section('list', 'ro = true\nfsname = "of the mount"'),
      'noexec = true\nfsname = "of all"',
    );
    const mountpoint = await world.remora.mountpoint('else');
    expect(await run(`mount list ${mountpoint} -o rw`)).toMatchObject({ code: 0, stderr: '' });
    const mount = await world.remora.adopt(mountpoint);
    const info = await mountAt(mountpoint);
    expect(info?.source).toBe('of the mount');
    expect(info?.options).toMatch(/\brw\b.*\bnoexec\b|\bnoexec\b.*\brw\b/);
    expect(await mountAt(home('list'))).toBeNull();
    await mount.unmount();
  });

  it('sections count for a source that is typed, and for the doctor', async () => {
    await configure('', 'fsname = "of all"');
    const mountpoint = await world.remora.mountpoint('typed');
    expect(await run(`${world.source} ${mountpoint}`)).toMatchObject({ code: 0, stderr: '' });
    const mount = await world.remora.adopt(mountpoint);
    expect((await mountAt(mountpoint))?.source).toBe('of all');
    await mount.unmount();
    await configure(section('work'));
    const { stdout } = await run('doctor work --json');
    const { subject, findings } = JSON.parse(stdout) as {
      subject: string;
      findings: { id: string; verdict: string }[];
    };
    expect(subject).toBe('work');
    expect(findings.find(({ id }) => id === 'directory')?.verdict).toBe('ok');
  });

  it('a file of a mount is meant before a name, and a name before a file that is not there', async () => {
    await configure(section('hello') + section('work'));
    const mountpoint = await world.remora.mountpoint('files');
    expect(await run(`${world.source} ${mountpoint}`)).toMatchObject({ code: 0 });
    const mount = await world.remora.adopt(mountpoint);
    const warm = async (name: string) => run(`warm ${name} --json`, { cwd: mountpoint });
    expect(JSON.parse((await warm('hello')).stdout)).toMatchObject({
      path: join(mountpoint, 'hello'),
      files: 1,
    });
    expect(await warm('work')).toMatchObject({ code: 70, stderr: expect.stringContaining(home('work')) });
    await mount.unmount();
  });

  it('a path where something is mounted is meant before a name', async () => {
    await configure(section('work'));
    const elsewhere = await world.remora.mountpoint('elsewhere');
    const mountpoint = join(elsewhere, 'work');
    await mkdir(mountpoint);
    expect(await run(`${world.source} ${mountpoint}`)).toMatchObject({ code: 0 });
    const mount = await world.remora.adopt(mountpoint);
    expect(await run('unmount work', { cwd: elsewhere })).toMatchObject({ code: 0, stderr: '' });
    await mount.ended();
  });
});

describe('what is wrong is one sentence', () => {
  it('in the file, with its line; what needs no file goes on', async () => {
    const file = await configure(section('work', 'idmpa = "user"'));
    const line = (await readFile(file, 'utf8')).split('\n').indexOf('idmpa = "user"') + 1;
    const message = `remora: ${file}:${line}: unknown option 'idmpa=user': did you mean 'idmap'?\n`;
    for (const command of ['work', `${world.source} /mnt`, 'mount --all', 'unmount work']) {
      expect(await run(command)).toMatchObject({ code: 2, stdout: '', stderr: message });
    }
    expect(await run(`unmount ${home('nothing')}`)).toMatchObject({ code: 70 });
    expect(await run('list')).toMatchObject({ code: 0, stderr: '' });
  });

  it('a file that others may write, and a name that is not there', async () => {
    const file = await configure(section('work'));
    expect((await run('wrok')).stderr).toBe("remora: no mount is called 'wrok': did you mean 'work'?\n");
    await chmod(file, 0o666);
    expect(await run('work')).toMatchObject({
      code: 2,
      stderr: `remora: ${file} can be changed by others, so it is not used: chmod go-w ${file}\n`,
    });
    await expect(access(home('work'))).rejects.toThrow('ENOENT');
  });
});

describe('all of them', () => {
  it('mounts what is not mounted yet, tells each failure, and unmounts', async () => {
    const closed = '[mount.closed]\nsource = "127.0.0.1:"\nmountpoint = "~/closed"\nport = 1\n';
    const missing = section('missing').replace(world.disk, '/nowhere');
    await configure(
      [section('a'), missing, section('b'), closed, section('later', 'noauto = true')].join(''),
    );
    expect(await run('a')).toMatchObject({ code: 0, stderr: '' });
    const first = await world.remora.adopt(home('a'));

    const finished = await run('mount --all');
    expect(finished.code, 'that of the first failure in the file').toBe(51);
    const told = finished.stderr.trimEnd().split('\n').sort();
    expect(told).toHaveLength(2);
    expect(told[0]).toMatch(/^remora: closed: .*refuses.*\(see: remora doctor 127\.0\.0\.1:, tcp\)$/);
    expect(told[1]).toMatch(/^remora: missing: .*\/nowhere.*\(see: remora doctor .*, directory\)$/);
    const mounted = (await world.remora.statuses()).map(({ mountpoint, pid }) => [mountpoint, pid]);
    expect(mounted.sort()).toEqual([
      [home('a'), first.pid],
      [home('b'), expect.any(Number)],
    ]);

    // `list` and `--all` see every mount of the user, of other tests as well.
    for (const name of ['a', 'b'])
      expect(await run(`unmount ${name}`)).toMatchObject({ code: 0, stderr: '' });
    await first.ended();
  });

  // Of a user of its own, since the mounts of other tests would be unmounted as well.
  it.runIf(isRoot)('unmounts every mount, and tells which stays', async () => {
    const person = await Remora.create(world.scope, await createUser(world.scope));
    await configure(section('a') + section('b'), '', person);
    expect(await person.run(['mount', '--all'])).toMatchObject({ code: 0, stderr: '' });
    const [a, b] = [await person.adopt(join(person.home, 'a')), await person.adopt(join(person.home, 'b'))];
    const busy = start('sleep', ['60'], { as: person.as, cwd: b.directory });
    await until('a program in the mount', async () => {
      return (await readlink(`/proc/${busy.pid}/cwd`).catch(() => '')) === b.directory;
    });
    const finished = await person.run(['unmount', '--all']);
    expect(finished.code).toBe(71);
    expect(finished.stderr).toMatch(/^remora: \S+\/b is in use by sleep.*\n$/);
    expect((await person.statuses()).map(({ mountpoint }) => mountpoint)).toEqual([b.directory]);
    if (busy.pid !== undefined) await endProcesses([busy.pid]);
    expect(await person.run(['unmount', '-a'])).toMatchObject({ code: 0, stderr: '' });
    for (const mount of [a, b]) await mount.ended();
  });

  it('asks one question after the other', async () => {
    const known = ['a', 'b'].map((name) => home(`known-${name}`));
    const lines = known.map((file) => `StrictHostKeyChecking = "ask"\nUserKnownHostsFile = "${file}"`);
    await configure(section('a', lines[0]) + section('b', lines[1]));
    const finished = await runOnTerminal(
      [...world.remora.program, 'mount', '--all'],
      [
        { expect: '(yes/no', answer: 'yes\n' },
        { expect: '(yes/no', answer: 'yes\n' },
      ],
      { env: world.remora.environment },
    );
    expect(finished.code, finished.stdout).toBe(0);
    for (const name of ['a', 'b']) await (await world.remora.adopt(home(name))).unmount();
    for (const file of known) expect(await readFile(file, 'utf8')).toContain('ssh-ed25519');
  });

  it('not with what can only be one', async () => {
    await configure(section('work', 'password_stdin = true'));
    expect(await run('mount --all')).toMatchObject({
      code: 2,
      stderr: 'remora: work: with password_stdin it is mounted alone: remora work\n',
    });
    expect(await run('mount --all -o reconect')).toMatchObject({
      code: 2,
      stderr: "remora: unknown option 'reconect': did you mean 'reconnect'?\n",
    });
    expect(await run('mount --all -f')).toMatchObject({ code: 2 });
    expect(await run('mount --all work')).toMatchObject({ code: 2 });
  });
});
