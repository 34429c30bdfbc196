/**
 * Making a file in as few round trips as may be: what is set while it is being made goes out behind its data, without
 * a wait, and if the server refuses that, the close tells it.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_EXCL, O_RDONLY, O_WRONLY } from '../../../src/base/mode.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import { NOT_PAGES, openDirect, path, serverFile } from '../../support/direct-filesystem.js';

const SSH_FX_FAILURE = 4;
const T = 1_000_000_000;
const named = (name: string) => ({ path: path(name), handle: null });

describe('a file that is being made', () => {
  it('gets its times, its owner and its mode while nobody waits, behind its data', async () => {
    const { fs, disk, requests, after } = await openDirect();
    const { handle, attributes } = await fs.create(path('f'), O_WRONLY | O_EXCL, 0o600);
    const held = deferred<void>();
    for (const request of ['write', 'fsetstat']) after.set(request, () => held.promise);
    requests.length = 0;
    await fs.write(handle, 0, Buffer.from('content'), NOT_PAGES);
    await fs.setattr(named('f'), { atime: T, mtime: T });
    await fs.setattr(named('f'), { uid: attributes.uid, gid: attributes.gid });
    const { attributes: told } = await fs.setattr(named('f'), { mode: 0o644 });
    expect(told).toMatchObject({ mode: 0o100644, mtime: T, size: 7 });
    expect((await fs.getattr(named('f'))).attributes).toMatchObject({ mode: 0o100644, mtime: T, size: 7 });
    const closed = fs.flush(handle);
    expect(requests).toEqual(['write', 'fsetstat', 'fsetstat', 'fsetstat', 'fstat']);
    after.clear();
    held.resolve();
    await closed;
    const there = await stat(join(disk, 'f'));
    expect([there.mtimeMs / 1000, there.mode & 0o777, there.size]).toEqual([T, 0o644, 7]);
    await fs.release(handle);
    expect((await fs.lookup(path('f'))).attributes).toMatchObject({ mode: 0o100644, mtime: T });
  });

  it('has what was set confirmed when its close returns', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY | O_EXCL, 0o600);
    const held = deferred<void>();
    before.set('fsetstat', () => held.promise);
    await fs.setattr(named('f'), { mode: 0o640 });
    let isClosed = false;
    const closed = fs.flush(handle).then(() => {
      isClosed = true;
    });
    await expect.poll(() => fs.status().inFlight).toBe(0);
    expect(isClosed).toBe(false);
    before.clear();
    held.resolve();
    await closed;
    await fs.release(handle);
  });

  it('whose attributes are refused after all fails to close, once, and shows what it has', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY | O_EXCL, 0o600);
    before.set('fsetstat', () => {
      throw new SftpStatusError(SSH_FX_FAILURE, 'no');
    });
    await fs.setattr(named('f'), { mode: 0o640 });
    await expect(fs.flush(handle)).rejects.toMatchObject({ code: 'EIO' });
    await fs.flush(handle);
    expect((await fs.lookup(path('f'))).attributes?.mode).toBe(0o100600);
    await fs.release(handle);
  });

  it('that loses its name while it is open has no link', async () => {
    const { fs } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY | O_EXCL, 0o600);
    await fs.unlink(path('f'));
    expect((await fs.getattr({ path: null, handle })).attributes.nlink).toBe(0);
    await fs.release(handle);
  });

  it('of which the server’s umask takes bits gets them back without a wait', async () => {
    const { fs, disk } = await openDirect();
    const { handle, attributes } = await fs.create(path('f'), O_WRONLY | O_EXCL, 0o666);
    expect(attributes.mode & 0o777).toBe(0o666);
    await fs.flush(handle);
    await fs.release(handle);
    expect((await stat(join(disk, 'f'))).mode & 0o777).toBe(0o666);
  });

  it('waits for the server again once it is closed, as every other file does', async () => {
    const { fs, disk, requests } = await openDirect();
    await serverFile(disk, 'g', 'content');
    const { handle } = await fs.create(path('f'), O_WRONLY | O_EXCL, 0o600);
    await fs.release(handle);
    const other = await fs.open(path('g'), O_RDONLY);
    for (const name of ['f', 'g']) {
      requests.length = 0;
      await fs.setattr(named(name), { mode: 0o640 });
      expect(requests).toContain('setstat');
    }
    await fs.release(other.handle);
  });
});
