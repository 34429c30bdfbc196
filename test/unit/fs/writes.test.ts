import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { O_APPEND, O_RDONLY, O_RDWR, O_SYNC, O_WRONLY } from '../../../src/base/mode.js';
import { SftpStatusError } from '../../../src/sftp/errors.js';
import { NOT_PAGES, openDirect, path, readAll } from '../../support/direct-filesystem.js';

const NO_SPACE = () => {
  throw new SftpStatusError(14, 'no space');
};

describe('write-behind', () => {
  it('returns before the server was asked, and reads see the write', async () => {
    const { fs, requests } = await openDirect();
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    requests.length = 0;
    await fs.write(handle, 0, Buffer.from('hello'), NOT_PAGES);
    expect(requests).toEqual([]);
    expect((await readAll(fs, handle)).toString()).toBe('hello');
    await fs.flush(handle);
    await fs.release(handle);
  });

  it('sends small sequential writes as one request, with the FSTAT right behind it', async () => {
    const { fs, requests } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    requests.length = 0;
    for (let at = 0; at < 100; at += 1) await fs.write(handle, at * 10, Buffer.alloc(10, at), NOT_PAGES);
    await fs.flush(handle);
    expect(requests).toEqual(['write', 'fstat']);
    await fs.release(handle);
  });

  it('has everything on the server when close returns', async () => {
    const { fs, disk } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    const data = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => at % 251));
    for (let at = 0; at < data.length; at += 70_000) {
      await fs.write(handle, at, data.subarray(at, at + 70_000), NOT_PAGES);
    }
    await fs.flush(handle);
    expect((await readFile(join(disk, 'f'))).equals(data)).toBe(true);
    await fs.release(handle);
  });

  it('beyond what can be counted is EFBIG, a cut as well, and changes nothing; there is nothing to read', async () => {
    const { fs, disk, requests } = await openDirect();
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(handle, 0, Buffer.from('hello'), NOT_PAGES);
    await fs.flush(handle);
    requests.length = 0;
    const far = Number.MAX_SAFE_INTEGER;
    const tooBig = { code: 'EFBIG' };
    await expect(fs.write(handle, far, Buffer.from('x'), NOT_PAGES)).rejects.toMatchObject(tooBig);
    await expect(fs.setattr({ path: path('f'), handle }, { size: far })).rejects.toMatchObject(tooBig);
    expect(requests).toEqual([]);
    expect(await readAll(fs, handle, far, 10)).toHaveLength(0);
    await fs.flush(handle);
    await fs.release(handle);
    expect(await readFile(join(disk, 'f'), 'utf8')).toBe('hello');
  });

  it('bounds what is not confirmed: writers wait', async () => {
    const { fs, before } = await openDirect({ dirtyBytes: 1 << 20 });
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    before.set('write', () => held);
    let written = 0;
    const writer = (async () => {
      for (let at = 0; at < 16; at += 1) {
        await fs.write(handle, at << 18, Buffer.alloc(1 << 18), NOT_PAGES);
        written += 1;
      }
    })();
    await expect.poll(() => fs.status().dirtyBytes).toBeGreaterThan(1 << 20);
    expect(written).toBeLessThan(6);
    release();
    await writer;
    await fs.flush(handle);
    expect(fs.status().dirtyBytes).toBe(0);
    await fs.release(handle);
  });

  it('sends a buffered tail by itself after a moment', async () => {
    const { fs, disk } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    await fs.write(handle, 0, Buffer.from('line\n'), NOT_PAGES);
    await expect.poll(() => readFile(join(disk, 'f'), 'utf8'), { timeout: 3000 }).toBe('line\n');
    await fs.release(handle);
  });

  it('waits for each write with sshfs_sync, and with O_SYNC', async () => {
    for (const [options, flags] of [
      [{ syncWrites: true }, O_WRONLY],
      [{}, O_WRONLY | O_SYNC],
    ] as const) {
      const { fs, disk } = await openDirect(options);
      const { handle } = await fs.create(path('f'), flags, 0o644);
      await fs.write(handle, 0, Buffer.from('x'), NOT_PAGES);
      expect(await readFile(join(disk, 'f'), 'utf8')).toBe('x');
      await fs.release(handle);
    }
  });
});

describe('a refused write', () => {
  it('is told at close, once', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    before.set('write', NO_SPACE);
    await fs.write(handle, 0, Buffer.from('x'), NOT_PAGES);
    await expect(fs.flush(handle)).rejects.toMatchObject({ code: 'ENOSPC' });
    await fs.flush(handle);
    await fs.release(handle);
    expect(await fs.flushAll()).toEqual([]);
  });

  it('is told at fsync', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    before.set('write', NO_SPACE);
    await fs.write(handle, 0, Buffer.from('x'), NOT_PAGES);
    await expect(fs.fsync(handle)).rejects.toMatchObject({ code: 'ENOSPC' });
    await fs.release(handle);
  });

  it('is told at the next write, if that comes first', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    before.set('write', NO_SPACE);
    await fs.write(handle, 0, Buffer.alloc(300_000), NOT_PAGES);
    await expect.poll(() => fs.status().dirtyBytes).toBeLessThan(300_000);
    await expect(fs.write(handle, 0, Buffer.from('x'), NOT_PAGES)).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    before.clear();
    await fs.flush(handle);
    await fs.release(handle);
  });

  it.each([
    ['buffered', false],
    ['sent at once', true],
  ])('is told twice where it goes on where the last one ended, %s', async (_how, syncWrites) => {
    const { fs, before } = await openDirect({ syncWrites });
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    const part = Buffer.alloc(131_072);
    if (!syncWrites) before.set('write', NO_SPACE);
    await fs.write(handle, 0, part, NOT_PAGES);
    before.set('write', NO_SPACE);
    await expect.poll(() => fs.status().dirtyBytes).toBe(0);
    const full = { code: 'ENOSPC' };
    await expect(fs.write(handle, part.length, part, NOT_PAGES)).rejects.toMatchObject(full);
    await expect(fs.write(handle, part.length, part, NOT_PAGES)).rejects.toMatchObject(full);
    before.clear();
    await fs.write(handle, part.length, part, NOT_PAGES);
    await fs.flush(handle);
    await fs.release(handle);
  });

  it('is told to every descriptor that writes to the file, and to no reader', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('f'), O_WRONLY, 0o644);
    const second = await fs.open(path('f'), O_RDWR);
    const reader = await fs.open(path('f'), O_RDONLY);
    before.set('write', NO_SPACE);
    await fs.write(handle, 0, Buffer.from('x'), NOT_PAGES);
    await expect(fs.flush(handle)).rejects.toMatchObject({ code: 'ENOSPC' });
    await expect(fs.flush(second.handle)).rejects.toMatchObject({ code: 'ENOSPC' });
    await fs.flush(reader.handle);
    for (const each of [handle, second.handle, reader.handle]) await fs.release(each);
  });

  it('is not shown any longer: size and content go back to the server’s', async () => {
    const { fs, before, forgotten } = await openDirect();
    const { handle } = await fs.create(path('f'), O_RDWR, 0o644);
    await fs.write(handle, 0, Buffer.from('good'), NOT_PAGES);
    await fs.flush(handle);
    before.set('write', NO_SPACE);
    await fs.write(handle, 0, Buffer.from('never arrives'), NOT_PAGES);
    await expect(fs.flush(handle)).rejects.toMatchObject({ code: 'ENOSPC' });
    const { attributes } = await fs.getattr({ path: path('f'), handle: null });
    expect(attributes.size).toBe(4);
    expect((await readAll(fs, handle)).toString()).toBe('good');
    expect(forgotten).toContain('data f');
    await fs.release(handle);
  });

  it('is reported by name and size when no program was left to be told', async () => {
    const { fs, before } = await openDirect();
    const { handle } = await fs.create(path('dir-less'), O_WRONLY, 0o644);
    before.set('write', NO_SPACE);
    await fs.write(handle, 0, Buffer.from('12345'), NOT_PAGES);
    await fs.release(handle);
    expect(await fs.flushAll()).toMatchObject([{ path: 'dir-less', bytes: 5 }]);
  });
});

describe('appending', () => {
  it('goes to the end as it was at open, not to where the kernel thinks it is', async () => {
    const { fs, forgotten } = await openDirect();
    const first = await fs.create(path('log'), O_WRONLY | O_APPEND, 0o644);
    await fs.write(first.handle, 0, Buffer.from('one\n'), NOT_PAGES);
    const second = await fs.open(path('log'), O_RDWR | O_APPEND);
    await fs.write(second.handle, 0, Buffer.from('two\n'), NOT_PAGES);
    await fs.write(first.handle, 4, Buffer.from('three\n'), NOT_PAGES);
    expect((await readAll(fs, second.handle)).toString()).toBe('one\ntwo\nthree\n');
    expect(forgotten).toContain('data log');
    for (const { handle } of [first, second]) {
      await fs.flush(handle);
      await fs.release(handle);
    }
  });

  it('leaves pages that the kernel writes back where they belong', async () => {
    const { fs, disk } = await openDirect();
    const { handle } = await fs.create(path('map'), O_RDWR | O_APPEND, 0o644);
    await fs.write(handle, 0, Buffer.from('aaaa'), NOT_PAGES);
    await fs.write(handle, 0, Buffer.from('b'), { fromPageCache: true });
    await fs.flush(handle);
    expect(await readFile(join(disk, 'map'), 'utf8')).toBe('baaa');
    await fs.release(handle);
  });

  it('is known without asking the server, as long as nobody was told', async () => {
    const { fs, before } = await openDirect();
    const held = await fs.create(path('held'), O_WRONLY, 0o644);
    await fs.write(held.handle, 0, Buffer.alloc(700), NOT_PAGES);
    expect(fs.unsent()).toEqual([
      { path: 'held', bytes: 700, error: 'not confirmed by the server', isLost: false },
    ]);
    await fs.flush(held.handle);
    expect(fs.unsent()).toEqual([]);
    before.set('write', NO_SPACE);
    await fs.write(held.handle, 0, Buffer.alloc(5), NOT_PAGES);
    await fs.release(held.handle);
    expect(fs.unsent()).toMatchObject([{ path: 'held', bytes: 5 }]);
    expect(fs.unsent(), 'nothing counts as told').toHaveLength(1);
    await fs.flushAll();
    expect(fs.unsent(), 'an answer is not a person').toHaveLength(1);
    fs.told();
    expect(fs.unsent()).toEqual([]);
  });
});
