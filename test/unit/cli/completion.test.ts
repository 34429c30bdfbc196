import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseArguments } from '../../../src/cli/arguments.js';
import { completionScript, splitLine } from '../../../src/cli/completion/completion.js';
import { knownHosts, namesOfConfig, namesOfKnownHosts } from '../../../src/cli/completion/hosts.js';
import { complete, type Sources } from '../../../src/cli/completion/words.js';
import { SCHEMA } from '../../../src/config/schema.js';

const SOURCES: Sources = {
  hosts: async () => ['box', 'nas', '::1'],
  mountpoints: async () => ['/mnt/a b', '/srv'],
  names: async () => ['work'],
};

/** What stands behind `remora `, the cursor at its end. */
async function completed(line: string): Promise<readonly string[]> {
  const { candidates, paths } = await complete(splitLine(line), SOURCES);
  return [
    ...candidates.map(({ text }) => text),
    ...(paths === null ? [] : [`<${paths.kind}> ${paths.prefix}`]),
  ];
}

describe('what may come next', () => {
  it.each<[string, readonly string[]]>([
    ['unm', ['unmount']],
    ['w', ['warm', 'work']],
    ['n', ['nas:']],
    ['bob@', ['bob@box:', 'bob@nas:', 'bob@[::1]:']],
    ['bob@[', ['bob@[::1]:']],
    ['nas:', []],
    ['mount d', []],
    ['nas: ', ['<directory> ']],
    ['nas: mn', ['<directory> ']],
    ['nas: mnt x', []],
    ['-o ro nas: ', ['<directory> ']],
    ['unmount ', ['work', '/mnt/a b', '/srv']],
    ['umount /m', ['/mnt/a b']],
    ['unmount ~/', ['<directory> ']],
    ['unmount --', ['--force', '--all', '--version', '--help']],
    ['unmount -- -', ['<directory> ']],
    ['warm w', ['work', '<file> ']],
    ['refresh ./', ['<file> ']],
    ['list -', ['--json', '-V', '--version', '-h', '--help']],
    ['status /srv ', []],
    ['doctor n', ['nas:']],
    ['doctor --r', ['--redact']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['completion f', ['fish']],
    ['system ', ['install', 'remove']],
    ['system r', ['remove']],
    ['system install --root ', ['<directory> ']],
    ['unmount --all ', ['work', '/mnt/a b', '/srv']],
    ['-i ', ['<file> ']],
    ['-i~/k', ['<file> -i']],
    ['-J n', ['nas']],
    ['-J box,n', ['box,nas']],
    ['-J box,bob@n', ['box,bob@nas']],
    ['-p ', []],
    ['-p 2 n', ['nas:']],
    ['-fo idm', ['idmap=']],
    ['-oidm', ['-oidmap=']],
    ['-o ro,idmap=u', ['ro,idmap=user']],
    ['-o fsname=a\\\\,b,rw', ['fsname=a\\,b,rw']],
    ['-o no_rec', ['no_reconnect']],
    ['-o cache_dir', ['cache_dir_timeout=', 'cache_dir=', 'cache_dir_size=']],
    ['-o ro=', ['ro=yes', 'ro=no']],
    ['-o IdentityFile=~', ['<file> IdentityFile=']],
    ['-o x=1,ProxyJump=n', ['x=1,ProxyJump=nas']],
    ['-o nonsense=', []],
    ['demo ', []],
  ])('%s', async (line, expected) => {
    expect(await completed(line)).toEqual(expected);
  });

  it('first of all: commands, names, hosts', async () => {
    const all = await completed('');
    expect(all).toEqual(expect.arrayContaining(['mount', 'unmount', 'doctor', 'work', 'nas:']));
  });

  it('every option has a name that completes, and a line that says what it is', async () => {
    const { candidates } = await complete(['-o', ''], SOURCES);
    const names = candidates.map(({ text }) => text.replace(/=$/, ''));
    for (const { names: own } of Object.values(SCHEMA)) expect(names).toContain(own[0]);
    expect(candidates.every(({ note }) => note !== '' && !/[\t\n]/.test(note))).toBe(true);
  });
});

it.each<[string, readonly string[]]>([
  ['', ['']],
  ['a', ['a']],
  ['a ', ['a', '']],
  ['a  b', ['a', 'b']],
  ['a\\ b c', ['a b', 'c']],
  ['"a b" \'c d', ['a b', 'c d']],
  ['"a b" ', ['a b', '']],
  ['"a\\"b"x\\', ['a"bx']],
  ["o='x y'z", ['o=x yz']],
])('the words of %j', (line, words) => {
  expect(splitLine(line)).toEqual(words);
});

it('there is a script for each shell, and no other', () => {
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    expect(completionScript(shell)).toContain(`--complete ${shell}`);
  for (const shell of ['csh', '__proto__', '../x'])
    expect(() => parseArguments(['completion', shell], '1')).toThrow('Allowed choices are bash, zsh, fish');
});

describe('hosts that ssh knows', () => {
  it('in its configuration', () => {
    const text =
      'Host a b *.c !d "e f" g;h\n  HOST = i\nhostname x\n#Host z\nInclude one "two three"\nhost\n';
    expect(namesOfConfig(text)).toEqual({ hosts: ['a', 'b', 'i'], includes: ['one', 'two three'] });
  });

  it('in known_hosts, where they are to be read', () => {
    const text =
      'a,1.2.3.4 ssh-rsa X\n[b]:22 ssh-rsa X\n|1|x|y ssh-rsa X\n@cert-authority *.c ssh-rsa X\n#d e f\n*.e x y\n::1 x y\n$(f) x y\n';
    expect(namesOfKnownHosts(text)).toEqual(['a', '1.2.3.4', 'b', '::1']);
  });

  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'remora-hosts-'));
    await mkdir(join(home, '.ssh', 'config.d'), { recursive: true });
    await writeFile(
      join(home, '.ssh', 'config'),
      'Host top\nInclude config.d/*.conf\nInclude ~/.ssh/config\n',
    );
    await writeFile(
      join(home, '.ssh', 'config.d', 'x.conf'),
      'Host below\nInclude config.d/x.conf missing\n',
    );
    await writeFile(join(home, '.ssh', 'config.d', 'x.off'), 'Host never\n');
    await writeFile(join(home, '.ssh', 'known_hosts'), 'known ssh-rsa X\ntop ssh-rsa X\n');
    await symlink('nowhere', join(home, '.ssh', 'config.d', 'y.conf'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('in files that include one another', async () => {
    const hosts = await knownHosts(home);
    expect(hosts).toEqual(expect.arrayContaining(['below', 'known', 'top']));
    expect(hosts).not.toContain('never');
    expect(new Set(hosts).size).toBe(hosts.length);
  });
});
