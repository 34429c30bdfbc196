/**
 * What /proc says about processes and mounts: descendants of a server that is to be stopped, processes that
 * carry a test's mark in their environment, mounts below a directory. Nothing here touches a mounted tree.
 */
import { readdir, readFile } from 'node:fs/promises';
import { until } from './run.js';

/** Milliseconds of one tick, in which /proc tells times; 10 on every Linux that Node runs on. */
const TICK = 10;

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  /** Processor time, user and system, in milliseconds: multiples of 10. */
  readonly processorTime: number;
}

async function allPids(): Promise<readonly number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** One process, or null once it is gone. A zombie counts as gone: nothing of it runs. */
export async function processInfo(pid: number): Promise<ProcessInfo | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0] ?? '';
  if (state === 'Z' || state === 'X') return null;
  const processorTime = (Number(fields[11]) + Number(fields[12])) * TICK;
  return { pid, parent: Number(fields[1]), state, processorTime };
}

/** Processor time that a process uses within a second, in milliseconds. Takes that second: rest cannot be polled for. */
export async function spentInOneSecond(pid: number): Promise<number> {
  const spent = async () => (await processInfo(pid))?.processorTime ?? Number.NaN;
  const before = await spent();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return (await spent()) - before;
}

export async function isAlive(pid: number): Promise<boolean> {
  return (await processInfo(pid)) !== null;
}

/** Children of `pid`, their children, and so on. */
export async function descendants(pid: number): Promise<readonly number[]> {
  const infos = (await Promise.all((await allPids()).map(processInfo))).filter((info) => info !== null);
  const found: number[] = [];
  for (const queue = [pid]; queue.length > 0; ) {
    const parent = queue.shift();
    for (const info of infos) {
      if (info.parent !== parent) continue;
      found.push(info.pid);
      queue.push(info.pid);
    }
  }
  return found;
}

/** Processes whose environment holds `NAME=value`, as readable command lines by pid. */
export async function markedProcesses(mark: string): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  for (const pid of await allPids()) {
    if (pid === process.pid) continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (!environment.split('\0').includes(mark)) continue;
    if (!(await isAlive(pid))) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    found.set(pid, command.replaceAll('\0', ' ').trim());
  }
  return found;
}

/** Ends processes by pid, politely and then not, and waits until they are gone. */
export async function endProcesses(
  pids: readonly number[],
  first: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  const signal = (pid: number, name: NodeJS.Signals) => {
    try {
      process.kill(pid, name);
    } catch {
      // Gone already.
    }
  };
  const gone = async () => (await Promise.all(pids.map(isAlive))).every((alive) => !alive);
  for (const pid of pids) signal(pid, first);
  const polite = await until('processes to end', gone, 3_000).catch(() => false);
  if (polite) return;
  for (const pid of pids) signal(pid, 'SIGKILL');
  await until(`processes ${pids.join(', ')} to die`, gone, 10_000);
}

export interface MountInfo {
  readonly mountpoint: string;
  readonly type: string;
  readonly source: string;
  readonly options: string;
  /** Those of the filesystem itself, in the form of `options`. */
  readonly superOptions: string;
  /** Device number as `major:minor`. */
  readonly device: string;
}

const octalUnescaped = (field: string) =>
  Buffer.from(
    field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    'latin1',
  ).toString('utf8');

/** The mounts in the text of a mountinfo file (proc(5)). */
export function parseMounts(mountinfo: string): readonly MountInfo[] {
  const lines = mountinfo.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const before = left.split(' ');
    const after = right.split(' ');
    return {
      device: before[2] ?? '',
      mountpoint: octalUnescaped(before[4] ?? ''),
      options: before[5] ?? '',
      type: after[0] ?? '',
      source: octalUnescaped(after[1] ?? ''),
      superOptions: after[2] ?? '',
    };
  });
}

/** Every mount of this namespace. */
export async function mounts(): Promise<readonly MountInfo[]> {
  return parseMounts(await readFile('/proc/self/mountinfo', 'latin1'));
}

export async function mountAt(directory: string): Promise<MountInfo | null> {
  return (await mounts()).findLast((mount) => mount.mountpoint === directory) ?? null;
}

export async function mountsBelow(directory: string): Promise<readonly MountInfo[]> {
  return (await mounts()).filter(
    (mount) => mount.mountpoint === directory || mount.mountpoint.startsWith(`${directory}/`),
  );
}

export async function waitForMount(directory: string, milliseconds = 20_000): Promise<MountInfo> {
  return until(`a mount at ${directory}`, () => mountAt(directory), milliseconds);
}

export async function waitForUnmount(directory: string, milliseconds = 20_000): Promise<void> {
  await until(`no mount at ${directory}`, async () => (await mountAt(directory)) === null, milliseconds);
}

/** Command lines of the ssh processes below the daemon. */
export async function sshPrograms(
  pid: number,
): Promise<readonly { readonly pid: number; readonly line: string }[]> {
  const below = await Promise.all(
    (await descendants(pid)).map(async (each) => ({
      pid: each,
      line: (await readFile(`/proc/${each}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' '),
    })),
  );
  return below.filter(({ line }) => /^(\S*\/)?ssh /.test(line));
}
