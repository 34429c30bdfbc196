/** The findings as people and programs read them, the likely root cause first. */
import { type Finding, rootCause, type Verdict } from './finding.js';

const UNICODE: Record<Verdict, string> = { ok: '✓', warning: '!', failure: '✗', skipped: '-' };
const ASCII: Record<Verdict, string> = { ok: 'ok', warning: '!!', failure: 'XX', skipped: '--' };

/** Whether the terminal's language has more than ASCII (locale(7): the first that is set counts). */
export function hasUnicode({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}

/** `subject` is what was examined, as it was typed. */
export function formatText(subject: string, findings: readonly Finding[], unicode: boolean): string {
  const marks = unicode ? UNICODE : ASCII;
  const arrow = unicode ? '→' : '->';
  const width = Math.max(...findings.map(({ title }) => title.length));
  const margin = ' '.repeat(marks.ok.length + width + 3);
  const lines = [...summary(subject, findings), ''];
  for (const { verdict, title, what, why, remedy } of findings) {
    lines.push(`${marks[verdict]} ${title.padEnd(width)}  ${what}`);
    if (why !== null) lines.push(`${margin}${why}`);
    if (remedy !== null) lines.push(`${margin}${arrow} ${remedy}`);
  }
  const text = `${lines.join('\n')}\n`;
  return unicode ? text : text.replaceAll('…', '...').replace(/[^\n -~]/g, '?');
}

function summary(subject: string, findings: readonly Finding[]): string[] {
  const cause = rootCause(findings);
  if (cause !== null) {
    const { id, what, why, remedy } = cause;
    return [
      `${subject}: ${what} (${id})`,
      ...(why === null ? [] : [`  ${why}`]),
      ...(remedy === null ? [] : [`  to mend it: ${remedy}`]),
    ];
  }
  const warnings = findings.filter(({ verdict }) => verdict === 'warning').length;
  const said = warnings === 0 ? '' : warnings === 1 ? ', with a warning' : `, with ${warnings} warnings`;
  return [`${subject}: all is well${said}`];
}

export function formatJson(subject: string, findings: readonly Finding[]): string {
  return `${JSON.stringify({ subject, cause: rootCause(findings), findings }, null, 2)}\n`;
}
