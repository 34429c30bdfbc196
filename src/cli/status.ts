/** `remora status`: how the connection of a mount is, what is being done about it, and what waits to be sent. */
import { join } from 'node:path';
import { printable } from '../base/printable.js';
import type { Unsent } from '../fs/open-file.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import type { LinkStatus } from '../recovery/session.js';
import { askControl } from './control-client.js';
import { runtimeDirectory, socketName } from './directories.js';
import { type ListedMount, listMounts } from './discover.js';
import { CommandError } from './exit.js';
import { formatBytes, formatDuration } from './format.js';
import { mountedPath } from './mountpoint.js';

/** Milliseconds for a daemon to say what is unsent. */
const UNSENT_TIMEOUT = 3000;

/** A row of the list, and what is not on the server; null when the serving process does not say. */
export interface MountReport extends ListedMount {
  readonly unsent: readonly Unsent[] | null;
}

function describeLink(link: LinkStatus, mountpoint: string, now: number): string {
  const attempts = `${link.attempts} ${link.attempts === 1 ? 'attempt' : 'attempts'}`;
  const lines = [`${link.state} for ${formatDuration(now - link.since)}`];
  if (link.reason !== null) lines.push(`: ${printable(link.reason)}`);
  if (link.needsPerson) lines.push(`; it needs you: remora reconnect ${printable(mountpoint)}`);
  if (link.retryAt !== null) {
    const wait = Math.max(0, link.retryAt - now);
    lines.push(`; ${attempts}, the next in ${formatDuration(wait)}`);
  } else if (link.attempts > 0 && !link.needsPerson) lines.push(`; ${attempts}`);
  return lines.join('');
}

function describeUnsent(unsent: readonly Unsent[]): string[] {
  if (unsent.length === 0) return ['nothing'];
  const total = unsent.reduce((sum, { bytes }) => sum + bytes, 0);
  const files = unsent.map(({ path, bytes, error }) => {
    return `  ${printable(path)}: ${formatBytes(bytes)} (${printable(error)})`;
  });
  return [`${formatBytes(total)} in ${unsent.length === 1 ? '1 file' : `${unsent.length} files`}`, ...files];
}

/** One paragraph a mount; empty text for none. `now` in milliseconds since the epoch. */
export function formatStatus(reports: readonly MountReport[], now: number): string {
  const paragraphs = reports.map(({ source, mountpoint, state, uptime, pid, server, link, unsent }) => {
    const rows: [string, readonly string[]][] = [['state', [state]]];
    if (link !== null) rows.push(['link', [describeLink(link, mountpoint, now)]]);
    if (unsent !== null) rows.push(['unsent', describeUnsent(unsent)]);
    if (server !== null) rows.push(['server', [printable(server)]]);
    const up = uptime === null ? '' : `, for ${formatDuration(uptime * 1000)}`;
    if (pid !== null) rows.push(['process', [`${pid}${up}`]]);
    const text = rows.flatMap(([name, lines]) =>
      lines.map((line, i) => `  ${(i === 0 ? name : '').padEnd(9)}${line}\n`),
    );
    return `${printable(source)} on ${printable(mountpoint)}\n${text.join('')}`;
  });
  return paragraphs.join('\n');
}

async function report(directory: string, row: ListedMount): Promise<MountReport> {
  // Only a daemon that has just told of its connection is asked more.
  if (row.link === null || row.pid === null) return { ...row, unsent: null };
  const socket = join(directory, socketName(row.mountpoint, row.pid));
  const asked = askControl(socket, { op: 'unsent' }, { timeout: UNSENT_TIMEOUT });
  return { ...row, unsent: await asked.catch(() => null) };
}

/** Text for standard output, of one mount or of all. Throws `not-mounted` when there is none at `mountpoint`. */
export async function status(
  { mountpoint, json }: { readonly mountpoint: string | null; readonly json: boolean },
  env: NodeJS.ProcessEnv,
  uid: number,
): Promise<string> {
  const directory = runtimeDirectory(env, uid);
  const now = Date.now();
  const rows = await listMounts(directory, uid, now);
  const path = mountpoint === null ? null : await mountedPath(mountpoint, await findFuseMounts());
  const meant = path === null ? rows : rows.filter((row) => row.mountpoint === path);
  if (path !== null && meant.length === 0) {
    throw new CommandError('not-mounted', `${path}: nothing of Remora is mounted there`);
  }
  const reports = await Promise.all(meant.map((row) => report(directory, row)));
  if (!json) return formatStatus(reports, now);
  return `${JSON.stringify(path === null ? reports : reports[0], null, 2)}\n`;
}
