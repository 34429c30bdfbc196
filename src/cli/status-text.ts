/** How mounts are, as text for a person: one paragraph each, what matters most first. Pure. */

import { printable } from '../base/printable.js';
import type { DiskStatus } from '../cache/disk/disk-cache.js';
import type { OpenHandle, Unsent } from '../fs/open-file.js';
import type { PrefetchStatus } from '../fs/prefetch-outcomes.js';
import type { FsStatus } from '../fs/status.js';
import type { CallStats, Failure } from '../fuse/tally.js';
import type { LinkStatus } from '../recovery/session.js';
import type { TrafficStatus } from '../sftp/traffic.js';
import {
  describeUnsent,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatTable,
  formatTime,
} from './format.js';
import type { WatchStatus } from './live.js';
import type { MountReport } from './report.js';

/** How many lines of each kind are shown. */
export interface Limits {
  readonly unsent: number;
  readonly handles: number;
  readonly calls: number;
  readonly failures: number;
}

/** For text that is printed once. */
export const ONCE: Limits = { unsent: 1000, handles: 20, calls: 40, failures: 10 };

/** A name, and the lines beside it. */
type Row = readonly [name: string, lines: readonly string[]];

/** The first `limit` lines, and how many there are beyond. */
function atMost(lines: readonly string[], limit: number): readonly string[] {
  if (lines.length <= limit) return lines;
  return [...lines.slice(0, limit), `  and ${lines.length - limit} more`];
}

function describeLink(link: LinkStatus, mountpoint: string, roundTrip: number | null, now: number): string {
  const attempts = formatCount(link.attempts, 'attempt');
  const lines = [`${link.state} for ${formatDuration(now - link.since)}`];
  if (roundTrip !== null) lines.push(`, round trip ${formatTime(roundTrip)}`);
  if (link.reason !== null) lines.push(`: ${printable(link.reason)}`);
  if (link.needsPerson) lines.push(`; it needs you: remora reconnect ${printable(mountpoint)}`);
  if (link.retryAt !== null) {
    const wait = Math.max(0, link.retryAt - now);
    lines.push(`; ${attempts}, the next in ${formatDuration(wait)}`);
  } else if (link.attempts > 0 && !link.needsPerson) lines.push(`; ${attempts}`);
  return lines.join('');
}

function describeOne({ path, error, ...others }: Unsent): string {
  return `  ${describeUnsent({ ...others, path: printable(path), error: printable(error) })}`;
}

function listUnsent(unsent: readonly Unsent[], age: number | null, limit: number): readonly string[] {
  if (unsent.length === 0) return ['nothing'];
  const total = unsent.reduce((sum, { bytes }) => sum + bytes, 0);
  const oldest = age === null ? '' : `, the oldest for ${formatDuration(age)}`;
  return [
    `${formatBytes(total)} in ${formatCount(unsent.length, 'file')}${oldest}`,
    ...atMost(unsent.map(describeOne), limit),
  ];
}

/** What the server refused of what programs took for done, and no person was told of. */
function listLost(lost: readonly Unsent[], limit: number): readonly string[] {
  const total = lost.reduce((sum, { bytes }) => sum + bytes, 0);
  const data = total === 0 ? '' : ` (${formatBytes(total)})`;
  const lines = atMost(lost.map(describeOne), limit);
  return lost.length === 0 ? [] : [`${formatCount(lost.length, 'change')}${data}`, ...lines];
}

/** Of `durability=async`; nothing where nothing is to be said. */
function describePosted({ posted, postedFailed }: FsStatus): readonly string[] {
  if (posted === 0 && postedFailed === 0) return [];
  const failed = postedFailed === 0 ? '' : `; ${formatCount(postedFailed, 'change')} failed since mounting`;
  return [`${formatCount(posted, 'change')} not confirmed${failed}`];
}

function describeTraffic({ received, sent, receiveRate, sendRate }: TrafficStatus): string {
  const rates = `${formatRate(receiveRate)} in, ${formatRate(sendRate)} out`;
  return `${rates}; ${formatBytes(received)} and ${formatBytes(sent)} in all`;
}

function share(hits: number, misses: number): string {
  return hits + misses === 0 ? 'nothing asked' : `${Math.floor((100 * hits) / (hits + misses))} % hits`;
}

function describeDisk({ state, bytes, limit, hits, misses }: DiskStatus): string {
  const held = `${formatBytes(bytes)} of ${formatBytes(limit)} on disk, ${share(hits, misses)}`;
  if (state === 'on') return held;
  return `${held}; ${state === 'full' ? 'the disk is full' : 'not used any more, see the log'}`;
}

function describeCache(status: FsStatus): readonly string[] {
  const { cachedBytes, cacheLimit, cacheHits, cacheMisses } = status;
  const { disk, cachedAttributes, cachedListings, attributeHits, attributeMisses } = status;
  const ahead = describePrefetch(status.prefetch);
  const names = `${formatCount(cachedAttributes, 'name')} and ${formatCount(cachedListings, 'listing')}`;
  return [
    `${formatBytes(cachedBytes)} of ${formatBytes(cacheLimit)}, ${share(cacheHits, cacheMisses)}`,
    ...(disk ? [describeDisk(disk)] : []),
    `${names}, ${share(attributeHits, attributeMisses)}`,
    ...(ahead === null ? [] : [ahead]),
  ];
}

function describeWatch({ mode, program, directories, reason }: WatchStatus): string {
  const by = program === null ? mode : `${mode} (${program})`;
  const how = mode === 'off' ? mode : `${by}, ${formatCount(directories, 'directory', 'directories')}`;
  return `${how}${reason === null ? '' : `: ${printable(reason)}`}`;
}

/** Null as long as nothing was read ahead. */
function describePrefetch({ fetched, used, inVain }: PrefetchStatus): string | null {
  if (fetched.files === 0) return null;
  const wasted = `${inVain.files} (${formatBytes(inVain.bytes)}) in vain`;
  return `${formatCount(fetched.files, 'file')} ahead, ${used.files} (${formatBytes(used.bytes)}) used, ${wasted}`;
}

function describeHandles(handles: readonly OpenHandle[], limit: number): readonly string[] {
  if (handles.length === 0) return ['nothing'];
  const lines = handles.map(({ path, access, unsent }) => {
    const name = path === null ? '(removed)' : path === '' ? '/' : printable(path);
    return `  ${name} (${access}${unsent === 0 ? '' : `, ${formatBytes(unsent)} unsent`})`;
  });
  return [String(handles.length), ...atMost(lines, limit)];
}

/** The most frequent ones. */
function describeCalls(calls: Readonly<Record<string, CallStats>>, limit: number): readonly string[] {
  const kinds = Object.entries(calls).sort(([, a], [, b]) => b.count - a.count);
  if (kinds.length === 0) return [];
  const time = (milliseconds: number | null) => (milliseconds === null ? '-' : formatTime(milliseconds));
  const rows = kinds.slice(0, limit).map(([name, { count, errors, median, p99 }]) => {
    return [name, String(count), String(errors), time(median), time(p99)];
  });
  return formatTable([['', 'count', 'errors', 'median', '99 %'], ...rows])
    .trimEnd()
    .split('\n');
}

/** The newest first. */
function describeFailures(failures: readonly Failure[], limit: number, now: number): readonly string[] {
  return failures
    .toReversed()
    .slice(0, limit)
    .map(({ when, call, path, errno, reason }) => {
      const name = path === null ? 'a removed file' : printable(path);
      const why = reason === errno ? '' : `, ${printable(reason)}`;
      return `${formatDuration(now - when)} ago ${call} ${name}: ${errno}${why}`;
    });
}

function describeServer({ server, connections, lanes }: MountReport): string {
  const ways = connections === null ? '' : `, ${formatCount(connections, 'connection')}`;
  const data = lanes === null ? '' : `, ${formatCount(lanes, 'data channel')}`;
  return `${printable(server ?? '')}${ways}${data}`;
}

function rowsOf(report: MountReport, now: number, limits: Limits): readonly Row[] {
  const { state, uptime, pid, driver, server, link, mountpoint } = report;
  const { filesystem, kernel, traffic, unsent, handles, calls, failures, watch } = report;
  const rows: Row[] = [['state', [state]]];
  const roundTrip = traffic?.roundTrip ?? null;
  if (link !== null) rows.push(['link', [describeLink(link, mountpoint, roundTrip, now)]]);
  if (server !== null) rows.push(['server', [describeServer(report)]]);
  if (traffic !== null) rows.push(['traffic', [describeTraffic(traffic)]]);
  if (unsent !== null) {
    const [lost, left] = [unsent.filter(({ isLost }) => isLost), unsent.filter(({ isLost }) => !isLost)];
    rows.push(['unsent', listUnsent(left, filesystem?.dirtyAge ?? null, limits.unsent)]);
    rows.push(['lost', listLost(lost, limits.unsent)]);
  }
  // A process of an earlier version says less.
  if (traffic !== null && filesystem !== null && kernel !== null) {
    const asked = `${formatCount(filesystem.inFlight, 'request')} under way, ${filesystem.queued} queued`;
    rows.push(['waiting', [`${formatCount(kernel.inFlight, 'call')} of programs; ${asked}`]]);
    rows.push(['posted', describePosted(filesystem)]);
    rows.push(['cache', describeCache(filesystem)]);
    if (watch !== null) rows.push(['watch', [describeWatch(watch)]]);
  }
  if (handles !== null) rows.push(['open', describeHandles(handles, limits.handles)]);
  if (failures !== null) rows.push(['failed', describeFailures(failures, limits.failures, now)]);
  if (calls !== null) rows.push(['calls', describeCalls(calls, limits.calls)]);
  const up = uptime === null ? '' : `, for ${formatDuration(uptime * 1000)}`;
  const how = driver === null ? '' : `, driver ${driver}`;
  if (pid !== null) rows.push(['process', [`${pid}${up}${how}`]]);
  return rows.filter(([, lines]) => lines.length > 0);
}

/** One paragraph a mount; empty text for none. `now` in milliseconds since the epoch. */
export function formatStatus(reports: readonly MountReport[], now: number, limits: Limits): string {
  const paragraphs = reports.map((report) => {
    const text = rowsOf(report, now, limits).flatMap(([name, lines]) =>
      lines.map((line, i) => `  ${(i === 0 ? name : '').padEnd(9)}${line}\n`),
    );
    return `${printable(report.source)} on ${printable(report.mountpoint)}\n${text.join('')}`;
  });
  return paragraphs.join('\n');
}
