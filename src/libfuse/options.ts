/** What can be asked of a mount, as libfuse 2.9 and its relatives on macOS take it: one `-o` list. */
import { MountError } from '../fuse/mount/errors.js';
import { escapeComma, type MountOptions } from '../fuse/mount/options.js';

export interface LibfuseOptions extends MountOptions {
  /** Of the others, `allowOther` lets root in alone: libfuse refuses everybody else. */
  readonly allowRoot: boolean;
  /** Seconds that the kernel trusts attributes and names; it cannot be told of changes meanwhile. */
  readonly attrTimeout: number;
  readonly entryTimeout: number;
}

export interface Machine {
  readonly platform: NodeJS.Platform;
  /** Root mounts itself, and then libfuse wants an empty directory; nobody else may ask for another. */
  readonly isRoot: boolean;
}

/** fuse-native copies the list into a buffer of this many bytes, with a NUL. */
const MAX_LENGTH = 1024;

function commonOptions(options: LibfuseOptions): readonly string[] {
  const on = (isOn: boolean | undefined, name: string) => (isOn ? [name] : []);
  return [
    ...on(options.readOnly, 'ro'),
    ...on(options.nosuid === false, 'suid'),
    ...on(options.nodev === false, 'dev'),
    ...on(options.noexec, 'noexec'),
    ...on(options.noatime, 'noatime'),
    ...on(options.sync, 'sync'),
    ...on(options.allowOther, options.allowRoot ? 'allow_root' : 'allow_other'),
    ...on(options.defaultPermissions, 'default_permissions'),
    `fsname=${escapeComma(options.fsname)}`,
    `attr_timeout=${options.attrTimeout}`,
    `entry_timeout=${options.entryTimeout}`,
    'use_ino',
  ];
}

/** Requests of 128 KiB instead of 4, and O_TRUNC with the open. */
function linuxOptions(options: LibfuseOptions, isRoot: boolean): readonly string[] {
  const subtype = `subtype=${escapeComma(options.subtype)}`;
  return [subtype, 'big_writes', 'atomic_o_trunc', ...(isRoot ? ['nonempty'] : [])];
}

/** The name in the Finder, and no files of its own on the server. */
function darwinOptions(options: LibfuseOptions): readonly string[] {
  return [`volname=${escapeComma(options.fsname)}`, 'noappledouble', 'noapplexattr'];
}

/** The argument that fuse-native hands to libfuse. Throws a `MountError` when it is longer than there is room. */
export function libfuseArgument(options: LibfuseOptions, { platform, isRoot }: Machine): string {
  const own = platform === 'darwin' ? darwinOptions(options) : linuxOptions(options, isRoot);
  const argument = `-o${[...commonOptions(options), ...own].join(',')}`;
  if (Buffer.byteLength(argument) >= MAX_LENGTH) {
    throw new MountError('mount-failed', 'fsname and subtype are too long for driver=libfuse');
  }
  return argument;
}
