/** What a service manager is told, and at which address. */
import { describe, expect, it } from 'vitest';
import { socketName, statusLine, watchdogPause } from '../../../../src/cli/system/notify.js';
import type { LinkStatus } from '../../../../src/recovery/session.js';

describe('socketName', () => {
  it('is a path with its NUL, or an abstract name behind one', () => {
    expect(socketName('/run/systemd/notify')).toEqual(Buffer.from('/run/systemd/notify\0'));
    expect(socketName('@/org/manager')).toEqual(Buffer.from('\0/org/manager'));
    expect(socketName(`/${'x'.repeat(106)}`)).toHaveLength(108);
  });

  it.each([undefined, '', '@', '/', 'relative', 'vsock:2:1234', '/a\0b', `/${'x'.repeat(107)}`])(
    'is none for %j',
    (value) => {
      expect(socketName(value)).toBeNull();
    },
  );
});

describe('watchdogPause', () => {
  const NOTIFY_SOCKET = '/run/systemd/notify';

  it('is half of the time, in milliseconds', () => {
    expect(watchdogPause({ NOTIFY_SOCKET, WATCHDOG_USEC: '30000000' })).toBe(15_000);
    expect(watchdogPause({ NOTIFY_SOCKET, WATCHDOG_USEC: '1' })).toBe(1);
  });

  it.each([undefined, '', '0', '-5', 'soon', '1e400'])('is none for %j', (WATCHDOG_USEC) => {
    expect(
      watchdogPause({ NOTIFY_SOCKET, ...(WATCHDOG_USEC === undefined ? {} : { WATCHDOG_USEC }) }),
    ).toBeNull();
  });

  it('is none where nobody listens', () => {
    expect(watchdogPause({ WATCHDOG_USEC: '30000000' })).toBeNull();
  });
});

describe('statusLine', () => {
  const status = (change: Partial<LinkStatus>): string =>
    statusLine('me@host:', '/mnt', {
      state: 'connected',
      since: 0,
      reason: null,
      attempts: 0,
      retryAt: null,
      needsPerson: false,
      ...change,
    });

  it('says how the connection is, in one line', () => {
    expect(status({})).toBe('me@host:: connected');
    expect(status({ state: 'degraded' })).toBe('me@host:: the server does not answer');
    const reason = 'host refuses\nthe connection';
    for (const state of ['offline', 'connecting'] as const) {
      expect(status({ state, reason })).toBe('me@host:: offline (host refuses?the connection)');
    }
    expect(status({ state: 'offline', needsPerson: true })).toBe(
      'me@host:: offline; it needs you: remora reconnect /mnt',
    );
  });
});
