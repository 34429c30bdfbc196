/**
 * The verdict on a run, from what the workers reported, what faults were played and what the server's disk holds:
 * pure, so that a test can show what counts as wrong.
 */
import { type Failed, FULL, OUTAGE, type Report } from './calls.js';
import type { Played } from './storm.js';

export interface Evidence {
  readonly reports: readonly Report[];
  readonly played: readonly Played[];
  /** What is missing or wrong on the server's disk. */
  readonly losses: readonly string[];
  /** What else went wrong: a worker that hangs, gauges that are not zero, an unmount that complains. */
  readonly troubles: readonly string[];
  /** Longest that a call may take, in milliseconds. */
  readonly bound: number;
}

export interface Verdict {
  readonly operations: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** True errors that programs saw, by errno. */
  readonly errors: Readonly<Record<string, number>>;
  readonly confirmedBytes: number;
  readonly verifiedBytes: number;
  readonly longestWait: { readonly call: string; readonly milliseconds: number };
  readonly losses: readonly string[];
  readonly falseErrors: readonly string[];
  readonly wrongAnswers: readonly string[];
  readonly tooLong: readonly string[];
  readonly troubles: readonly string[];
  readonly passed: boolean;
}

export function judge({ reports, played, losses, troubles, bound }: Evidence): Verdict {
  const failed = reports.filter((report) => report.is === 'failed');
  const finished = reports.filter((report) => report.is === 'done');
  const full = played.filter(({ fault }) => fault === 'full disk');
  const falseErrors = failed.filter((each) => !isTrue(each, full)).map(told);
  const wrongAnswers = reports.flatMap((report) =>
    report.is === 'wrong' ? [`${report.worker}: ${report.what}`] : [],
  );
  const waits = finished.map(({ worker, longest }) => ({ ...longest, call: `${worker}: ${longest.call}` }));
  const longestWait = waits.reduce((one, other) => (other.milliseconds > one.milliseconds ? other : one), {
    call: '',
    milliseconds: 0,
  });
  const tooLong = waits
    .filter(({ milliseconds }) => milliseconds > bound)
    .map(({ call, milliseconds }) => `${call}: ${milliseconds} ms`);
  return {
    operations: sums(finished.flatMap(({ calls }) => Object.entries(calls))),
    faults: sums(played.map(({ fault }) => [fault, 1])),
    errors: sums(failed.filter((each) => isTrue(each, full)).map(({ errno }) => [errno, 1])),
    confirmedBytes: finished.reduce((sum, { confirmed }) => sum + confirmed, 0),
    verifiedBytes: finished.reduce((sum, { verified }) => sum + verified, 0),
    longestWait,
    losses,
    falseErrors,
    wrongAnswers,
    tooLong,
    troubles,
    passed: [losses, falseErrors, wrongAnswers, tooLong, troubles].every(({ length }) => length === 0),
  };
}

/**
 * Whether an unmount may complain so, of data that the server did not take: only of files whose close had ended with an
 * outage. What became of them afterwards (the disk was full when the server came back) nobody was left to be told.
 */
export function isExpected(complaint: string, reports: readonly Report[]): boolean {
  const files = [...complaint.matchAll(/^ {2}([^/\n]+)\/([^:\n]+): /gm)];
  const isStranded = ([, worker, name]: RegExpMatchArray) =>
    reports.some(
      (report) =>
        report.is === 'failed' &&
        report.worker === worker &&
        report.call === `close ${name}` &&
        OUTAGE.has(report.errno),
    );
  return files.length > 0 && files.every(isStranded);
}

/** Whether the faults explain an error: an outage, or a disk that was full since the last confirmation. */
function isTrue({ errno, since, end }: Failed, full: readonly Played[]): boolean {
  if (OUTAGE.has(errno)) return true;
  return errno === FULL && full.some((window) => window.begin <= end && window.end >= since);
}

const told = ({ worker, call, errno, begin, end }: Failed) =>
  `${worker}: ${call}: ${errno} after ${end - begin} ms, at ${new Date(begin).toISOString()}`;

function sums(pairs: readonly (readonly [string, number])[]): Readonly<Record<string, number>> {
  const found = new Map<string, number>();
  for (const [name, count] of pairs) found.set(name, (found.get(name) ?? 0) + count);
  return Object.fromEntries([...found].sort(([one], [other]) => one.localeCompare(other)));
}
