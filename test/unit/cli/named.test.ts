import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configPaths, readConfigFiles } from '../../../src/cli/config-files.js';
import { CommandError } from '../../../src/cli/exit.js';
import {
  makeMountpoint,
  meantMountpoint,
  meantPath,
  namesOfMounts,
  understandMount,
  understandSource,
} from '../../../src/cli/named.js';
import { parseConfigFile } from '../../../src/config/file.js';

const UID = process.getuid?.() ?? 0;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-named-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('where the files are', () => {
  it('the XDG directory, else that of the home; then that of the machine', () => {
    const machine = '/etc/remora/config.toml';
    expect(configPaths({ HOME: '/h' })).toEqual(['/h/.config/remora/config.toml', machine]);
    expect(configPaths({ HOME: '/h', XDG_CONFIG_HOME: '/x' })).toEqual(['/x/remora/config.toml', machine]);
    expect(configPaths({ HOME: '/h', XDG_CONFIG_HOME: 'x' })).toEqual([
      '/h/.config/remora/config.toml',
      machine,
    ]);
  });

  it('one that is not there does not count', async () => {
    await writeFile(join(directory, 'two'), '[defaults]\nro = true\n');
    const files = await readConfigFiles([join(directory, 'one'), join(directory, 'two')], UID);
    expect(files.map(({ defaults }) => defaults.given)).toEqual([{ readOnly: true }]);
  });

  it('one that is there and cannot be read is told', async () => {
    const [file, loop] = [join(directory, 'file'), join(directory, 'loop')];
    await writeFile(file, '');
    await symlink(loop, loop);
    expect(await readConfigFiles([join(file, 'config.toml')], UID), 'ENOTDIR').toEqual([]);
    await expect(readConfigFiles([file, loop], UID)).rejects.toMatchObject({
      exit: 'usage',
      message: `${loop} cannot be read (ELOOP)`,
    });
  });

  it('one that others may change is refused', async () => {
    const path = join(directory, 'c');
    await writeFile(path, '');
    for (const mode of [0o620, 0o602, 0o666]) {
      await chmod(path, mode);
      const reading = readConfigFiles([path], UID);
      await expect(reading).rejects.toThrow(
        `${path} can be changed by others, so it is not used: chmod go-w ${path}`,
      );
      await expect(reading).rejects.toBeInstanceOf(CommandError);
    }
    await chmod(path, 0o644);
    expect(await readConfigFiles([path], UID)).toHaveLength(1);
    await expect(readConfigFiles([directory], UID)).rejects.toThrow('is not a file');
  });

  it.runIf(UID === 0)("one of another user is refused, and root's is not", async () => {
    const path = join(directory, 'c');
    await writeFile(path, '', { mode: 0o600 });
    expect(await readConfigFiles([path], 4711)).toHaveLength(1);
    await chown(path, 4711, 4711);
    await expect(readConfigFiles([path], UID)).rejects.toThrow('belongs to another user');
  });
});

const FILES = [
  parseConfigFile(
    `[defaults]
     idmap = "user"
     timeout = 1
     [host.nas]
     port = 22
     timeout = 2
     [host."::1"]
     port = 6
     [host."putty:bay"]
     port = 7
     [mount.work]
     source = "bob@nas:src"
     mountpoint = "~/work"
     timeout = 3
     [mount.broken]
     source = "nowhere"
     mountpoint = "/broken"`,
    'c.toml',
    true,
  ),
];

describe('what was typed, with what the files say', () => {
  const understand = (target: string, mountpoint: string | null, ...options: string[]) =>
    understandMount({ target, mountpoint, options }, FILES, { HOME: '/h' });

  it('a name: command line, mount, host, defaults', () => {
    const call = understand('work', null, 'port=2222');
    expect(call).toMatchObject({ source: 'bob@nas:src', mountpoint: '/h/work', isNamed: true });
    expect(call.parsed.given).toEqual({ port: 2222, timeout: 3, idmap: 'user' });
    expect(understand('work', null, 'timeout=9').parsed.given.timeout).toBe(9);
  });

  it('a name mounted elsewhere, and a source', () => {
    expect(understand('work', '/else')).toMatchObject({
      source: 'bob@nas:src',
      mountpoint: '/else',
      isNamed: false,
    });
    const call = understand('nas:', '/m');
    expect(call).toMatchObject({ source: 'nas:', mountpoint: '/m', isNamed: false });
    expect(call.parsed.given).toEqual({ port: 22, timeout: 2, idmap: 'user' });
  });

  it.each([
    ['bob@[::1]:dir', 6],
    ['putty:bay:dir', 7],
    ['nas', 22],
    ['bob@nas', 22],
    ['other:nas:', undefined],
  ])('the host of %s', (source, port) => {
    expect(understandSource(source, [], FILES).parsed.given.port).toBe(port);
  });

  it('no such name', () => {
    expect(() => understand('wrok', null)).toThrow("no mount is called 'wrok': did you mean 'work'?");
    expect(() => understand('zzzzzz', null)).toThrow("no mount is called 'zzzzzz': there are work, broken");
    expect(() => understandMount({ target: 'x', mountpoint: null, options: [] }, [], {})).toThrow(
      "no configuration file names one; a host is written 'x:'",
    );
  });
});

describe('the mount point of a name', () => {
  it('stands for a word that is no path', async () => {
    await mkdir(join(directory, 'remora'));
    await writeFile(
      join(directory, 'remora', 'config.toml'),
      '[mount.work]\nsource = "h:"\nmountpoint = "~/w"\n',
    );
    const env = { HOME: '/h', XDG_CONFIG_HOME: directory };
    for (const meant of [meantMountpoint, meantPath]) {
      expect(await meant('work', env, UID)).toBe('/h/w');
      for (const path of ['./work', '/work', 'other', '.', '..']) {
        expect(await meant(path, env, UID)).toBe(path);
      }
    }
  });

  it('tells the name of what is mounted, of two the upper one, and none when the file is wrong', async () => {
    const env = { HOME: '/h', XDG_CONFIG_HOME: directory };
    await mkdir(join(directory, 'remora'));
    const file = join(directory, 'remora', 'config.toml');
    const section = (name: string) => `[mount.${name}]\nsource = "h:"\nmountpoint = "${directory}/m"\n`;
    await writeFile(file, section('work') + section('play'));
    expect([...(await namesOfMounts(env, UID, []))]).toEqual([[join(directory, 'm'), 'work']]);
    await writeFile(file, '[nonsense]');
    expect([...(await namesOfMounts(env, UID, []))]).toEqual([]);
  });

  it('is made for its owner alone, once', async () => {
    const path = join(directory, 'a', 'b');
    const told: string[] = [];
    await makeMountpoint(path, (text) => told.push(text));
    await makeMountpoint(path, (text) => told.push(text));
    expect(told).toEqual([`${path}: made the directory`]);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    await writeFile(join(directory, 'file'), '');
    await makeMountpoint(join(directory, 'file', 'b'), (text) => told.push(text));
    expect(told).toHaveLength(1);
  });
});
