import { describe, expect, test } from 'vitest';
import { fromAutossh } from '../../../src/config/autossh.js';

const NOTHING = {
  connectRetry: false,
  reconnectMax: null,
  longestPause: null,
  maxLifetime: null,
  logFile: null,
  pidFile: null,
  debug: false,
};

describe("autossh's variables", () => {
  test('none, and empty ones', () => {
    expect(fromAutossh({}, '/d')).toEqual(NOTHING);
    expect(fromAutossh({ AUTOSSH_MAXSTART: '', AUTOSSH_LOGFILE: '', AUTOSSH_GATETIME: '30' }, '/d')).toEqual(
      NOTHING,
    );
  });

  test('all that count', () => {
    const environment = {
      AUTOSSH_GATETIME: '0',
      AUTOSSH_MAXSTART: '5',
      AUTOSSH_POLL: '600',
      AUTOSSH_MAXLIFETIME: '3600',
      AUTOSSH_LOGFILE: 'mount.log',
      AUTOSSH_PIDFILE: '/run/mount.pid',
      AUTOSSH_DEBUG: '1',
    };
    expect(fromAutossh(environment, '/d')).toEqual({
      connectRetry: true,
      reconnectMax: 5,
      longestPause: 600,
      maxLifetime: 3600,
      logFile: '/d/mount.log',
      pidFile: '/run/mount.pid',
      debug: true,
    });
  });

  test('a bound of -1 or 0 is none, the log level of debugging counts, nonsense is refused', () => {
    expect(fromAutossh({ AUTOSSH_MAXSTART: '-1', AUTOSSH_MAXLIFETIME: '0' }, '/d')).toEqual(NOTHING);
    expect(fromAutossh({ AUTOSSH_LOGLEVEL: '7' }, '/d').debug).toBe(true);
    expect(fromAutossh({ AUTOSSH_LOGLEVEL: '6' }, '/d').debug).toBe(false);
    expect(() => fromAutossh({ AUTOSSH_POLL: 'often' }, '/d')).toThrow(
      'AUTOSSH_POLL=often is not a whole number',
    );
  });
});
