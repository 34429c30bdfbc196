/** The findings as people and programs read them, the likely root cause first. */
import { type Finding, rootCause, type Verdict } from './finding.js';

const UNICODE: Record<Verdict, string> = { ok: '✓', warning: '!', failure: '✗', skipped: '-' };
const ASCII: Record<Verdict, string> = { ok: 'ok', warning: '!!', failure: 'XX', skipped: '--' };

/** Longest line of a sentence, in characters, before what stands in front of it. */
const LINE = 90;

/** Whether the terminal's language has more than ASCII (locale(7): the first that is set counts). */
export function hasUnicode({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}

/** `subject` is what was examined, as it was typed. */
export function formatText(subject: string, findings: readonly Finding[], unicode: boolean): string {
  const marks = unicode ? UNICODE : ASCII;
  const arrow = unicode ? '→' : '->';
  const rows = joined(findings);
  const width = Math.max(...rows.map(({ title }) => title.length));
  const margin = ' '.repeat(marks.ok.length + width + 3);
  const lines = [...summary(subject, findings), ''];
  for (const { verdict, title, what, why, remedy } of rows) {
    lines.push(`${marks[verdict]} ${title.padEnd(width)}  ${what}`);
    lines.push(...wrapped(why ?? '').map((line) => margin + line));
    if (remedy !== null) lines.push(`${margin}${arrow} ${remedy}`);
  }
  const text = `${lines.join('\n')}\n`;
  return unicode ? text : text.replaceAll('…', '...').replace(/[^\n -~]/g, '?');
}

/** Lines of an explanation; what somebody may look for or paste stays in one. */
function wrapped(text: string): string[] {
  return text.match(new RegExp(`\\S.{0,${LINE - 1}}(?= |$)|\\S+`, 'g')) ?? [];
}

/** What could not be looked at for one reason is one row. */
function joined(findings: readonly Finding[]): Finding[] {
  const rows: (Finding & { first: string })[] = [];
  for (const finding of findings) {
    const before = rows.at(-1);
    const goesOn =
      finding.verdict === 'skipped' && before?.verdict === 'skipped' && before.what === finding.what;
    const first = goesOn ? before.first : finding.title;
    const title = goesOn ? `${first} to ${finding.title}` : finding.title;
    rows.splice(goesOn ? -1 : rows.length, 1, { ...finding, title, first });
  }
  return rows;
}

function summary(subject: string, findings: readonly Finding[]): string[] {
  const cause = rootCause(findings);
  if (cause !== null) {
    const { id, what, why, remedy } = cause;
    return [
      `${subject}: ${what} (${id})`,
      ...wrapped(why ?? '').map((line) => `  ${line}`),
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
