/**
 * What a test file makes (directories, servers, users, mounts), and its end. Everything that is started
 * registers here how to stop it; `close` undoes in reverse order and then looks: a mount, a process or a
 * file that is still there fails the test file.
 */
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endProcesses, markedProcesses, mountsBelow } from './processes.js';
import { type Identity, run } from './run.js';

const MARK = 'REMORA_TEST_SCOPE';

export class Scope {
  /** A temporary directory of this scope, open to every user, without a symlink in its path. */
  readonly directory: string;
  readonly #mark: string;
  readonly #closers: { readonly what: string; readonly close: () => Promise<void> }[] = [];

  private constructor(directory: string, mark: string) {
    this.directory = directory;
    this.#mark = mark;
  }

  static async open(label: string): Promise<Scope> {
    const directory = await mkdtemp(join(tmpdir(), `remora-test-${label}-`));
    await chmod(directory, 0o755);
    return new Scope(directory, randomBytes(8).toString('hex'));
  }

  /** Marks the processes of this scope, daemons included. */
  get environment(): Record<string, string> {
    return { [MARK]: this.#mark };
  }

  defer(what: string, close: () => Promise<void>): void {
    this.#closers.push({ what, close });
  }

  /** A new directory of this scope that belongs to `owner`. */
  async makeDirectory(name: string, owner?: Identity, mode = 0o755): Promise<string> {
    const directory = join(this.directory, name);
    await mkdir(directory);
    await chmod(directory, mode);
    if (owner) await chown(directory, owner.uid, owner.gid);
    return directory;
  }

  /** Stops everything, removes the directory, and throws if something was left or would not stop. */
  async close(): Promise<void> {
    const problems: string[] = [];
    for (const { what, close } of this.#closers.toReversed()) {
      await close().catch((error: unknown) => problems.push(`${what}: ${messageOf(error)}`));
    }
    this.#closers.length = 0;
    for (const mount of await mountsBelow(this.directory)) {
      problems.push(`still mounted: ${mount.mountpoint} (${mount.type})`);
      const detached = await run('umount', ['-l', mount.mountpoint]);
      if (detached.code !== 0) await run('fusermount3', ['-u', '-z', '--', mount.mountpoint]);
    }
    const processes = await markedProcesses(`${MARK}=${this.#mark}`);
    for (const [pid, command] of processes) problems.push(`still running: ${pid} ${command}`);
    await endProcesses([...processes.keys()], 'SIGKILL').catch((error: unknown) =>
      problems.push(messageOf(error)),
    );
    if ((await mountsBelow(this.directory)).length === 0) {
      await rm(this.directory, { recursive: true, force: true });
    } else {
      problems.push(`not removed, something is mounted there: ${this.directory}`);
    }
    if (problems.length > 0) throw new Error(`left behind:\n  ${problems.join('\n  ')}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
