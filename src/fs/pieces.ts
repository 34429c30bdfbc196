/** Bytes of a file that lie in several buffers, cut and put together without copying where that can be. */
import { BLOCK_SIZE } from '../cache/blocks.js';
import type { Piece } from '../cache/pool.js';
import { type Extent, overlay } from '../cache/write-buffer.js';

/** The `length` bytes of `targets` behind their first `filled` ones. */
export function stretch(targets: readonly Buffer[], filled: number, length: number): readonly Buffer[] {
  const parts: Buffer[] = [];
  let from = filled;
  let to = filled + length;
  for (const target of targets) {
    if (from < target.length && to > 0) {
      parts.push(from <= 0 && to >= target.length ? target : target.subarray(Math.max(0, from), to));
    }
    from -= target.length;
    to -= target.length;
  }
  return parts;
}

/** The part of consecutive blocks that starts at file offset `offset`, ending where a block is short. */
export function slices(blocks: readonly Piece[], offset: number, length: number): Buffer[] {
  const out: Buffer[] = [];
  let skip = offset % BLOCK_SIZE;
  let left = length;
  for (const block of blocks) {
    const to = Math.min(block.length, skip + left);
    if (to > skip) out.push(skip === 0 && to === BLOCK_SIZE ? block.memory : block.memory.subarray(skip, to));
    left -= Math.max(0, to - skip);
    if (left === 0 || block.length < BLOCK_SIZE) break;
    skip = 0;
  }
  return out;
}

/** The range of a file of `size` bytes in one buffer: the server's bytes, zeros for what we extended, our writes on top. */
export function merged(
  size: number,
  blocks: readonly Piece[],
  offset: number,
  end: number,
  writes: readonly Extent[],
): Buffer {
  const result = Buffer.alloc(Math.max(0, Math.min(end, size) - offset));
  let at = 0;
  for (const piece of slices(blocks, offset, result.length)) {
    result.set(piece, at);
    at += piece.length;
  }
  overlay(result, offset, writes);
  return result;
}
