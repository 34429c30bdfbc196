/**
 * Runs the programs that are measured: always as other processes, always with a cap. A program that does not
 * end in time is killed with its process group and told as {@link OverCap}; one that fails is an error.
 */
import { join } from 'node:path';
import { run } from '../test/support/run.js';

/** A command was stopped at its cap. */
export class OverCap extends Error {
  /** Seconds. */
  readonly cap: number;

  constructor(cap: number) {
    super(`stopped after ${cap} s`);
    this.cap = cap;
  }
}

export interface Timed {
  /** From starting the program until it ended and its output was read. */
  readonly seconds: number;
  readonly stdout: string;
}

export interface TimedOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs `program` to its end; `cap` is in seconds. */
export async function timed(
  program: string,
  args: readonly string[],
  cap: number,
  options: TimedOptions = {},
): Promise<Timed> {
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  const finished = await run(program, args, { ...options, timeout: cap * 1000 }).catch((error: unknown) => {
    throw seconds() >= cap ? new OverCap(cap) : error;
  });
  const elapsed = seconds();
  if (finished.code !== 0) {
    throw new Error(
      `${program} ended with ${finished.code ?? finished.signal}: ${reasonIn(finished.stderr)}`,
    );
  }
  return { seconds: elapsed, stdout: finished.stdout };
}

/** What a program that failed says: of a Node program the error without its stack. */
function reasonIn(stderr: string): string {
  const [error = stderr.trim()] = /^\w*Error.*$/m.exec(stderr) ?? [];
  return error;
}

/** Where the compiled helper program `name` is. */
export function helperPath(name: string): string {
  return join(import.meta.dirname, 'programs', `${name}.js`);
}

/** Runs a helper program, which takes the time itself; answers the numbers that it prints. */
export async function helper(
  name: string,
  args: readonly (string | number)[],
  cap: number,
  options: TimedOptions = {},
): Promise<readonly number[]> {
  const { stdout } = await timed(process.execPath, [helperPath(name), ...args.map(String)], cap, options);
  const answer: unknown = JSON.parse(stdout);
  if (!Array.isArray(answer)) throw new Error(`${name} printed no numbers`);
  return answer.map(Number);
}

/** The one number that a helper program prints. */
export async function helperNumber(
  name: string,
  args: readonly (string | number)[],
  cap: number,
  options: TimedOptions = {},
): Promise<number> {
  const [value] = await helper(name, args, cap, options);
  if (value === undefined || !Number.isFinite(value)) throw new Error(`${name} printed no number`);
  return value;
}
