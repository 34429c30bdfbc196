/** sshfs and rclone mount: programs that serve in the foreground of their own process until they are unmounted. */
import type { ChildProcess } from 'node:child_process';
import { present } from '../../src/base/assert.js';
import { endProcesses, isAlive, mountAt, waitForUnmount } from '../../test/support/processes.js';
import { must, start, until } from '../../test/support/run.js';
import type { Scope } from '../../test/support/scope.js';
import { MountedClient, newPlace } from './mounted.js';
import type { Client } from './peer.js';

/** Milliseconds for a client to connect and mount. */
const MOUNT_TIMEOUT = 60_000;
/** Milliseconds for a client to send the rest and let go, and for its process to end after that. */
const END_TIMEOUT = 60_000;
/** What is kept of a program's output, for the error when it ends. */
const OUTPUT = 4096;

/** Starts `program` with what `args` makes of the mount point; answers when the mount is there and answers. */
export async function mountInForeground(
  scope: Scope,
  program: string,
  args: (mountpoint: string) => readonly string[],
): Promise<Client> {
  const place = await newPlace(scope);
  const { directory } = place;
  const child = start(program, args(directory), { env: place.environment });
  const failure = failureOf(program, child);
  const pid = present(child.pid, `pid of ${program}`);
  const client = new MountedClient(scope, place, async () => {
    await must('fusermount3', ['-u', '--', directory], { timeout: END_TIMEOUT });
    await waitForUnmount(directory);
    await until(`${program} to end`, async () => !(await isAlive(pid)), END_TIMEOUT);
  });
  const mounted = async () => {
    const message = failure();
    if (message !== null) throw new Error(message);
    return mountAt(directory);
  };
  try {
    await until(`a mount at ${directory}`, mounted, MOUNT_TIMEOUT);
    // sshfs mounts before it is connected; connecting is not what is measured.
    await must('stat', ['--', directory], { timeout: MOUNT_TIMEOUT });
    return client;
  } catch (error) {
    await endProcesses([pid]);
    throw error;
  }
}

/** Says why the program has ended, and null while it runs. */
function failureOf(program: string, child: ChildProcess): () => string | null {
  let said = '';
  let never: Error | null = null;
  child.on('error', (error) => {
    never = error;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString('utf8')}`.slice(-OUTPUT);
    });
  }
  return () => {
    if (never !== null) return `${program}: ${never.message}`;
    const end = child.exitCode ?? child.signalCode;
    return end === null ? null : `${program} ended with ${end}: ${said.trim()}`;
  };
}
