/**
 * What the embedded server does for each request, with the meaning OpenSSH's sftp-server gives it. One call
 * answers one packet; whatever is thrown becomes a STATUS, so no request stays without its reply.
 */
import { constants } from 'node:fs';
import {
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
} from 'node:fs/promises';
import { type ByteString, bytesOf, toBuffer } from '../base/bytes.js';
import { logger } from '../base/log.js';
import type { SftpAttributes, SftpName } from '../sftp/attributes.js';
import {
  SSH_FX_EOF,
  SSH_FX_FAILURE,
  SSH_FX_OP_UNSUPPORTED,
  SSH_FXF_APPEND,
  SSH_FXF_CREAT,
  SSH_FXF_EXCL,
  SSH_FXF_READ,
  SSH_FXF_TRUNC,
  SSH_FXF_WRITE,
  SSH_FXP_ATTRS,
  SSH_FXP_CLOSE,
  SSH_FXP_EXTENDED,
  SSH_FXP_FSETSTAT,
  SSH_FXP_FSTAT,
  SSH_FXP_HANDLE,
  SSH_FXP_LSTAT,
  SSH_FXP_MKDIR,
  SSH_FXP_NAME,
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
} from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';
import type { ServerLimits } from '../sftp/extensions.js';
import type { SftpHandle } from '../sftp/handle.js';
import { DATA_OFFSET, encodeReply, type Reply, sealData } from '../sftp/replies.js';
import type { Request, UnknownRequest } from '../sftp/requests.js';
import type { Accounts } from './accounts.js';
import { changeFile, changePath } from './changes.js';
import { errnoNameOf, statusOf } from './errno-status.js';
import { answerExtended, writeAll } from './extended.js';
import { Handles } from './handles.js';
import { attributesOf, describe } from './listing.js';
import { done, name, status } from './results.js';
import type { RootedPaths } from './rooted-paths.js';

const log = logger('server');

/** Names told in one READDIR reply. */
const NAMES_PER_REPLY = 100;

/** What is served, and with which strengths. */
export interface Service {
  readonly paths: RootedPaths;
  readonly accounts: Accounts;
  /** The user whose home is `/`. */
  readonly user: ByteString;
  /** Names of the extensions on offer. */
  readonly extensions: ReadonlySet<string>;
  readonly limits: ServerLimits;
}

export class Answers {
  readonly service: Service;
  readonly handles: Handles;

  constructor(service: Service) {
    this.service = service;
    this.handles = new Handles(service.limits.maxHandles);
  }

  /** The reply packet to one request. Never rejects. */
  async answer(id: number, request: Request | UnknownRequest): Promise<Buffer> {
    try {
      if (request.type === SSH_FXP_READ)
        return await this.#read(id, request.handle, request.offset, request.len);
      return encodeReply(id, await this.#reply(request));
    } catch (error) {
      if (error instanceof SftpStatusError) {
        return encodeReply(id, status(error.code, error.serverMessage));
      }
      if (errnoNameOf(error) === undefined) log('request %s failed: %O', request.type, error);
      return encodeReply(id, status(statusOf(error)));
    }
  }

  #reply(request: Exclude<Request, { type: typeof SSH_FXP_READ }> | UnknownRequest): Promise<Reply> {
    const { paths } = this.service;
    switch (request.type) {
      case SSH_FXP_OPEN:
        return this.#open(paths.toHost(request.filename), request.pflags, request.attrs);
      case SSH_FXP_CLOSE:
        return done(this.handles.close(request.handle));
      case SSH_FXP_WRITE:
        return done(this.#write(request.handle, request.offset, request.data));
      case SSH_FXP_LSTAT:
        return attributes(lstat(paths.toHost(request.path)));
      case SSH_FXP_STAT:
        return attributes(stat(paths.toHost(request.path)));
      case SSH_FXP_FSTAT:
        return attributes(this.handles.file(request.handle).stat());
      case SSH_FXP_SETSTAT:
        return done(changePath(paths.toHost(request.path), request.attrs));
      case SSH_FXP_FSETSTAT:
        return done(changeFile(this.handles.file(request.handle), request.attrs));
      case SSH_FXP_OPENDIR:
        return this.#opendir(paths.toHost(request.path));
      case SSH_FXP_READDIR:
        return this.#readdir(request.handle);
      case SSH_FXP_REMOVE:
        return done(unlink(paths.toHost(request.path)));
      case SSH_FXP_MKDIR:
        return done(mkdir(paths.toHost(request.path), (request.attrs.permissions ?? 0o777) & 0o7777));
      case SSH_FXP_RMDIR:
        return done(rmdir(paths.toHost(request.path)));
      case SSH_FXP_REALPATH:
        return name(paths.realpath(request.path));
      case SSH_FXP_RENAME:
        return done(renameWithoutReplacing(paths.toHost(request.oldpath), paths.toHost(request.newpath)));
      case SSH_FXP_READLINK:
        return name(readlink(paths.toHost(request.path), { encoding: 'buffer' }).then(bytesOf));
      case SSH_FXP_SYMLINK:
        return done(symlink(toBuffer(request.targetpath), paths.toHost(request.linkpath)));
      case SSH_FXP_EXTENDED:
        return answerExtended(this, request);
      case 'unknown':
        return Promise.resolve(status(SSH_FX_OP_UNSUPPORTED));
    }
  }

  async #open(path: Buffer, pflags: number, attrs: SftpAttributes): Promise<Reply> {
    this.handles.reserve();
    const file = await open(path, openFlags(pflags), (attrs.permissions ?? 0o666) & 0o7777);
    return { type: SSH_FXP_HANDLE, handle: this.handles.add({ kind: 'file', file }) };
  }

  /** The file's bytes are read straight into the reply packet. */
  async #read(id: number, handle: SftpHandle, offset: number, length: number): Promise<Buffer> {
    const file = this.handles.file(handle);
    const wanted = Math.min(length, this.service.limits.maxRead);
    const buffer = Buffer.allocUnsafe(DATA_OFFSET + wanted);
    const { bytesRead } = await file.read(buffer, DATA_OFFSET, wanted, offset);
    return bytesRead === 0 ? encodeReply(id, status(SSH_FX_EOF)) : sealData(buffer, id, bytesRead);
  }

  async #write(handle: SftpHandle, offset: number, data: Uint8Array): Promise<void> {
    const file = this.handles.file(handle);
    if (data.length > this.service.limits.maxWrite) {
      throw new SftpStatusError(SSH_FX_FAILURE, 'more than one write may hold');
    }
    await writeAll(file, data, offset);
  }

  async #opendir(path: Buffer): Promise<Reply> {
    this.handles.reserve();
    const names = (await readdir(path, { encoding: 'buffer' })).map(bytesOf);
    const all = ['.' as ByteString, '..' as ByteString, ...names];
    return {
      type: SSH_FXP_HANDLE,
      handle: this.handles.add({ kind: 'directory', path, names: all, told: 0 }),
    };
  }

  async #readdir(handle: SftpHandle): Promise<Reply> {
    const directory = this.handles.directory(handle);
    while (directory.told < directory.names.length) {
      const batch = directory.names.slice(directory.told, directory.told + NAMES_PER_REPLY);
      directory.told += batch.length;
      const described = await Promise.all(batch.map((each) => this.#describe(directory.path, each)));
      const names = described.filter((each) => each !== null);
      if (names.length > 0) return { type: SSH_FXP_NAME, names };
    }
    return status(SSH_FX_EOF);
  }

  /** Null for a name that is gone since the snapshot. */
  async #describe(directory: Buffer, filename: ByteString): Promise<SftpName | null> {
    const path = Buffer.concat([directory, Buffer.from('/'), toBuffer(filename)]);
    const stats = await lstat(path).catch(() => null);
    return stats === null ? null : describe(filename, stats, this.service.accounts);
  }
}

function openFlags(pflags: number): number {
  const both = (pflags & SSH_FXF_READ) !== 0 && (pflags & SSH_FXF_WRITE) !== 0;
  const oneWay = (pflags & SSH_FXF_WRITE) !== 0 ? constants.O_WRONLY : constants.O_RDONLY;
  return (
    (both ? constants.O_RDWR : oneWay) |
    (pflags & SSH_FXF_APPEND ? constants.O_APPEND : 0) |
    (pflags & SSH_FXF_CREAT ? constants.O_CREAT : 0) |
    (pflags & SSH_FXF_TRUNC ? constants.O_TRUNC : 0) |
    (pflags & SSH_FXF_EXCL ? constants.O_EXCL : 0) |
    // Opening a FIFO would otherwise hold a thread of the pool until somebody opens its other end.
    constants.O_NONBLOCK
  );
}

/** A regular file is linked to its new name first, since that alone refuses atomically to replace. */
async function renameWithoutReplacing(from: Buffer, to: Buffer): Promise<void> {
  const source = await lstat(from);
  if (source.isFile()) {
    const linked = await link(from, to).then(
      () => true,
      (error: unknown) => {
        if (UNLINKABLE.has(errnoNameOf(error) ?? '')) return false;
        throw error;
      },
    );
    if (linked) {
      await unlink(from);
      return;
    }
  }
  const taken = await lstat(to).then(
    () => true,
    () => false,
  );
  if (taken) throw new SftpStatusError(SSH_FX_FAILURE, 'the target exists');
  await rename(from, to);
}

/** How link(2) fails where a filesystem has no hard links. */
const UNLINKABLE: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOSYS', 'EPERM', 'EMLINK']);

async function attributes(stats: Promise<Parameters<typeof attributesOf>[0]>): Promise<Reply> {
  return { type: SSH_FXP_ATTRS, attrs: attributesOf(await stats) };
}
