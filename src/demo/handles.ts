/** What a session has open: files and directory snapshots, by the four-byte handles its client was given. */
import type { FileHandle } from 'node:fs/promises';
import type { ByteString } from '../base/bytes.js';
import { SSH_FX_FAILURE } from '../sftp/constants.js';
import { SftpStatusError } from '../sftp/errors.js';
import type { SftpHandle } from '../sftp/handle.js';

export interface OpenFile {
  readonly kind: 'file';
  readonly file: FileHandle;
}

export interface OpenDirectory {
  readonly kind: 'directory';
  /** Of the host. */
  readonly path: Buffer;
  readonly names: readonly ByteString[];
  /** How many of the names were told. */
  told: number;
}

export class Handles {
  readonly #open = new Map<SftpHandle, OpenFile | OpenDirectory>();
  readonly #most: number;
  #next = 0;

  /** `most`: how many may be open at once. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Call before opening something: throws when there is no room for it. */
  reserve(): void {
    if (this.#open.size >= this.#most) throw new SftpStatusError(SSH_FX_FAILURE, 'too many open handles');
  }

  add(opened: OpenFile | OpenDirectory): SftpHandle {
    const id = Buffer.allocUnsafe(4);
    let handle: SftpHandle;
    do {
      id.writeUInt32BE(this.#next);
      this.#next = (this.#next + 1) >>> 0;
      handle = id.toString('latin1') as SftpHandle;
    } while (this.#open.has(handle));
    this.#open.set(handle, opened);
    return handle;
  }

  file(handle: SftpHandle): FileHandle {
    const opened = this.#open.get(handle);
    if (opened?.kind !== 'file') throw new SftpStatusError(SSH_FX_FAILURE, 'not an open file');
    return opened.file;
  }

  directory(handle: SftpHandle): OpenDirectory {
    const opened = this.#open.get(handle);
    if (opened?.kind !== 'directory') throw new SftpStatusError(SSH_FX_FAILURE, 'not an open directory');
    return opened;
  }

  async close(handle: SftpHandle): Promise<void> {
    const opened = this.#open.get(handle);
    if (opened === undefined) throw new SftpStatusError(SSH_FX_FAILURE, 'not open');
    this.#open.delete(handle);
    if (opened.kind === 'file') await opened.file.close();
  }

  async closeAll(): Promise<void> {
    await Promise.allSettled([...this.#open.keys()].map((handle) => this.close(handle)));
  }
}
