/** What the soak counts as wrong: claims about bytes, and the verdict on a run. */
import { describe, expect, it } from 'vitest';
import type { Report } from '../../soak/calls.js';
import { contradiction, exactly, firstWrong, stream } from '../../soak/claims.js';
import { type Evidence, isExpected, judge } from '../../soak/judge.js';

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
  const evidence: Evidence = { reports: [done], played: [], losses: [], troubles: [], bound: 1_000 };

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
    ['a loss', { losses: ['f: absent'] }],
    ['a trouble', { troubles: ['w hangs'] }],
    ['an error that no fault explains', { reports: [done, { ...failed, errno: 'EIO' }] }],
    ['a full disk that was none', { reports: [done, { ...failed, errno: 'ENOSPC' }] }],
    ['a wrong answer', { reports: [done, { is: 'wrong', worker: 'w', at: 0, what: 'EEXIST' }] }],
    ['a call that took too long', { bound: 899 }],
  ])('fails for %s', (_, more) => {
    expect(judge({ ...evidence, ...more }).passed).toBe(false);
  });

  it('an unmount may complain of files whose close ended with an outage, and of no others', () => {
    const closed = (name: string, errno: string): Report => ({ ...failed, call: `close ${name}`, errno });
    const complaint =
      'data that the server did not take:\n  w/a: 1 KiB (status 4)\n  w/b.new: 2 KiB (status 4)\n';
    const a = closed('a', 'ETIMEDOUT');
    expect(isExpected(complaint, [a, closed('b.new', 'EHOSTDOWN')])).toBe(true);
    expect(isExpected(complaint, [a])).toBe(false);
    expect(isExpected(complaint, [a, closed('b.new', 'ENOSPC')])).toBe(false);
    expect(isExpected(complaint, [a, { ...closed('b.new', 'ETIMEDOUT'), worker: 'v' } as Report])).toBe(
      false,
    );
    expect(isExpected('in use by node', [a])).toBe(false);
  });

  it('an outage explains its errors, a full disk those of whatever was unconfirmed then', () => {
    const full = (begin: number, end: number) => [{ fault: 'full disk', begin, end }];
    const told = (errno: string, played: Evidence['played'] = []) =>
      judge({ ...evidence, played, reports: [done, { ...failed, errno }] }).passed;
    expect(told('ETIMEDOUT')).toBe(true);
    expect(told('EHOSTDOWN')).toBe(true);
    expect(told('ENOSPC', full(600, 700))).toBe(true);
    expect(told('ENOSPC', full(100, 400))).toBe(false);
    expect(told('ENOSPC', full(2_100, 2_200))).toBe(false);
  });
});
