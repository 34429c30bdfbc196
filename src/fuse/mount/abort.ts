/**
 * The kernel's own way out of a stuck mount: aborting its connection makes every waiting call fail with
 * ECONNABORTED. Works through the control filesystem (`fusectl`), also when the serving process hangs.
 */
import { access, writeFile } from 'node:fs/promises';
import { LibcError, mount } from '../libc.js';
import { MountError } from './errors.js';
import type { FuseMount } from './mounts.js';
import { mayMount } from './privileges.js';

const CONNECTIONS = '/sys/fs/fuse/connections';
/** dev_t inside the kernel: the major number stands above 20 bits of minor number. */
const MINOR_BITS = 20;

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Ends the connection behind a mount; the mount itself stays in the tree until it is unmounted. */
export async function abortConnection({ major, minor }: Pick<FuseMount, 'major' | 'minor'>): Promise<void> {
  const directory = `${CONNECTIONS}/${major * 2 ** MINOR_BITS + minor}`;
  if (!(await exists(directory)) && mayMount()) {
    try {
      await mount('fusectl', CONNECTIONS, 'fusectl', 0, '');
    } catch (cause) {
      // EBUSY: it is mounted, and the connection has gone already.
      if (!(cause instanceof LibcError) || cause.code !== 'EBUSY') throw unreachable(cause);
    }
  }
  try {
    await writeFile(`${directory}/abort`, '1');
  } catch (cause) {
    throw unreachable(cause);
  }
}

function unreachable(cause: unknown): MountError {
  const { code } = cause as { code?: string };
  const reason =
    code === 'ENOENT'
      ? `${CONNECTIONS} does not show it; as root: mount -t fusectl fusectl ${CONNECTIONS}`
      : `${CONNECTIONS} answers ${code ?? String(cause)}`;
  return new MountError('mount-failed', `the connection cannot be aborted: ${reason}`, { cause });
}
