/**
 * The journal of systemd, where a service's standard error may lead: systemd.exec(5) says by JOURNAL_STREAM how that is
 * known, and sd-daemon(3) how a line says its priority. Nothing but standard error is needed for either.
 */
import { fstatSync } from 'node:fs';

/** syslog(3). */
const PRIORITY = { error: 3, warning: 4, debug: 7 } as const;

export type Priority = keyof typeof PRIORITY;

/** Does the descriptor lead to the journal? A descriptor that was redirected since does not. */
export function isJournal(env: NodeJS.ProcessEnv, fd: number): boolean {
  const [, dev, ino] = /^(\d+):(\d+)$/.exec(env.JOURNAL_STREAM ?? '') ?? [];
  if (dev === undefined || ino === undefined) return false;
  try {
    const stats = fstatSync(fd, { bigint: true });
    return stats.dev === BigInt(dev) && stats.ino === BigInt(ino);
  } catch {
    return false;
  }
}

/** `text` with its priority on every line, and with a line end. */
export function journalLines(priority: Priority, text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `<${PRIORITY[priority]}>${line}\n`)
    .join('');
}
