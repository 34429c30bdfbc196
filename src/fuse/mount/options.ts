/** What can be asked of a mount, as flags and data of mount(2) and as the `-o` list of fusermount3. */

/** mount(2) flags. */
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_SYNCHRONOUS = 16;
const MS_DIRSYNC = 128;
const MS_NOATIME = 1024;

export interface MountOptions {
  /** Absolute, without symbolic links. */
  readonly mountpoint: string;
  /** What mount tables show as the source. */
  readonly fsname: string;
  /** The mount's type is `fuse.SUBTYPE`. */
  readonly subtype: string;
  /** Every user may enter, not only the one who mounts. */
  readonly allowOther?: boolean;
  /** The kernel checks permissions by the attributes. */
  readonly defaultPermissions?: boolean;
  readonly readOnly?: boolean;
  /** Default true. */
  readonly nosuid?: boolean;
  /** Default true. */
  readonly nodev?: boolean;
  readonly noexec?: boolean;
  readonly noatime?: boolean;
  readonly sync?: boolean;
  readonly dirsync?: boolean;
  /** Largest READ in bytes (default 1 MiB, whatever the page size). */
  readonly maxRead?: number;
}

const DEFAULT_MAX_READ = 1024 * 1024;

const FLAGS = [
  ['ro', MS_RDONLY, (options: MountOptions) => options.readOnly === true],
  ['nosuid', MS_NOSUID, (options: MountOptions) => options.nosuid !== false],
  ['nodev', MS_NODEV, (options: MountOptions) => options.nodev !== false],
  ['noexec', MS_NOEXEC, (options: MountOptions) => options.noexec === true],
  ['sync', MS_SYNCHRONOUS, (options: MountOptions) => options.sync === true],
  ['dirsync', MS_DIRSYNC, (options: MountOptions) => options.dirsync === true],
  ['noatime', MS_NOATIME, (options: MountOptions) => options.noatime === true],
] as const;

function fuseOptions(options: MountOptions): string[] {
  return [
    ...(options.allowOther ? ['allow_other'] : []),
    ...(options.defaultPermissions ? ['default_permissions'] : []),
    `max_read=${options.maxRead ?? DEFAULT_MAX_READ}`,
  ];
}

export function mountFlags(options: MountOptions): number {
  return FLAGS.reduce((flags, [, flag, wanted]) => (wanted(options) ? flags | flag : flags), 0);
}

/** The data of mount(2) for the opened device `fd`; `rootMode` is the mount point's st_mode. */
export function mountData(
  options: MountOptions,
  { fd, rootMode, uid, gid }: { fd: number; rootMode: number; uid: number; gid: number },
): string {
  const own = [`fd=${fd}`, `rootmode=${rootMode.toString(8)}`, `user_id=${uid}`, `group_id=${gid}`];
  return [...own, ...fuseOptions(options)].join(',');
}

/** fusermount3 and libfuse split their lists at commas, which a backslash takes back. */
export const escapeComma = (text: string): string => text.replace(/[\\,]/g, '\\$&');

/** The value of fusermount3's `-o`. */
export function helperOptions(options: MountOptions): string {
  return [
    ...FLAGS.filter(([, , wanted]) => wanted(options)).map(([name]) => name),
    `fsname=${escapeComma(options.fsname)}`,
    `subtype=${escapeComma(options.subtype)}`,
    ...fuseOptions(options),
  ].join(',');
}
