/** What the soak counts as wrong: claims about bytes, and the verdict on a run. */
import { describe, expect, it } from 'vitest';
import type { Report } from '../../soak/calls.js';
import { contradiction, deviation, exactly, firstWrong, stream } from '../../soak/claims.js';
import { type Evidence, judge, unmountTroubles } from '../../soak/judge.js';
import { namedIn, toldIn } from '../../soak/told.js';

const file = (bytes: Buffer) => ({ is: 'file', bytes }) as const;

describe('streams', () => {
  it('have the same byte at the same place, wherever one begins', () => {
    const whole = stream('s', 0, 1000);
    for (const at of [0, 1, 15, 16, 17, 500]) {
      expect(stream('s', at, 100).equals(whole.subarray(at, at + 100))).toBe(true);
    }
    expect(stream('t', 0, 1000).equals(whole)).toBe(false);
  });
});

describe('claims', () => {
  it('a confirmed file has exactly its bytes', () => {
    const claim = exactly('f', 's', 100);
    const bytes = stream('s', 0, 100);
    expect(contradiction(claim, file(bytes))).toBe(null);
    expect(contradiction(claim, file(bytes.subarray(1)))).toContain('99 bytes instead of 100');
    expect(contradiction(claim, file(Buffer.concat([bytes, bytes])))).toContain('200 bytes');
    expect(contradiction(claim, { is: 'absent' })).toContain('absent instead of file');
    bytes[70] = (bytes[70] ?? 0) ^ 1;
    expect(contradiction(claim, file(bytes))).toContain('byte 70');
  });

  it('a weaker claim has an excuse, and what contradicts that one as well has none', () => {
    const unless = { paths: ['f'], since: 0 };
    const weaker = [{ claim: { is: 'absent', path: 'f' } as const, unless }];
    const told = (bytes: Buffer | null) =>
      deviation([exactly('f', 's', 9)], weaker, bytes === null ? { is: 'absent' } : file(bytes));
    expect(told(stream('s', 0, 9))).toBe(null);
    expect(told(null)).toMatchObject({ unless });
    expect(told(stream('s', 0, 8))).toMatchObject({ what: expect.stringContaining('8 bytes'), unless: null });
  });

  it('what is in doubt may be any mixture of what it may hold, and nothing else', () => {
    const part = { offset: 10, length: 100, streams: ['s', 't'], zero: true };
    const mixed = Buffer.concat([stream('s', 10, 40), Buffer.alloc(10), stream('t', 60, 50)]);
    expect(firstWrong(part, mixed, 10)).toBe(null);
    expect(firstWrong({ ...part, zero: false }, mixed, 10)).toBeGreaterThanOrEqual(50);
    expect(firstWrong({ ...part, streams: ['s'] }, mixed, 10)).toBeGreaterThanOrEqual(60);
    expect(firstWrong(part, Buffer.concat([Buffer.from('anything'), mixed]), 2)).toBe(null);
  });
});

describe('the verdict', () => {
  const failed = {
    is: 'failed',
    worker: 'w',
    call: 'fsync f',
    begin: 1_000,
    end: 2_000,
    since: 500,
  } as const;
  const done: Report = {
    is: 'done',
    worker: 'w',
    calls: { write: 3 },
    longest: { call: 'write f', milliseconds: 900 },
    confirmed: 10,
    verified: 20,
  };
  const evidence: Evidence = {
    reports: [done],
    played: [],
    told: [],
    losses: [],
    troubles: [],
    bound: 1_000,
  };

  it('sums up a good run', () => {
    expect(judge({ ...evidence, reports: [done, { ...done, worker: 'v' }] })).toMatchObject({
      operations: { write: 6 },
      confirmedBytes: 20,
      verifiedBytes: 40,
      longestWait: { milliseconds: 900 },
      passed: true,
    });
  });

  it.each<[string, Partial<Evidence>]>([
    ['a loss', { losses: [{ worker: 'w', what: 'f: absent', unless: null }] }],
    ['a trouble', { troubles: ['w hangs'] }],
    ['an error that no fault explains', { reports: [done, { ...failed, errno: 'EIO' }] }],
    ['a full disk that was none', { reports: [done, { ...failed, errno: 'ENOSPC' }] }],
    [
      'a wrong answer',
      { reports: [done, { is: 'wrong', worker: 'w', at: 0, what: 'EEXIST', unless: null }] },
    ],
    ['a call that took too long', { bound: 899 }],
  ])('fails for %s', (_, more) => {
    expect(judge({ ...evidence, ...more }).passed).toBe(false);
  });

  const full = (begin: number, end: number) => [{ fault: 'full disk', begin, end }];
  const LOG = `2026-01-01T00:00:01.000Z remora: u@h:/d: connected again
2026-01-01T00:00:02.000Z remora: u@h:/d: w-1/f: write: no space left on device; the server answered status 4 (Failure)
2026-01-01T00:00:03.000Z remora: u@h:/d: data that the server did not take:
  w-1/f: 2 KiB (write: no space left on device)
2026-01-01T00:00:04.000Z remora: u@h:/d: /d/w-1/f is stale: gone
`;

  it('what the mount told is read from its log, line by line', () => {
    expect(toldIn(LOG, 'u@h:/d')).toEqual([
      {
        at: Date.parse('2026-01-01T00:00:02Z'),
        path: 'w-1/f',
        error: 'write: no space left on device; the server answered status 4 (Failure)',
      },
    ]);
    expect(namedIn(LOG)).toEqual(['w-1/f']);
  });

  it('what the mount told of a full disk excuses that file, from then on, and no other', () => {
    const told = [{ at: 3_000, path: 'w/f', error: 'write: no space left on device; status 4' }];
    const played = full(1_000, 2_500);
    const passes = (paths: readonly string[], since: number, more: Partial<Evidence> = {}) => {
      const wrong = { is: 'wrong', worker: 'w', at: 2_900, what: 'short', unless: { paths, since } } as const;
      const { unless } = wrong;
      const verdicts = [
        judge({ ...evidence, played, told, reports: [done, wrong], ...more }),
        judge({ ...evidence, played, told, losses: [{ worker: 'w', what: 'f: short', unless }], ...more }),
      ].map(({ passed }) => passed);
      expect(new Set(verdicts).size).toBe(1);
      return verdicts[0];
    };
    expect(passes(['e', 'f'], 2_000)).toBe(true);
    expect(passes(['f'], 3_001)).toBe(false);
    expect(passes(['e'], 2_000)).toBe(false);
    expect(passes(['f'], 2_000, { told: [] })).toBe(false);
    expect(passes(['f'], 2_000, { played: full(1_000, 1_500) })).toBe(false);
    expect(passes(['f'], 2_000, { told: [{ at: 3_000, path: 'w/f', error: 'write: EIO' }] })).toBe(false);
  });

  it('an fsync may tell what was told of another file before, and nothing else may', () => {
    const told = [{ at: 1_900, path: 'v/f', error: 'write: no space left on device; status 4' }];
    const played = full(1_000, 1_100);
    const reported = (call: string, end: number) => {
      const report: Report = { ...failed, call, errno: 'ENOSPC', since: 1_500, end };
      return judge({ ...evidence, played, told, reports: [done, report] }).passed;
    };
    expect(reported('fsync f', 2_000)).toBe(true);
    expect(reported('fsync f', 1_800)).toBe(false);
    expect(reported('close f', 2_000)).toBe(false);
  });

  it('an unmount names what the mount told, and files whose close ended with an outage, and no others', () => {
    const closed = (name: string, errno: string): Report => ({ ...failed, call: `close ${name}`, errno });
    const stderr =
      'data that the server did not take:\n  w/a: 1 KiB (status 4)\n  w/b.new: 2 KiB (status 4)\n/m is unmounted\n';
    const complaint = { code: 72, stderr };
    const a = closed('a', 'ETIMEDOUT');
    const b = { at: 0, path: 'w/b.new', error: 'write' };
    expect(unmountTroubles(complaint, [a, closed('b.new', 'EHOSTDOWN')], [])).toEqual([]);
    expect(unmountTroubles(complaint, [a], [b])).toEqual([]);
    expect(unmountTroubles(complaint, [a], [])).toHaveLength(1);
    expect(unmountTroubles(complaint, [a, closed('b.new', 'ENOSPC')], [])).toHaveLength(1);
    expect(unmountTroubles(complaint, [{ ...a, worker: 'v' } as Report], [b])).toHaveLength(1);
    expect(unmountTroubles({ code: 72, stderr: stderr.replace('un', '') }, [a], [b])).toHaveLength(1);
    expect(unmountTroubles({ code: 71, stderr: 'in use by node' }, [a], [])).toHaveLength(1);
    expect(unmountTroubles({ code: 0, stderr: '' }, [a], [])).toEqual([]);
    expect(unmountTroubles({ code: 0, stderr: '' }, [a], [b])).toHaveLength(1);
  });

  it('an outage explains its errors, a full disk those of whatever was unconfirmed then', () => {
    const told = (errno: string, played: Evidence['played'] = []) =>
      judge({ ...evidence, played, reports: [done, { ...failed, errno }] }).passed;
    expect(told('ETIMEDOUT')).toBe(true);
    expect(told('EHOSTDOWN')).toBe(true);
    expect(told('ENOSPC', full(600, 700))).toBe(true);
    expect(told('ENOSPC', full(100, 400))).toBe(false);
    expect(told('ENOSPC', full(2_100, 2_200))).toBe(false);
  });
});
