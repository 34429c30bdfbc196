/**
 * The conformance suite as the tests use it: its names for a backend, the deviations that a mount may have
 * (each with its reason), and the process that runs its cases.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';
import { endProcesses } from './processes.js';
import { baseEnvironment, type Identity } from './run.js';
import type { Scope } from './scope.js';

export { casesFor, PATIENT } from './posix/suite.js';

export interface Deviation {
  /** What the case has to say when it fails. */
  readonly error: RegExp;
  readonly reason: string;
  /** It takes bad luck to fail. */
  readonly mayPass?: boolean;
}

/** Where a mount cannot be what a local disk is. A case that passes nevertheless fails the test: then strike it. */
export const MOUNT_DEVIATIONS: Readonly<Record<string, Deviation>> = {
  'mkfifo: makes a fifo': {
    error: /EPERM/,
    reason: 'SFTP version 3 makes files, directories and links only',
  },
  'O_TMPFILE: a file without a name': {
    error: /(EOPNOTSUPP|ENOTSUP)/,
    reason: 'SFTP version 3 cannot open a file that has no name',
  },
};

const LATE: Deviation = {
  error: /./,
  reason: 'the disk of the server is looked at before the server was told, and without an fsync',
  mayPass: true,
};

/** Where a mount with `durability=async` is what its name says. All that programs see of the mount itself is the same. */
export const ASYNC_DEVIATIONS: Readonly<Record<string, Deviation>> = {
  'close: what was written is on the disk when it returns': LATE,
  'chmod: is on the disk at once': LATE,
  'utimes: what was set by path is on the disk once the writer is closed': LATE,
  'behind: names made, moved and removed here are so there': LATE,
  'behind: append here goes behind what was appended there': LATE,
};

const NO_PATH: Deviation = {
  error: /ENOENT/,
  reason: 'libfuse asks by path, and a directory that was removed has none',
};

/** What moreover cannot be had through fuse-native and libfuse 2.9: see native-notes/fuse-native-libfuse2.md. */
export const LIBFUSE_DEVIATIONS: Readonly<Record<string, Deviation>> = {
  'utimes: only the access time, now': {
    error: /- 1500000000/,
    reason: 'fuse-native makes UTIME_OMIT and UTIME_NOW the same number',
  },
  'rename: RENAME_NOREPLACE does not replace': {
    error: /EINVAL/,
    reason: 'libfuse 2.9 is older than renameat2(2)',
  },
  'unlinked: nothing of it stays in the directory': {
    error: /\.fuse_hidden/,
    reason: 'libfuse gives an open file that is removed another name, until it is closed',
  },
  'rmdir: who has the directory open still sees it, and may change it': NO_PATH,
  'rmdir: who stands in the directory may look around, and finds nothing': NO_PATH,
  'replaced: over and over, a reader sees one whole version each time': {
    error: /ENOENT/,
    reason:
      'libfuse gives an open file that is replaced another name first, and for a moment nothing has its name',
    mayPass: true,
  },
};

/** Runs cases in a process of its own, as whomever; one that hangs is told and the process replaced. */
export class PosixRunner {
  readonly #scope: Scope;
  readonly #as: Identity | undefined;
  #child: ChildProcess | null = null;

  constructor(scope: Scope, as?: Identity) {
    this.#scope = scope;
    this.#as = as;
    scope.defer('runner', () => this.stop());
  }

  /** What went wrong in the case, or null. Several may run at once. */
  async run(name: string, dir: string, disk: string, milliseconds = 60_000): Promise<string | null> {
    this.#child ??= this.#fork();
    const child = this.#child;
    return new Promise<string | null>((resolve) => {
      const finish = (error: string | null) => {
        clearTimeout(timer);
        child.off('exit', ended).off('message', answered);
        resolve(error);
      };
      const ended = () => finish('the runner died');
      const answered = (message: { readonly name: string; readonly error: string | null }) => {
        if (message.name === name) finish(message.error);
      };
      const timer = setTimeout(() => {
        finish(`hangs: no end after ${milliseconds} ms`);
        void this.stop('SIGKILL');
      }, milliseconds);
      child.on('exit', ended).on('message', answered);
      child.send({ name, dir, disk });
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const pid = this.#child?.pid;
    this.#child = null;
    if (pid !== undefined) await endProcesses([pid], signal);
  }

  #fork(): ChildProcess {
    const stage = inject('stage');
    const child = fork(join(stage.directory, 'posix', 'runner.js'), [], {
      execPath: stage.node,
      execArgv: [],
      cwd: '/',
      env: { ...baseEnvironment(), ...this.#scope.environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      ...(this.#as ? { uid: this.#as.uid, gid: this.#as.gid } : {}),
    });
    child.setMaxListeners(100);
    return child;
  }
}
