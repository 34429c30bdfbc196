/**
 * Directory entries packed into the size the kernel asks for: `fuse_dirent` records padded to 8 bytes, for
 * READDIRPLUS each behind a `fuse_entry_out`. A record that does not fit is left for the next call.
 */
import type { ByteString } from '../../base/bytes.js';
import { SIZEOF_DIRENT, SIZEOF_ENTRY_OUT } from './constants.js';
import { type Entry, putEntryOut } from './replies.js';
import { putI64 } from './wire.js';

export class DirentPacker {
  readonly #out: Buffer;
  readonly #plus: boolean;
  #length = 0;

  /** `size` is what the kernel asked for, in bytes. */
  constructor(size: number, plus: boolean) {
    this.#out = Buffer.alloc(size);
    this.#plus = plus;
  }

  fits(name: ByteString): boolean {
    return this.#length + this.#recordSize(name) <= this.#out.length;
  }

  #recordSize(name: ByteString): number {
    return ((this.#plus ? SIZEOF_ENTRY_OUT : 0) + SIZEOF_DIRENT + name.length + 7) & ~7;
  }

  /**
   * Appends one record that `fits`. `next` is the offset from which reading goes on behind it; `mode` gives
   * the type. Without `entry` a READDIRPLUS record says that its name was not looked up (node id 0).
   */
  add(record: { name: ByteString; ino: number; mode: number; next: number; entry?: Entry }): void {
    const out = this.#out;
    let at = this.#length;
    if (this.#plus) {
      if (record.entry !== undefined) putEntryOut(out, at, record.entry);
      at += SIZEOF_ENTRY_OUT;
    }
    putI64(out, record.ino, at);
    putI64(out, record.next, at + 8);
    out.writeUInt32LE(record.name.length, at + 16);
    out.writeUInt32LE((record.mode >>> 12) & 0o17, at + 20);
    out.write(record.name, at + SIZEOF_DIRENT, 'latin1');
    this.#length += this.#recordSize(record.name);
  }

  finish(): Buffer {
    return this.#out.subarray(0, this.#length);
  }
}
