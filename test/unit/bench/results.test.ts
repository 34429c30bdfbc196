/** The arithmetic of the bench: medians, ratios that always favour "more", bounds, targets. */
import { describe, expect, it } from 'vitest';
import { isUnknown, optionOf, VARIANT_NAMES } from '../../../bench/peers/variants.js';
import {
  type Measurement,
  median,
  merged,
  peersOf,
  quantile,
  type Results,
  ratio,
  rowsOf,
  variantsOf,
} from '../../../bench/results.js';
import { judge, type Target } from '../../../bench/targets.js';
import { parseOptions } from '../../../src/config/parse.js';

function measurement(peer: string, values: readonly number[], more: Partial<Measurement> = {}): Measurement {
  return {
    scenario: 'find',
    metric: 'cold',
    unit: 's',
    better: 'lower',
    rtt: 50,
    peer,
    values,
    bound: null,
    failure: null,
    ...more,
  };
}

function results(measurements: readonly Measurement[]): Results {
  return {
    date: '2026-01-02T03:04:05.000Z',
    machine: { cpu: 'a processor', cores: 2, memoryGiB: 8, kernel: '6.1.0', node: '20.19.0' },
    versions: { remora: '1.0.0' },
    settings: { quick: false, bandwidth: null, cap: null, storage: 'tmpfs', remoraOptions: [] },
    roundTrips: { 50: 50.4 },
    measurements,
  };
}

describe('variants', () => {
  const target: Target = {
    label: 'find',
    scenario: 'find',
    metric: 'cold',
    rtt: 50,
    subject: 'remora-async',
    wanted: { peer: 'sshfs', ratio: 4 },
  };
  const of = (...measurements: Measurement[]) => judge(results(measurements), [target])[0];

  it('are judged by what they did, not by what Remora did without the option', () => {
    const [plain, other] = [measurement('remora', [10]), measurement('sshfs', [20])];
    expect(of(plain, measurement('remora-async', [2]), other)).toMatchObject({
      found: 10,
      verdict: 'reached',
    });
    expect(of(measurement('remora', [2]), measurement('remora-async', [10]), other)?.verdict).toBe('missed');
    expect(of(plain, other)?.verdict).toBe('not measured');
  });

  it('are no peers that Remora is compared with', () => {
    const found = ['remora', 'sshfs', 'remora-async', 'local'].map((peer) => measurement(peer, [1]));
    expect(peersOf(found)).toEqual(['sshfs', 'local']);
    expect(variantsOf(found)).toEqual(['remora-async']);
  });

  it('take an option that the schema has, or are left out', () => {
    expect(isUnknown('remora')).toBe(false);
    expect(isUnknown('sshfs')).toBe(false);
    for (const name of VARIANT_NAMES) {
      const parsed = () => parseOptions([optionOf(name, '/cache')]);
      if (isUnknown(name)) expect(parsed).toThrow();
      else expect(parsed).not.toThrow();
    }
  });
});

describe('median and quantile', () => {
  it.each([
    [[], null],
    [[7], 7],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])('the median of %j is %j', (values, expected) => expect(median(values)).toBe(expected));

  it('interpolates between the two values beside the place', () => {
    expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9);
    expect(quantile([5, 1, 3], 1)).toBe(5);
    expect(quantile([5, 1, 3], 0)).toBe(1);
  });

  it('leaves its argument as it was', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('ratio', () => {
  it('is more than 1 when less time was needed', () => {
    expect(ratio(measurement('remora', [2]), measurement('sshfs', [8]))).toEqual({
      value: 4,
      exact: 'equal',
    });
  });

  it('is more than 1 when more was moved in a second', () => {
    const rate = { better: 'higher', unit: 'MB/s' } as const;
    const found = ratio(measurement('remora', [300], rate), measurement('sshfs', [100], rate));
    expect(found).toEqual({ value: 3, exact: 'equal' });
  });

  it('is a lower bound when the peer was stopped at the cap', () => {
    const stopped = measurement('sshfs', [], { bound: 60 });
    expect(ratio(measurement('remora', [2]), stopped)).toEqual({ value: 30, exact: 'at least' });
  });

  it('is an upper bound when Remora was stopped at the cap', () => {
    const stopped = measurement('remora', [], { bound: 60 });
    expect(ratio(stopped, measurement('sshfs', [30]))).toEqual({ value: 0.5, exact: 'at most' });
  });

  it.each<[string, Measurement | undefined, Measurement | undefined]>([
    ['both were stopped', measurement('remora', [], { bound: 60 }), measurement('sshfs', [], { bound: 60 })],
    ['one is missing', measurement('remora', [1]), undefined],
    ['one failed', measurement('remora', [1]), measurement('sshfs', [1], { failure: 'no' })],
    ['one is zero', measurement('remora', [0]), measurement('sshfs', [1])],
  ])('says nothing when %s', (_, mine, theirs) => expect(ratio(mine, theirs)).toBeNull());
});

describe('merged', () => {
  it('keeps what the later run did not measure, and nothing of what it did', () => {
    const earlier = results([
      measurement('remora', [1]),
      measurement('rclone', [2]),
      measurement('remora', [3], { scenario: 'tar' }),
      measurement('remora', [4], { rtt: 0 }),
    ]);
    const later = results([measurement('remora', [5]), measurement('sshfs', [6])]);
    expect(merged(earlier, later).measurements.map(({ values }) => values[0])).toEqual([4, 3, 5, 6]);
  });
});

describe('rowsOf', () => {
  it('gathers the peers of one metric and keeps the order of measuring', () => {
    const rows = rowsOf([
      measurement('remora', [1]),
      measurement('sshfs', [2]),
      measurement('remora', [3], { metric: 'warm' }),
      measurement('remora', [4], { rtt: 0 }),
    ]);
    expect(rows.map((row) => [row.rtt, row.metric, [...row.byPeer.keys()]])).toEqual([
      [50, 'cold', ['remora', 'sshfs']],
      [50, 'warm', ['remora']],
      [0, 'cold', ['remora']],
    ]);
  });
});

describe('judge', () => {
  const target = (wanted: Target['wanted']): Target => ({
    label: 'find',
    scenario: 'find',
    metric: 'cold',
    rtt: 50,
    wanted,
  });
  const verdict = (wanted: Target['wanted'], ...measurements: Measurement[]) =>
    judge(results(measurements), [target(wanted)])[0]?.verdict;
  const four = { peer: 'sshfs', ratio: 4 };

  it('compares with the peer', () => {
    expect(verdict(four, measurement('remora', [1]), measurement('sshfs', [4]))).toBe('reached');
    expect(verdict(four, measurement('remora', [1]), measurement('sshfs', [3.9]))).toBe('missed');
  });

  it('accepts a bound only where it proves something', () => {
    const stoppedPeer = (bound: number) => measurement('sshfs', [], { bound });
    expect(verdict(four, measurement('remora', [1]), stoppedPeer(60))).toBe('reached');
    expect(verdict(four, measurement('remora', [30]), stoppedPeer(60))).toBe('not measured');
    const stopped = measurement('remora', [], { bound: 60 });
    expect(verdict(four, stopped, measurement('sshfs', [120]))).toBe('missed');
    expect(verdict(four, stopped, measurement('sshfs', [6000]))).toBe('missed');
  });

  it('compares with a limit', () => {
    expect(verdict({ atMost: 60 }, measurement('remora', [50, 60, 90]))).toBe('reached');
    expect(verdict({ atMost: 60 }, measurement('remora', [61]))).toBe('missed');
  });

  it('never passes what was not measured', () => {
    expect(verdict(four, measurement('remora', [1]))).toBe('not measured');
    expect(verdict({ atMost: 60 })).toBe('not measured');
    expect(verdict({ atMost: 60 }, measurement('remora', [1], { failure: 'no' }))).toBe('not measured');
  });
});
