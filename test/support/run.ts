/**
 * Programs as asynchronous children, with argument arrays only. A program that outlives its time is ended
 * with everything in its process group, and its output so far is in the error: a hung mount must fail one
 * test, never the run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { PROGRAM_PATH } from './packages.js';

/** Whom a program runs as; absent means as this process. */
export interface Identity {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  readonly as?: Identity | undefined;
  /** Milliseconds; 60 s when absent. */
  readonly timeout?: number;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The variables every program gets: nothing of the person who runs the tests but the language and the path. */
export function baseEnvironment(): Record<string, string> {
  return { PATH: PROGRAM_PATH, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', TZ: 'UTC', TERM: 'dumb' };
}

/** Starts a program in a process group of its own. */
export function start(
  program: string,
  args: readonly string[],
  options: RunOptions & { readonly stdin?: 'ignore' | 'pipe' } = {},
): ChildProcess {
  // Node enters the directory before it changes the user, but root may not enter a plain user's mount.
  const enter = options.as && options.cwd ? ['env', `--chdir=${options.cwd}`] : [];
  const [first = program, ...rest] = [...enter, program, ...args];
  return spawn(first, rest, {
    cwd: enter.length > 0 ? '/' : (options.cwd ?? '/'),
    env: { ...baseEnvironment(), ...options.env },
    stdio: [options.stdin ?? (options.input === undefined ? 'ignore' : 'pipe'), 'pipe', 'pipe'],
    detached: true,
    ...(options.as ? { uid: options.as.uid, gid: options.as.gid } : {}),
  });
}

/** Runs a program to its end; any exit code is an answer, only a timeout or a failure to start throws. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = start(program, args, options);
  const timeout = options.timeout ?? 60_000;
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('utf8');
    const timer = setTimeout(() => {
      if (child.pid !== undefined) killGroup(child.pid);
      reject(
        new Error(
          `${program} ${args.join(' ')}: not finished after ${timeout} ms\n${text(out)}${text(err)}`.trimEnd(),
        ),
      );
    }, timeout);
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: text(out), stderr: text(err) });
    });
  });
}

/** Runs a program that has to succeed; answers what it printed. */
export async function must(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const finished = await run(program, args, options);
  if (finished.code !== 0) {
    throw new Error(
      `${program} ${args.join(' ')}: ended with ${finished.code ?? finished.signal}\n${finished.stdout}${finished.stderr}`.trimEnd(),
    );
  }
  return finished.stdout;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

/** Asks `check` again and again until it answers something; throws when `milliseconds` have passed. */
export async function until<T>(
  what: string,
  check: () => Promise<T | false | null | undefined>,
  milliseconds = 15_000,
): Promise<T> {
  const deadline = performance.now() + milliseconds;
  for (let pause = 5; ; pause = Math.min(pause * 2, 200)) {
    const answer = await check();
    if (answer !== false && answer !== null && answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${milliseconds} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
