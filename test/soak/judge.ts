/**
 * The verdict on a run, from what the workers reported, what faults were played and what the server's disk holds:
 * pure, so that a test can show what counts as wrong.
 */
import { type Failed, FULL, OUTAGE, type Report } from './calls.js';
import type { Deviation, Excuse } from './claims.js';
import type { Played } from './storm.js';
import { namedIn, type Told } from './told.js';

/** ENOSPC as a mount tells it to a person. */
const FULL_IN_WORDS = 'no space left on device';
/** So many failures at least a mount keeps by name, and exits with this code when it ends. */
const MAX_NAMED = 100;
const UNSENT = 72;

export interface Evidence {
  readonly reports: readonly Report[];
  readonly played: readonly Played[];
  /** What the mount told of failures behind the back of programs. */
  readonly told: readonly Told[];
  /** What is missing or wrong on the server's disk. */
  readonly losses: readonly Loss[];
  /** What else went wrong: a worker that hangs, gauges that are not zero, an unmount that complains. */
  readonly troubles: readonly string[];
  /** Longest that a call may take, in milliseconds. */
  readonly bound: number;
}

export type Loss = { readonly worker: string } & Deviation;

export interface Verdict {
  readonly operations: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** True errors that programs saw, by errno. */
  readonly errors: Readonly<Record<string, number>>;
  /** True failures that programs could not see when they happened. */
  readonly told: number;
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

export function judge(evidence: Evidence): Verdict {
  const { reports, played, troubles, bound } = evidence;
  const failed = reports.filter((report) => report.is === 'failed');
  const finished = reports.filter((report) => report.is === 'done');
  const full = played.filter(({ fault }) => fault === 'full disk');
  // One that was told may have been met as long before as the answer took.
  const isExplained = ({ at, error }: Told) => error.includes(FULL_IN_WORDS) && isIn(full, at - bound, at);
  const told = evidence.told.filter(isExplained);
  const isExcused = (worker: string, unless: Excuse | null) =>
    told.some(
      ({ at, path }) => unless !== null && at >= unless.since && isOf(worker, unless.paths).includes(path),
    );
  const isTrue = (each: Failed) =>
    OUTAGE.has(each.errno) || (each.errno === FULL && isOfFullDisk(each, full, told));
  const falseErrors = [
    ...failed.filter((each) => !isTrue(each)).map(inWords),
    ...evidence.told.filter((each) => !isExplained(each)).map(({ path, error }) => `${path}: ${error}`),
  ];
  const wrongAnswers = reports.flatMap((report) =>
    report.is === 'wrong' && !isExcused(report.worker, report.unless)
      ? [`${report.worker}: ${report.what}`]
      : [],
  );
  const losses = evidence.losses
    .filter(({ worker, unless }) => !isExcused(worker, unless))
    .map(({ worker, what }) => `${worker}/${what}`);
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
    errors: sums(failed.filter(isTrue).map(({ errno }) => [errno, 1])),
    told: told.length,
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
 * What is wrong with how the unmount ended: it names what the mount has told, and besides only files whose close had
 * ended with an outage. What became of them afterwards (the disk was full when the server came back) nobody was left to
 * be told.
 */
export function unmountTroubles(
  { code, stderr }: { readonly code: number | null; readonly stderr: string },
  reports: readonly Report[],
  told: readonly Told[],
): readonly string[] {
  const named = namedIn(stderr);
  const known = told.slice(-MAX_NAMED).map(({ path }) => path);
  const silent = known.filter((path) => !named.includes(path)).map((path) => `unmount does not name ${path}`);
  const isStranded = (path: string) =>
    reports.some(
      (report) =>
        report.is === 'failed' &&
        OUTAGE.has(report.errno) &&
        `${report.worker}: ${report.call}` === path.replace('/', ': close '),
    );
  const isExpected = (path: string) => isStranded(path) || told.some((each) => each.path === path);
  const isClean = code === 0 && stderr === '';
  const isComplaint = code === UNSENT && named.length > 0 && stderr.includes('is unmounted');
  if (isClean || (isComplaint && named.every(isExpected))) return silent;
  return [...silent, `unmount: ${code}: ${stderr}`];
}

/** A disk that was full since the last confirmation; or an fsync tells what failed behind the back of programs. */
function isOfFullDisk({ call, since, end }: Failed, full: readonly Played[], told: readonly Told[]): boolean {
  return isIn(full, since, end) || (call.startsWith('fsync ') && told.some(({ at }) => at <= end));
}

const isIn = (windows: readonly Played[], from: number, to: number) =>
  windows.some(({ begin, end }) => begin <= to && end >= from);

const isOf = (worker: string, paths: readonly string[]) => paths.map((path) => `${worker}/${path}`);

const inWords = ({ worker, call, errno, begin, end }: Failed) =>
  `${worker}: ${call}: ${errno} after ${end - begin} ms, at ${new Date(begin).toISOString()}`;

function sums(pairs: readonly (readonly [string, number])[]): Readonly<Record<string, number>> {
  const found = new Map<string, number>();
  for (const [name, count] of pairs) found.set(name, (found.get(name) ?? 0) + count);
  return Object.fromEntries([...found].sort(([one], [other]) => one.localeCompare(other)));
}
