/**
 * What a check finds, and in which order checks are made. A check works on what earlier ones have found out; where
 * one that it needs has failed, it is left out, and says so. The first failure is the likely root cause: everything
 * after it follows from it, or could not be looked at.
 */
import { printable } from '../../base/printable.js';

export type Verdict = 'ok' | 'warning' | 'failure' | 'skipped';

export interface Finding {
  /** Names the check for programs, and in the messages of `remora mount`. */
  readonly id: string;
  readonly title: string;
  readonly verdict: Verdict;
  /** What was seen, in a sentence without its full stop. */
  readonly what: string;
  /** What it means or may come from. */
  readonly why: string | null;
  /** The one command or line that mends it. */
  readonly remedy: string | null;
}

/** A finding before it has the name of its check. */
export type Found = Omit<Finding, 'id' | 'title'> & { readonly id?: string };

export interface Check<Case> {
  readonly id: string;
  readonly title: string;
  /** Checks that must not have failed. */
  readonly needs: readonly string[];
  /** Milliseconds, the time that a person takes for an answer not counted; null for one that bounds itself. */
  readonly deadline: number | null;
  run(subject: Case): Promise<readonly Found[]>;
}

export const ok = (what: string, why: string | null = null): Found => ({
  verdict: 'ok',
  what,
  why,
  remedy: null,
});
export const warning = (what: string, why: string | null, remedy: string | null): Found => {
  return { verdict: 'warning', what, why, remedy };
};
export const failure = (what: string, why: string | null, remedy: string | null): Found => {
  return { verdict: 'failure', what, why, remedy };
};
export const skipped = (what: string): Found => ({ verdict: 'skipped', what, why: null, remedy: null });

/** How long a check may take before a person is told what is being waited for, in milliseconds. */
const PATIENCE = 1000;

/**
 * Makes the checks one after the other, each before the next one is asked for. Never rejects: what a check throws is
 * its finding. What is looked at of several servers in turn has the same id each time: where it has failed for one,
 * it has failed for those behind it.
 */
export async function examine<Case>(
  checks: Iterable<Check<Case>>,
  subject: Case,
  progress: (text: string) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const missing = new Map<string, string>();
  for (const check of checks) {
    const lacks = check.needs.find((id) => missing.has(id));
    const found =
      lacks === undefined
        ? await timed(check, subject, progress)
        : [skipped(`not looked at, because of: ${missing.get(lacks)}`)];
    for (const each of found) {
      findings.push({ ...clean(each), id: each.id ?? check.id, title: printable(check.title) });
    }
    if (lacks !== undefined) missing.set(check.id, missing.get(lacks) ?? lacks);
    else if (found.some(({ verdict }) => verdict === 'failure')) missing.set(check.id, check.title);
  }
  return findings;
}

async function timed<Case>(
  { title, deadline, run }: Check<Case>,
  subject: Case,
  progress: (text: string) => void,
): Promise<readonly Found[]> {
  const slow = setTimeout(() => progress(`${title} …`), PATIENCE);
  let late: NodeJS.Timeout | undefined;
  const expired = new Promise<readonly Found[]>((resolve) => {
    if (deadline === null) return;
    const text = `no result within ${deadline / 1000} s`;
    late = setTimeout(() => resolve([failure(text, null, null)]), deadline);
  });
  try {
    return await Promise.race([run(subject), expired]);
  } catch (error) {
    return [failure(error instanceof Error ? error.message : String(error), null, null)];
  } finally {
    clearTimeout(slow);
    clearTimeout(late);
  }
}

/** A server has a say in these texts. */
function clean({ verdict, what, why, remedy }: Found): Found {
  const text = (given: string | null) => (given === null ? null : printable(given));
  return { verdict, what: printable(what), why: text(why), remedy: text(remedy) };
}

/** The finding that explains the others; null when all is well. */
export function rootCause(findings: readonly Finding[]): Finding | null {
  return findings.find(({ verdict }) => verdict === 'failure') ?? null;
}
