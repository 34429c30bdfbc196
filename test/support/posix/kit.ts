/**
 * The tools of the conformance suite. It is compiled by itself and runs in a process of its own (runner.ts),
 * as root or as somebody else, so it depends on nothing but Node and a few programs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { type FileHandle, open, readFile, stat, writeFile } from 'node:fs/promises';

/**
 * One case: `dir` is an empty directory on what is tested; `disk` is the same directory as the server sees
 * it (the same path where nothing is mounted).
 */
export type Case = (dir: string, disk: string) => Promise<void>;

export type Suite = Readonly<Record<string, Case>>;

/** The action has to fail with this errno and no other. */
export async function fails(code: string, action: Promise<unknown>): Promise<void> {
  const outcome = await action.then(
    () => 'success',
    (error: NodeJS.ErrnoException) => error.code ?? String(error),
  );
  assert.equal(outcome, code);
}

/** Opens, uses and closes. */
export async function using<T>(
  path: string | Buffer,
  flags: string | number,
  use: (file: FileHandle) => Promise<T>,
  mode?: number,
): Promise<T> {
  const file = await open(path, flags, mode);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** Bytes that are different at every place and for every seed, so that nothing can be mixed up unseen. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    bytes[at] = state & 0xff;
  }
  return bytes;
}

/** Compares without printing megabytes. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what = 'contents'): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, index) => actual[index] !== byte);
  assert.fail(`${what}: byte ${at} is ${actual[at]} instead of ${expected[at]}`);
}

export async function contents(path: string | Buffer, expected: string | Uint8Array): Promise<void> {
  const bytes = typeof expected === 'string' ? Buffer.from(expected) : expected;
  sameBytes(await readFile(path), bytes, `contents of ${path}`);
}

/** Exactly `length` bytes at `offset`, or fewer at the end of the file. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

export async function permissions(path: string | Buffer): Promise<number> {
  return (await stat(path)).mode & 0o7777;
}

/** A file with these contents; answers its path. */
export async function made(path: string, text = ''): Promise<string> {
  await writeFile(path, text);
  return path;
}

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function program(name: string, args: readonly string[], cwd = '/'): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
  });
}

export async function succeeds(name: string, args: readonly string[], cwd?: string): Promise<string> {
  const { code, stdout, stderr } = await program(name, args, cwd);
  assert.equal(code, 0, `${name} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/**
 * Runs Python for the calls that Node does not have (mmap, flock, utimensat, O_TMPFILE). An OSError ends it
 * with the name of its errno on standard output, so that a case can expect it.
 */
export async function python(code: string, ...args: readonly string[]): Promise<string> {
  const wrapped = [
    'import errno, fcntl, mmap, os, stat, sys',
    'def main(argv):',
    ...code
      .replace(/^\n/, '')
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
    'try:',
    '    main(sys.argv[1:])',
    'except OSError as error:',
    '    print(errno.errorcode.get(error.errno, error.errno), end="")',
  ].join('\n');
  return succeeds('python3', ['-c', wrapped, ...args]);
}

/** Asks until `check` is true; the change it waits for has to come within `milliseconds`. */
export async function eventually(
  what: string,
  check: () => Promise<boolean>,
  milliseconds = 30_000,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await check())) {
    if (performance.now() > deadline) assert.fail(`waited ${milliseconds} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function exists(path: string | Buffer): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'ENOENT');
      return false;
    },
  );
}
