/** A small disk of the server: a tmpfs that can be filled, made read-only, or made to run out of inodes. Root only. */
import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run } from '../run.js';
import type { Scope } from '../scope.js';

const PIECES = 5;

export class SmallDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Mounts a tmpfs at `directory`, which is there; `options` are its own, as `size=1m` or `nr_inodes=8`. */
  static async mount(scope: Scope, directory: string, options: string): Promise<SmallDisk> {
    await must('mount', ['-t', 'tmpfs', '-o', `mode=0777,${options}`, 'remora-test', directory]);
    // A process that is still ending may hold it.
    scope.defer(`disk at ${directory}`, async () => {
      await must('umount', ['-l', directory]);
    });
    return new SmallDisk(directory);
  }

  /** Takes all the space that is left, also what others give back meanwhile. */
  async fill(): Promise<void> {
    for (let piece = 0; piece < PIECES; piece++) {
      const { bavail, bsize } = await statfs(this.directory);
      if (bavail === 0) return;
      const ballast = join(this.directory, `.ballast-${piece}`);
      await run('fallocate', ['-l', String(bavail * bsize), ballast]);
    }
  }

  async free(): Promise<void> {
    for (let piece = 0; piece < PIECES; piece++) {
      await rm(join(this.directory, `.ballast-${piece}`), { force: true });
    }
  }

  async readOnly(on: boolean): Promise<void> {
    await must('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, this.directory]);
  }
}
