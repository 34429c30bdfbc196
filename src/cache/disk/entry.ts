/**
 * The format of what lies on disk: one file for each stretch of a remote file, named by a hash of where that file is.
 * A stretch holds those of its blocks that were read, each with a checksum; the header, with one of its own, says of
 * which file they are, in which state, and since when they are known. So nothing is believed that was cut short,
 * mixed up or changed: whoever reads an entry finds out, and throws it away.
 *
 *     0  magic, 8 bytes        48  size, u64          72  mode, u32
 *     8  crc32 of 12..120      56  mtime, u64         76  known since, ms, u64
 *    12  file, 32 bytes        64  uid, u32           84  which blocks, one bit each, u32
 *    44  stretch, u32          68  gid, u32           88  their crc32, u32 × 8
 *
 * Numbers are little-endian; the blocks that are there follow in their order, nothing between or behind them.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ByteString } from '../../base/bytes.js';
import { BLOCK_SIZE } from '../blocks.js';

/** Blocks of one entry: files up to 256 KiB are one. */
export const STRETCH_BLOCKS = 8;
const STRETCH_SIZE = STRETCH_BLOCKS * BLOCK_SIZE;

const MAGIC = Buffer.from('remora\0\x01', 'latin1');
const HEADER_SIZE = 88 + 4 * STRETCH_BLOCKS;
const DISK_BLOCK = 4096;

/** Bytes of the longest entry. */
export const ENTRY_MAX = HEADER_SIZE + STRETCH_SIZE;

/** The attributes that content goes with, as the mount shows them. */
export interface FileState {
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** A file of the server, and the state in which its content is wanted or known. */
export interface CachedFile {
  /** Absolute, on the server. */
  readonly path: ByteString;
  readonly state: FileState;
}

/** Which entry it is. */
export interface EntryName {
  /** The hash of the server and of the path there. */
  readonly file: Buffer;
  readonly stretch: number;
}

export interface Entry {
  readonly name: EntryName;
  readonly state: FileState;
  /** Milliseconds since the epoch at which the oldest of the blocks came from the server. */
  readonly since: number;
  /** By their place in the stretch. */
  readonly blocks: ReadonlyMap<number, Buffer>;
}

/** An entry as it lies on disk, with blocks that nobody has looked at yet. */
export interface Found extends Omit<Entry, 'blocks'> {
  /** The block at that place of the stretch; null when it is not there. Throws a `CorruptEntry`. */
  block(place: number): Buffer | null;
}

export class CorruptEntry extends Error {}

/** Stands for the file at the absolute `path` of `server`. */
export function fileId(server: string, path: ByteString): Buffer {
  const hash = createHash('sha256').update(server).update('\0').update(path, 'latin1');
  return hash.digest();
}

/** Bytes of a file of `size` in its block `index`; 0 beyond the end. */
export function blockLength(size: number, index: number): number {
  return Math.max(0, Math.min(BLOCK_SIZE, size - index * BLOCK_SIZE));
}

/** Bytes on most disks that a file of `bytes` takes: whole blocks. */
export function onDisk(bytes: number): number {
  return Math.ceil(bytes / DISK_BLOCK) * DISK_BLOCK;
}

/** Bytes on disk that all of a file of `size` takes, about. */
export function spaceFor(size: number): number {
  const stretches = Math.ceil(size / STRETCH_SIZE);
  const last = size - (stretches - 1) * STRETCH_SIZE;
  return size === 0 ? 0 : (stretches - 1) * onDisk(ENTRY_MAX) + onDisk(HEADER_SIZE + last);
}

/** How many blocks a file of `size` has in its stretch. */
export function blocksIn(size: number, stretch: number): number {
  const total = Math.ceil(size / BLOCK_SIZE);
  return Math.max(0, Math.min(STRETCH_BLOCKS, total - stretch * STRETCH_BLOCKS));
}

export function isSameState(a: FileState, b: FileState): boolean {
  return a.size === b.size && a.mtime === b.mtime && a.uid === b.uid && a.gid === b.gid && a.mode === b.mode;
}

/** What is to be written, in pieces. Each block has the length that the state says. */
export function encodeEntry({ name, state, since, blocks }: Entry): readonly Buffer[] {
  const header = Buffer.alloc(HEADER_SIZE);
  const places = [...blocks.keys()].sort((a, b) => a - b);
  MAGIC.copy(header, 0);
  name.file.copy(header, 12);
  header.writeUInt32LE(name.stretch, 44);
  header.writeBigUInt64LE(BigInt(state.size), 48);
  header.writeBigUInt64LE(BigInt(state.mtime), 56);
  header.writeUInt32LE(state.uid, 64);
  header.writeUInt32LE(state.gid, 68);
  header.writeUInt32LE(state.mode, 72);
  header.writeBigUInt64LE(BigInt(since), 76);
  let present = 0;
  const data: Buffer[] = [];
  for (const place of places) {
    const block = blocks.get(place);
    if (block === undefined) continue;
    present |= 1 << place;
    header.writeUInt32LE(crc32(block), 88 + 4 * place);
    data.push(block);
  }
  header.writeUInt32LE(present, 84);
  header.writeUInt32LE(crc32(header.subarray(12)), 8);
  return [header, ...data];
}

/** `bytes` are the whole file on disk. Throws a `CorruptEntry` unless it is the entry `expected`, whole. */
export function decodeEntry(bytes: Buffer, expected: EntryName): Found {
  if (bytes.length < HEADER_SIZE) throw new CorruptEntry('it is cut short');
  const header = bytes.subarray(0, HEADER_SIZE);
  if (!header.subarray(0, 8).equals(MAGIC)) throw new CorruptEntry('it is not an entry of this version');
  if (crc32(header.subarray(12)) !== header.readUInt32LE(8)) throw new CorruptEntry('its header is damaged');
  const name = { file: header.subarray(12, 44), stretch: header.readUInt32LE(44) };
  const isOther = !name.file.equals(expected.file) || name.stretch !== expected.stretch;
  if (isOther) throw new CorruptEntry('it is of another file');
  const state: FileState = {
    size: Number(header.readBigUInt64LE(48)),
    mtime: Number(header.readBigUInt64LE(56)),
    uid: header.readUInt32LE(64),
    gid: header.readUInt32LE(68),
    mode: header.readUInt32LE(72),
  };
  const present = header.readUInt32LE(84);
  const places = new Map<number, { readonly offset: number; readonly length: number }>();
  let end = HEADER_SIZE;
  for (let place = 0; place < STRETCH_BLOCKS; place += 1) {
    if ((present & (1 << place)) === 0) continue;
    const length = blockLength(state.size, name.stretch * STRETCH_BLOCKS + place);
    places.set(place, { offset: end, length });
    end += length;
  }
  if (end !== bytes.length) throw new CorruptEntry('its length is wrong');
  const block = (place: number): Buffer | null => {
    const at = places.get(place);
    if (at === undefined) return null;
    const data = bytes.subarray(at.offset, at.offset + at.length);
    if (crc32(data) !== header.readUInt32LE(88 + 4 * place)) throw new CorruptEntry('a block is damaged');
    return data;
  };
  return { name, state, since: Number(header.readBigUInt64LE(76)), block };
}
