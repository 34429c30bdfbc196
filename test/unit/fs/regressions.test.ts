/** What went wrong once: files that change on the server while they are open here, holes, errors, half changes. */
import { appendFile, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import type { FileSystem } from '../../../src/fs/filesystem.js';
import { everyone, SAME_IDS } from '../../../src/fs/id-map.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import { NOT_PAGES, openDirect, path, readAll, serverFile } from '../../support/direct-filesystem.js';

const LATER = new Date('2021-01-01T00:00:00Z');
/** Longer than anything is trusted, in milliseconds. */
const OUTLIVED = 60_000;
const SEEK_DATA = 3;
const FAILURE = () => {
  throw new SftpStatusError(4, 'Failure');
};

const named = (name: string) => ({ path: path(name), handle: null });
const onDisk = (disk: string, name: string) => readFile(join(disk, name), 'utf8');

async function textOf(fs: FileSystem, handle: number, offset = 0): Promise<string> {
  return (await readAll(fs, handle, offset)).toString();
}

const put = (fs: FileSystem, handle: number, offset: number, text: string) =>
  fs.write(handle, offset, Buffer.from(text), NOT_PAGES);

/** close(2) of the last descriptor. */
async function close(fs: FileSystem, ...handles: readonly number[]): Promise<void> {
  for (const handle of handles) {
    await fs.flush(handle);
    await fs.release(handle);
  }
}

/** Another machine gives the name to a new file. */
async function replace(disk: string, name: string, content: string): Promise<void> {
  await serverFile(disk, 'replacement', content, LATER);
  await rename(join(disk, 'replacement'), join(disk, name));
}

describe('an open file that grows on the server', () => {
  it('can be followed to its new end, as tail -f does', async () => {
    const { fs, disk, clock } = await openDirect();
    await serverFile(disk, 'log', 'one\n');
    const { handle } = await fs.open(path('log'), O_RDONLY);
    expect(await textOf(fs, handle)).toBe('one\n');
    await appendFile(join(disk, 'log'), 'two\n');
    clock.advance(OUTLIVED);
    expect((await fs.getattr({ path: path('log'), handle })).attributes.size).toBe(8);
    expect(await textOf(fs, handle, 4)).toBe('two\n');
    await close(fs, handle);
  });

  it('is appended to behind what has come, once its attributes have run out', async () => {
    const { fs, disk, clock } = await openDirect();
    await serverFile(disk, 'log', 'one\n');
    const { handle } = await fs.open(path('log'), O_WRONLY | O_APPEND);
    await appendFile(join(disk, 'log'), 'two\n');
    clock.advance(OUTLIVED);
    expect((await fs.getattr(named('log'))).attributes.size).toBe(8);
    await put(fs, handle, 8, 'three\n');
    await close(fs, handle);
    expect(await onDisk(disk, 'log')).toBe('one\ntwo\nthree\n');
  });

  it('has data for lseek up to the size that stat told', async () => {
    const { fs, disk, clock } = await openDirect();
    await serverFile(disk, 'log', 'one\n');
    const { handle } = await fs.open(path('log'), O_RDONLY);
    await appendFile(join(disk, 'log'), 'two\n');
    clock.advance(OUTLIVED);
    await fs.getattr({ path: path('log'), handle });
    expect(await fs.lseek(handle, 5, SEEK_DATA)).toBe(5);
    await close(fs, handle);
  });
});

describe('a name that is given to another file on the server while its file is open here', () => {
  it('is opened as the new file, and each descriptor reads its own', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', 'the old file');
    const old = await fs.open(path('f'), O_RDONLY);
    await replace(disk, 'f', 'new');
    const fresh = await fs.open(path('f'), O_RDONLY);
    expect(await textOf(fs, old.handle)).toBe('the old file');
    expect(await textOf(fs, fresh.handle)).toBe('new');
    await close(fs, old.handle, fresh.handle);
  });

  it('leaves appending through the old descriptor at the end of the old file, as logrotate needs', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'log', 'a long line\n');
    const old = await fs.open(path('log'), O_WRONLY | O_APPEND);
    await rename(join(disk, 'log'), join(disk, 'log.1'));
    await serverFile(disk, 'log', 'new\n', LATER);
    const fresh = await fs.open(path('log'), O_RDONLY);
    await put(fs, old.handle, 12, 'tail\n');
    await close(fs, old.handle, fresh.handle);
    expect(await onDisk(disk, 'log.1')).toBe('a long line\ntail\n');
    expect(await onDisk(disk, 'log')).toBe('new\n');
  });

  it('starts empty when it is created anew, whatever is unsent of the old file', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', 'old old old');
    const old = await fs.open(path('f'), O_RDWR);
    await put(fs, old.handle, 0, 'UNSENT');
    await unlink(join(disk, 'f'));
    const fresh = await fs.create(path('f'), O_RDWR | O_CREAT | O_EXCL, 0o644);
    expect(fresh.attributes.size).toBe(0);
    expect(await textOf(fs, fresh.handle)).toBe('');
    await close(fs, old.handle, fresh.handle);
    expect(await onDisk(disk, 'f')).toBe('');
  });

  it('passes a chmod by name on to the new file', async () => {
    const { fs, disk, clock } = await openDirect();
    await serverFile(disk, 'f', 'old');
    const old = await fs.open(path('f'), O_RDONLY);
    await replace(disk, 'f', 'new');
    clock.advance(OUTLIVED);
    await fs.setattr(named('f'), { mode: 0o600 });
    expect((await stat(join(disk, 'f'))).mode & 0o777).toBe(0o600);
    expect(await textOf(fs, old.handle)).toBe('old');
    await close(fs, old.handle);
  });

  it('is the new file for stat once its attributes have run out, though writes to the old one are unsent', async () => {
    const { fs, disk, clock } = await openDirect();
    await serverFile(disk, 'f', 'old');
    const old = await fs.open(path('f'), O_RDWR);
    await put(fs, old.handle, 0, 'ZZZ');
    await unlink(join(disk, 'f'));
    await serverFile(disk, 'f', 'newnew', LATER);
    clock.advance(OUTLIVED);
    expect((await fs.getattr(named('f'))).attributes.size).toBe(6);
    await close(fs, old.handle);
    expect(await onDisk(disk, 'f')).toBe('newnew');
  });
});

describe('cached content', () => {
  it('that the server has changed meanwhile is not made valid by a chmod of ours', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', 'old');
    const before = await fs.open(path('f'), O_RDONLY);
    await textOf(fs, before.handle);
    await close(fs, before.handle);
    await serverFile(disk, 'f', 'new', LATER);
    await fs.setattr(named('f'), { mode: 0o600 });
    const after = await fs.open(path('f'), O_RDONLY);
    expect(await textOf(fs, after.handle)).toBe('new');
    await close(fs, after.handle);
  });

  it('is shared by the names of a file: what is written through one is read through the other', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'a', 'aaaa');
    await fs.link(path('a'), path('b'));
    const reader = await fs.open(path('b'), O_RDONLY);
    await textOf(fs, reader.handle);
    const writer = await fs.open(path('a'), O_RDWR);
    await put(fs, writer.handle, 0, 'BB');
    expect(await textOf(fs, reader.handle)).toBe('BBaa');
    await fs.fsync(writer.handle);
    expect(await textOf(fs, reader.handle)).toBe('BBaa');
    await close(fs, writer.handle);
    expect(await textOf(fs, reader.handle)).toBe('BBaa');
    await close(fs, reader.handle);
  });
});

describe('the hole before an unsent write', () => {
  it.each([
    ['a new file', '', 10],
    ['behind the data of the server', 'abc', 0],
  ])('reads as zeros in full length (%s)', async (_where, content, offset) => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', content);
    const { handle } = await fs.open(path('f'), O_RDWR);
    await put(fs, handle, 1_000_000, 'x');
    const expected = Buffer.alloc(1000);
    expected.write(content.slice(offset));
    expect((await readAll(fs, handle, offset, 1000)).equals(expected)).toBe(true);
    await close(fs, handle);
  });

  it('may be cut away while it is read', async () => {
    const { fs, disk, after } = await openDirect();
    await serverFile(disk, 'f', 'a'.repeat(300_000));
    const { handle } = await fs.open(path('f'), O_RDWR);
    const held = deferred<void>();
    after.set('read', () => held.promise);
    await put(fs, handle, 250_000, 'x');
    const reading = readAll(fs, handle, 250_000, 100);
    await fs.setattr({ path: path('f'), handle }, { size: 0 });
    held.resolve();
    expect(await reading).toHaveLength(0);
    await close(fs, handle);
  });
});

describe('writes', () => {
  it('are all on the server after fsync, through whatever descriptor it is called', async () => {
    const { fs, disk } = await openDirect();
    const writer = await fs.create(path('f'), O_WRONLY, 0o644);
    await put(fs, writer.handle, 0, 'data');
    const reader = await fs.open(path('f'), O_RDONLY);
    await fs.fsync(reader.handle);
    expect(await onDisk(disk, 'f')).toBe('data');
    await close(fs, writer.handle, reader.handle);
  });

  it('that are refused twice for no reason to be seen are sent again: room came back in between', async () => {
    const { fs, disk, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    let refused = 0;
    before.set('write', () => {
      if (refused++ < 2) FAILURE();
    });
    await put(fs, handle, 0, 'data');
    await close(fs, handle);
    expect(refused).toBe(3);
    expect(await onDisk(disk, 'f')).toBe('data');
  });

  it('that append go on where the file ends after one of them was refused', async () => {
    const { fs, disk, before } = await openDirect();
    await serverFile(disk, 'f', 'AAAA');
    const { handle } = await fs.open(path('f'), O_WRONLY | O_APPEND);
    before.set('write', FAILURE);
    await put(fs, handle, 4, 'lost');
    await fs.flushAll();
    before.clear();
    await expect(put(fs, handle, 4, 'told')).rejects.toMatchObject({ code: 'EDQUOT' });
    await put(fs, handle, 4, 'next');
    await close(fs, handle);
    expect(await onDisk(disk, 'f')).toBe('AAAAnext');
  });

  it.each([
    ['in the same moment as', false],
    ['behind', true],
  ])('that come %s an O_TRUNC are seen by reads as they are on the server', async (_when, isSent) => {
    const { fs, disk, requests } = await openDirect();
    await serverFile(disk, 'f', 'aaaaaaaa');
    const writer = await fs.open(path('f'), O_RDWR);
    requests.length = 0;
    const emptying = fs.open(path('f'), O_WRONLY | O_TRUNC);
    if (isSent) await expect.poll(() => requests).toContain('open');
    await put(fs, writer.handle, 8, 'zzz');
    const emptied = await emptying;
    const seen = await textOf(fs, writer.handle);
    await close(fs, writer.handle, emptied.handle);
    expect(await onDisk(disk, 'f')).toBe('\0\0\0\0\0\0\0\0zzz');
    expect(seen).toBe('\0\0\0\0\0\0\0\0zzz');
  });
});

describe('half of a pair that SFTP sets together', () => {
  it('leaves the modification time as the server has it when only the access time is set', async () => {
    const { fs, disk } = await openDirect();
    await serverFile(disk, 'f', 'x');
    await fs.lookup(path('f'));
    await utimes(join(disk, 'f'), LATER, LATER);
    await fs.setattr(named('f'), { atime: 'now' });
    expect((await stat(join(disk, 'f'))).mtime).toEqual(LATER);
  });

  it('leaves the owner as the server has it, not as uid= shows it, when only the group is set', async () => {
    const { fs, disk } = await openDirect({}, { users: everyone(1234, SAME_IDS) });
    await writeFile(join(disk, 'f'), 'x');
    const { uid, gid } = await stat(join(disk, 'f'));
    // Everybody may give a file the group it has.
    expect((await fs.setattr(named('f'), { gid })).attributes).toMatchObject({ uid: 1234, gid });
    expect(await stat(join(disk, 'f'))).toMatchObject({ uid, gid });
  });
});
