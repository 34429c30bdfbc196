/**
 * The SFTP client: one method a request, pipelined over any duplex stream. A method writes its packet before
 * it returns, so requests go out in the order of the calls and any number may be in flight; replies find
 * their waiter by id. When the stream ends, fails or carries nonsense, every waiter fails once with
 * `ConnectionLostError`, and so does every later call. What travels is in `requests.ts` and `replies.ts`,
 * the connection's life in `channel.ts`.
 */
import type { Duplex } from 'node:stream';
import { ascii, type ByteString, decodeText } from '../base/bytes.js';
import { logger } from '../base/log.js';
import { isValidName } from '../base/path.js';
import { NO_ATTRIBUTES, type SftpAttributes, type SftpName } from './attributes.js';
import { type ChannelOptions, SftpChannel } from './channel.js';
import {
  COPY_DATA,
  DEFAULT_DATA,
  EXPAND_PATH,
  FSTATVFS,
  FSYNC,
  HARDLINK,
  HOME_DIRECTORY,
  LIMITS,
  LSETSTAT,
  MAX_DATA,
  MAX_NAME,
  MAX_PACKET,
  MIN_DATA,
  POSIX_RENAME,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FXP_CLOSE,
  SSH_FXP_EXTENDED,
  SSH_FXP_FSETSTAT,
  SSH_FXP_FSTAT,
  SSH_FXP_LSTAT,
  SSH_FXP_MKDIR,
  SSH_FXP_OPEN,
  SSH_FXP_OPENDIR,
  SSH_FXP_READ,
  SSH_FXP_READDIR,
  SSH_FXP_READLINK,
  SSH_FXP_REALPATH,
  SSH_FXP_REMOVE,
  SSH_FXP_RENAME,
  SSH_FXP_RMDIR,
  SSH_FXP_SETSTAT,
  SSH_FXP_STAT,
  SSH_FXP_SYMLINK,
  SSH_FXP_WRITE,
  STATVFS,
  USERS_GROUPS_BY_ID,
} from './constants.js';
import { type ConnectionLostError, ProtocolError, SftpStatusError } from './errors.js';
import { attributesOf, done, extendedData, handleOf, isEof, namesOf, pathOf } from './expect.js';
import {
  decodeLimits,
  decodeStatVfs,
  decodeUsersGroups,
  type ExtendedRequest,
  type ServerLimits,
  type StatVfs,
  type UsersGroups,
} from './extensions.js';
import type { SftpHandle } from './handle.js';
import { totalLength } from './pending-read.js';
import type { Reply } from './replies.js';
import type { PathRequestType } from './requests.js';

export type { StatVfs, UsersGroups } from './extensions.js';
export type { SftpHandle } from './handle.js';

const log = logger('sftp');

export interface SftpClientOptions extends ChannelOptions {
  /** Caps on what the server permits for one READ or WRITE, in bytes. */
  readonly maxRead?: number;
  readonly maxWrite?: number;
}

export class SftpClient {
  readonly extensions: ReadonlyMap<string, string>;
  readonly #channel: SftpChannel;
  #limits: ServerLimits;
  #openHandles = 0;

  private constructor(channel: SftpChannel, extensions: ReadonlyMap<string, string>, limits: ServerLimits) {
    this.#channel = channel;
    this.extensions = extensions;
    this.#limits = limits;
  }

  /**
   * Greets the server on `stream` and asks for its limits. Rejects with `ConnectionLostError`, whose message
   * says so when the server's login shell printed text; to give up waiting, destroy the stream.
   */
  static async connect(stream: Duplex, options: SftpClientOptions = {}): Promise<SftpClient> {
    const channel = new SftpChannel(stream, options);
    const extensions = await channel.greet();
    log(
      'server extensions: %s',
      decodeText(ascii([...extensions.keys()].join(' ').slice(0, 4096))) || 'none',
    );
    const client = new SftpClient(channel, extensions, boundLimits(null, options));
    if (client.has(LIMITS)) {
      const limits = await client
        .#extended({ extension: LIMITS }, (reply) => decodeLimits(extendedData(reply)))
        .catch((error: unknown) => {
          if (error instanceof SftpStatusError) return null;
          throw error;
        });
      client.#limits = boundLimits(limits, options);
    }
    return client;
  }

  /** Whether the server announced `extension`. */
  has(extension: string): boolean {
    return this.extensions.has(extension);
  }

  /** Bytes per packet, READ and WRITE (261120 at most), and handles (0 when the server does not say). */
  get limits(): ServerLimits {
    return this.#limits;
  }

  get state(): 'open' | 'closed' {
    return this.#channel.state === 'closed' ? 'closed' : 'open';
  }

  /** Requests without their reply yet. */
  get inFlight(): number {
    return this.#channel.inFlight;
  }

  /** For how many milliseconds nothing came while requests were in flight; 0 while none is. */
  get silence(): number {
    return this.#channel.silence;
  }

  /** Handles that the server gave and that were not closed. */
  get openHandles(): number {
    return this.state === 'closed' ? 0 : this.#openHandles;
  }

  /** Calls `listener` once when the connection ends; at once when it has ended. */
  onClose(listener: (error: ConnectionLostError) => void): void {
    this.#channel.onClose(listener);
  }

  /** Ends the stream, after what was written; who still waits fails with `ConnectionLostError`. */
  end(): void {
    this.#channel.end();
  }

  /** `pflags`: SSH_FXF_*. */
  open(path: ByteString, pflags: number, attrs: SftpAttributes = NO_ATTRIBUTES): Promise<SftpHandle> {
    return this.#opened(
      this.#channel.request({ type: SSH_FXP_OPEN, filename: path, pflags, attrs }, handleOf),
    );
  }

  opendir(path: ByteString): Promise<SftpHandle> {
    return this.#opened(this.#channel.request({ type: SSH_FXP_OPENDIR, path }, handleOf));
  }

  /** The handle counts as closed from the call on, whatever the server answers. */
  close(handle: SftpHandle): Promise<void> {
    this.#openHandles--;
    return this.#channel.request({ type: SSH_FXP_CLOSE, handle }, done);
  }

  /**
   * Asks for as many bytes as `targets` hold together, `limits.maxRead` at most (else `RangeError`), and fills
   * them in their order; answers the number of bytes, which may be smaller, and is 0 at the end of the file.
   * The targets belong to the call until it settles, and are not touched after that.
   */
  readInto(handle: SftpHandle, offset: number, targets: readonly Uint8Array[]): Promise<number> {
    const len = totalLength(targets);
    if (len > this.#limits.maxRead) {
      return Promise.reject(new RangeError(`a read of ${len} bytes, over the server's limit`));
    }
    return this.#channel.read({ type: SSH_FXP_READ, handle, offset, len }, targets);
  }

  /** Writes `data`, at most `limits.maxWrite` bytes, which must not change until the call settles. */
  write(handle: SftpHandle, offset: number, data: Uint8Array): Promise<void> {
    if (data.length > this.#limits.maxWrite) {
      return Promise.reject(new RangeError(`a write of ${data.length} bytes, over the server's limit`));
    }
    return this.#channel.request({ type: SSH_FXP_WRITE, handle, offset, data }, done);
  }

  lstat(path: ByteString): Promise<SftpAttributes> {
    return this.#channel.request({ type: SSH_FXP_LSTAT, path }, attributesOf);
  }

  stat(path: ByteString): Promise<SftpAttributes> {
    return this.#channel.request({ type: SSH_FXP_STAT, path }, attributesOf);
  }

  fstat(handle: SftpHandle): Promise<SftpAttributes> {
    return this.#channel.request({ type: SSH_FXP_FSTAT, handle }, attributesOf);
  }

  /** Follows symlinks. */
  setstat(path: ByteString, attrs: SftpAttributes): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_SETSTAT, path, attrs }, done);
  }

  fsetstat(handle: SftpHandle, attrs: SftpAttributes): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_FSETSTAT, handle, attrs }, done);
  }

  /** Changes a symlink itself; needs lsetstat@openssh.com. */
  lsetstat(path: ByteString, attrs: SftpAttributes): Promise<void> {
    return this.#extended({ extension: LSETSTAT, path, attrs }, done);
  }

  /** Some more entries, maybe none of use; null at the end. Names that no directory can hold are dropped. */
  readdir(handle: SftpHandle): Promise<readonly SftpName[] | null> {
    return this.#channel.request({ type: SSH_FXP_READDIR, handle }, (reply) => {
      if (isEof(reply)) return null;
      const names = namesOf(reply);
      return names.length === 0 ? null : names.filter(isUsable);
    });
  }

  remove(path: ByteString): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_REMOVE, path }, done);
  }

  rmdir(path: ByteString): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_RMDIR, path }, done);
  }

  mkdir(path: ByteString, attrs: SftpAttributes = NO_ATTRIBUTES): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_MKDIR, path, attrs }, done);
  }

  realpath(path: ByteString): Promise<ByteString> {
    return this.#name(SSH_FXP_REALPATH, path);
  }

  readlink(path: ByteString): Promise<ByteString> {
    return this.#name(SSH_FXP_READLINK, path);
  }

  symlink(linkPath: ByteString, targetPath: ByteString): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_SYMLINK, linkpath: linkPath, targetpath: targetPath }, done);
  }

  /** SSH_FXP_RENAME, which never overwrites. */
  rename(from: ByteString, to: ByteString): Promise<void> {
    return this.#channel.request({ type: SSH_FXP_RENAME, oldpath: from, newpath: to }, done);
  }

  /** rename(2): replaces `to` atomically; needs posix-rename@openssh.com. */
  posixRename(from: ByteString, to: ByteString): Promise<void> {
    return this.#extended({ extension: POSIX_RENAME, oldpath: from, newpath: to }, done);
  }

  /** Needs hardlink@openssh.com. */
  hardlink(existing: ByteString, newPath: ByteString): Promise<void> {
    return this.#extended({ extension: HARDLINK, oldpath: existing, newpath: newPath }, done);
  }

  /** Needs fsync@openssh.com. */
  fsync(handle: SftpHandle): Promise<void> {
    return this.#extended({ extension: FSYNC, handle }, done);
  }

  /** Needs statvfs@openssh.com. */
  statvfs(path: ByteString): Promise<StatVfs> {
    return this.#extended({ extension: STATVFS, path }, (reply) => decodeStatVfs(extendedData(reply)));
  }

  /** Needs fstatvfs@openssh.com. */
  fstatvfs(handle: SftpHandle): Promise<StatVfs> {
    return this.#extended({ extension: FSTATVFS, handle }, (reply) => decodeStatVfs(extendedData(reply)));
  }

  /** `~` and `~user` made absolute; needs expand-path@openssh.com. */
  expandPath(path: ByteString): Promise<ByteString> {
    return this.#extended({ extension: EXPAND_PATH, path }, pathOf);
  }

  /** Needs home-directory. */
  homeDirectory(user: ByteString): Promise<ByteString> {
    return this.#extended({ extension: HOME_DIRECTORY, username: user }, pathOf);
  }

  /**
   * Copies `length` bytes (0: up to the end) on the server, fewer when the source ends before: servers do not
   * agree on saying so, and OpenSSH answers OK. Needs copy-data.
   */
  copyData(
    readHandle: SftpHandle,
    readOffset: number,
    length: number,
    writeHandle: SftpHandle,
    writeOffset: number,
  ): Promise<void> {
    return this.#extended(
      { extension: COPY_DATA, readHandle, readOffset, length, writeHandle, writeOffset },
      (reply) => {
        if (!isEof(reply)) done(reply);
      },
    );
  }

  /** Names in the order of the ids, '' where there is none; needs users-groups-by-id@openssh.com. */
  usersGroupsById(uids: readonly number[], gids: readonly number[]): Promise<UsersGroups> {
    return this.#extended({ extension: USERS_GROUPS_BY_ID, uids, gids }, (reply) => {
      const names = decodeUsersGroups(extendedData(reply));
      if (names.users.length !== uids.length || names.groups.length !== gids.length) {
        throw new ProtocolError('not one name for each id');
      }
      return names;
    });
  }

  #name(type: Extract<PathRequestType, typeof SSH_FXP_REALPATH | typeof SSH_FXP_READLINK>, path: ByteString) {
    return this.#channel.request({ type, path }, pathOf);
  }

  async #opened(opening: Promise<SftpHandle>): Promise<SftpHandle> {
    const handle = await opening;
    this.#openHandles++;
    return handle;
  }

  #extended<T>(request: ExtendedRequest, decode: (reply: Reply) => T): Promise<T> {
    if (this.has(request.extension)) {
      return this.#channel.request({ type: SSH_FXP_EXTENDED, ...request }, decode);
    }
    if (this.#channel.lost !== null) return Promise.reject(this.#channel.lost);
    return Promise.reject(new SftpStatusError(SSH_FX_OP_UNSUPPORTED, `no ${request.extension}`));
  }
}

/** What the server permits (null: it did not say), within what this client can do and the options ask. */
function boundLimits(limits: ServerLimits | null, options: SftpClientOptions): ServerLimits {
  const bound = (size: number | undefined, cap = MAX_DATA) =>
    Math.min(Math.max(MIN_DATA, size || DEFAULT_DATA), cap, MAX_DATA);
  return {
    maxPacket: Math.min(Math.max(MIN_DATA, limits?.maxPacket || DEFAULT_DATA), MAX_PACKET),
    maxRead: bound(limits?.maxRead, options.maxRead),
    maxWrite: bound(limits?.maxWrite, options.maxWrite),
    maxHandles: limits?.maxHandles ?? 0,
  };
}

function isUsable({ filename }: SftpName): boolean {
  if (isValidName(filename) && filename.length <= MAX_NAME) return true;
  if (filename !== '.' && filename !== '..')
    log('dropped a name no directory can hold: %s', decodeText(ascii(filename.slice(0, MAX_NAME))));
  return false;
}
