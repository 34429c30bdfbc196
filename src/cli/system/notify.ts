/**
 * What a service manager is told: assignments in a datagram to the socket that NOTIFY_SOCKET names, as sd_notify(3)
 * has it. Without that variable, as nearly always, nothing is sent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { logger } from '../../base/log.js';
import { printable } from '../../base/printable.js';
import { LibcError, sendDatagram } from '../../fuse/libc.js';
import type { LinkStatus } from '../../recovery/session.js';

const log = logger('systemd');

/** `sun_path` of unix(7). */
const NAME_MAX = 108;

/** How often, and after how many milliseconds, a datagram is sent again that a full queue did not take. */
const TRIES = 20;
const PAUSE = 50;

/** The bytes of `sun_path` for NOTIFY_SOCKET: a path, or `@name` in the abstract namespace; null for anything else. */
export function socketName(value: string | undefined): Buffer | null {
  if (value === undefined || !/^[/@]./s.test(value) || value.includes('\0')) return null;
  const name = Buffer.from(value.startsWith('@') ? `\0${value.slice(1)}` : `${value}\0`);
  return name.length <= NAME_MAX ? name : null;
}

/** Sends `assignments`, `NAME=value` each, if anybody wants to know. Never rejects: a mount does without. */
export async function notify(env: NodeJS.ProcessEnv, ...assignments: readonly string[]): Promise<void> {
  const name = socketName(env.NOTIFY_SOCKET);
  if (name === null) return;
  const message = Buffer.from(assignments.join('\n'));
  for (let tries = 1; ; tries++) {
    try {
      return sendDatagram(name, message);
    } catch (error) {
      const isFull = error instanceof LibcError && error.code === 'EAGAIN';
      log('%s: %s', env.NOTIFY_SOCKET, error instanceof Error ? error.message : error);
      if (!isFull || tries === TRIES) return;
    }
    await delay(PAUSE);
  }
}

/** Milliseconds between two signs of life that the manager watches for: half of what it allows. Null: it does not. */
export function watchdogPause({ NOTIFY_SOCKET, WATCHDOG_USEC }: NodeJS.ProcessEnv): number | null {
  const allowed = Number(WATCHDOG_USEC);
  if (NOTIFY_SOCKET === undefined || !Number.isSafeInteger(allowed) || allowed <= 0) return null;
  return Math.max(1, Math.min(allowed / 2000, 2 ** 31 - 1));
}

/** How a mount is, in the line of `systemctl status`. */
export function statusLine(source: string, mountpoint: string, link: LinkStatus): string {
  const why = link.reason === null ? '' : ` (${link.reason})`;
  const remedy = link.needsPerson ? `; it needs you: remora reconnect ${mountpoint}` : '';
  switch (link.state) {
    case 'connected':
    case 'closing':
      return printable(`${source}: ${link.state}`);
    case 'degraded':
      return printable(`${source}: the server does not answer`);
    case 'connecting':
    case 'offline':
      return printable(`${source}: offline${why}${remedy}`);
  }
}
