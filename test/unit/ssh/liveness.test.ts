/** The rule and the class on a clock of the test's; the connection against servers that stop. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import type { Connection } from '../../../src/ssh/connection.js';
import { due, Liveness, type Signs } from '../../../src/ssh/liveness.js';
import { Scope } from '../../support/scope.js';
import { PASSWORD, person, SshFixture, settings } from '../../support/ssh-fixture.js';
import { Sshd } from '../../support/sshd.js';

const patience = { interval: 100, countMax: 3 };
const calm: Signs = { heardAt: 0, askedAt: -Infinity, asked: 0, answerBy: Infinity };

test.each<[string, Partial<Signs>, number, ReturnType<typeof due>]>([
  ['heard of just now', {}, 0, 100],
  ['heard of not long ago', {}, 99, 100],
  ['quiet for an interval', {}, 100, 'ask'],
  ['asked', { askedAt: 100, asked: 1 }, 150, 200],
  ['an answer that does not come', { askedAt: 100, asked: 1 }, 200, 'ask'],
  ['the last question', { askedAt: 300, asked: 3 }, 399, 400],
  ['no answer to it', { askedAt: 300, asked: 3 }, 400, 'lost'],
  ['a question that went out late', { askedAt: 900, asked: 1 }, 950, 1000],
  ['probed', { askedAt: 20, asked: 1, answerBy: 60 }, 20, 60],
  ['probed, and nothing comes', { askedAt: 20, asked: 1, answerBy: 60 }, 60, 'lost'],
  ['probed with more time than the questions have', { askedAt: 20, asked: 1, answerBy: 500 }, 119, 120],
])('%s', (_what, signs, now, expected) => {
  expect(due({ ...calm, ...signs }, patience, now)).toBe(expected);
});

test('without an interval nothing is ever due but the answer to a probe', () => {
  const never = { interval: 0, countMax: 3 };
  expect(due(calm, never, 1e9)).toBe(Infinity);
  expect(due({ ...calm, askedAt: 5, asked: 1, answerBy: 60 }, never, 59)).toBe(60);
  expect(due({ ...calm, askedAt: 5, asked: 1, answerBy: 60 }, never, 60)).toBe('lost');
});

describe('the watch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watch(changes: Partial<typeof patience> = {}) {
    const events: string[] = [];
    const started = performance.now();
    // Each immediate takes a millisecond of this clock.
    const time = () => Math.floor((performance.now() - started) / 10) * 10;
    const note = (what: string) => void events.push(`${time()} ${what}`);
    const liveness = new Liveness({
      clock: systemClock,
      ...patience,
      ...changes,
      ask: () => note('ask'),
      onSilence: (silent) => note(silent ? 'silent' : 'heard again'),
      onLost: () => note('lost'),
    });
    return { liveness, events };
  }

  test('asks, tells silence, and gives up', () => {
    const { events } = watch();
    vi.advanceTimersByTime(1000);
    expect(events).toEqual(['100 ask', '200 silent', '200 ask', '300 ask', '400 lost']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('hears the server again, and begins anew', () => {
    const { liveness, events } = watch();
    vi.advanceTimersByTime(350);
    liveness.heard();
    liveness.heard();
    vi.advanceTimersByTime(320);
    expect(events.slice(4)).toEqual(['350 heard again', '450 ask', '550 silent', '550 ask', '650 ask']);
  });

  test('asks nothing while data flows, and the answer to a question is no news', () => {
    const { liveness, events } = watch();
    for (let time = 0; time < 1000; time += 50) {
      liveness.heard();
      vi.advanceTimersByTime(50);
    }
    expect(events).toEqual([]);
    vi.advanceTimersByTime(60);
    liveness.heard();
    vi.advanceTimersByTime(90);
    expect(events).toEqual(['1050 ask']);
  });

  test('of a probe: heard in time, or lost', () => {
    const { liveness, events } = watch({ interval: 0 });
    vi.advanceTimersByTime(1000);
    liveness.probe(40);
    vi.advanceTimersByTime(39);
    liveness.heard();
    vi.advanceTimersByTime(961);
    expect(events).toEqual(['1000 ask']);
    liveness.probe(40);
    liveness.probe(400);
    vi.advanceTimersByTime(1000);
    expect(events.slice(1)).toEqual(['2000 ask', '2000 ask', '2040 lost']);
  });

  test('what arrived while the process stood still counts, though a timer comes before it', () => {
    const { liveness, events } = watch({ countMax: 1 });
    vi.advanceTimersByTime(150);
    vi.advanceTimersToNextTimer();
    liveness.heard();
    vi.advanceTimersByTime(90);
    expect(events).toEqual(['100 ask']);
  });

  test('stopped: nothing more', () => {
    const { liveness, events } = watch();
    vi.advanceTimersByTime(250);
    liveness.stop();
    liveness.probe(10);
    liveness.heard();
    vi.advanceTimersByTime(1000);
    expect(events).toEqual(['100 ask', '200 silent', '200 ask']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('of a connection', () => {
  const ssh = new SshFixture();

  function observed(connection: Connection) {
    const silences: boolean[] = [];
    let lost: string | null = null;
    connection.onSilence((silent) => void silences.push(silent));
    connection.onClose((reason) => {
      lost = reason?.message ?? 'closed';
    });
    return {
      silences,
      get lost() {
        return lost;
      },
    };
  }

  test('that is idle: questions are answered, and nothing is told', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD, serverAliveInterval: 0.05 });
    const seen = observed(connection);
    const started = performance.now();
    await vi.waitUntil(() => performance.now() - started > 600);
    expect(seen).toMatchObject({ silences: [], lost: null });
  });

  test('that is frozen: silence, and the end', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, {
      password: PASSWORD,
      serverAliveInterval: 0.1,
      serverAliveCountMax: 2,
    });
    const seen = observed(connection);
    server.freeze();
    await vi.waitUntil(() => seen.silences.length > 0);
    expect(seen).toMatchObject({ silences: [true], lost: null });
    await vi.waitUntil(() => seen.lost);
    expect(seen).toMatchObject({ silences: [true], lost: expect.stringContaining('stopped answering') });
  });

  test('that asks for nothing by itself: a probe finds out', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD, serverAliveInterval: 0 });
    const seen = observed(connection);
    for (let round = 0; round < 3; round++) {
      connection.probe(200);
      await (await connection.openSftp()).destroy();
    }
    const started = performance.now();
    await vi.waitUntil(() => performance.now() - started > 300);
    expect(seen.lost).toBeNull();
    server.freeze();
    connection.probe(200);
    await vi.waitUntil(() => seen.lost);
    expect(seen).toMatchObject({ silences: [], lost: expect.stringContaining('stopped answering') });
    connection.probe(200);
  });

  test('that exchanges keys all the time: questions in between do no harm', async () => {
    const server = await ssh.serve();
    const connection = await ssh.login(server, { password: PASSWORD, serverAliveInterval: 0 });
    const stream = await connection.openSftp();
    const bytes = Buffer.from(Uint32Array.from({ length: 1 << 18 }, (_, i) => i * 2654435761).buffer);
    let missing = 0;
    let matches = true;
    stream.on('data', (data: Buffer) => {
      const at = bytes.length - missing;
      matches &&= data.equals(bytes.subarray(at, at + data.length));
      missing -= data.length;
    });
    for (let round = 0; round < 5; round++) {
      missing = bytes.length;
      stream.write(bytes);
      server.rekey();
      for (let asked = 0; asked < 50 || missing > 0; asked++) {
        connection.probe(10_000);
        await new Promise(setImmediate);
      }
      expect(matches).toBe(true);
    }
  });

  test('to a real sshd that is stopped, goes on, and is stopped again', async () => {
    const scope = await Scope.open('liveness');
    try {
      const sshd = await Sshd.start(scope);
      const given = settings(sshd.port, {
        user: sshd.user,
        identityFiles: [sshd.keyFile],
        userKnownHostsFiles: [sshd.knownHosts],
        serverAliveInterval: 0.3,
        serverAliveCountMax: 4,
      });
      const connection = await ssh.reach(given, person());
      const seen = observed(connection);
      const sessions = await sshd.sessions();
      const signal = (name: NodeJS.Signals) => {
        for (const pid of sessions) {
          try {
            process.kill(pid, name);
          } catch {
            // One that only helped with the login has ended.
          }
        }
      };
      signal('SIGSTOP');
      try {
        await vi.waitUntil(() => seen.silences.length > 0, { timeout: 5000 });
        signal('SIGCONT');
        await vi.waitUntil(() => seen.silences.length > 1, { timeout: 5000 });
        expect(seen).toMatchObject({ silences: [true, false], lost: null });
        (await connection.openSftp()).destroy();

        const stopped = performance.now();
        signal('SIGSTOP');
        await vi.waitUntil(() => seen.lost, { timeout: 10_000 });
        expect(seen).toMatchObject({
          silences: [true, false, true],
          lost: expect.stringContaining('stopped answering'),
        });
        // Five intervals of quiet, and some time for a machine with much to do.
        expect(performance.now() - stopped).toBeGreaterThan(1200);
        expect(performance.now() - stopped).toBeLessThan(8000);
      } finally {
        signal('SIGCONT');
      }
    } finally {
      await scope.close();
    }
  });
});
