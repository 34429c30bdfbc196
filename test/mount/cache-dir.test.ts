/** `cache_dir`: what was read comes from this machine's disk after a remount, and from nowhere else when in doubt. */
import { chmod, chown, mkdir, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { SmallDisk } from '../support/faults/disk.js';
import { MountFixture } from '../support/mount-fixture.js';
import { parseMetrics } from '../support/prometheus.js';
import type { Mounted } from '../support/remora.js';
import { must, until } from '../support/run.js';

const LONG_AGO = new Date('2020-01-01T00:00:00Z');
const isRoot = process.getuid?.() === 0;

const fixture = new MountFixture('cache-dir');
let cache: string;
let tree: string;

beforeEach(async () => {
  cache = join(fixture.remora.home, 'cache');
  tree = join(fixture.disk, Math.random().toString(36).slice(2, 8));
  await mkdir(tree);
});

/** A file of the server that was there for long. */
async function old(name: string, content: string | Buffer, mtime = LONG_AGO): Promise<void> {
  await writeFile(join(tree, name), content);
  await utimes(join(tree, name), mtime, mtime);
}

const mount = (...options: readonly string[]): Promise<Mounted> =>
  fixture.remora.mount(fixture.sshd, tree, { options: [`cache_dir=${cache}`, ...options] });

/** What the tests look at of `status --json`. */
interface Status {
  readonly filesystem: { readonly disk: { state: string; bytes: number; limit: number; hits: number } };
  readonly traffic: { readonly received: number };
  readonly requests: Readonly<Record<string, { count: number }>>;
  readonly log: string;
}

async function statusOf({ directory }: Mounted): Promise<Status> {
  const { stdout } = await fixture.remora.run(['status', directory, '--json']);
  return JSON.parse(stdout) as Status;
}

/** A machine that is busy makes its disk late, and then the server is asked. */
const FEW = 3;

async function expectReads(mounted: Mounted, least: number): Promise<void> {
  const { requests } = await statusOf(mounted);
  const count = requests.READ?.count ?? 0;
  expect(count).toBeGreaterThanOrEqual(least);
  expect(count).toBeLessThanOrEqual(least + FEW);
}

/** The sums of everything in the mount, as one program reads it. */
const sums = async ({ directory }: Mounted): Promise<string> =>
  must('sh', ['-c', 'find . -type f -print0 | sort -z | xargs -0 sha256sum'], { cwd: directory });

/** The entries, by their paths. */
async function entries(): Promise<readonly string[]> {
  const names = await readdir(cache, { recursive: true });
  return names.filter((name) => /^..\/.{38}(\.\d+)?$/.test(name)).map((name) => join(cache, name));
}

/** Mounts, reads everything, unmounts: from then on it is on disk. */
async function fill(): Promise<string> {
  const mounted = await mount();
  const read = await sums(mounted);
  await mounted.unmount();
  return read;
}

async function logOf({ directory }: Mounted): Promise<string> {
  return (await fixture.remora.run(['log', directory])).stdout;
}

describe('after a remount', () => {
  it('hardly any bytes move, and what is read is the same', async () => {
    for (let at = 0; at < 150; at += 1) await old(`small${at}`, Buffer.alloc(4096, at));
    await old('large', Buffer.alloc(3_000_000, 'large '));
    const before = await fill();

    const second = await mount();
    expect(await sums(second)).toBe(before);
    const { traffic, filesystem } = await statusOf(second);
    await expectReads(second, 0);
    expect(traffic.received).toBeLessThan(1_000_000);
    expect(filesystem.disk).toMatchObject({ state: 'on', limit: 4 * 2 ** 30 });
    expect(filesystem.disk.hits).toBeGreaterThan(150 + 92 - 8 * FEW);
    expect(filesystem.disk.bytes).toBeGreaterThan(3_600_000);
    const text = (await fixture.remora.run(['status', second.directory])).stdout;
    expect(text).toMatch(/^ {11}[\d.]+ MiB of 4\.0 GiB on disk, \d+ % hits$/m);
    const families = parseMetrics(
      (await fixture.remora.run(['status', '--metrics', second.directory])).stdout,
    );
    expect(families.get('remora_disk_cache_bytes')?.samples[0]?.value).toBe(filesystem.disk.bytes);
    expect(families.get('remora_disk_cache_stores')?.samples[0]?.value).toBe(1);
    await second.unmount();
  });

  it('what changed on the server is read from there', async () => {
    await old('same', 'same');
    await old('size', 'old');
    await old('time', 'old');
    await fill();
    await old('size', 'newer');
    await old('time', 'new', new Date('2020-01-01T00:00:01Z'));
    const second = await mount();
    const read = (name: string) => readFile(join(second.directory, name), 'utf8');
    expect([await read('same'), await read('size'), await read('time')]).toEqual(['same', 'newer', 'new']);
    await expectReads(second, 2);
    await second.unmount();
  });

  it('the login is asked whether it may still read', async () => {
    await old('f', 'content');
    await fill();
    await chmod(join(tree, 'f'), 0o600);
    const second = await mount();
    await must('cat', [join(second.directory, 'f')]);
    await expectReads(second, 1);
    await second.unmount();
  });

  it('a subdirectory of the server that is mounted finds its files as well', async () => {
    await mkdir(join(tree, 'd'));
    for (let at = 0; at < 10; at += 1) await old(`d/f${at}`, 'content');
    await fill();
    const second = await fixture.remora.mount(fixture.sshd, join(tree, 'd'), {
      options: [`cache_dir=${cache}`],
    });
    expect(await must('cat', ['f0', 'f1', 'f2', 'f3', 'f4', 'f5'], { cwd: second.directory })).toBe(
      'content'.repeat(6),
    );
    await expectReads(second, 0);
    await second.unmount();
  });

  it('what remora warm fetched is there, more than memory would hold', async () => {
    for (let at = 0; at < 4; at += 1) await old(`f${at}`, Buffer.alloc(700_000, at));
    const first = await mount('cache_size=1M');
    const warmed = await fixture.remora.run(['warm', first.directory]);
    expect(warmed).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^4 files, 2\.7 MiB/),
    });
    await first.unmount();
    const second = await mount();
    await sums(second);
    await expectReads(second, 0);
    await second.unmount();
  });

  it('what is changed on the server while somebody watches there shows, though size and time are the same', async () => {
    for (const name of ['written', 'replaced']) await old(name, 'old');
    await fill();
    const second = await mount('watch=inotify');
    await readdir(second.directory);
    await until('the watch', async () => ((await second.status()).watch?.directories ?? 0) > 0);
    const read = (name: string) => readFile(join(second.directory, name), 'utf8');
    expect([await read('written'), await read('replaced')]).toEqual(['old', 'old']);
    await old('written', 'new');
    await old('other', 'new');
    await rename(join(tree, 'other'), join(tree, 'replaced'));
    for (const name of ['written', 'replaced']) await expect.poll(() => read(name)).toBe('new');
    await second.unmount();
  });

  it('damaged entries are discarded and read anew, which the log says once', async () => {
    for (let at = 0; at < 20; at += 1) await old(`f${at}`, Buffer.alloc(5000, at));
    const before = await fill();
    for (const path of await entries()) {
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(4000) ^ 1, 4000);
      await writeFile(path, bytes);
    }
    const second = await mount();
    expect(await sums(second)).toBe(before);
    await expectReads(second, 20);
    expect((await logOf(second)).match(/an entry is damaged, and discarded/g)).toHaveLength(1);
    await second.unmount();
    const third = await mount();
    expect(await sums(third)).toBe(before);
    await expectReads(third, 0);
    await third.unmount();
  });
});

describe('on this machine', () => {
  it('nobody else can read it', async () => {
    await old('secret', 'secret');
    const umask = process.umask(0);
    await fill().finally(() => process.umask(umask));
    const names = await readdir(cache, { recursive: true });
    expect(names.length).toBeGreaterThan(1);
    for (const name of ['', ...names]) {
      const { mode } = await stat(join(cache, name));
      expect(mode & 0o077, name).toBe(0);
    }
    expect(names.join('')).not.toContain('secret');
  });

  it('two mounts at a time share it', async () => {
    for (let at = 0; at < 30; at += 1) await old(`f${at}`, Buffer.alloc(9000, at));
    const mounts = [await mount(), await mount()];
    const [one, other] = await Promise.all(mounts.map(sums));
    expect(other).toBe(one);
    for (const each of mounts) await each.unmount();
    const third = await mount();
    expect(await sums(third)).toBe(one);
    await expectReads(third, 0);
    await third.unmount();
  });

  it('what is not needed any more makes room', async () => {
    for (let at = 0; at < 24; at += 1) await old(`f${at}`, Buffer.alloc(1_000_000, at));
    const first = await mount('cache_dir_size=16M');
    await sums(first);
    await first.unmount();
    const sizes = await Promise.all((await entries()).map(async (path) => (await stat(path)).size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(8 * 2 ** 20);
    expect(total).toBeLessThanOrEqual(16 * 2 ** 20);
  });

  it.runIf(isRoot)('a full disk is said once, and no read fails', async () => {
    await mkdir(cache);
    await SmallDisk.mount(fixture.scope, cache, 'size=1m,mode=0700');
    for (let at = 0; at < 10; at += 1) await old(`f${at}`, Buffer.alloc(300_000, at));
    const first = await mount();
    await sums(first);
    await expect.poll(async () => (await statusOf(first)).filesystem.disk.state).toBe('full');
    expect((await logOf(first)).match(/its disk is full, so nothing more is stored/g)).toHaveLength(1);
    await first.unmount();
    expect((await readdir(cache, { recursive: true })).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('a directory that will not do is refused', () => {
  async function refusal(given = cache): Promise<string> {
    const mountpoint = await fixture.remora.mountpoint();
    const args = [...(await fixture.mounting(mountpoint)), '-o', `cache_dir=${given}`];
    const { code, stdout, stderr } = await fixture.remora.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    return stderr.replace(given, 'DIR');
  }

  it('since others may write to it, or it is none', async () => {
    await mkdir(cache);
    await chmod(cache, 0o775);
    expect(await refusal()).toMatch(
      /cache_dir=DIR cannot be used: others may write there \(chmod go-w .*\)\n$/,
    );
    await writeFile(join(cache, 'file'), '');
    expect(await refusal(join(cache, 'file'))).toMatch(
      /cache_dir=DIR cannot be used: it is not a directory\n$/,
    );
  });

  it.runIf(isRoot)('since it is somebody else’s, or cannot be written to', async () => {
    await mkdir(cache, 0o700);
    await chown(cache, 1234, 1234);
    expect(await refusal()).toMatch(/cache_dir=DIR cannot be used: it belongs to another user\n$/);
    await chown(cache, 0, 0);
    const small = await SmallDisk.mount(fixture.scope, cache, 'mode=0700');
    await small.readOnly(true);
    expect(await refusal()).toMatch(/cache_dir=DIR cannot be used: its filesystem is read-only\n$/);
  });

  it('since the mount would cover it', async () => {
    const mountpoint = await fixture.remora.mountpoint();
    const args = [...(await fixture.mounting(mountpoint)), '-o', `nonempty,cache_dir=${mountpoint}/c`];
    const { code, stderr } = await fixture.remora.run(args);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/cannot be used: the mount would cover it\n$/),
    });
  });
});
