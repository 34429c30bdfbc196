/** A session whose connection is lost: when it is tried again, how often, and what it tells of that. */
import { stat } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { O_RDONLY } from '../../../src/base/mode.js';
import { path, readAll, serverFile } from '../../support/direct-filesystem.js';
import { offline, pass, until, useFakeTimers, watch } from '../../support/waiting.js';

useFakeTimers();

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
