/**
 * A Python program that holds things of a mount and goes on, step by step, when it is told to. Its code may call
 * `step()`, and `outcome(call, ...)`, which answers what the call does, or the name of its errno.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { start, until } from '../run.js';
import type { Scope } from '../scope.js';

export class Program {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #said = '';

  /** `step()` in the code says so and waits for {@link next}. */
  constructor(scope: Scope, code: string, ...args: readonly string[]) {
    const prelude = `
import errno, os, sys
def step():
    print('waiting', flush=True)
    sys.stdin.readline()
def outcome(call, *args):
    try: return call(*args)
    except OSError as error: return errno.errorcode[error.errno]
`;
    this.#child = start('python3', ['-c', prelude + code, ...args], {
      env: scope.environment,
      stdin: 'pipe',
    });
    this.#closed = once(this.#child, 'close');
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      output?.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString();
      });
    }
    scope.defer('program', async () => {
      if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    });
  }

  /** Waits until it waits. */
  async ready(): Promise<void> {
    await until('the program to wait', async () => this.#said.endsWith('waiting\n'));
    this.#said = '';
  }

  next(): void {
    this.#child.stdin?.write('\n');
  }

  /** What it has printed when it has ended. */
  async end(): Promise<string> {
    await this.#closed;
    return this.#said.trim();
  }
}
