import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DirectoryRefused,
  type Listed,
  planEviction,
  prepareDirectory,
  removeFiles,
  sweep,
} from '../../../../src/cache/disk/directory.js';

const UID = process.getuid?.() ?? 0;
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'remora-disk-'));
});
afterEach(() => rm(home, { recursive: true }));

describe('the directory of a cache', () => {
  it('is made for its user alone, with a mark for backup programs', async () => {
    const path = join(home, 'a', 'b');
    await prepareDirectory(path, UID);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(await readFile(join(path, 'CACHEDIR.TAG'), 'utf8')).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
    await prepareDirectory(path, UID);
  });

  it.each([0o770, 0o702, 0o777, 0o1777])('is refused when others may write to it (%o)', async (mode) => {
    await chmod(home, mode);
    await expect(prepareDirectory(home, UID)).rejects.toThrow(DirectoryRefused);
    await expect(prepareDirectory(home, UID)).rejects.toThrow(`others may write there (chmod go-w ${home})`);
  });

  it('may be read by others, who cannot read what is in it', async () => {
    await chmod(home, 0o755);
    await prepareDirectory(home, UID);
  });

  it.runIf(UID === 0)('is refused when it is somebody else’s', async () => {
    await chown(home, 1234, 1234);
    await expect(prepareDirectory(home, UID)).rejects.toThrow('it belongs to another user');
  });

  it('is refused where it cannot be made', async () => {
    await writeFile(join(home, 'file'), '');
    await expect(prepareDirectory(join(home, 'file'), UID)).rejects.toThrow('it is not a directory');
    await expect(prepareDirectory(join(home, 'file', 'below'), UID)).rejects.toThrow('it is not a directory');
  });
});

describe('making room', () => {
  const entry = (path: string, bytes: number, usedAt: number): Listed => ({ path, bytes, usedAt });

  it('takes what was of no use for the longest time, and a tenth more than it must', () => {
    const entries = [entry('new', 40, 3), entry('old', 30, 1), entry('middle', 35, 2)];
    expect(planEviction(entries, 105)).toEqual([]);
    expect(planEviction(entries, 104).map(({ path }) => path)).toEqual(['old']);
    expect(planEviction(entries, 80).map(({ path }) => path)).toEqual(['old', 'middle']);
  });

  it('leaves nothing that is older than what it takes, and enough room', () => {
    const lists = fc.array(fc.record({ bytes: fc.nat(100), usedAt: fc.nat(20) }), { maxLength: 40 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 2000 }), (list, limit) => {
        const entries = list.map(({ bytes, usedAt }, at) => entry(String(at), bytes, usedAt));
        const sum = (each: readonly Listed[]) => each.reduce((total, { bytes }) => total + bytes, 0);
        const victims = new Set(planEviction(entries, limit));
        const left = entries.filter((each) => !victims.has(each));
        if (sum(entries) <= limit) expect(victims.size).toBe(0);
        else expect(sum(left)).toBeLessThanOrEqual(limit * 0.9);
        const newest = Math.max(0, ...[...victims].map(({ usedAt }) => usedAt));
        for (const { usedAt } of left) expect(usedAt).toBeGreaterThanOrEqual(newest);
      }),
    );
  });

  const NAME = `${'0'.repeat(37)}a`;

  it('counts entries alone, and removes what a process that ended left unfinished', async () => {
    const bucket = join(home, 'ab');
    await mkdir(bucket);
    for (const name of [NAME, `${NAME}.7`, 'notes.txt', '0123456789abcdef.tmp', 'fedcba9876543210.tmp']) {
      await writeFile(join(bucket, name), Buffer.alloc(5000));
    }
    const now = Date.now();
    await utimes(join(bucket, 'fedcba9876543210.tmp'), 0, 0);
    expect(await sweep(home, 1e6, now)).toBe(2 * 8192);
    expect((await readdir(bucket)).sort()).toEqual([NAME, `${NAME}.7`, '0123456789abcdef.tmp', 'notes.txt']);
    expect(await sweep(home, 1, now)).toBe(0);
    expect((await readdir(bucket)).sort()).toEqual(['0123456789abcdef.tmp', 'notes.txt']);
  });

  it('removes all entries of a file, and nothing else', async () => {
    await mkdir(join(home, 'ab'));
    const other = `${'0'.repeat(37)}b`;
    for (const name of [NAME, `${NAME}.1`, other, 'notes.txt']) await writeFile(join(home, 'ab', name), 'x');
    await removeFiles(home, [`ab${NAME}${'1'.repeat(24)}`, `cd${NAME}${'1'.repeat(24)}`]);
    expect((await readdir(join(home, 'ab'))).sort()).toEqual([other, 'notes.txt']);
  });
});
