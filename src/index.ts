/**
 * The library: mounts made, watched and ended by a program, and the SFTP client alone. docs/LIBRARY.md is its manual.
 * It prints nothing, ends no process and takes no signal; every failure is a {@link RemoraError}.
 */
export { type ByteString, bytesOf, decodeText, encodeText, toBuffer } from './base/bytes.js';
export type { MountStatus } from './cli/control-protocol.js';
export type { ListedMount } from './cli/discover.js';
export { RemoraError, type RemoraErrorCode } from './library/errors.js';
export {
  type LoginSettings,
  type Mount,
  type MountEvents,
  type MountSettings,
  mount,
} from './library/mount.js';
export { list, status, type UnmountSettings, unmount } from './library/mounts.js';
export type { Options } from './library/options.js';
export type { Ask, PersonSettings, Question } from './library/person.js';
export { connect, type SftpSession } from './library/sftp-session.js';
export type { LinkState, LinkStatus } from './recovery/session.js';
export type { SftpAttributes, SftpName } from './sftp/attributes.js';
export type { SftpClient, SftpHandle, StatVfs } from './sftp/client.js';
export {
  SSH_FXF_APPEND,
  SSH_FXF_CREAT,
  SSH_FXF_EXCL,
  SSH_FXF_READ,
  SSH_FXF_TRUNC,
  SSH_FXF_WRITE,
} from './sftp/constants.js';
export { ConnectionLostError, SftpStatusError } from './sftp/errors.js';
