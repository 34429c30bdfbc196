/** What `remora system` puts under a root, whom it leaves it to, and what it takes for its own. */
import { lstat, mkdir, mkdtemp, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { system } from '../../../../src/cli/system/system.js';

let root: string;
let umask: number;
const node = process.execPath;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'remora-system-'));
  umask = process.umask(0o077);
});

afterEach(async () => {
  process.umask(umask);
  process.execPath = node;
  await rm(root, { recursive: true });
});

async function act(action: 'install' | 'remove'): Promise<readonly string[]> {
  const said: string[] = [];
  await system(
    { command: 'system', action, root },
    (line) => said.push(line),
    () => {},
  );
  return said;
}

it('can be entered and read by everybody, whatever the umask of root', async () => {
  await act('install');
  for (const path of ['sbin', 'usr/local/share/man/man1']) {
    expect((await stat(join(root, path))).mode & 0o777, path).toBe(0o755);
  }
});

describe('a link that is there already', () => {
  const manual = () => join(root, 'usr/local/share/man/man1/remora.1');

  async function link(target: string): Promise<void> {
    await mkdir(dirname(manual()), { recursive: true });
    await symlink(target, manual());
  }

  /** A directory with a manual, of the package `name` if that is given. */
  async function place(name?: string): Promise<string> {
    const directory = join(root, 'opt', 'somewhere');
    await mkdir(join(directory, 'man'), { recursive: true });
    await writeFile(join(directory, 'man', 'remora.1'), '');
    if (name !== undefined) await writeFile(join(directory, 'package.json'), JSON.stringify({ name }));
    return join(directory, 'man', 'remora.1');
  }

  it.each([
    ['of a package that has moved', async () => '/old/place/man/remora.1'],
    ['of another copy', () => place('remora-fs')],
  ])('%s is replaced, and removed', async (_, target) => {
    await link(await target());
    await act('install');
    expect(await readlink(manual())).toBe(resolve('man/remora.1'));
    await rm(manual());
    await link(await target());
    expect(await act('remove')).toContain(`removed: ${manual()}`);
    await expect(lstat(manual())).rejects.toThrow('ENOENT');
  });

  it.each([
    ['of nobody we know', () => place()],
    ['of another package', () => place('other')],
    ['of npm', async () => '../lib/node_modules/remora-fs/man/remora.1'],
    ['to something else', async () => '/old/place/man/sshfs.1'],
  ])('%s stays', async (_, target) => {
    await link(await target());
    for (const action of ['install', 'remove'] as const) {
      expect(await act(action)).toContain(`left alone, since it is not Remora's: ${manual()}`);
    }
    expect(await readlink(manual())).toBe(await target());
  });
});

it.each([
  ['/opt/my node/bin/node', 'has a space'],
  [`/opt/${'n'.repeat(250)}/node`, 'is too long'],
])(
  'a Node that the first line of a program cannot name is refused before anything is put there',
  async (path, why) => {
    process.execPath = path;
    await expect(act('install')).rejects.toThrow(why);
    expect(await readdir(root)).toEqual([]);
    expect(await act('remove')).toEqual([]);
  },
);
