/**
 * What fuse-native knows of a call and does not tell. Each thread of libfuse has a record, `fuse_thread_locals_t`
 * of fuse-native.c, which comes with every callback; its thread waits until the call is answered, so until then
 * all that the record points to stays as it is. From it come what the callbacks lose: names that are not UTF-8, the
 * flags of `create`, the modification time of `utimens`.
 */
import { type ByteString, bytesOf, toBuffer } from '../base/bytes.js';
import { FsError } from '../base/errno.js';
import { koffi } from '../fuse/koffi.js';

/** Offsets within the record, in bytes; every pointer has eight. */
interface Layout {
  readonly path: number;
  readonly dest: number;
  readonly linkname: number;
  readonly info: number;
  readonly buf: number;
  readonly atime: number;
  readonly mtime: number;
  readonly filler: number;
}

/** The C compiler's layout on 64-bit machines; on Darwin `mode_t` and `dev_t` are smaller. */
const POINTERS = { path: 24, dest: 32, linkname: 40, info: 48, buf: 56 } as const;
const LINUX: Layout = { ...POINTERS, atime: 104, mtime: 112, filler: 184 };
const DARWIN: Layout = { ...POINTERS, atime: 96, mtime: 104, filler: 176 };

/** `struct fuse_file_info` of libfuse 2.9: int flags, long, int writepage, bit fields, u64 fh. */
const INFO = { flags: 0, writepage: 16, bits: 20, fh: 24, size: 32 } as const;
const DIRECT_IO = 1;

/** Longest target of a link with its NUL: what libfuse has room for. */
const LINK_MAX = 4097;

/** `fuse_fill_dir_t`: takes one name of a listing. */
const FILL = koffi().proto(
  'int RemoraFillDir(void *buf, const uint8_t *name, const void *stat, int64_t offset)',
);

const strlen = koffi().load(null).func('size_t strlen(const void *text)') as (text: bigint) => number;

/** The memory itself, good for as long as the call waits. */
function memoryAt(address: bigint, length: number): Buffer {
  return Buffer.from(koffi().view(address, length));
}

export class CallRecord {
  readonly #bytes: Buffer;
  readonly #layout: Layout;

  constructor(bytes: Buffer, platform: NodeJS.Platform = process.platform) {
    this.#bytes = bytes;
    this.#layout = platform === 'darwin' ? DARWIN : LINUX;
  }

  #pointer(field: keyof Layout): bigint {
    const address = this.#bytes.readBigUInt64LE(this.#layout[field]);
    if (address === 0n) throw new FsError('EIO', `no ${field} in the record of a call`);
    return address;
  }

  #text(field: 'path' | 'dest'): ByteString {
    const address = this.#pointer(field);
    return bytesOf(memoryAt(address, Number(strlen(address))));
  }

  #info(): Buffer {
    return memoryAt(this.#pointer('info'), INFO.size);
  }

  /** The first path of the call; of symlink, the target. */
  get path(): ByteString {
    return this.#text('path');
  }

  /** The second path of the call. */
  get dest(): ByteString {
    return this.#text('dest');
  }

  /** Of utimens, in milliseconds since the epoch: all that fuse-native keeps. */
  get times(): { readonly atime: number; readonly mtime: number } {
    const read = (field: keyof Layout) => Number(this.#bytes.readBigInt64LE(this.#layout[field]));
    return { atime: read('atime'), mtime: read('mtime') };
  }

  /** Of open and create, as open(2) has them on this platform. */
  get openFlags(): number {
    return this.#info().readInt32LE(INFO.flags);
  }

  /** What open or opendir answered for this descriptor. */
  get handle(): number {
    return Number(this.#info().readBigUInt64LE(INFO.fh));
  }

  /** Of write: the kernel writes a page of its own. */
  get fromPageCache(): boolean {
    return this.#info().readInt32LE(INFO.writepage) !== 0;
  }

  /** Of open and create: the kernel shall keep no pages of this descriptor. */
  setDirectIo(): void {
    const info = this.#info();
    info.writeUInt8(info.readUInt8(INFO.bits) | DIRECT_IO, INFO.bits);
  }

  /** Of readdir: adds a name as it is. */
  addName(name: ByteString): void {
    const bytes = Buffer.concat([toBuffer(name), Buffer.alloc(1)]);
    koffi().call(this.#pointer('filler'), FILL, this.#pointer('buf'), bytes, null, 0);
  }

  /** Of readlink: answers these bytes; the text that fuse-native gets afterwards goes nowhere. */
  setLinkTarget(target: ByteString): void {
    const bytes = toBuffer(target).subarray(0, LINK_MAX - 1);
    const memory = memoryAt(this.#pointer('linkname'), bytes.length + 1);
    memory.set(bytes);
    memory[bytes.length] = 0;
    this.#bytes.writeBigUInt64LE(BigInt(koffi().address(NOWHERE)), this.#layout.linkname);
  }
}

/** Holds what nobody reads. */
const NOWHERE = Buffer.alloc(LINK_MAX);
