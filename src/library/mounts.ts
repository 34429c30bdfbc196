/** The mounts of this user, whoever has made them: the command, this program or another one. */
import { type ListedMount, listMounts } from '../cli/discover.js';
import { mountedPath } from '../cli/mountpoint.js';
import { notMounted } from '../cli/place.js';
import { unmount as unmountBy } from '../cli/unmount.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { guarded } from './errors.js';
import { FLAG, mustBeSettings, mustSay } from './values.js';

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
    mustSay('the mount point', mountpoint);
    const path = await mountedPath(mountpoint, await findFuseMounts());
    const row = (await list()).find((each) => each.mountpoint === path);
    if (row !== undefined) return row;
    throw notMounted(path);
  });
}

export interface UnmountSettings {
  /** Ends it in any case, and lets whoever waits go. */
  readonly force?: boolean;
}

/** @throws OptionError */
export function isForced(settings: UnmountSettings): boolean {
  mustBeSettings({ force: FLAG }, settings);
  return settings.force ?? false;
}

/** Unmounts as `Mount.unmount` does. Rejects with `not-mounted`, too. */
export function unmount(mountpoint: string, settings: UnmountSettings = {}): Promise<void> {
  return guarded(async () => {
    mustSay('the mount point', mountpoint);
    await unmountBy({ mountpoint, force: isForced(settings) }, env, userId(), () => {}, null);
  });
}
