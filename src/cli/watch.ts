/**
 * `remora status --watch`: the same once a second. On a terminal each picture takes the place of the one before, cut to
 * the size that the terminal has at that moment; elsewhere they follow one another as plain text, or as one line of
 * JSON each.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type MountReport, reportsOf } from './report.js';
import type { StatusRequest } from './status.js';
import { formatStatus, type Limits, ONCE } from './status-text.js';

/** Milliseconds from one picture to the next. */
const INTERVAL = 1000;

/** What is needed of a tty.WriteStream, which has a size only if it is one. */
export interface WatchOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/** xterm's control sequences: a screen of our own, no cursor, no wrapped lines; and the way back. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const ERASE_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[J';

/** With one mount on the screen there is room for what it does; with more there is not. */
const ALONE: Limits = { unsent: 3, handles: 3, calls: 6, failures: 2 };
const AMONG_OTHERS: Limits = { unsent: 0, handles: 0, calls: 0, failures: 1 };

/** `text` cut to a terminal of that size; what does not fit is counted in the last line. */
export function clipped(text: string, columns: number, rows: number): readonly string[] {
  const lines = text.trimEnd().split('\n');
  const shown =
    lines.length <= rows ? lines : [...lines.slice(0, rows - 1), `(${lines.length - rows + 1} lines more)`];
  return shown.map((line) => Array.from(line).slice(0, columns).join(''));
}

/** The screen of a terminal while it is ours. */
export class Screen {
  readonly #out: WatchOutput;
  #text = '';

  constructor(out: WatchOutput) {
    this.#out = out;
    out.write(ENTER);
    out.on('resize', this.#paint);
  }

  show(text: string): void {
    this.#text = text;
    this.#paint();
  }

  /** Gives the terminal back as it was. */
  leave(): void {
    this.#out.off('resize', this.#paint);
    this.#out.write(LEAVE);
  }

  readonly #paint = (): void => {
    const { columns, rows } = this.#out;
    // A terminal that does not know its size says 0.
    const lines = clipped(this.#text, columns || 80, rows || 24).map((line) => line + ERASE_LINE);
    this.#out.write(HOME + lines.join('\r\n') + ERASE_BELOW);
  };
}

function picture(reports: readonly MountReport[], now: Date): string {
  if (reports.length === 0) return `${now.toLocaleTimeString()}  nothing is mounted\n`;
  const limits = reports.length === 1 ? ALONE : AMONG_OTHERS;
  return formatStatus(reports, now.getTime(), limits);
}

/** Until `stopped`. Throws as `reportsOf` does when the mount has ended. */
export async function watch(
  { mountpoint, form }: StatusRequest,
  env: NodeJS.ProcessEnv,
  uid: number,
  out: WatchOutput,
  stopped: AbortSignal,
): Promise<void> {
  const screen = form === 'text' && out.isTTY === true ? new Screen(out) : null;
  try {
    while (!stopped.aborted) {
      const reports = await reportsOf(mountpoint, env, uid);
      if (stopped.aborted) break;
      if (screen !== null) screen.show(picture(reports, new Date()));
      else if (form === 'json') out.write(`${JSON.stringify(mountpoint === null ? reports : reports[0])}\n`);
      else out.write(`${formatStatus(reports, Date.now(), ONCE)}\n`);
      await delay(INTERVAL, undefined, { signal: stopped }).catch(() => {});
    }
  } finally {
    screen?.leave();
  }
}
