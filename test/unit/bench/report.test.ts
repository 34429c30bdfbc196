/** The Markdown and the plot that a run leaves behind. */
import { describe, expect, it } from 'vitest';
import { cell, figure, markdown, times } from '../../../bench/report.js';
import type { Measurement, Results } from '../../../bench/results.js';
import { svg } from '../../../bench/svg.js';

const measurement = (peer: string, more: Partial<Measurement> = {}): Measurement => ({
  scenario: 'find',
  metric: 'cold',
  unit: 's',
  better: 'lower',
  rtt: 50,
  peer,
  values: [1],
  bound: null,
  failure: null,
  ...more,
});

const results = (...measurements: Measurement[]): Results => ({
  date: '2026-01-02T03:04:05.000Z',
  machine: { cpu: 'a processor', cores: 2, memoryGiB: 7.8, kernel: '6.1.0', node: '20.19.0' },
  versions: { remora: '1.0.0', sshfs: '3.7.3' },
  settings: { quick: false, bandwidth: null, cap: null, storage: 'tmpfs', remoraOptions: [] },
  roundTrips: { 0: 0.1, 50: 50.44 },
  measurements,
});

describe('cells', () => {
  it.each([
    [0, '0'],
    [0.00376, '0.00376'],
    [1.006, '1.01'],
    [12.34, '12.3'],
    [4723.4, '4723'],
  ])('%d is written %s', (value, text) => expect(figure(value)).toBe(text));

  it.each<[string, Measurement | undefined, string]>([
    ['one run', measurement('remora', { values: [2.5] }), '2.50'],
    ['several runs', measurement('remora', { values: [3, 1, 2] }), '2.00 (1.00–3.00)'],
    ['a time over the cap', measurement('sshfs', { values: [], bound: 120 }), '> 120'],
    ['a rate under its bound', measurement('sshfs', { values: [], bound: 2, better: 'higher' }), '< 2.00'],
    ['a failure', measurement('rclone', { failure: 'it broke' }), 'failed'],
    ['nothing', undefined, '–'],
  ])('show %s', (_, of, text) => expect(cell(of)).toBe(text));

  it('show which side a bound is on', () => {
    expect(times({ value: 4, exact: 'equal' })).toBe('4.00 ×');
    expect(times({ value: 30, exact: 'at least' })).toBe('≥ 30.0 ×');
    expect(times({ value: 0.5, exact: 'at most' })).toBe('≤ 0.500 ×');
    expect(times(null)).toBe('–');
  });
});

describe('markdown', () => {
  const text = markdown(
    results(
      measurement('remora', { values: [2] }),
      measurement('sshfs', { values: [8] }),
      measurement('rclone', { failure: 'a | b\nc' }),
      measurement('remora', { rtt: 0 }),
    ),
  );

  it('has a table for each round trip, with what the proxy really gave', () => {
    expect(text).toContain('## Round trip of 50 ms (measured 50.4 ms)');
    expect(text).toContain('## No delay');
    expect(text).toContain('| find, cold | s | 1 | 2.00 | 8.00 | failed | 4.00 × | – |');
  });

  it('says in each row how often it was measured', () => {
    const added = markdown(
      results(
        measurement('remora', { values: [2, 3, 4] }),
        measurement('sshfs', { values: [8, 9] }),
        measurement('remora', { metric: 'warm', values: [1, 1] }),
        measurement('sshfs', { metric: 'warm', values: [], bound: 60 }),
      ),
    );
    expect(added).toContain('| find, cold | s | 2–3 |');
    expect(added).toContain('| find, warm | s | 2 |');
  });

  it('says what ran where', () => {
    expect(text).toContain('a processor, 2 cores, 7.80 GiB, Linux 6.1.0, Node 20.19.0');
    expect(text).toContain('remora 1.0.0, sshfs 3.7.3');
  });

  it('tells failures on one line each', () => expect(text).toContain('- rclone, find, 50 ms: a | b c'));

  it('lists the targets, also those that were not measured', () => {
    expect(text).toContain('| find cold | 50 ms | 4.00 × sshfs | 4.00 | reached |');
    expect(text).toContain('| memory at rest | 0 ms | at most 120 | – | not measured |');
  });
});

describe('svg', () => {
  const drawn = (...measurements: Measurement[]) => svg(results(...measurements));
  const bars = (text: string) =>
    [...text.matchAll(/<rect class="(\w+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"/g)]
      .map(([, peer = '', x = '', y = '', width = '']) => ({ peer, x: +x, y: +y, width: +width }))
      .filter(({ y }) => y > 30);

  it('draws a bar to the right of 1 where Remora is better, to the left where it is worse', () => {
    const [better, worse] = bars(
      drawn(
        measurement('remora', { values: [2] }),
        measurement('sshfs', { values: [8] }),
        measurement('rclone', { values: [0.5] }),
      ),
    );
    expect(better?.peer).toBe('sshfs');
    expect(worse?.peer).toBe('rclone');
    // Four times better is as long as four times worse, and both begin at 1.
    expect(better?.width).toBeCloseTo(worse?.width ?? 0, 0);
    expect((worse?.x ?? 0) + (worse?.width ?? 0)).toBeCloseTo(better?.x ?? 0, 0);
  });

  it('cuts off a bar that would flatten all others, and still says how long it is', () => {
    const text = drawn(measurement('remora', { values: [1e-6] }), measurement('sshfs', { values: [10] }));
    const [bar] = bars(text);
    expect((bar?.x ?? 0) + (bar?.width ?? 0)).toBeLessThan(850);
    expect(text).toContain('10000000 ×');
  });

  it('leaves out memory, the local directory and what has no ratio', () => {
    const text = drawn(
      measurement('remora'),
      measurement('local'),
      measurement('sshfs', { failure: 'no' }),
      measurement('remora', { metric: 'peak', unit: 'MiB' }),
      measurement('sshfs', { metric: 'peak', unit: 'MiB' }),
    );
    expect(bars(text)).toEqual([]);
  });

  it('stays well-formed whatever a name holds', () => {
    const odd = { scenario: 'a<b>&"c"' };
    const text = drawn(measurement('remora', odd), measurement('sshfs', odd));
    expect(text).toContain('a&lt;b&gt;&amp;"c", cold');
    expect(text.match(/<text/g)?.length).toBe(text.match(/<\/text>/g)?.length);
  });

  it('has colours for a light and for a dark page', () => {
    expect(drawn(measurement('remora'))).toContain('@media (prefers-color-scheme: dark)');
  });

  it('has numbers only, also when nothing was measured', () => expect(drawn()).not.toMatch(/NaN|Infinity/));
});
