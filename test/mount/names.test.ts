/**
 * Names and attributes that change on the server behind a mount's back, with the kernel trusting what it was
 * told as long as Remora does: what programs see after the stated time, and at once after something made us look.
 */
import {
  appendFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbedded } from '../support/embedded.js';
import { Remora } from '../support/remora.js';
import { must } from '../support/run.js';
import { Scope } from '../support/scope.js';

const LONG_AGO = new Date('2020-01-01T00:00:00Z');
/** Listings are asked for again after a second; whatever else is seen earlier than this was learned from one. */
const OPTIONS = ['dcache_dir_timeout=1,attr_timeout=20,entry_timeout=20,ac_attr_timeout=0'];

describe('on a mount whose kernel trusts for 20 s', () => {
  let scope: Scope;
  let disk: string;
  let mount: string;

  beforeAll(async () => {
    scope = await Scope.open('names');
    disk = await scope.makeDirectory('disk');
    const server = await startEmbedded(scope, disk);
    const remora = await Remora.create(scope);
    mount = (await remora.mount(server, '/', { options: OPTIONS })).directory;
  });
  afterAll(async () => {
    await scope?.close();
  });

  /** Three files that have not changed for long, in a directory of their own, and `ls -l` of it. */
  async function place(name: string): Promise<{ here: string; there: string }> {
    const [here, there] = [join(mount, name), join(disk, name)];
    await mkdir(there);
    for (const file of ['a', 'b', 'c']) {
      await writeFile(join(there, file), file);
      await utimes(join(there, file), LONG_AGO, LONG_AGO);
    }
    await look(here);
    return { here, there };
  }

  const look = async (directory: string) => must('ls', ['-l', directory]);
  /** Lists until the listing shows something, which is when the old one has run out. */
  const lookUntil = (directory: string, shows: (names: string[]) => boolean) =>
    expect.poll(async () => shows(await readdir(directory)), { timeout: 10_000 }).toBe(true);

  it('stat shows what a new listing told, long before its own time is over', async () => {
    const { here, there } = await place('stat');
    expect((await stat(join(here, 'a'))).size).toBe(1);
    await appendFile(join(there, 'a'), 'more');
    await writeFile(join(there, 'sign'), '');
    await lookUntil(here, (names) => names.includes('sign'));
    await expect.poll(async () => (await stat(join(here, 'a'))).size, { timeout: 3000 }).toBe(5);
    expect((await stat(join(here, 'b'))).size).toBe(1);
  });

  it('ls -l and cat show it as well', async () => {
    const { here, there } = await place('cat');
    expect(await readFile(join(here, 'a'), 'utf8')).toBe('a');
    await writeFile(join(there, 'a'), 'another text');
    await writeFile(join(there, 'sign'), '');
    await lookUntil(here, (names) => names.includes('sign'));
    await expect.poll(() => look(here), { timeout: 3000 }).toMatch(/ 12 .* a\n/);
    expect(await readFile(join(here, 'a'), 'utf8')).toBe('another text');
  });

  it('cat shows new content at once, since an open asks', async () => {
    const { here, there } = await place('open');
    expect(await readFile(join(here, 'a'), 'utf8')).toBe('a');
    await writeFile(join(there, 'a'), 'another text');
    expect(await readFile(join(here, 'a'), 'utf8')).toBe('another text');
    expect((await stat(join(here, 'a'))).size).toBe(12);
  });

  it('a name that a new listing does not show is gone for stat as well', async () => {
    const { here, there } = await place('gone');
    await stat(join(here, 'a'));
    await unlink(join(there, 'a'));
    await lookUntil(here, (names) => !names.includes('a'));
    const code = () =>
      stat(join(here, 'a')).then(
        () => null,
        (error: NodeJS.ErrnoException) => error.code,
      );
    await expect.poll(code, { timeout: 3000 }).toBe('ENOENT');
  });

  it('a file that became a directory can be entered', async () => {
    const { here, there } = await place('turned');
    await stat(join(here, 'a'));
    await unlink(join(there, 'a'));
    await mkdir(join(there, 'a/inside'), { recursive: true });
    await writeFile(join(there, 'sign'), '');
    await lookUntil(here, (names) => names.includes('sign'));
    const inside = () => readdir(join(here, 'a')).catch(() => []);
    await expect.poll(inside, { timeout: 3000 }).toEqual(['inside']);
  });

  it('a file that another machine removed is made anew by O_CREAT, and missing without', async () => {
    const { here, there } = await place('opened');
    await unlink(join(there, 'a'));
    await writeFile(join(here, 'a'), 'made anew');
    expect(await readFile(join(there, 'a'), 'utf8')).toBe('made anew');
    await unlink(join(there, 'b'));
    await expect(readFile(join(here, 'b'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('an open file that another machine removed is still what its descriptor says', async () => {
    const { here, there } = await place('held');
    const file = await open(join(here, 'a'));
    await unlink(join(there, 'a'));
    await lookUntil(here, (names) => !names.includes('a'));
    expect((await file.stat()).size).toBe(1);
    expect(await file.readFile('utf8')).toBe('a');
    await file.close();
  });

  it('tail -f follows once something looked', async () => {
    const { here, there } = await place('tail');
    const file = await open(join(here, 'a'));
    const buffer = Buffer.alloc(100);
    const next = async () => buffer.toString('utf8', 0, (await file.read(buffer, 0, 100)).bytesRead);
    expect(await next()).toBe('a');
    await appendFile(join(there, 'a'), ' and more');
    await writeFile(join(there, 'sign'), '');
    await lookUntil(here, (names) => names.includes('sign'));
    await expect.poll(next, { timeout: 3000 }).toBe(' and more');
    await file.close();
  });

  it('what the mount itself makes, renames and removes shows at once in every listing', async () => {
    const { here } = await place('own');
    await writeFile(join(here, 'd'), '');
    expect((await readdir(here)).sort()).toEqual(['a', 'b', 'c', 'd']);
    await rename(join(here, 'd'), join(here, 'e'));
    expect((await readdir(here)).sort()).toEqual(['a', 'b', 'c', 'e']);
    for (const name of ['a', 'e']) await unlink(join(here, name));
    expect((await readdir(here)).sort()).toEqual(['b', 'c']);
  });
});
