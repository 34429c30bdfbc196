/** What calls see while the server cannot be reached. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import { ConnectionLostError } from '../../../src/sftp/errors.js';
import { NOT_PAGES, openDirect, path, readAll } from '../../support/direct-filesystem.js';
import { offline, pass, UNREACHABLE, until, useFakeTimers, watch } from '../../support/waiting.js';

useFakeTimers();

describe('a call while the server cannot be reached', () => {
  it('waits for it and goes on when it is back', async () => {
    const direct = await offline();
    direct.link.session.drop('lost');
    const call = watch(direct.fs.lookup(path('file')));
    await pass(direct, 30_000);
    expect(call.outcome).toBe('waits');
    direct.link.refusal = null;
    await pass(direct, 20_000);
    await until(() => call.outcome !== 'waits');
    expect(call.outcome).toBe('done');
    expect(direct.link.session.state).toBe('connected');
  });

  it('fails with ETIMEDOUT after its time, and later calls work', async () => {
    const direct = await offline();
    direct.link.session.drop('lost');
    const early = watch(direct.fs.lookup(path('file')));
    await pass(direct, 30_000);
    const late = watch(direct.fs.lookup(path('another')));
    await pass(direct, 29_500);
    expect([early.outcome, late.outcome]).toEqual(['waits', 'waits']);
    await pass(direct, 1000);
    expect([early.outcome, late.outcome]).toEqual(['ETIMEDOUT', 'waits']);
    direct.link.refusal = null;
    await pass(direct, 31_000);
    await until(() => late.outcome !== 'waits');
    expect(late.outcome).toBe('done');
  });

  it('counts all outages that it has seen, when the server comes and goes', async () => {
    const direct = await offline();
    direct.before.set('lstat', async () => {
      direct.link.refusal = UNREACHABLE;
      direct.link.session.drop('gone again');
      throw new ConnectionLostError('gone again');
    });
    const call = watch(direct.fs.lookup(path('file')));
    // Each of them is shorter than what the call may wait.
    for (let outage = 0; outage < 5 && call.outcome === 'waits'; outage += 1) {
      await until(() => direct.link.session.state !== 'connected');
      await pass(direct, 15_000);
      direct.link.refusal = null;
      await pass(direct, 10_000);
    }
    expect(call.outcome).toBe('ETIMEDOUT');
    direct.before.delete('lstat');
  });

  it('fails at once with EHOSTDOWN on a soft mount', async () => {
    const direct = await offline(0);
    direct.link.session.drop('lost');
    await expect(direct.fs.lookup(path('file'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
  });

  it('waits for ever on a hard one', async () => {
    const direct = await offline(Number.POSITIVE_INFINITY);
    direct.link.session.drop('lost');
    const call = watch(direct.fs.lookup(path('file')));
    await pass(direct, 3_600_000);
    expect(call.outcome).toBe('waits');
    direct.link.refusal = null;
    await pass(direct, 31_000);
    await until(() => call.outcome !== 'waits');
    expect(call.outcome).toBe('done');
  });

  it('is answered from what is known, as long as that may be trusted', async () => {
    const direct = await offline();
    await direct.fs.lookup(path('file'));
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    await readAll(direct.fs, handle);
    direct.link.session.drop('lost');
    expect((await direct.fs.lookup(path('file'))).attributes?.size).toBe(7);
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });

  it('that shares what another began to fetch waits no longer than its time, should that one have closed', async () => {
    const direct = await offline();
    const { fs } = direct;
    const first = await fs.open(path('file'), O_RDONLY);
    const second = await fs.open(path('file'), O_RDONLY);
    direct.link.session.drop('lost');
    const early = watch(fs.read(first.handle, 0, 7));
    await pass(direct, 30_000);
    const late = watch(fs.read(second.handle, 0, 7));
    await fs.release(first.handle);
    await pass(direct, 59_500);
    expect([early.outcome, late.outcome]).toEqual(['ETIMEDOUT', 'ETIMEDOUT']);
    await fs.release(second.handle);
  });

  it('that would empty an open file waits no longer than others, and the file is what it was', async () => {
    const direct = await offline();
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    direct.link.session.drop('lost');
    const call = watch(direct.fs.open(path('file'), O_WRONLY | O_TRUNC));
    await pass(direct, 61_000);
    expect(call.outcome).toBe('ETIMEDOUT');
    direct.link.refusal = null;
    direct.link.session.hurry();
    await until(() => direct.link.session.state === 'connected');
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });

  it('that would change something is not carried out after its program was told', async () => {
    const direct = await offline();
    direct.link.session.drop('lost');
    const call = watch(direct.fs.mkdir(path('late'), 0o755));
    await pass(direct, 61_000);
    expect(call.outcome).toBe('ETIMEDOUT');
    direct.link.refusal = null;
    direct.link.session.hurry();
    await until(() => direct.link.session.state === 'connected');
    expect((await direct.fs.lookup(path('late'))).attributes).toBeNull();
  });
});

describe('written data while the server cannot be reached', () => {
  it('is kept when close fails, named as unsent, and sent when the server is back', async () => {
    const direct = await offline();
    const { handle } = await direct.fs.create(path('new'), O_WRONLY, 0o644);
    direct.link.session.drop('lost');
    await direct.fs.write(handle, 0, Buffer.from('precious'), NOT_PAGES);
    const close = watch(direct.fs.flush(handle));
    await pass(direct, 61_000);
    expect(close.outcome).toBe('ETIMEDOUT');
    const released = watch(direct.fs.release(handle));
    await pass(direct, 100_000);
    expect(direct.fs.unsent()).toEqual([{ path: 'new', bytes: 8, error: expect.any(String), isLost: false }]);
    expect(released.outcome).toBe('waits');
    direct.link.refusal = null;
    await pass(direct, 31_000);
    await until(() => released.outcome !== 'waits');
    expect(released.outcome).toBe('done');
    expect(direct.fs.unsent()).toEqual([]);
    expect(readFileSync(join(direct.disk, 'new'), 'utf8')).toBe('precious');
  });

  it('does not grow beyond its bound: a write that finds no room in time fails and happens never', async () => {
    const direct = await openDirect({ dirtyBytes: 1_000_000 });
    direct.link.refusal = UNREACHABLE;
    const { handle } = await direct.fs.create(path('new'), O_WRONLY, 0o644);
    direct.link.session.drop('lost');
    const first = watch(direct.fs.write(handle, 0, Buffer.alloc(1_000_001, 'a'), NOT_PAGES));
    const refused = watch(direct.fs.write(handle, 1_000_001, Buffer.from('never'), NOT_PAGES));
    await pass(direct, 61_000);
    expect(first.outcome).toBe('done');
    expect(refused.outcome).toBe('ETIMEDOUT');
    direct.link.refusal = null;
    direct.link.session.hurry();
    await until(() => direct.link.session.state === 'connected');
    await direct.fs.flush(handle);
    await direct.fs.release(handle);
    expect(readFileSync(join(direct.disk, 'new'))).toHaveLength(1_000_001);
  });

  it('that waited for room, and whose program was told EINTR meanwhile, happens never', async () => {
    const direct = await openDirect({ dirtyBytes: 1_000_000 });
    direct.link.refusal = UNREACHABLE;
    const { handle } = await direct.fs.create(path('new'), O_WRONLY, 0o644);
    direct.link.session.drop('lost');
    await direct.fs.write(handle, 0, Buffer.alloc(1_000_001, 'a'), NOT_PAGES);
    const flags = { ...NOT_PAGES, isWanted: () => false };
    const given = watch(direct.fs.write(handle, 1_000_001, Buffer.from('never'), flags));
    direct.link.refusal = null;
    direct.link.session.hurry();
    await until(() => given.outcome !== 'waits');
    expect(given.outcome).toBe('EINTR');
    await direct.fs.flush(handle);
    await direct.fs.release(handle);
    expect(readFileSync(join(direct.disk, 'new'))).toHaveLength(1_000_001);
  });

  it('is answered for by flushAll in the time that a call may wait', async () => {
    const direct = await offline();
    const { handle } = await direct.fs.create(path('new'), O_WRONLY, 0o644);
    direct.link.session.drop('lost');
    await direct.fs.write(handle, 0, Buffer.from('precious'), NOT_PAGES);
    let unsent: readonly unknown[] | null = null;
    void direct.fs.flushAll().then((answer) => {
      unsent = answer;
    });
    await pass(direct, 59_000);
    expect(unsent).toBeNull();
    await pass(direct, 2000);
    expect(unsent).toEqual([{ path: 'new', bytes: 8, error: expect.any(String), isLost: false }]);
    direct.link.refusal = null;
    direct.link.session.hurry();
    await until(() => direct.link.session.state === 'connected');
    await direct.fs.flush(handle);
    await direct.fs.release(handle);
  });
});
