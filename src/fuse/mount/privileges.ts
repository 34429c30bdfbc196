/** What this process may do: call mount(2) itself, with CAP_SYS_ADMIN in effect, whoever it is; let other users in. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { MountError } from './errors.js';

const CAP_SYS_ADMIN = 1n << 21n;

/** Reads the CapEff line of /proc/PID/status. */
export function hasSysAdmin(status: string): boolean {
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & CAP_SYS_ADMIN) !== 0n;
}

/** Root may lack what it takes, in a container, and another user may have it, as a service with AmbientCapabilities. */
export function mayMount(): boolean {
  try {
    return hasSysAdmin(readFileSync('/proc/self/status', 'latin1'));
  } catch {
    return false;
  }
}

/** Read by fusermount3, and by nobody else. */
export const FUSE_CONF = '/etc/fuse.conf';

/** Does fusermount3 let those who are not root use `allow_other`? `conf` is the text of its configuration. */
export function letsOthersIn(conf: string): boolean {
  return /^\s*user_allow_other\s*$/m.test(conf);
}

export function othersForbidden(): MountError {
  return new MountError(
    'helper-failed',
    `allow_other and allow_root are for root only, unless ${FUSE_CONF} has a line "user_allow_other": ` +
      `as root, echo user_allow_other >> ${FUSE_CONF}, and mount with default_permissions as well, ` +
      'so that others may do only what the files permit',
  );
}

/**
 * Rejects when others may not be let in, before anybody has typed a password for it. macOS has no such file; fusermount3
 * does not ask root for it, also where root lacks CAP_SYS_ADMIN.
 */
export async function checkOthers(): Promise<void> {
  if (process.platform !== 'linux' || process.getuid?.() === 0 || mayMount()) return;
  const conf = await readFile(FUSE_CONF, 'utf8').catch((error: NodeJS.ErrnoException) => {
    // One that cannot be read is fusermount3's to judge.
    return error.code === 'ENOENT' ? '' : null;
  });
  if (conf !== null && !letsOthersIn(conf)) throw othersForbidden();
}
