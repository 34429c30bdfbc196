/**
 * A file system whose connection is cut in the middle of things, on the embedded server: what programs see is
 * what they would have seen without it.
 */
import {
  chmodSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import {
  SSH_FX_FAILURE,
  SSH_FX_NO_SUCH_FILE,
  SSH_FX_PERMISSION_DENIED,
} from '../../../src/sftp/constants.js';
import { ConnectionLostError, SftpStatusError } from '../../../src/sftp/errors.js';
import {
  cutAfter,
  cutBefore,
  LONG_AGO,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

describe('an open file', () => {
  it('goes on being read, by a handle of the next session', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    direct.link.cut();
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    expect(direct.link.tries).toBe(1);
    await direct.fs.release(handle);
  });

  it('goes on being written, and what was not confirmed is sent again', async () => {
    const direct = await openDirect();
    const { handle } = await direct.fs.create(path('file'), O_WRONLY, 0o644);
    await direct.fs.write(handle, 0, Buffer.from('one '), NOT_PAGES);
    cutAfter(direct, 'write');
    await direct.fs.flush(handle);
    await direct.fs.write(handle, 4, Buffer.from('two '), NOT_PAGES);
    cutBefore(direct, 'write');
    await direct.fs.flush(handle);
    await direct.fs.release(handle);
    expect(readFileSync(join(direct.disk, 'file'), 'utf8')).toBe('one two ');
    expect(direct.link.tries).toBe(2);
  });

  it('keeps the order of writes that overlap', async () => {
    const direct = await openDirect();
    const { handle } = await direct.fs.create(path('file'), O_WRONLY, 0o644);
    const first = Buffer.alloc(100_000, 'a');
    await direct.fs.write(handle, 0, first, NOT_PAGES);
    const flushed = direct.fs.flush(handle);
    await direct.fs.write(handle, 50_000, Buffer.alloc(10, 'b'), NOT_PAGES);
    const again = direct.fs.flush(handle);
    direct.link.cut();
    await Promise.all([flushed, again]);
    await direct.fs.release(handle);
    const content = readFileSync(join(direct.disk, 'file'), 'latin1');
    expect(content.slice(49_999, 50_011)).toBe('abbbbbbbbbba');
    expect(content).toHaveLength(100_000);
  });

  it('is opened again without emptying or making it', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'old');
    const { handle } = await direct.fs.open(path('file'), O_RDWR | O_TRUNC);
    await direct.fs.write(handle, 0, Buffer.from('new content'), NOT_PAGES);
    await direct.fs.flush(handle);
    direct.link.cut();
    expect((await readAll(direct.fs, handle)).toString()).toBe('new content');
    await direct.fs.release(handle);
  });

  it('is found under the name that it has by then', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    await direct.fs.rename(path('file'), path('moved'), { noReplace: false });
    direct.link.cut();
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });

  it('that its maker writes although its mode forbids it, as git does, goes on and keeps its mode', async () => {
    const direct = await openDirect();
    const { handle } = await direct.fs.create(path('object'), O_RDWR | O_EXCL, 0o444);
    await direct.fs.write(handle, 0, Buffer.from('blob'), NOT_PAGES);
    direct.link.cut();
    await direct.fs.flush(handle);
    await direct.fs.release(handle);
    expect(readFileSync(join(direct.disk, 'object'), 'utf8')).toBe('blob');
    expect(statSync(join(direct.disk, 'object')).mode & 0o777).toBe(0o444);
  });

  it('that a link has replaced changes no mode of what that leads to', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    await serverFile(direct.disk, 'secret', 'content');
    chmodSync(join(direct.disk, 'secret'), 0o400);
    const { handle } = await direct.fs.open(path('file'), O_RDWR);
    direct.link.session.drop('lost');
    rmSync(join(direct.disk, 'file'));
    symlinkSync('secret', join(direct.disk, 'file'));
    direct.before.set('open', () => {
      throw new SftpStatusError(SSH_FX_PERMISSION_DENIED, 'Permission denied');
    });
    await expect(direct.fs.getattr({ path: null, handle })).rejects.toMatchObject({ code: 'ESTALE' });
    await direct.fs.release(handle);
    expect(statSync(join(direct.disk, 'secret')).mode & 0o777).toBe(0o400);
  });

  it('leaves no handle at the server when it cannot be compared, or is closed meanwhile', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'doubtful', 'content');
    await serverFile(direct.disk, 'file', 'content');
    const doubtful = await direct.fs.open(path('doubtful'), O_RDONLY);
    const closed = await direct.fs.open(path('file'), O_RDONLY);
    const looked = deferred<void>();
    direct.before.set('fstat', async () => {
      await looked.promise;
      direct.before.delete('fstat');
      throw new SftpStatusError(SSH_FX_FAILURE, 'Failure');
    });
    direct.link.session.drop('lost');
    await expect.poll(() => direct.requests).toContain('fstat');
    await direct.fs.release(closed.handle);
    direct.requests.length = 0;
    looked.resolve();
    await expect.poll(() => direct.link.session.state).toBe('connected');
    expect(direct.requests.filter((name) => name === 'close')).toHaveLength(2);
    await direct.fs.release(doubtful.handle);
  });

  const stale: readonly (readonly [string, (file: string) => void])[] = [
    ['was removed', (file) => rmSync(file)],
    ['was replaced by one of another size', (file) => replace(file, 'x')],
    [
      'was replaced by a longer one',
      (file) => {
        replace(file, 'another content');
        utimesSync(file, new Date(), new Date());
      },
    ],
    ['was replaced by a directory', (file) => replaceByDirectory(file)],
  ];

  it.each(stale)('that %s meanwhile is stale, which is told once', async (_how, change) => {
    const direct = await openDirect();
    const file = join(direct.disk, 'file');
    await serverFile(direct.disk, 'file', 'content');
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    await readAll(direct.fs, handle, 0, 3);
    direct.link.session.drop('lost');
    change(file);
    await expect.poll(() => direct.link.session.state).toBe('connected');
    // What is still cached of it may be served; the server is asked beyond that.
    direct.clock.advance(60_000);
    await expect(direct.fs.getattr({ path: null, handle })).rejects.toMatchObject({ code: 'ESTALE' });
    await expect(direct.fs.getattr({ path: null, handle })).rejects.toMatchObject({ code: 'ESTALE' });
    expect(direct.link.reports.filter((text) => text.includes('stale'))).toHaveLength(1);
    await direct.fs.release(handle);
  });

  it('that only grew meanwhile, as a log does, is followed on', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'log', 'first line\n');
    const { handle } = await direct.fs.open(path('log'), O_RDONLY);
    expect((await readAll(direct.fs, handle)).toString()).toBe('first line\n');
    direct.link.session.drop('lost');
    await appendFile(join(direct.disk, 'log'), 'second line\n');
    await expect.poll(() => direct.link.session.state).toBe('connected');
    expect((await readAll(direct.fs, handle)).toString()).toBe('first line\nsecond line\n');
    await direct.fs.release(handle);
  });

  it('that was removed here and is still open cannot come back, and its writer hears of it', async () => {
    const direct = await openDirect();
    const { handle } = await direct.fs.create(path('file'), O_RDWR, 0o644);
    await direct.fs.write(handle, 0, Buffer.from('lost'), NOT_PAGES);
    await direct.fs.unlink(path('file'));
    direct.link.cut();
    await expect(direct.fs.fsync(handle)).rejects.toMatchObject({ code: 'ESTALE' });
    await direct.fs.release(handle);
  });

  it('whose server forgot what it had confirmed, as after a crash, is stale, and its writer hears of it', async () => {
    const direct = await openDirect();
    const { handle } = await direct.fs.create(path('file'), O_WRONLY, 0o644);
    await direct.fs.write(handle, 0, Buffer.alloc(300_000, 'a'), NOT_PAGES);
    await expect.poll(() => statSync(join(direct.disk, 'file')).size).toBeGreaterThan(0);
    await expect.poll(() => direct.fs.status().inFlight).toBe(0);
    direct.link.session.drop('lost');
    writeFileSync(join(direct.disk, 'file'), '');
    await expect(direct.fs.flush(handle)).rejects.toMatchObject({ code: 'ESTALE' });
    await direct.fs.release(handle);
  });

  it('lets nothing of it reach a file that took its name', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    const { handle } = await direct.fs.open(path('file'), O_WRONLY);
    await direct.fs.write(handle, 0, Buffer.from('mine'), NOT_PAGES);
    direct.link.session.drop('lost');
    rmSync(join(direct.disk, 'file'));
    writeFileSync(join(direct.disk, 'file'), 'a longer one of somebody else');
    await expect(direct.fs.flush(handle)).rejects.toMatchObject({ code: 'ESTALE' });
    await direct.fs.release(handle);
    expect(readFileSync(join(direct.disk, 'file'), 'utf8')).toBe('a longer one of somebody else');
  });
});

function replace(file: string, content: string): void {
  writeFileSync(`${file}.new`, content);
  utimesSync(`${file}.new`, LONG_AGO, LONG_AGO);
  renameSync(`${file}.new`, file);
}

async function replaceByDirectory(file: string): Promise<void> {
  rmSync(file);
  await mkdir(file);
}

describe('a directory that is being read', () => {
  it('is listed whole, each name once', async () => {
    const direct = await openDirect();
    for (let n = 0; n < 250; n += 1) await serverFile(direct.disk, `file ${n}`, '');
    cutAfter(direct, 'readdir');
    const { handle } = await direct.fs.opendir(path(''));
    const { entries } = await direct.fs.readdir(handle, false);
    expect(entries).toHaveLength(250);
    await direct.fs.releasedir(handle);
  });
});

describe('a request that ends every session', () => {
  it('fails with EIO after some tries, and others go on', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'poison', '');
    await serverFile(direct.disk, 'file', 'content');
    direct.before.set('statvfs', async () => {
      direct.link.cut();
      throw new ConnectionLostError('the server broke the protocol', { kind: 'protocol' });
    });
    await expect(direct.fs.statfs()).rejects.toMatchObject({ code: 'EIO' });
    direct.before.delete('statvfs');
    expect(direct.link.tries).toBeLessThan(6);
    expect((await direct.fs.lookup(path('file'))).attributes?.size).toBe(7);
  });

  it('is not repeated for ever by a server that never answers it', async () => {
    const direct = await openDirect({}, {}, { timeout: 60_000 });
    let tries = 0;
    direct.before.set('statvfs', async () => {
      tries += 1;
      direct.clock.advance(45_000);
      direct.link.cut();
      throw new ConnectionLostError('no answer for 45 s', { kind: 'unanswered' });
    });
    await expect(direct.fs.statfs()).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    expect(tries).toBe(2);
  });
});

describe('a server that comes back without the mounted directory', () => {
  it('is not used: no file counts as gone before the directory is there again', async () => {
    const direct = await openDirect();
    await serverFile(direct.disk, 'file', 'content');
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    direct.before.set('stat', () => Promise.reject(new SftpStatusError(SSH_FX_NO_SUCH_FILE, '')));
    direct.link.cut();
    await expect.poll(() => direct.link.session.status().reason).toContain('not there');
    direct.before.delete('stat');
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });
});

it('a link that is lost again and again blames no call but the first that it does not answer', async () => {
  const direct = await openDirect();
  await serverFile(direct.disk, 'file', 'content');
  let losses = 0;
  direct.after.set('lstat', async () => {
    losses += 1;
    if (losses % 2 === 1 || losses > 40) return;
    direct.link.cut();
    throw new ConnectionLostError('flapping');
  });
  const lookups = Array.from({ length: 6 }, (_, n) => direct.fs.lookup(path(`${n}`)));
  for (const lookup of await Promise.allSettled(lookups)) expect(lookup.status).toBe('fulfilled');
});
