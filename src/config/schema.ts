/**
 * Every option that has an effect, once, in one file a group. `MountOptions` and the parser are derived from
 * this table. Where sshfs or ssh_config has the option, its name and meaning are theirs, so that an fstab
 * line or a script moves over unchanged.
 */
import type { Option, Options } from './kinds.js';
import { CACHING } from './schema/caching.js';
import { CONNECTION } from './schema/connection.js';
import { MOUNT } from './schema/mount.js';
import { OWNERSHIP } from './schema/ownership.js';
import { PROXY } from './schema/proxy.js';
import { RECOVERY } from './schema/recovery.js';
import { SSH_CONFIG } from './schema/ssh-config.js';
import { TRANSPORT } from './schema/transport.js';

export const SCHEMA = {
  ...CONNECTION,
  ...SSH_CONFIG,
  ...TRANSPORT,
  ...PROXY,
  ...RECOVERY,
  ...OWNERSHIP,
  ...MOUNT,
  ...CACHING,
} as const satisfies Options;

export type OptionKey = keyof typeof SCHEMA;

type ValueOf<O> = O extends Option<infer T> ? T : never;

/** The options of one mount as they were given, defaults where nothing was. */
export type GivenOptions = { readonly [K in OptionKey]: ValueOf<(typeof SCHEMA)[K]> };
