/** How mounts are shown: in words, on a terminal, and to a monitoring system. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BOUNDS, Histogram } from '../../../src/base/histogram.js';
import { joinMounts } from '../../../src/cli/discover.js';
import { FAMILIES, formatMetrics } from '../../../src/cli/metrics.js';
import type { MountReport } from '../../../src/cli/report.js';
import { formatStatus, ONCE } from '../../../src/cli/status-text.js';
import { clipped, Screen } from '../../../src/cli/watch.js';
import { DETAILS, STATUS } from '../../support/control.js';
import { parseMetrics } from '../../support/prometheus.js';

const NOW = 1_065_000;
const DAEMON = { socket: '/s', pid: 77, hash: '', status: STATUS };
const SILENT = {
  traffic: null,
  unsent: null,
  handles: null,
  calls: null,
  requests: null,
  failures: null,
  watch: null,
};

/** A mount that serves for 65 seconds, and what else is known of it. */
function reportOf(known: Partial<MountReport> = {}): MountReport {
  const [row] = joinMounts([DAEMON], [], NOW);
  if (row === undefined) throw new Error('no row');
  const { traffic, unsent, handles, calls, requests, failures, watch } = DETAILS;
  return { ...row, traffic, unsent, handles, calls, requests, failures, watch, ...known };
}

function durationsOf(...durations: readonly number[]) {
  const histogram = new Histogram();
  for (const each of durations) histogram.add(each);
  return histogram.durations();
}

describe('status', () => {
  it('says everything that is known, what matters most first', () => {
    const report = reportOf({
      traffic: { received: 2048, sent: 10, receiveRate: 1024, sendRate: 0, roundTrip: 12.34 },
      unsent: [{ path: 'a', bytes: 1024, error: 'not confirmed', isLost: false }],
      filesystem: { ...STATUS.filesystem, dirtyAge: 5000, cacheHits: 3, cacheMisses: 1, inFlight: 2 },
      handles: [
        { path: 'a', access: 'read and write', unsent: 1024 },
        { path: null, access: 'read', unsent: 0 },
        { path: '', access: 'list', unsent: 0 },
      ],
      calls: {
        OPEN: { ...durationsOf(3), errors: 1 },
        READ: { ...durationsOf(0.15, 0.15, 0.15), errors: 0 },
      },
      failures: [
        { when: NOW - 9000, call: 'OPEN', path: 'x', errno: 'EACCES', reason: 'EACCES' },
        { when: NOW - 2000, call: 'WRITE', path: null, errno: 'ENOSPC', reason: 'the disk is full' },
      ],
    });
    expect(formatStatus([report], NOW, ONCE)).toBe(
      [
        'me@host: on /mnt',
        '  state    serving',
        '  link     connected for 1m 05s, round trip 12.3 ms',
        '  server   OpenSSH_9, 1 connection, 0 data channels',
        '  traffic  1.0 KiB/s in, 0 B/s out; 2.0 KiB and 10 B in all',
        '  unsent   1.0 KiB in 1 file, the oldest for 5s',
        '             a: 1.0 KiB (not confirmed)',
        '  waiting  0 calls of programs; 2 requests under way, 0 queued',
        '  cache    0 B of 128.0 MiB, 75 % hits',
        '           0 names and 0 listings, nothing asked',
        '  watch    inotify (python3), 2 directories',
        '  open     3',
        '             a (read and write, 1.0 KiB unsent)',
        '             (removed) (read)',
        '             / (list)',
        '  failed   2s ago WRITE a removed file: ENOSPC, the disk is full',
        '           9s ago OPEN x: EACCES',
        '  calls          count  errors  median   99 %',
        '           READ  3      0       0.15 ms  0.18 ms',
        '           OPEN  1      1       3.5 ms   3.5 ms',
        '  process  77, for 1m 05s, driver direct',
        '',
      ].join('\n'),
    );
  });

  it('says why nothing is watched', () => {
    const reason = 'the server has neither python3 nor inotifywait\x1b';
    const watch = { mode: 'off', program: null, directories: 0, reason } as const;
    expect(formatStatus([reportOf({ watch })], NOW, ONCE)).toContain(
      '  watch    off: the server has neither python3 nor inotifywait?\n',
    );
  });

  it.each([
    ['on', '2.0 MiB of 4.0 GiB on disk, 75 % hits'],
    ['full', '2.0 MiB of 4.0 GiB on disk, 75 % hits; the disk is full'],
    ['off', '2.0 MiB of 4.0 GiB on disk, 75 % hits; not used any more, see the log'],
  ] as const)('says what is in cache_dir, and whether it does (%s)', (state, line) => {
    const disk = { state, bytes: 2 * 2 ** 20, limit: 4 * 2 ** 30, hits: 3, misses: 1 };
    const report = reportOf({ filesystem: { ...STATUS.filesystem, disk } });
    expect(formatStatus([report], NOW, ONCE)).toContain(`\n           ${line}\n`);
    const families = parseMetrics(formatMetrics([report]));
    const values = ['bytes', 'limit_bytes', 'stores'].map(
      (name) => families.get(`remora_disk_cache_${name}`)?.samples[0]?.value,
    );
    expect(values).toEqual([2 ** 21, 2 ** 32, state === 'on' ? 1 : 0]);
    const hits = families.get('remora_cache_hits_total')?.samples ?? [];
    expect(hits.find(({ labels }) => labels.cache === 'disk')?.value).toBe(3);
  });

  it('says why there is no connection, what is tried, and what a person can do', () => {
    const link = { ...STATUS.link, state: 'offline', reason: 'no answer\x1b', attempts: 3 } as const;
    const unsent = [
      { path: 'a', bytes: 1024, error: 'not confirmed', isLost: false },
      { path: 'b\n', bytes: 1, error: 'ENOSPC', isLost: true },
      { path: 'd/g', bytes: 0, error: 'EACCES', isLost: true },
    ];
    const waiting = reportOf({ state: 'offline', link: { ...link, retryAt: 1_072_000 }, unsent });
    const text = formatStatus([waiting], NOW, ONCE);
    expect(text).toContain('  link     offline for 1m 05s: no answer?; 3 attempts, the next in 7s\n');
    expect(text).toContain('  unsent   1.0 KiB in 1 file\n             a: 1.0 KiB (not confirmed)\n');
    expect(text).toContain(
      '  lost     2 changes (1 B)\n             b?: 1 B (ENOSPC)\n             d/g: EACCES\n',
    );
    const refused = formatStatus([reportOf({ unsent: unsent.slice(1) })], NOW, ONCE);
    expect(refused).toContain('  unsent   nothing\n  lost     2 changes (1 B)\n');
    const stuck = reportOf({ link: { ...link, needsPerson: true } });
    expect(formatStatus([stuck], NOW, ONCE)).toContain('it needs you: remora reconnect /mnt');
  });

  it('says little of a mount whose process says nothing', () => {
    const dead = joinMounts([], [{ source: 'h:', mountpoint: '/dead', dead: true }], 0);
    const reports = dead.map((row): MountReport => ({ ...row, ...SILENT }));
    expect(formatStatus(reports, 0, ONCE)).toBe('h: on /dead\n  state    dead\n');
    expect(formatStatus([], 0, ONCE)).toBe('');
  });

  it('counts what a list leaves out', () => {
    const handles = Array.from({ length: 30 }, (_, at) => {
      return { path: `f${at}`, access: 'read', unsent: 0 } as const;
    });
    const text = formatStatus([reportOf({ handles })], NOW, { ...ONCE, handles: 3 });
    expect(text).toContain('  open     30\n             f0 (read)\n');
    expect(text).toContain('             f2 (read)\n             and 27 more\n');
  });
});

describe('COMMANDS.md', () => {
  const page = readFileSync(new URL('../../../docs/COMMANDS.md', import.meta.url), 'utf8');
  const codes = [...page.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

  it('has every name of status --json', () => {
    const full = reportOf({
      filesystem: {
        ...STATUS.filesystem,
        disk: { state: 'on', bytes: 0, limit: 0, hits: 0, misses: 0 },
      },
      unsent: [{ path: 'a', bytes: 1, error: 'EIO', isLost: true }],
      handles: [{ path: 'a', access: 'read', unsent: 0 }],
      calls: { OPEN: { ...durationsOf(1), errors: 0 } },
      requests: { LSTAT: durationsOf(1) },
      failures: [{ when: 0, call: 'OPEN', path: 'a', errno: 'EIO', reason: 'EIO' }],
    });
    const names = new Set<string>();
    JSON.stringify(full, (key, value: unknown) => {
      // Of lists it is their place, and of calls and requests what the kernel and SFTP call them.
      if (/^[a-z]/.test(key)) names.add(key);
      return value;
    });
    const words = new Set(codes.flatMap((code) => code.split(/\W+/)));
    expect([...names].filter((name) => !words.has(name))).toEqual([]);
    expect(names).toContain('inVain');
  });

  it('has every metric', () => {
    const named = new Set(codes.map((code) => code.replace(/\{.*\}$/, '')));
    const missing = FAMILIES.filter(
      ({ name }) => !named.has(name) && !named.has(name.slice('remora_'.length)),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});

describe('a watched terminal', () => {
  it('shows what fits, and how much does not', () => {
    expect(clipped('ab\ncd\n', 80, 24)).toEqual(['ab', 'cd']);
    expect(clipped('one\ntwo\nthree\nfour\n', 3, 3)).toEqual(['one', 'two', '(2 ']);
    expect(clipped('ü€😀x', 3, 3)).toEqual(['ü€😀']);
  });

  it('is painted anew when its size changes, and given back as it was', () => {
    let text = '';
    let resized = () => {};
    const out = {
      columns: 4,
      rows: 2,
      write: (more: string) => {
        text += more;
      },
      on: (_event: 'resize', listener: () => void) => {
        resized = listener;
      },
      off: () => {
        resized = () => {};
      },
    };
    const screen = new Screen(out);
    screen.show('abcdef\n2\n3\n');
    expect(text).toBe('\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[Habcd\x1b[K\r\n(2 l\x1b[K\x1b[J');
    text = '';
    Object.assign(out, { columns: 80, rows: 24 });
    resized();
    expect(text).toBe('\x1b[Habcdef\x1b[K\r\n2\x1b[K\r\n3\x1b[K\x1b[J');
    text = '';
    screen.leave();
    resized();
    expect(text).toBe('\x1b[?7h\x1b[?25h\x1b[?1049l');
  });
});

describe('metrics', () => {
  const source = 'me@host:"a\\b"\n/c';
  const calls = { READ: { ...durationsOf(0.5, 3.5, 70_000), errors: 2 } };
  const report = reportOf({ source, calls, requests: { LSTAT: durationsOf(1) } });
  const families = parseMetrics(formatMetrics([report, { ...report, mountpoint: '/other', ...SILENT }]));
  const of = { mountpoint: '/mnt', source };

  it('are in the text format, each family once, with help and type', () => {
    expect([...families.values()].every(({ help, type }) => help !== '' && type !== '')).toBe(true);
    expect([...families.keys()].every((name) => /^remora_[a-z_]+$/.test(name))).toBe(true);
    for (const [name, { type }] of families) expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(formatMetrics([])).toBe('');
  });

  it('tell mounts apart, whatever they are called', () => {
    expect(families.get('remora_up')?.samples).toEqual([
      { name: 'remora_up', labels: of, value: 1 },
      { name: 'remora_up', labels: { ...of, mountpoint: '/other' }, value: 0 },
    ]);
  });

  it('have histograms whose buckets add up', () => {
    const samples = families.get('remora_call_duration_seconds')?.samples ?? [];
    const buckets = samples.filter(({ name }) => name.endsWith('_bucket'));
    expect(buckets).toHaveLength(BOUNDS.length + 1);
    const at = (le: string) => buckets.find(({ labels }) => labels.le === le)?.value;
    expect([at('0.0002'), at('0.0005'), at('0.005'), at('60'), at('+Inf')]).toEqual([0, 1, 2, 2, 3]);
    const labels = { ...of, call: 'READ' };
    expect(samples).toContainEqual({ name: 'remora_call_duration_seconds_count', labels, value: 3 });
    expect(samples).toContainEqual({ name: 'remora_call_duration_seconds_sum', labels, value: 70.004 });
    expect(families.get('remora_call_errors_total')?.samples).toEqual([
      { name: 'remora_call_errors_total', labels, value: 2 },
    ]);
    expect(families.get('remora_request_duration_seconds')?.samples[0]?.labels.request).toBe('LSTAT');
  });
});
