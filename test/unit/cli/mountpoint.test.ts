import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withDeadline } from '../../../src/cli/deadline.js';
import { describeHolders, holdersOf, liesIn } from '../../../src/cli/holders.js';
import { canonicalPath, checkMountpoint, judgeMountpoint } from '../../../src/cli/mountpoint.js';
import { isRunning, waitForEnd } from '../../../src/cli/processes.js';

let base: string;
const nothingMounted = () => false;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'remora-point-')));
  await mkdir(join(base, 'empty'));
  await mkdir(join(base, 'full'));
  await writeFile(join(base, 'full', 'file'), '');
  await symlink('empty', join(base, 'link'));
  await symlink('loop', join(base, 'loop'));
});

afterEach(() => rm(base, { recursive: true, force: true }));

describe('a look at the mount point', () => {
  it.each([
    ['absent', 'mountpoint-missing'],
    ['absent/below', 'mountpoint-missing'],
    ['full/file', 'mountpoint-not-directory'],
    ['full/file/below', 'mountpoint-not-directory'],
    ['full', 'mountpoint-not-empty'],
    ['loop', 'failure'],
  ])('%s is refused: %s', async (name, exit) => {
    const path = join(base, name);
    const error = await checkMountpoint(path, false, nothingMounted).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exit });
    expect((error as Error).message).toContain(path);
  });

  it('accepts an empty directory, by any name, and a full one when asked', async () => {
    const empty = join(base, 'empty');
    expect(await checkMountpoint(empty, false, nothingMounted)).toBe(empty);
    expect(await checkMountpoint(join(base, 'link'), false, nothingMounted)).toBe(empty);
    expect(await checkMountpoint(`${base}/full/../empty/`, false, nothingMounted)).toBe(empty);
    expect(await checkMountpoint(join(base, 'full'), true, nothingMounted)).toBe(join(base, 'full'));
  });

  it('refuses a place where FUSE is mounted already, also through a link', async () => {
    const mounted = (path: string) => path === join(base, 'empty');
    for (const name of ['empty', 'link']) {
      await expect(checkMountpoint(join(base, name), true, mounted)).rejects.toMatchObject({
        exit: 'mountpoint-mounted',
      });
    }
  });

  it('keeps a name with $ and % as it is', async () => {
    const path = join(base, "a$&b%$'");
    await expect(checkMountpoint(path, false, nothingMounted)).rejects.toThrow(path);
  });
});

describe('the verdict', () => {
  it.each([
    [{ fuseMounted: true, error: 'ENOTCONN' }, 'mountpoint-stale'],
    [{ fuseMounted: true, error: 'ETIMEDOUT' }, 'mountpoint-stale'],
    [{ fuseMounted: true, error: 'EACCES' }, 'mountpoint-mounted'],
    [{ fuseMounted: false, error: 'EACCES' }, 'mountpoint-permission'],
    [{ fuseMounted: false, directory: true, writable: false }, 'mountpoint-permission'],
    [{ fuseMounted: false, directory: false }, 'mountpoint-not-directory'],
    [{ fuseMounted: false, error: 'ENAMETOOLONG' }, 'failure'],
  ])('%j: %s', (facts, exit) => {
    expect(judgeMountpoint('/m', facts, false)?.exit).toBe(exit);
  });
});

describe('paths as the mount table has them', () => {
  it('does not look at a mounted path, nor behind a link to one', async () => {
    const dead = join(base, 'dead');
    await symlink(dead, join(base, 'to-dead'));
    const mounted = (path: string) => path === dead;
    expect(await canonicalPath(dead, mounted)).toBe(dead);
    expect(await canonicalPath(join(base, 'to-dead'), mounted)).toBe(dead);
  });
});

describe('calls that hang', () => {
  it('end at the deadline', async () => {
    const late = () => new Error('late');
    await expect(withDeadline(new Promise(() => {}), 10, late)).rejects.toThrow('late');
    expect(await withDeadline(Promise.resolve(1), 1000, late)).toBe(1);
    await expect(withDeadline(Promise.reject(new Error('own')), 1000, late)).rejects.toThrow('own');
  });
});

describe('processes', () => {
  it('names who holds a directory', async () => {
    const holder = spawn('sleep', ['60'], { cwd: tmpdir() });
    const pids = async () => (await holdersOf(tmpdir())).map(({ pid }) => pid);
    await expect.poll(pids).toContain(holder.pid);
    holder.kill();
    expect((await holdersOf(process.cwd())).map(({ pid }) => pid)).not.toContain(process.pid);
  });

  it('knows what lies in a mount', () => {
    expect(liesIn('/mnt', '/mnt')).toBe(true);
    expect(liesIn('/mnt/a', '/mnt')).toBe(true);
    expect(liesIn('/mnt2', '/mnt')).toBe(false);
    expect(liesIn('', '/mnt')).toBe(false);
  });

  it('shortens a long list', () => {
    const holders = Array.from({ length: 7 }, (_, i) => ({ pid: i + 1, name: 'sh' }));
    expect(describeHolders(holders)).toBe('sh (1), sh (2), sh (3), sh (4), sh (5) and 2 more');
    expect(describeHolders([])).toBe('');
  });

  it('sees that a process runs or has ended', async () => {
    expect(await isRunning(process.pid)).toBe(true);
    expect(await waitForEnd(process.pid, 1)).toBe(false);
    expect(await waitForEnd(2 ** 22 + 1, 1000)).toBe(true);
  });
});
