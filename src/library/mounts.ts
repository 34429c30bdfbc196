/** The mounts of this user, whoever has made them: the command, this program or another one. */
import { type ListedMount, listMounts } from '../cli/discover.js';
import { CommandError } from '../cli/exit.js';
import { mountedPath } from '../cli/mountpoint.js';
import { unmount as unmountBy } from '../cli/unmount.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { guarded } from './errors.js';

const { env } = process;
const userId = () => process.getuid?.() ?? 0;

/** What `remora list --json` prints. */
export function list(): Promise<readonly ListedMount[]> {
  const uid = userId();
  return guarded(() => listMounts(env, uid, Date.now()));
}

/** The row of `list` for one mount point. Rejects with `not-mounted`. */
export function status(mountpoint: string): Promise<ListedMount> {
  return guarded(async () => {
    const path = await mountedPath(mountpoint, await findFuseMounts());
    const row = (await list()).find((each) => each.mountpoint === path);
    if (row !== undefined) return row;
    throw new CommandError('not-mounted', `${path}: nothing of Remora is mounted there`);
  });
}

/** Unmounts as `Mount.unmount` does. Rejects with `not-mounted`, too. */
export function unmount(
  mountpoint: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> {
  return guarded(() => unmountBy({ mountpoint, force }, env, userId(), () => {}, null));
}
