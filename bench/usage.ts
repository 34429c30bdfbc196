/** What the processes of a client cost, from proc(5): processor time, memory now, and the most it ever was. */
import { readFile } from 'node:fs/promises';

/** USER_HZ, in which /proc tells times; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Places of utime and stime in /proc/PID/stat, counted after the name of the program. */
const UTIME = 11;
const STIME = 12;
const KIB_PER_MIB = 1024;

export interface Usage {
  /** User and system time in seconds, all processes together. */
  readonly cpu: number;
  /** MiB resident now. */
  readonly resident: number;
  /** MiB resident at most since the start, each process's own peak added up. */
  readonly peak: number;
}

/** User and system time in seconds, from the text of /proc/PID/stat. */
export function cpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
}

/** MiB of one line (VmRSS, VmHWM) of /proc/PID/status. */
export function memoryLine(status: string, name: string): number {
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  return kib === undefined ? 0 : Number(kib) / KIB_PER_MIB;
}

export async function usageOf(pids: readonly number[]): Promise<Usage> {
  let [cpu, resident, peak] = [0, 0, 0];
  for (const pid of pids) {
    cpu += cpuSeconds(await readFile(`/proc/${pid}/stat`, 'latin1'));
    const status = await readFile(`/proc/${pid}/status`, 'latin1');
    resident += memoryLine(status, 'VmRSS');
    peak += memoryLine(status, 'VmHWM');
  }
  return { cpu, resident, peak };
}
