/**
 * What really happens to servers, done to a real sshd: its processes are killed or stopped, its listener goes
 * and comes back, its host key changes, it runs out of handles, and files change behind the mount's back. All of
 * it by pid, on processes of this one server only.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endProcesses } from '../processes.js';
import { must, until } from '../run.js';
import type { Scope } from '../scope.js';
import { makeKey } from '../server.js';
import type { Sshd } from '../sshd.js';

export interface ServerProcess {
  readonly pid: number;
  /** `sftp` is a process that carries out requests, `session` one of sshd's own for a connection. */
  readonly kind: 'session' | 'sftp';
}

/** The processes behind the connections of this moment; with `sftp: 'internal'` no one is of kind `sftp`. */
export async function serverProcesses(sshd: Sshd): Promise<readonly ServerProcess[]> {
  const found = (await sshd.sessions()).map(async (pid) => {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    const kind: ServerProcess['kind'] = command.includes('sftp-server') ? 'sftp' : 'session';
    return command === '' ? null : { pid, kind };
  });
  return (await Promise.all(found)).filter((each) => each !== null);
}

async function pidsOf(sshd: Sshd, kind: ServerProcess['kind']): Promise<readonly number[]> {
  return (await serverProcesses(sshd)).filter((each) => each.kind === kind).map(({ pid }) => pid);
}

/** Kills every session, as a server that crashed; answers how many processes that were. */
export async function killSessions(sshd: Sshd): Promise<number> {
  const pids = await sshd.sessions();
  await endProcesses(pids, 'SIGKILL');
  return pids.length;
}

/** Kills one process of a kind, or none where none is left; `choice` is between 0 and 1. */
export async function killOne(sshd: Sshd, kind: ServerProcess['kind'], choice: number): Promise<number> {
  const pids = await pidsOf(sshd, kind);
  const pid = pids[Math.floor(choice * pids.length)];
  if (pid === undefined) return 0;
  await endProcesses([pid], 'SIGKILL');
  return 1;
}

/** Stops the processes of every session where they are (SIGSTOP); answers how to let them go on, or end them. */
export async function pause(sshd: Sshd): Promise<Paused> {
  const pids = await sshd.sessions();
  for (const pid of pids) signal(pid, 'SIGSTOP');
  return {
    pids,
    resume: () => {
      for (const pid of pids) signal(pid, 'SIGCONT');
    },
    kill: () => endProcesses(pids, 'SIGKILL'),
  };
}

export interface Paused {
  readonly pids: readonly number[];
  resume(): void;
  kill(): Promise<void>;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** The whole machine goes down: no listener and no session; `sshd.resume()` brings it back. */
export async function shutDown(sshd: Sshd): Promise<void> {
  await sshd.halt();
  await killSessions(sshd);
}

/** Restarts the server with another host key, as an impostor at its address would have; answers how to undo it. */
export async function changeHostKey(scope: Scope, sshd: Sshd): Promise<() => Promise<void>> {
  const kept = await readFile(sshd.hostKey);
  const other = await makeKey(scope, `impostor-${Math.random().toString(36).slice(2)}`);
  const restart = async (key: Buffer) => {
    await shutDown(sshd);
    await writeFile(sshd.hostKey, key);
    await sshd.resume();
  };
  await restart(await readFile(other));
  return () => restart(kept);
}

/** Lets the processes that carry out requests hold at most `count` descriptors (RLIMIT_NOFILE); needs `sftp: 'external'`. */
export async function limitHandles(sshd: Sshd, count: number): Promise<void> {
  const pids = await until('a process that serves files', async () => {
    const found = await pidsOf(sshd, 'sftp');
    return found.length > 0 && found;
  });
  for (const pid of pids) await must('prlimit', [`--nofile=${count}:${count}`, '--pid', String(pid)]);
}

/** Puts another file into the place of one, as an editor on the server does. `path` is on the server's disk. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const next = join(path, '..', `.next-${Math.random().toString(36).slice(2)}`);
  try {
    await writeFile(next, content);
    await rename(next, path);
  } finally {
    await rm(next, { force: true });
  }
}
