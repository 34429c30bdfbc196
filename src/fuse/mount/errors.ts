/** One error type for everything that keeps a mount from being made or taken away. */

/**
 * - `no-device`: there is no /dev/fuse here.
 * - `device-permission`: /dev/fuse is there, but not for this user.
 * - `no-helper`: not root, and no fusermount3 to ask.
 * - `no-driver`: the driver that was asked for is not installed, or cannot be loaded.
 * - `helper-failed`: fusermount3 refused.
 * - `mount-failed`: mount(2) or umount2(2) refused.
 * - `busy`: programs still use the mount.
 * - `not-mounted`: there is nothing to unmount.
 */
export type MountErrorKind =
  | 'no-device'
  | 'device-permission'
  | 'no-helper'
  | 'no-driver'
  | 'helper-failed'
  | 'mount-failed'
  | 'busy'
  | 'not-mounted';

/** `message` is one sentence for a person, saying what is missing. */
export class MountError extends Error {
  readonly kind: MountErrorKind;

  constructor(kind: MountErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MountError';
    this.kind = kind;
  }
}
