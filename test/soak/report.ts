/** The verdict as a person reads it. */

import type { Verdict } from './judge.js';
import { BOUND } from './settings.js';

export interface Summary extends Verdict {
  readonly seed: string;
  readonly seconds: number;
  /** Resident memory of the daemon before it was unmounted, in bytes; null when it had ended. */
  readonly memory: number | null;
}

/** Lines of each kind of failure that are printed. */
const SHOWN = 15;

export function summaryText(summary: Summary): string {
  const { operations, faults, errors, longestWait, memory } = summary;
  const bad = [
    ['lost or wrong on the server', summary.losses],
    ['false errors', summary.falseErrors],
    ['wrong answers', summary.wrongAnswers],
    ['calls beyond their bound', summary.tooLong],
    ['other troubles', summary.troubles],
  ] as const;
  const lines = [
    `soak: ${summary.seconds} s with seed ${summary.seed}: ${summary.passed ? 'passed' : 'FAILED'}`,
    `operations      ${total(operations)}: ${counts(operations)}`,
    `faults          ${total(faults)}: ${counts(faults)}`,
    `true errors     ${total(errors)}: ${counts(errors)}`,
    ...(summary.told === 0
      ? []
      : [`told afterwards ${summary.told} true failures of what had been answered`]),
    `confirmed       ${mebibytes(summary.confirmedBytes)} written, ${mebibytes(summary.verifiedBytes)} read and compared`,
    `longest wait    ${longestWait.milliseconds} ms of at most ${BOUND} ms (${longestWait.call})`,
    `daemon's memory ${memory === null ? 'unknown' : mebibytes(memory)}`,
    ...bad.flatMap(([title, problems]) => [`${title}: ${problems.length}`, ...shown(problems)]),
  ];
  return lines.join('\n');
}

function shown(problems: readonly string[]): readonly string[] {
  const more = problems.length > SHOWN ? [`  … and ${problems.length - SHOWN} more`] : [];
  return [...problems.slice(0, SHOWN).map((problem) => `  ${problem}`), ...more];
}

const total = (numbers: Readonly<Record<string, number>>) =>
  Object.values(numbers).reduce((sum, number) => sum + number, 0);

const counts = (numbers: Readonly<Record<string, number>>) =>
  Object.entries(numbers)
    .map(([name, number]) => `${number} ${name}`)
    .join(', ');

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
