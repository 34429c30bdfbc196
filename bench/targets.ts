/**
 * What Remora is to reach, as a table, and whether a run reached it. Pure. A target whose measurement is not
 * in the results is "not measured", never passed.
 */
import type { VariantName } from './peers/variants.js';
import { find, median, type Results, ratio, SUBJECT } from './results.js';

/** Milliseconds. */
const NEAR = 0;
const MIDDLE = 20;
const FAR = 50;

export interface Target {
  readonly label: string;
  readonly scenario: string;
  readonly metric: string;
  readonly rtt: number;
  /** Remora with an option of its own; absent where it is Remora as it is. */
  readonly subject?: VariantName;
  /** At least so many times better than a peer, or a value of at most so much. */
  readonly wanted: { readonly peer: string; readonly ratio: number } | { readonly atMost: number };
}

export type Verdict = 'reached' | 'missed' | 'not measured';

export interface Judgement {
  readonly target: Target;
  readonly verdict: Verdict;
  /** The ratio or the value that was found; null where there is none. */
  readonly found: number | null;
}

/** The client's own limit for `stat` beside a copy: this many round trips. */
const ROUND_TRIPS = 3;

function versus(
  label: string,
  scenario: string,
  metric: string,
  rtt: number,
  peer: string,
  times: number,
): Target {
  return { label, scenario, metric, rtt, wanted: { peer, ratio: times } };
}

function limit(label: string, scenario: string, metric: string, rtt: number, atMost: number): Target {
  return { label, scenario, metric, rtt, wanted: { atMost } };
}

function by(subject: VariantName, target: Target): Target {
  return { ...target, label: `${target.label}, ${subject}`, subject };
}

export const TARGETS: readonly Target[] = [
  versus('sequential read', 'sequential-read', 'throughput', NEAR, 'sshfs', 2),
  versus('sequential read', 'sequential-read', 'throughput', NEAR, 'sftp', 0.9),
  versus('sequential write', 'sequential-write', 'throughput', NEAR, 'sshfs', 1.5),
  versus('64 MiB read cold', 'sequential-read', 'throughput', FAR, 'sshfs', 6),
  versus('64 MiB write with fsync', 'sequential-write', 'throughput', FAR, 'sshfs', 3),
  versus('ls -lR cold', 'ls-lR', 'cold', FAR, 'sshfs', 4),
  versus('find cold', 'find', 'cold', FAR, 'sshfs', 4),
  versus('ls -lR warm', 'ls-lR', 'warm', NEAR, 'local', 1 / 1.5),
  versus('small sequential writes', 'small-writes', 'throughput', NEAR, 'sshfs', 3),
  versus('creating small files', 'create', 'time', FAR, 'sshfs', 2),
  limit('find in a tree far away', 'find', 'cold', FAR, 0.8),
  limit('tar of small files', 'tar', 'cold', FAR, 2.5),
  limit('grep -r', 'grep-r', 'cold', FAR, 2.5),
  limit('git status', 'git-status', 'cold', FAR, 5),
  limit('git status again', 'git-status', 'warm', FAR, 0.5),
  limit('git status after a remount', 'git-status', 'remounted', FAR, 2),
  limit('cp within the mount', 'copy', 'time', FAR, 0.5),
  limit('creating 200 small files', 'create', 'time', FAR, 21),
  by('remora-async', limit('creating 200 small files', 'create', 'time', FAR, 2)),
  limit('rm -r of 200 files', 'rm-r', 'time', FAR, 11),
  by('remora-async', limit('rm -r of 200 files', 'rm-r', 'time', FAR, 2)),
  versus('git clone into the mount', 'git-clone', 'time', FAR, 'sshfs', 4),
  by('remora-async', versus('git clone into the mount', 'git-clone', 'time', FAR, 'sshfs', 15)),
  by('remora-watch', limit('a change of a size, seen', 'remote-change', 'size', FAR, 0.3)),
  by('remora-watch', limit('a new name, seen', 'remote-change', 'name', FAR, 0.3)),
  versus('files in no order', 'random-files', 'files', FAR, 'sshfs', 1),
  versus('files in no order', 'random-files', 'files', FAR, 'remora-no-prefetch', 1 / 1.1),
  limit('stat p99 during a large read', 'stat-during-read', 'p99', MIDDLE, ROUND_TRIPS * MIDDLE),
  limit('stat p99 during a large write', 'stat-during-write', 'p99', MIDDLE, ROUND_TRIPS * MIDDLE),
  versus('client CPU per GiB read', 'sequential-read', 'client CPU', NEAR, 'sshfs', 1),
  limit('memory at rest', 'memory-at-rest', 'resident', NEAR, 120),
  limit('memory, 1 GiB read', 'sequential-read', 'client peak memory', NEAR, 350),
  limit('memory, 1 GiB written', 'sequential-write', 'client peak memory', NEAR, 350),
];

export function judge(results: Results, targets: readonly Target[] = TARGETS): readonly Judgement[] {
  return targets.map((target) => {
    const { scenario, metric, rtt, wanted, subject = SUBJECT } = target;
    const mine = find(results, scenario, metric, rtt, subject);
    if ('atMost' in wanted) {
      const found = mine === undefined || mine.failure !== null ? null : median(mine.values);
      return judged(target, found, found !== null && found <= wanted.atMost);
    }
    const found = ratio(mine, find(results, scenario, metric, rtt, wanted.peer));
    // A bound proves what lies on its good side, and nothing else.
    const proven = found !== null && found.value >= wanted.ratio && found.exact !== 'at most';
    const open = found !== null && found.value < wanted.ratio && found.exact === 'at least';
    return judged(target, open ? null : (found?.value ?? null), proven);
  });
}

function judged(target: Target, found: number | null, reached: boolean): Judgement {
  return { target, found, verdict: found === null ? 'not measured' : reached ? 'reached' : 'missed' };
}
