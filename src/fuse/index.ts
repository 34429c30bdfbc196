/** What the command line needs of the kernel driver. */
export { type ServeOptions, serveFuse } from './driver.js';
export { abortConnection } from './mount/abort.js';
export { MountError, type MountErrorKind } from './mount/errors.js';
export { type Mounted, type MountOptions, mountFuse } from './mount/mount.js';
export { type FuseMount, findFuseMount, findFuseMounts, isMountPoint } from './mount/mounts.js';
export { raiseReadAhead } from './mount/readahead.js';
export { unmountPath } from './mount/unmount.js';
export type { EndReason, FuseSession, SessionStats } from './session.js';
