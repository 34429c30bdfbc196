/** How a program of ours begins and ends: a failure is one sentence on standard error, and an exit code. */
import { leave } from './deadline.js';
import { type ExitName, failureOf } from './exit.js';
import { isJournal, journalLines, type Priority } from './journal.js';
import { completeEnvironment } from './system/surroundings.js';

function write(priority: Priority, text: string): void {
  const line = `remora: ${text.trimEnd()}\n`;
  process.stderr.write(isJournal(process.env, 2) ? journalLines(priority, line) : line);
}

export const tell = (text: string): void => write('warning', text);

/** Does `work` and ends the process; `codeOf` is what to exit with. */
export async function runProgram(
  work: () => Promise<ExitName>,
  codeOf: (exit: ExitName) => number,
): Promise<never> {
  // A terminal that was closed takes no more text; that must not end anything.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  completeEnvironment(process.env);
  const exit = await work().catch((error: unknown) => {
    const failure = failureOf(error);
    write('error', failure.message);
    return failure.exit;
  });
  return leave(codeOf(exit));
}
