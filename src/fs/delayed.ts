/**
 * The filesystem of a mount that is connected when it is first used (`delay_connect`). Calls by path wait until it is
 * there, and fail when it is not to be had; handles are given out by it, so calls by handle find it.
 */
import type { ByteString } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import type { Path } from '../base/path.js';
import type { AttributeChanges, Ids, KernelCache, Operations, Target, WriteFlags } from './operations.js';

/** What a mount is served by. */
export interface Served extends Operations {
  /** From now on the kernel is told what it should forget. */
  attachKernel(kernel: KernelCache): void;
}

export class DelayedFileSystem implements Served {
  readonly #begin: () => Promise<Served>;
  #kernel: KernelCache | null = null;
  #filesystem: Served | null = null;

  /** `begin` is called whenever it is needed and not there; it rejects with an `FsError`. */
  constructor(begin: () => Promise<Served>) {
    this.#begin = begin;
  }

  attachKernel(kernel: KernelCache): void {
    this.#kernel = kernel;
  }

  async #ready(): Promise<Operations> {
    if (this.#filesystem !== null) return this.#filesystem;
    const filesystem = await this.#begin();
    // Of those who waited, the first one makes it known to the kernel.
    if (this.#filesystem === null && this.#kernel !== null) filesystem.attachKernel(this.#kernel);
    this.#filesystem = filesystem;
    return filesystem;
  }

  /** For calls by handle, which must not wait: what they bring is copied before they return. */
  get #opened(): Operations {
    if (this.#filesystem === null) throw new FsError('EBADF', 'nothing is open yet');
    return this.#filesystem;
  }

  async lookup(path: Path) {
    return (await this.#ready()).lookup(path);
  }

  async getattr(target: Target) {
    return (await this.#ready()).getattr(target);
  }

  async setattr(target: Target, changes: AttributeChanges) {
    return (await this.#ready()).setattr(target, changes);
  }

  async access(target: Target, mask: number) {
    return (await this.#ready()).access(target, mask);
  }

  async statfs(path: Path) {
    return (await this.#ready()).statfs(path);
  }

  async readlink(path: Path) {
    return (await this.#ready()).readlink(path);
  }

  async symlink(path: Path, target: ByteString, by?: Ids) {
    return (await this.#ready()).symlink(path, target, by);
  }

  async mknod(path: Path, mode: number, by?: Ids) {
    return (await this.#ready()).mknod(path, mode, by);
  }

  async mkdir(path: Path, mode: number, by?: Ids) {
    return (await this.#ready()).mkdir(path, mode, by);
  }

  async unlink(path: Path) {
    return (await this.#ready()).unlink(path);
  }

  async rmdir(path: Path) {
    return (await this.#ready()).rmdir(path);
  }

  async rename(from: Path, to: Path, options: { readonly noReplace: boolean }) {
    return (await this.#ready()).rename(from, to, options);
  }

  async link(from: Path, to: Path) {
    return (await this.#ready()).link(from, to);
  }

  async open(path: Path, flags: number) {
    return (await this.#ready()).open(path, flags);
  }

  async create(path: Path, flags: number, mode: number, by?: Ids) {
    return (await this.#ready()).create(path, flags, mode, by);
  }

  async opendir(path: Path | null) {
    return (await this.#ready()).opendir(path);
  }

  async read(handle: number, offset: number, size: number) {
    return this.#opened.read(handle, offset, size);
  }

  async write(handle: number, offset: number, data: Uint8Array, flags: WriteFlags) {
    return this.#opened.write(handle, offset, data, flags);
  }

  async flush(handle: number) {
    return this.#opened.flush(handle);
  }

  async fsync(handle: number, dataOnly: boolean) {
    return this.#opened.fsync(handle, dataOnly);
  }

  async release(handle: number) {
    return this.#opened.release(handle);
  }

  async lseek(handle: number, offset: number, whence: number) {
    return this.#opened.lseek(handle, offset, whence);
  }

  async fallocate(handle: number, mode: number, offset: number, length: number) {
    return this.#opened.fallocate(handle, mode, offset, length);
  }

  async copyFileRange(from: number, fromOffset: number, to: number, toOffset: number, length: number) {
    return this.#opened.copyFileRange(from, fromOffset, to, toOffset, length);
  }

  async readdir(handle: number, restart: boolean) {
    return this.#opened.readdir(handle, restart);
  }

  async releasedir(handle: number) {
    return this.#opened.releasedir(handle);
  }

  async fsyncdir(handle: number) {
    return this.#opened.fsyncdir(handle);
  }
}
