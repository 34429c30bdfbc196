/**
 * The numbers of SFTP version 3 (draft-ietf-secsh-filexfer-02) and the names of OpenSSH's extensions
 * (openssh-portable, PROTOCOL section 4), under the names those documents give them.
 */

export const SFTP_VERSION = 3;

/** Packet types, section 3. */
export const SSH_FXP_INIT = 1;
export const SSH_FXP_VERSION = 2;
export const SSH_FXP_OPEN = 3;
export const SSH_FXP_CLOSE = 4;
export const SSH_FXP_READ = 5;
export const SSH_FXP_WRITE = 6;
export const SSH_FXP_LSTAT = 7;
export const SSH_FXP_FSTAT = 8;
export const SSH_FXP_SETSTAT = 9;
export const SSH_FXP_FSETSTAT = 10;
export const SSH_FXP_OPENDIR = 11;
export const SSH_FXP_READDIR = 12;
export const SSH_FXP_REMOVE = 13;
export const SSH_FXP_MKDIR = 14;
export const SSH_FXP_RMDIR = 15;
export const SSH_FXP_REALPATH = 16;
export const SSH_FXP_STAT = 17;
export const SSH_FXP_RENAME = 18;
export const SSH_FXP_READLINK = 19;
export const SSH_FXP_SYMLINK = 20;
export const SSH_FXP_STATUS = 101;
export const SSH_FXP_HANDLE = 102;
export const SSH_FXP_DATA = 103;
export const SSH_FXP_NAME = 104;
export const SSH_FXP_ATTRS = 105;
export const SSH_FXP_EXTENDED = 200;
export const SSH_FXP_EXTENDED_REPLY = 201;

/** Flags of SSH_FXP_OPEN, section 6.3. */
export const SSH_FXF_READ = 0x01;
export const SSH_FXF_WRITE = 0x02;
export const SSH_FXF_APPEND = 0x04;
export const SSH_FXF_CREAT = 0x08;
export const SSH_FXF_TRUNC = 0x10;
export const SSH_FXF_EXCL = 0x20;

/** Which parts of ATTRS are present, section 5. */
export const SSH_FILEXFER_ATTR_SIZE = 0x01;
export const SSH_FILEXFER_ATTR_UIDGID = 0x02;
export const SSH_FILEXFER_ATTR_PERMISSIONS = 0x04;
export const SSH_FILEXFER_ATTR_ACMODTIME = 0x08;
export const SSH_FILEXFER_ATTR_EXTENDED = 0x80000000;

/** Status codes: 0 to 8 are version 3's (section 7), the others come from servers that mix in later drafts. */
export const SSH_FX_OK = 0;
export const SSH_FX_EOF = 1;
export const SSH_FX_NO_SUCH_FILE = 2;
export const SSH_FX_PERMISSION_DENIED = 3;
export const SSH_FX_FAILURE = 4;
export const SSH_FX_BAD_MESSAGE = 5;
export const SSH_FX_OP_UNSUPPORTED = 8;
export const SSH_FX_INVALID_HANDLE = 9;
export const SSH_FX_NO_SUCH_PATH = 10;
export const SSH_FX_FILE_ALREADY_EXISTS = 11;
export const SSH_FX_WRITE_PROTECT = 12;
export const SSH_FX_NO_SPACE_ON_FILESYSTEM = 14;
export const SSH_FX_QUOTA_EXCEEDED = 15;
export const SSH_FX_DIR_NOT_EMPTY = 18;
export const SSH_FX_NOT_A_DIRECTORY = 19;
export const SSH_FX_INVALID_FILENAME = 20;
export const SSH_FX_LINK_LOOP = 21;
export const SSH_FX_INVALID_PARAMETER = 23;
export const SSH_FX_FILE_IS_A_DIRECTORY = 24;

export const POSIX_RENAME = 'posix-rename@openssh.com';
export const STATVFS = 'statvfs@openssh.com';
export const FSTATVFS = 'fstatvfs@openssh.com';
export const HARDLINK = 'hardlink@openssh.com';
export const FSYNC = 'fsync@openssh.com';
export const LSETSTAT = 'lsetstat@openssh.com';
export const LIMITS = 'limits@openssh.com';
export const EXPAND_PATH = 'expand-path@openssh.com';
export const COPY_DATA = 'copy-data';
export const HOME_DIRECTORY = 'home-directory';
export const USERS_GROUPS_BY_ID = 'users-groups-by-id@openssh.com';

/** Each extension Remora speaks, and the revision OpenSSH announces for it. */
export const EXTENSION_REVISIONS: ReadonlyMap<string, string> = new Map([
  [POSIX_RENAME, '1'],
  [STATVFS, '2'],
  [FSTATVFS, '2'],
  [HARDLINK, '1'],
  [FSYNC, '1'],
  [LSETSTAT, '1'],
  [LIMITS, '1'],
  [EXPAND_PATH, '1'],
  [COPY_DATA, '1'],
  [HOME_DIRECTORY, '1'],
  [USERS_GROUPS_BY_ID, '1'],
]);

/** Longest handle a server may give, in bytes (section 6.2). */
export const MAX_HANDLE_LENGTH = 256;
/** Longest packet OpenSSH takes, without the length field, in bytes. */
export const MAX_PACKET = 256 * 1024;
/** Most data bytes of one READ or WRITE that fit into such a packet with its header. */
export const MAX_DATA = MAX_PACKET - 1024;
/** What every version-3 server must take (section 3), in bytes of data. */
export const DEFAULT_DATA = 32 * 1024;
/** A server that states less than this for one READ or WRITE does not mean it, in bytes. */
export const MIN_DATA = 4096;
/** Longest name of a directory's entry, and longest path, that Linux can hand to a program, in bytes. */
export const MAX_NAME = 1024;
export const PATH_MAX = 4096;
/** Longest frame accepted from a peer: a full packet and some slack for headers counted differently. */
export const MAX_FRAME = MAX_PACKET + 1024;
