/**
 * The mounts of this process's namespace, from /proc/self/mountinfo (proc_pid_mountinfo(5)): read without
 * touching any of them, so a dead mount cannot hang whoever asks.
 */
import { readFile } from 'node:fs/promises';
import { findDarwinMounts } from './darwin.js';

/** One FUSE mount; later entries lie on top of earlier ones. */
export interface FuseMount {
  /** What is mounted, as given by `fsname`. */
  readonly source: string;
  readonly mountpoint: string;
  /** `fuse` or `fuse.SUBTYPE`. */
  readonly fstype: string;
  /** st_dev, which also names the connection below /sys/fs/fuse/connections. */
  readonly major: number;
  readonly minor: number;
  /** The user who mounted it. */
  readonly userId: number;
}

/** mountinfo writes space, tab, newline and backslash as `\NNN`; any other byte stands for itself. */
function unescapeField(field: string): string {
  const bytes = field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function parseLine(line: string): FuseMount | null {
  const fields = line.split(' ');
  // Optional fields stand between the sixth one and a lone hyphen.
  const hyphen = fields.indexOf('-', 6);
  const [device, , mountpoint] = fields.slice(2, 5);
  const [fstype, source, superOptions] = hyphen < 0 ? [] : fields.slice(hyphen + 1);
  if (device === undefined || mountpoint === undefined || fstype === undefined) return null;
  if (source === undefined || superOptions === undefined) return null;
  if (fstype !== 'fuse' && !fstype.startsWith('fuse.')) return null;
  const [major, minor] = device.split(':').map(Number);
  const userId = /(?:^|,)user_id=(\d+)(?:,|$)/.exec(superOptions)?.[1];
  return {
    source: unescapeField(source),
    mountpoint: unescapeField(mountpoint),
    fstype: unescapeField(fstype),
    major: major ?? 0,
    minor: minor ?? 0,
    userId: Number(userId ?? 0),
  };
}

/** The FUSE mounts in the text of a mountinfo file, its bytes decoded as latin1. */
export function parseFuseMounts(mountinfo: string): FuseMount[] {
  return mountinfo.split('\n').flatMap((line) => parseLine(line) ?? []);
}

/** Every FUSE mount, in the order of mounting. */
export async function findFuseMounts(): Promise<readonly FuseMount[]> {
  if (process.platform === 'darwin') return findDarwinMounts();
  return parseFuseMounts(await readFile('/proc/self/mountinfo', 'latin1'));
}

/** The topmost FUSE mount at exactly `mountpoint` (absolute, without links), or undefined. */
export async function findFuseMount(mountpoint: string): Promise<FuseMount | undefined> {
  return (await findFuseMounts()).findLast((mount) => mount.mountpoint === mountpoint);
}

export async function isMountPoint(mountpoint: string): Promise<boolean> {
  return (await findFuseMount(mountpoint)) !== undefined;
}
