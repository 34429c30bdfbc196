/** Whom the commands believe: sockets only in a directory of the user's own, and a pid only after a look at it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../../src/cli/control-server.js';
import { isPrivateDirectory, socketName } from '../../../src/cli/directories.js';
import { findDaemons } from '../../../src/cli/discover.js';
import { isDaemon, isRunning, waitForEnd, waitForServer } from '../../../src/cli/processes.js';
import { Progress } from '../../../src/cli/progress.js';
import { unmount } from '../../../src/cli/unmount.js';
import { QUIET, STATUS } from '../../support/control.js';

const UID = process.getuid?.() ?? 0;
const NOBODY = 65_534;
const isRoot = UID === 0;
/** There is none in a container. */
const KERNEL_THREAD = [2].find((pid) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === '';
  } catch {
    return false;
  }
});

let directory: string;
const servers: ControlServer[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-discover-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  for (const child of children.splice(0)) {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    child.kill('SIGKILL');
    await ended;
  }
  await rm(directory, { recursive: true, force: true });
});

/** A socket in `runtime` that says it is the daemon `pid` of `mountpoint`. */
async function pretend(runtime: string, mountpoint: string, pid: number): Promise<void> {
  const handler = { ...QUIET, status: () => ({ ...STATUS, mountpoint, pid }) };
  servers.push(await ControlServer.listen(join(runtime, socketName(mountpoint, pid)), handler));
}

/** A process that waits until its standard input ends, with `words` on its command line. */
async function bystander(words: readonly string[], uid = UID): Promise<number> {
  const child = spawn('/bin/sh', ['-c', 'read line', ...words], { uid, stdio: ['pipe', 'ignore', 'ignore'] });
  children.push(child);
  await once(child, 'spawn');
  return child.pid ?? 0;
}

async function runtimeDirectory(mode: number, owner = UID): Promise<string> {
  const runtime = join(directory, 'remora');
  await mkdir(runtime);
  await pretend(runtime, '/mnt', process.pid);
  await chmod(runtime, mode);
  if (owner !== UID) await chown(runtime, owner, owner);
  return runtime;
}

describe('a runtime directory', () => {
  it('of the user alone is believed', async () => {
    const runtime = await runtimeDirectory(0o700);
    expect(await findDaemons(runtime)).toMatchObject([{ pid: process.pid, status: { mountpoint: '/mnt' } }]);
  });

  it.each([0o777, 0o1777, 0o770, 0o750, 0o701, 0o704])('that is open to others is not (%o)', async (mode) => {
    const runtime = await runtimeDirectory(mode);
    expect(await isPrivateDirectory(runtime, UID)).toBe(false);
    expect(await findDaemons(runtime)).toEqual([]);
  });

  it.skipIf(!isRoot).each([0o700, 0o777])('of somebody else is not (%o)', async (mode) => {
    const runtime = await runtimeDirectory(mode, NOBODY);
    expect(await isPrivateDirectory(runtime, UID)).toBe(false);
    expect(await findDaemons(runtime)).toEqual([]);
  });

  it('that is a symbolic link to one of the user is not, nor is a file', async () => {
    const runtime = await runtimeDirectory(0o700);
    await symlink(runtime, join(directory, 'link'));
    await writeFile(join(directory, 'file'), '', { mode: 0o600 });
    for (const name of ['link', 'file', 'absent']) {
      expect(await isPrivateDirectory(join(directory, name), UID), name).toBe(false);
      expect(await findDaemons(join(directory, name)), name).toEqual([]);
    }
  });

  it.skipIf(!isRoot)('that somebody prepared makes a forced unmount kill nobody', async () => {
    const victim = await bystander(['victim']);
    const runtime = join(directory, 'remora');
    await mkdir(runtime);
    await pretend(runtime, directory, victim);
    await chown(runtime, NOBODY, NOBODY);
    await chmod(runtime, 0o777);
    const request = { mountpoint: directory, force: true };
    const unmounting = unmount(
      request,
      { XDG_RUNTIME_DIR: directory },
      UID,
      () => {},
      new Progress(process.stderr),
    );
    await expect(unmounting).rejects.toMatchObject({ message: expect.stringContaining('is not mounted') });
    expect(await isRunning(victim)).toBe(true);
  });
});

describe('a process number', () => {
  it('is of a serving process only if the program and the user are', async () => {
    expect(await isDaemon(await bystander(['/somewhere/dist/cli/daemon.js']))).toBe(true);
    expect(await isDaemon(await bystander(['/somewhere/dist/cli/main.js']))).toBe(false);
    expect(await isDaemon(await bystander(['daemon.js.txt', '/daemon.json']))).toBe(false);
    expect(await isDaemon(process.pid)).toBe(false);
  });

  it.skipIf(!isRoot)('of somebody else’s process is not ours, whatever its command line says', async () => {
    expect(await isDaemon(await bystander(['/somewhere/dist/cli/daemon.js'], NOBODY))).toBe(false);
  });

  it('is of one that has ended when it is gone, or goes on without its socket for other reasons', async () => {
    const ended = (pid: number) => waitForServer({ pid, socket: join(directory, 'none') }, 100);
    expect(await ended(process.pid)).toBe(true);
    expect(await ended(await bystander(['/somewhere/dist/cli/daemon.js']))).toBe(false);
    children.at(-1)?.stdin?.end();
  });

  it.runIf(KERNEL_THREAD !== undefined)('without a command is of one that is just ending', async () => {
    // What ends has none; nor has what never had one.
    const daemon = { pid: KERNEL_THREAD ?? 0, socket: join(directory, 'none') };
    expect(await waitForServer(daemon, 100)).toBe(false);
  });

  it('that nobody has any more is none', async () => {
    const pid = await bystander(['/somewhere/dist/cli/daemon.js']);
    children.at(-1)?.stdin?.end();
    expect(await waitForEnd(pid, 5000)).toBe(true);
    expect(await isDaemon(pid)).toBe(false);
  });
});
