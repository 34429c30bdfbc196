/**
 * Locks between processes: flock(2) on a file of the runtime directory. The kernel lets go of them when their
 * process ends, in whatever way, so none is ever stale. The file is removed with the lock; who locked a file that
 * was removed in between has locked nothing, and starts again.
 */
import { closeSync, fstatSync, openSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { tryLock } from '../fuse/libc.js';

/** Milliseconds between two tries. */
const PAUSE = 20;

export class FileLock {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** The lock, if nobody holds it. The directory must exist. */
  static try(path: string): FileLock | null {
    for (;;) {
      // Closed on exec: a child that inherited it would hold the lock on.
      const fd = openSync(path, 'a', 0o600);
      if (!tryLock(fd)) {
        closeSync(fd);
        return null;
      }
      if (fstatSync(fd).nlink > 0) return new FileLock(path, fd);
      closeSync(fd);
    }
  }

  /** The lock, or null when it was not free within `timeout` milliseconds. */
  static async take(path: string, timeout: number): Promise<FileLock | null> {
    const end = performance.now() + timeout;
    for (;;) {
      const lock = FileLock.try(path);
      if (lock !== null || performance.now() > end) return lock;
      await delay(PAUSE);
    }
  }

  /** Once. */
  release(): void {
    rmSync(this.path, { force: true });
    closeSync(this.#fd);
  }
}
