/** What Linux has in /proc/self/mountinfo and umount2(2), on macOS: the programs mount(8) and umount(8). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MountError } from './errors.js';
import type { FuseMount } from './mounts.js';

/** Programs speak the language that is parsed here. */
const ENVIRONMENT = { env: { LC_ALL: 'C' } } as const;

const run = promisify(execFile);

/** macFUSE, its predecessor, and FUSE-T, whose mounts are of a local NFS server. */
const FUSE_TYPES: readonly string[] = ['macfuse', 'osxfuse'];
const FUSE_T_SOURCE = 'fuse-t:';

/** `SOURCE on /MOUNT/POINT (TYPE, flag, flag, mounted by NAME)`. There are no device numbers to be seen. */
function parseLine(line: string): FuseMount | null {
  const [, source, mountpoint, details] = /^(.*) on (\/.*) \(([^()]*)\)$/.exec(line) ?? [];
  if (source === undefined || mountpoint === undefined || details === undefined) return null;
  const fstype = details.split(', ')[0] ?? '';
  if (!FUSE_TYPES.includes(fstype) && !source.startsWith(FUSE_T_SOURCE)) return null;
  return { source, mountpoint, fstype, major: 0, minor: 0, userId: process.getuid?.() ?? 0 };
}

/** The FUSE mounts in what mount(8) prints. */
export function parseDarwinMounts(text: string): FuseMount[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

export async function findDarwinMounts(): Promise<readonly FuseMount[]> {
  return parseDarwinMounts((await run('/sbin/mount', [], ENVIRONMENT)).stdout);
}

/** `force` takes it away from the programs that use it: macOS has no lazy unmount. */
export async function unmountDarwin(mountpoint: string, force: boolean): Promise<void> {
  try {
    await run('/sbin/umount', [...(force ? ['-f'] : []), mountpoint], ENVIRONMENT);
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string };
    if (/Resource busy/.test(stderr)) throw new MountError('busy', `${mountpoint} is in use`, { cause });
    throw new MountError('mount-failed', `cannot unmount ${mountpoint}: ${stderr.trim()}`, { cause });
  }
}
