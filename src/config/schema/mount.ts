/** The mount as the kernel and mount(8) see it. */
import { flag, type Options, text } from '../kinds.js';

export const MOUNT = {
  readOnly: flag({
    group: 'Mount',
    names: ['ro'],
    off: ['rw'],
    fallback: false,
    help: 'Mount read-only.',
  }),
  allowOther: flag({
    group: 'Mount',
    names: ['allow_other'],
    fallback: false,
    help: 'Let other local users see the mount.',
  }),
  defaultPermissions: flag({
    group: 'Mount',
    names: ['default_permissions'],
    fallback: false,
    help: 'Let the kernel check permissions by mode and owner.',
  }),
  suid: flag({
    group: 'Mount',
    names: ['suid'],
    off: ['nosuid'],
    fallback: false,
    help: 'Honour set-user-id bits (root only).',
  }),
  dev: flag({
    group: 'Mount',
    names: ['dev'],
    off: ['nodev'],
    fallback: false,
    help: 'Honour device files (root only).',
  }),
  exec: flag({
    group: 'Mount',
    names: ['exec'],
    off: ['noexec'],
    fallback: true,
    help: 'Allow programs to be run.',
  }),
  noatime: flag({
    group: 'Mount',
    names: ['noatime'],
    off: ['atime'],
    fallback: false,
    help: 'Do not update access times.',
  }),
  nonempty: flag({
    group: 'Mount',
    names: ['nonempty'],
    fallback: false,
    help: 'Allow a mount point that is not empty.',
  }),
  fsname: text({
    group: 'Mount',
    names: ['fsname'],
    placeholder: 'NAME',
    fallback: null,
    help: 'Source shown by mount and df; normally [user@]host:dir.',
  }),
  subtype: text({
    group: 'Mount',
    names: ['subtype'],
    placeholder: 'NAME',
    fallback: 'remora',
    help: 'Type shown after "fuse." by mount.',
  }),
  subdir: text({
    group: 'Mount',
    names: ['subdir'],
    placeholder: 'DIR',
    fallback: null,
    help: 'Directory below the source to mount instead (as with modules=subdir).',
  }),
  disableHardlink: flag({
    group: 'Mount',
    names: ['disable_hardlink'],
    fallback: false,
    help: 'Answer link(2) with EPERM.',
  }),
} as const satisfies Options;
