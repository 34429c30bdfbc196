/**
 * The requests of a mount: the methods of `SftpClient`, with handles of ours, each of them a call that may take several
 * sessions. How long a call waits, and what it waits for, is decided by whoever extends this.
 */
import type { ByteString } from '../base/bytes.js';
import type { FsError } from '../base/errno.js';
import { NO_ATTRIBUTES, type SftpAttributes, type SftpName } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle, StatVfs, UsersGroups } from '../sftp/client.js';
import { SSH_FXF_EXCL } from '../sftp/constants.js';
import type { ServerLimits } from '../sftp/extensions.js';
import type { Request } from './call.js';
import { isCreated, isGone, isLinked, isMade, isRenamed, isTwin } from './doubt.js';
import type { Handles } from './handles.js';

export abstract class Requests {
  protected readonly handles: Handles;

  constructor(handles: Handles) {
    this.handles = handles;
  }

  abstract has(extension: string): boolean;

  abstract get limits(): ServerLimits;

  get openHandles(): number {
    return this.handles.size;
  }

  /** Is told what the server says of files before whoever asked for it is; null holds up nobody. */
  protected abstract introduce(found: readonly SftpAttributes[]): Promise<void> | null;

  /** What carries requests at this moment. */
  protected abstract get carrier(): SftpClient | null;

  /**
   * `about`: the paths that the request names. One that is patient waits for a session as long as it takes. It is sent
   * before this returns, where nothing stands in its way.
   */
  protected abstract call<T>(
    request: Request<T>,
    about?: readonly ByteString[],
    isPatient?: boolean,
  ): Promise<T>;

  async open(path: ByteString, pflags: number, attrs: SftpAttributes = NO_ATTRIBUTES): Promise<SftpHandle> {
    const send = (client: SftpClient) => client.open(path, pflags, attrs);
    const isExclusive = (pflags & SSH_FXF_EXCL) !== 0;
    const doubt = (client: SftpClient) => isCreated(client, path, pflags, attrs);
    return this.handles.add(
      await this.call(isExclusive ? { send, doubt } : { send }, [path]),
      'file',
      path,
      pflags,
    );
  }

  /**
   * A handle of a file that is there, by its attributes: the server is asked for it when a request needs it, as after
   * a loss (see Keeper). What cannot be had then is ESTALE.
   */
  openLater(path: ByteString, pflags: number): SftpHandle {
    return this.handles.add(null, 'file', path, pflags);
  }

  /** A handle for a file that is being made: requests by it wait until it is fulfilled or refused. */
  promise(path: ByteString, pflags: number): SftpHandle {
    return this.handles.promise(path, pflags);
  }

  /** `promised` stands for what `made` stood for; false when it was closed meanwhile, and `made` is to be, too. */
  fulfil(promised: SftpHandle, made: SftpHandle): boolean {
    return this.handles.fulfil(promised, made);
  }

  /** The file could not be made: all requests by `promised` fail with `refusal`. */
  refuse(promised: SftpHandle, refusal: FsError): void {
    this.handles.refuse(promised, refusal);
  }

  /**
   * Has the handle opened, if that was left for later; the request is sent before the call returns. Rejects with ESTALE
   * where its file is not there any more.
   */
  openNow(handle: SftpHandle): Promise<void> {
    return this.call({ send: (client) => this.handles.with(client, handle, async () => undefined) });
  }

  async opendir(path: ByteString): Promise<SftpHandle> {
    const real = await this.call({ send: (client) => client.opendir(path) }, [path]);
    return this.handles.add(real, 'directory', path, 0);
  }

  /** What is not open on the server is closed. */
  async close(handle: SftpHandle): Promise<void> {
    const real = this.handles.remove(handle);
    const { carrier } = this;
    if (real !== null && carrier !== null) await carrier.close(real);
  }

  readInto(handle: SftpHandle, offset: number, targets: readonly Uint8Array[]): Promise<number> {
    return this.call({
      send: (client) => this.handles.with(client, handle, (real) => client.readInto(real, offset, targets)),
    });
  }

  /** Waits for a session as long as it takes: what was written is not given up while the mount lives. */
  write(handle: SftpHandle, offset: number, data: Uint8Array): Promise<void> {
    return this.call(
      {
        send: (client) => this.handles.changing(client, handle, (real) => client.write(real, offset, data)),
      },
      [],
      true,
    );
  }

  lstat(path: ByteString): Promise<SftpAttributes> {
    return this.#met(this.call({ send: (client) => client.lstat(path) }, [path]));
  }

  stat(path: ByteString): Promise<SftpAttributes> {
    return this.#met(this.call({ send: (client) => client.stat(path) }, [path]));
  }

  fstat(handle: SftpHandle): Promise<SftpAttributes> {
    return this.#met(
      this.call({ send: (client) => this.handles.with(client, handle, (real) => client.fstat(real)) }),
    );
  }

  setstat(path: ByteString, attrs: SftpAttributes): Promise<void> {
    return this.call({ send: (client) => client.setstat(path, attrs) }, [path]);
  }

  fsetstat(handle: SftpHandle, attrs: SftpAttributes): Promise<void> {
    return this.call({
      send: (client) => this.handles.changing(client, handle, (real) => client.fsetstat(real, attrs)),
    });
  }

  lsetstat(path: ByteString, attrs: SftpAttributes): Promise<void> {
    return this.call({ send: (client) => client.lsetstat(path, attrs) }, [path]);
  }

  /** After a loss the directory is read from its beginning: names may come twice. */
  async readdir(handle: SftpHandle): Promise<readonly SftpName[] | null> {
    const page = await this.call({
      send: (client) => this.handles.with(client, handle, (real) => client.readdir(real)),
    });
    if (page !== null) await this.introduce(page.map(({ attributes }) => attributes));
    return page;
  }

  realpath(path: ByteString): Promise<ByteString> {
    return this.call({ send: (client) => client.realpath(path) }, [path]);
  }

  readlink(path: ByteString): Promise<ByteString> {
    return this.call({ send: (client) => client.readlink(path) }, [path]);
  }

  statvfs(path: ByteString): Promise<StatVfs> {
    return this.call({ send: (client) => client.statvfs(path) });
  }

  usersGroupsById(uids: readonly number[], gids: readonly number[]): Promise<UsersGroups> {
    return this.call({ send: (client) => client.usersGroupsById(uids, gids) });
  }

  fsync(handle: SftpHandle): Promise<void> {
    return this.call({ send: (client) => this.handles.with(client, handle, (real) => client.fsync(real)) });
  }

  copyData(
    readHandle: SftpHandle,
    readOffset: number,
    length: number,
    writeHandle: SftpHandle,
    writeOffset: number,
  ): Promise<void> {
    return this.call({
      send: (client) =>
        this.handles.with(client, readHandle, (from) =>
          this.handles.changing(client, writeHandle, (to) =>
            client.copyData(from, readOffset, length, to, writeOffset),
          ),
        ),
    });
  }

  remove(path: ByteString): Promise<void> {
    return this.call(
      {
        send: (client) => client.remove(path),
        doubt: (client) => isGone(client, path),
      },
      [path],
    );
  }

  rmdir(path: ByteString): Promise<void> {
    return this.call(
      {
        send: (client) => client.rmdir(path),
        doubt: (client) => isGone(client, path),
      },
      [path],
    );
  }

  mkdir(path: ByteString, attrs: SftpAttributes = NO_ATTRIBUTES): Promise<void> {
    return this.call(
      {
        send: (client) => client.mkdir(path, attrs),
        doubt: (client) => isMade(client, path),
      },
      [path],
    );
  }

  symlink(linkPath: ByteString, targetPath: ByteString): Promise<void> {
    return this.call(
      {
        send: (client) => client.symlink(linkPath, targetPath),
        doubt: (client) => isLinked(client, linkPath, targetPath),
      },
      [linkPath],
    );
  }

  rename(from: ByteString, to: ByteString): Promise<void> {
    return this.call(
      {
        send: (client) => client.rename(from, to),
        doubt: (client) => isRenamed(client, from, to),
      },
      [from, to],
    );
  }

  posixRename(from: ByteString, to: ByteString): Promise<void> {
    return this.call(
      {
        send: (client) => client.posixRename(from, to),
        doubt: (client) => isRenamed(client, from, to),
      },
      [from, to],
    );
  }

  hardlink(existing: ByteString, newPath: ByteString): Promise<void> {
    return this.call(
      {
        send: (client) => client.hardlink(existing, newPath),
        doubt: (client) => isTwin(client, existing, newPath),
      },
      [existing, newPath],
    );
  }

  async #met(question: Promise<SftpAttributes>): Promise<SftpAttributes> {
    const answer = await question;
    const introduced = this.introduce([answer]);
    if (introduced !== null) await introduced;
    return answer;
  }
}
