/**
 * `remora status --metrics`: Prometheus's text format, version 0.0.4. Each family stands together, with its help and
 * its type; times are in seconds and sizes in bytes, as its conventions have it. Pure.
 */
import { BOUNDS, type Durations } from '../base/histogram.js';
import type { MountReport } from './report.js';

type Type = 'counter' | 'gauge' | 'histogram';

type Labels = Readonly<Record<string, string>>;

/** One line, but for the name of its family. */
interface Sample {
  /** Behind the family's name. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly labels?: Labels;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly type: Type;
  readonly help: string;
  /** None for a mount of which it is not known. */
  readonly samples: (report: MountReport) => readonly Sample[];
}

/** One sample, unless the value is not known. */
function one(value: number | null | undefined, labels: Labels = {}): readonly Sample[] {
  return value === null || value === undefined ? [] : [{ labels, value }];
}

/** Cumulative buckets, as the format wants them. */
function histogram({ buckets, count, milliseconds }: Durations, labels: Labels): readonly Sample[] {
  let below = 0;
  const cumulative = BOUNDS.map((bound, bucket): Sample => {
    below += buckets[bucket] ?? 0;
    return { suffix: '_bucket', labels: { ...labels, le: String(bound / 1000) }, value: below };
  });
  return [
    ...cumulative,
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
    { suffix: '_sum', labels, value: milliseconds / 1000 },
    { suffix: '_count', labels, value: count },
  ];
}

const seconds = (milliseconds: number | null | undefined) =>
  typeof milliseconds === 'number' ? milliseconds / 1000 : null;

const entries = <T>(record: Readonly<Record<string, T>> | null) => Object.entries(record ?? {});

/** In the order in which they are told. */
export const FAMILIES: readonly Family[] = [
  {
    name: 'remora_up',
    type: 'gauge',
    help: 'Whether the process that serves the mount answers.',
    samples: ({ traffic }) => one(traffic === null ? 0 : 1),
  },
  {
    name: 'remora_connected',
    type: 'gauge',
    help: 'Whether the server is connected and answers.',
    samples: ({ link }) => one(link === null ? null : Number(link.state === 'connected')),
  },
  {
    name: 'remora_start_time_seconds',
    type: 'gauge',
    help: 'When the mount became usable, since the epoch.',
    samples: ({ since }) => one(since === null ? null : Date.parse(since) / 1000),
  },
  {
    name: 'remora_round_trip_seconds',
    type: 'gauge',
    help: 'The quickest answer of the server of lately.',
    samples: ({ traffic }) => one(seconds(traffic?.roundTrip)),
  },
  {
    name: 'remora_received_bytes_total',
    type: 'counter',
    help: 'Bytes of SFTP from the server.',
    samples: ({ traffic }) => one(traffic?.received),
  },
  {
    name: 'remora_sent_bytes_total',
    type: 'counter',
    help: 'Bytes of SFTP to the server.',
    samples: ({ traffic }) => one(traffic?.sent),
  },
  {
    name: 'remora_connections',
    type: 'gauge',
    help: 'SSH connections.',
    samples: ({ connections }) => one(connections),
  },
  {
    name: 'remora_data_channels',
    type: 'gauge',
    help: 'SFTP channels for file data.',
    samples: ({ lanes }) => one(lanes),
  },
  {
    name: 'remora_calls_in_flight',
    type: 'gauge',
    help: 'Calls of programs without their answer.',
    samples: ({ kernel }) => one(kernel?.inFlight),
  },
  {
    name: 'remora_requests_in_flight',
    type: 'gauge',
    help: 'Requests to the server without their answer.',
    samples: ({ filesystem }) => one(filesystem?.inFlight),
  },
  {
    name: 'remora_requests_queued',
    type: 'gauge',
    help: 'Requests that wait for the connection or for room on it.',
    samples: ({ filesystem }) => one(filesystem?.queued),
  },
  {
    name: 'remora_unsent_bytes',
    type: 'gauge',
    help: 'Bytes written that the server has not confirmed.',
    samples: ({ filesystem }) => one(filesystem?.dirtyBytes),
  },
  {
    name: 'remora_unsent_age_seconds',
    type: 'gauge',
    help: 'How long the oldest of them have waited; 0 without any.',
    samples: ({ filesystem }) => one(filesystem === null ? null : (filesystem.dirtyAge ?? 0) / 1000),
  },
  {
    name: 'remora_posted_changes',
    type: 'gauge',
    help: 'Changes that were answered before the server has confirmed them (durability=async).',
    samples: ({ filesystem }) => one(filesystem?.posted),
  },
  {
    name: 'remora_posted_failures_total',
    type: 'counter',
    help: 'Changes that were answered, and that the server refused.',
    samples: ({ filesystem }) => one(filesystem?.postedFailed),
  },
  {
    name: 'remora_open_files',
    type: 'gauge',
    help: 'Open files.',
    samples: ({ filesystem }) => one(filesystem?.openFiles),
  },
  {
    name: 'remora_open_directories',
    type: 'gauge',
    help: 'Open directories.',
    samples: ({ filesystem }) => one(filesystem?.openDirectories),
  },
  {
    name: 'remora_cache_bytes',
    type: 'gauge',
    help: 'Bytes of file data in the cache.',
    samples: ({ filesystem }) => one(filesystem?.cachedBytes),
  },
  {
    name: 'remora_cache_limit_bytes',
    type: 'gauge',
    help: 'Bytes of file data that the cache may hold.',
    samples: ({ filesystem }) => one(filesystem?.cacheLimit),
  },
  {
    name: 'remora_disk_cache_bytes',
    type: 'gauge',
    help: 'Bytes of file data in cache_dir.',
    samples: ({ filesystem }) => one(filesystem?.disk?.bytes),
  },
  {
    name: 'remora_disk_cache_limit_bytes',
    type: 'gauge',
    help: 'Bytes of file data that cache_dir may hold.',
    samples: ({ filesystem }) => one(filesystem?.disk?.limit),
  },
  {
    name: 'remora_disk_cache_stores',
    type: 'gauge',
    help: 'Whether more is stored in cache_dir: not when its disk is full or fails.',
    samples: ({ filesystem }) => one(filesystem?.disk ? Number(filesystem.disk.state === 'on') : null),
  },
  {
    name: 'remora_cached_names',
    type: 'gauge',
    help: 'Names whose attributes are known.',
    samples: ({ filesystem }) => one(filesystem?.cachedAttributes),
  },
  {
    name: 'remora_cached_listings',
    type: 'gauge',
    help: 'Directories whose listing is known.',
    samples: ({ filesystem }) => one(filesystem?.cachedListings),
  },
  {
    name: 'remora_watched_directories',
    type: 'gauge',
    help: 'Directories of the server in which the changes of others are heard of, by how.',
    samples: ({ watch }) => one(watch?.directories, { mode: watch?.mode ?? 'off' }),
  },
  {
    name: 'remora_cache_hits_total',
    type: 'counter',
    help: 'What was found in the cache: blocks of files, those not in memory on disk, attributes of names.',
    samples: ({ filesystem }) => [
      ...one(filesystem?.cacheHits, { cache: 'blocks' }),
      ...one(filesystem?.disk?.hits, { cache: 'disk' }),
      ...one(filesystem?.attributeHits, { cache: 'attributes' }),
    ],
  },
  {
    name: 'remora_cache_misses_total',
    type: 'counter',
    help: 'What was not.',
    samples: ({ filesystem }) => [
      ...one(filesystem?.cacheMisses, { cache: 'blocks' }),
      ...one(filesystem?.disk?.misses, { cache: 'disk' }),
      ...one(filesystem?.attributeMisses, { cache: 'attributes' }),
    ],
  },
  {
    name: 'remora_prefetched_files_total',
    type: 'counter',
    help: 'Small files read before a program opened them: all, those then used, those in vain.',
    samples: ({ filesystem }) => [
      ...one(filesystem?.prefetch.fetched.files, { outcome: 'any' }),
      ...one(filesystem?.prefetch.used.files, { outcome: 'used' }),
      ...one(filesystem?.prefetch.inVain.files, { outcome: 'in vain' }),
    ],
  },
  {
    name: 'remora_prefetched_bytes_total',
    type: 'counter',
    help: 'The bytes in them.',
    samples: ({ filesystem }) => [
      ...one(filesystem?.prefetch.fetched.bytes, { outcome: 'any' }),
      ...one(filesystem?.prefetch.used.bytes, { outcome: 'used' }),
      ...one(filesystem?.prefetch.inVain.bytes, { outcome: 'in vain' }),
    ],
  },
  {
    name: 'remora_call_duration_seconds',
    type: 'histogram',
    help: 'Calls of programs, from the request of the kernel to the reply.',
    samples: ({ calls }) => entries(calls).flatMap(([call, stats]) => histogram(stats, { call })),
  },
  {
    name: 'remora_call_errors_total',
    type: 'counter',
    help: 'Calls of programs that were answered with an errno, whichever.',
    samples: ({ calls }) => entries(calls).flatMap(([call, { errors }]) => one(errors, { call })),
  },
  {
    name: 'remora_request_duration_seconds',
    type: 'histogram',
    help: 'Requests to the server, to their answer.',
    samples: ({ requests }) =>
      entries(requests).flatMap(([request, durations]) => histogram(durations, { request })),
  },
];

/** Backslash, quote and line end are escaped in the value of a label, the first and the last of them in help. */
function escaped(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}

function line(name: string, labels: Labels, value: number): string {
  const said = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}{${said.join(',')}} ${value}\n`;
}

/** The whole exposition; a family that nothing is known of is left out. */
export function formatMetrics(reports: readonly MountReport[]): string {
  return FAMILIES.map(({ name, type, help, samples }) => {
    const lines = reports.flatMap((report) => {
      const { mountpoint, source } = report;
      return samples(report).map(({ suffix = '', labels = {}, value }) =>
        line(name + suffix, { mountpoint, source, ...labels }, value),
      );
    });
    return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
  }).join('');
}
