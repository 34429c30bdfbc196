/** A client that is mounted: files are read and written by the helper programs. The base of all mounts. */
import { randomBytes } from 'node:crypto';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { endProcesses, markedProcesses, mountAt } from '../../test/support/processes.js';
import { run } from '../../test/support/run.js';
import type { Scope } from '../../test/support/scope.js';
import { helperNumber } from '../tools.js';
import type { Client } from './peer.js';

/** Bytes of one write(2) of a sequential copy, as cp does it. */
const PIECE = 256 * 1024;

/** Marks all processes of one client, also those that it detaches from itself, as sshfs does with its ssh. */
const MARK = 'REMORA_BENCH_CLIENT';

/** Where a client is to be mounted, and the environment that its processes get. */
export interface Place {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** A new directory to mount at. */
export async function newPlace(scope: Scope): Promise<Place> {
  const directory = await scope.makeDirectory(`mount-${randomBytes(4).toString('hex')}`);
  return { directory, environment: { ...scope.environment, [MARK]: directory } };
}

export class MountedClient implements Client {
  readonly directory: string;
  readonly #leave: () => Promise<void>;
  #open = true;

  /** @param leave unmounts politely, and throws when that does not work. */
  constructor(scope: Scope, { directory }: Place, leave: () => Promise<void>) {
    this.directory = directory;
    this.#leave = leave;
    scope.defer(`mount at ${directory}`, () => this.close());
  }

  async processes(): Promise<readonly number[]> {
    return [...(await markedProcesses(`${MARK}=${this.directory}`)).keys()];
  }

  read(name: string, bytes: number, cap: number): Promise<number> {
    return helperNumber('read', [join(this.directory, name), bytes], cap);
  }

  write(source: string, name: string, bytes: number, cap: number): Promise<number> {
    return helperNumber('write', [source, join(this.directory, name), PIECE, bytes, 'fsync'], cap);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    const processes = await this.processes();
    await this.#leave().catch(async () => {
      await run('umount', ['-l', '--', this.directory]);
      await run('fusermount3', ['-u', '-z', '--', this.directory]);
      await endProcesses(processes, 'SIGKILL');
    });
    await endProcesses(processes);
    if ((await mountAt(this.directory)) === null) await rmdir(this.directory);
  }
}
