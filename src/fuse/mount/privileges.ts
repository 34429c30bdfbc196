/** Whether this process may call mount(2) itself: root with CAP_SYS_ADMIN in effect. */
import { readFileSync } from 'node:fs';

const CAP_SYS_ADMIN = 1n << 21n;

/** Reads the CapEff line of /proc/PID/status. */
export function hasSysAdmin(status: string): boolean {
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & CAP_SYS_ADMIN) !== 0n;
}

export function mayMount(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    return hasSysAdmin(readFileSync('/proc/self/status', 'latin1'));
  } catch {
    return false;
  }
}
