/**
 * A mount namespace of a test's own, where it may have an fstab and mount helpers without the machine taking notice. A
 * process that sleeps keeps it. FUSE mounts of other tests are taken out of it at once: their file systems would live
 * on here after they were unmounted there.
 */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endProcesses, type MountInfo, parseMounts } from './processes.js';
import { type Finished, must, type RunOptions, run, start, until } from './run.js';
import type { Scope } from './scope.js';

const DETACH_FUSE = `
import ctypes, re
libc = ctypes.CDLL(None)
for line in reversed(open('/proc/self/mountinfo', 'rb').read().splitlines()):
    if re.search(rb' - fuse[ .]', line):
        libc.umount2(line.split()[4].decode('unicode_escape').encode('latin1'), 2)
print('ready', flush=True)
`;

export class MountNamespace {
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
  }

  static async open(scope: Scope): Promise<MountNamespace> {
    const script = `python3 -c "$1" && exec sleep infinity`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', DETACH_FUSE];
    const child = start('unshare', args, { env: scope.environment });
    const { pid } = child;
    if (pid === undefined) throw new Error('unshare does not start');
    scope.defer('mount namespace', () => endProcesses([pid], 'SIGKILL'));
    let printed = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
    await until('a mount namespace', async () => printed.includes('ready'));
    return new MountNamespace(pid);
  }

  /** The arguments after `nsenter` that run a program there. */
  get #enter(): readonly string[] {
    return ['--mount', `--target=${this.#pid}`, '--'];
  }

  /** Runs a program there, as `options.as` if need be. */
  run(program: string, args: readonly string[], { as, ...options }: RunOptions = {}): Promise<Finished> {
    const user =
      as === undefined ? [] : ['setpriv', `--reuid=${as.uid}`, `--regid=${as.gid}`, '--clear-groups'];
    return run('nsenter', [...this.#enter, ...user, program, ...args], options);
  }

  /** Starts a program there, in a process group of its own. */
  start(program: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
    return start('nsenter', [...this.#enter, program, ...args], options);
  }

  async must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    return must('nsenter', [...this.#enter, program, ...args], options);
  }

  /** Shows `from` at `place`, for this namespace alone. */
  async bind(from: string, place: string): Promise<void> {
    await this.must('mount', ['--bind', from, place]);
  }

  /** The path by which this process reaches `path` of the namespace. */
  inside(path: string): string {
    return join(`/proc/${this.#pid}/root`, path);
  }

  async mountAt(directory: string): Promise<MountInfo | null> {
    const mounts = parseMounts(await readFile(`/proc/${this.#pid}/mountinfo`, 'latin1'));
    return mounts.findLast((mount) => mount.mountpoint === directory) ?? null;
  }
}
