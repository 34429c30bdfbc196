/** What calls see while the server cannot be reached, and when it is tried again. */
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY, O_TRUNC, O_WRONLY } from '../../../src/base/mode.js';
import { ConnectionLostError } from '../../../src/sftp/errors.js';
import {
  type DirectFileSystem,
  NOT_PAGES,
  openDirect,
  path,
  readAll,
  serverFile,
} from '../../support/direct-filesystem.js';

const UNREACHABLE = new Error('unreachable');

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Time passes, for timers and for the clock of the mount alike. */
async function pass({ clock }: DirectFileSystem, milliseconds: number): Promise<void> {
  const step = 250;
  for (let left = milliseconds; left > 0; left -= step) {
    clock.advance(Math.min(step, left));
    await vi.advanceTimersByTimeAsync(Math.min(step, left));
    // Answers come in real time: those that are on their way arrive before the next step.
    for (let turn = 0; turn < 4; turn += 1) await stat('/');
  }
}

/** Real turns of the event loop and of the disk, until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn += 1) {
    if (turn === 5000) throw new Error('it does not come about');
    await stat('/');
  }
}

async function offline(timeout = 60_000, recovery = {}): Promise<DirectFileSystem> {
  const direct = await openDirect({}, {}, { timeout, recovery });
  direct.link.refusal = UNREACHABLE;
  await serverFile(direct.disk, 'file', 'content');
  return direct;
}

/** The outcome of a call so far. */
function watch(call: Promise<unknown>): { outcome: string } {
  const seen = { outcome: 'waits' };
  call.then(
    () => {
      seen.outcome = 'done';
    },
    (error: { code?: string }) => {
      seen.outcome = error.code ?? String(error);
    },
  );
  return seen;
}

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
    expect(direct.fs.unsent()).toEqual([{ path: 'new', bytes: 8, error: expect.any(String) }]);
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
    expect(unsent).toEqual([{ path: 'new', bytes: 8, error: expect.any(String) }]);
    direct.link.refusal = null;
    direct.link.session.hurry();
    await until(() => direct.link.session.state === 'connected');
    await direct.fs.flush(handle);
    await direct.fs.release(handle);
  });
});

describe('the session', () => {
  it('tells its state, why, how often it tried and when it tries next', async () => {
    const direct = await offline();
    const { session } = direct.link;
    expect(session.status()).toMatchObject({ state: 'connected', reason: null, attempts: 0, retryAt: null });
    session.drop('gone');
    expect(session.status()).toMatchObject({ state: 'offline', reason: 'gone' });
    await pass(direct, 2000);
    const { state, reason, attempts, retryAt } = session.status();
    expect({ state, reason }).toEqual({ state: 'offline', reason: 'unreachable' });
    expect(attempts).toBeGreaterThan(2);
    expect(retryAt).toBeGreaterThan(direct.clock.now());
  });

  it('gives up after reconnect_max tries; then calls fail at once, until somebody asks again', async () => {
    const direct = await offline(60_000, { reconnectMax: 3 });
    const { session } = direct.link;
    session.drop('gone');
    const call = watch(direct.fs.lookup(path('file')));
    await pass(direct, 10_000);
    expect(direct.link.tries).toBe(3);
    expect(call.outcome).toBe('EHOSTDOWN');
    await expect(direct.fs.lookup(path('file'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
    direct.link.refusal = null;
    session.hurry();
    await until(() => direct.link.session.state === 'connected');
    expect((await direct.fs.lookup(path('file'))).attributes?.size).toBe(7);
  });

  it('does not try again where only a person can help', async () => {
    const direct = await offline();
    direct.link.refusal = new Error('who are you?');
    direct.link.session.drop('gone');
    await pass(direct, 100_000);
    expect(direct.link.tries).toBe(1);
    expect(direct.link.session.status()).toMatchObject({
      state: 'offline',
      needsPerson: true,
      retryAt: null,
    });
    await expect(direct.fs.lookup(path('file'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
  });

  it('tries what was accepted before again after a long while; meanwhile calls fail at once', async () => {
    const direct = await offline(60_000, { repeatAfter: () => 180_000, reconnectMax: 4 });
    const { link } = direct;
    link.refusal = new Error('who are you?');
    link.session.drop('gone');
    await pass(direct, 179_000);
    expect(link.tries).toBe(1);
    expect(link.session.status()).toMatchObject({ state: 'offline', needsPerson: true });
    expect(link.session.status().retryAt).toBeGreaterThan(direct.clock.now());
    await expect(direct.fs.lookup(path('file'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
    await pass(direct, 181_000);
    expect(link.tries).toBe(3);
    expect(link.reports.filter((text) => text.includes('that needs a person'))).toHaveLength(1);
    link.refusal = null;
    await pass(direct, 180_000);
    await until(() => link.session.state === 'connected');
    expect((await direct.fs.lookup(path('file'))).attributes?.size).toBe(7);
    link.refusal = new Error('who are you?');
    link.session.drop('gone');
    await pass(direct, 2_000_000);
    expect(link.tries).toBe(8);
    expect(link.session.status()).toMatchObject({ needsPerson: true, retryAt: null });
    expect(link.reports.at(-1)).toMatch(/given up after 4 tries/);
  });

  it('stays lost with no_reconnect', async () => {
    const direct = await offline(60_000, { reconnect: false });
    direct.link.session.drop('gone');
    await pass(direct, 100_000);
    expect(direct.link.tries).toBe(0);
    await expect(direct.fs.lookup(path('file'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
  });

  it('recovers from a connection that is lost during recovery', async () => {
    const direct = await offline();
    const { handle } = await direct.fs.open(path('file'), O_RDONLY);
    direct.link.refusal = null;
    let losses = 0;
    direct.before.set('open', async () => {
      losses += 1;
      if (losses < 4) direct.link.cut();
    });
    direct.link.session.drop('gone');
    for (let tries = 0; tries < 100 && losses < 4; tries += 1) await pass(direct, 1000);
    await until(() => direct.link.session.state === 'connected');
    expect(losses).toBe(4);
    expect((await readAll(direct.fs, handle)).toString()).toBe('content');
    await direct.fs.release(handle);
  });

  it('is brought back by one try alone, when a person asks while another is under way', async () => {
    const direct = await offline();
    await serverFile(direct.disk, 'other', 'another');
    const files = await Promise.all(['file', 'other'].map((name) => direct.fs.open(path(name), O_RDONLY)));
    const { link } = direct;
    link.refusal = null;
    // The first try makes a client ready at its leisure.
    const ready = deferred<void>();
    direct.before.set('fstat', () => ready.promise);
    link.session.drop('gone');
    await until(() => direct.requests.includes('fstat'));
    const asked = watch(link.session.connect(() => link.open()));
    await stat('/');
    direct.before.delete('fstat');
    ready.resolve();
    await until(() => asked.outcome !== 'waits');
    expect(asked.outcome).toBe('done');
    expect(link.tries).toBe(1);
    expect(link.session.state).toBe('connected');
    for (const [n, { handle }] of files.entries()) {
      expect((await readAll(direct.fs, handle)).toString()).toBe(['content', 'another'][n]);
      await direct.fs.release(handle);
    }
  });

  it('is told when the server is silent, and a call that needs it waits no longer than it may', async () => {
    const direct = await offline();
    const { session } = direct.link;
    let answer = () => {};
    direct.before.set(
      'lstat',
      () =>
        new Promise<void>((resolve) => {
          answer = resolve;
        }),
    );
    const call = watch(direct.fs.lookup(path('file')));
    session.setSilent(true);
    expect(session.state).toBe('degraded');
    session.setSilent(false);
    expect(session.state).toBe('connected');
    session.setSilent(true);
    await pass(direct, 59_000);
    expect(session.state).toBe('degraded');
    await pass(direct, 2000);
    expect(session.state).not.toBe('degraded');
    direct.before.delete('lstat');
    answer();
    await until(() => call.outcome !== 'waits');
    expect(call.outcome).toBe('ETIMEDOUT');
  });
});
