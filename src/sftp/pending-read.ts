/**
 * A READ that waits for its reply. The data of the reply goes from the chunks it comes in straight into the
 * caller's memory; a buffer per reply in between would keep the garbage collector busier than the copy.
 */
import { SSH_FX_FAILURE } from './constants.js';
import { ProtocolError, SftpStatusError } from './errors.js';
import { isEof, refuse } from './expect.js';
import type { PacketSink } from './frames.js';
import type { Waiter } from './pending.js';
import type { Reply } from './replies.js';

export class PendingRead implements Waiter, PacketSink {
  readonly #targets: readonly Uint8Array[];
  readonly #resolve: (length: number) => void;
  readonly fail: (error: Error) => void;
  readonly isLong = false;
  /** Bytes of data that the reply carries, and how many of them came. */
  #length = 0;
  #filled = 0;
  /** Where the next byte goes: into this target, at this place. */
  #target = 0;
  #at = 0;

  /** `resolve` gets the number of bytes that were put into `targets`, in their order. */
  constructor(
    targets: readonly Uint8Array[],
    resolve: (length: number) => void,
    fail: (error: Error) => void,
  ) {
    this.#targets = targets;
    this.#resolve = resolve;
    this.fail = fail;
  }

  /** Makes ready for a reply with `length` bytes of data. Throws `ProtocolError` for more than was asked for. */
  expect(length: number): void {
    if (length > totalLength(this.#targets)) throw new ProtocolError('more data than was asked for');
    this.#length = length;
  }

  /** Bytes behind the data are ignored, as in every packet. */
  write(piece: Buffer): void {
    const end = Math.min(piece.length, this.#length - this.#filled);
    for (let from = 0; from < end; ) {
      const target = this.#targets[this.#target];
      if (target === undefined) return;
      const copied = piece.copy(target, this.#at, from, end);
      from += copied;
      this.#filled += copied;
      this.#at += copied;
      if (this.#at === target.length) {
        this.#target += 1;
        this.#at = 0;
      }
    }
  }

  /** No data and no end of the file: taken for the end, it would cut the file off there in silence. */
  end(): void {
    if (this.#length === 0 && totalLength(this.#targets) > 0) {
      this.fail(new SftpStatusError(SSH_FX_FAILURE, 'no data, and not the end of the file'));
    } else this.#resolve(this.#length);
  }

  /** For a reply without data. */
  settle(reply: Reply): void {
    if (!isEof(reply)) refuse(reply);
    this.#resolve(0);
  }
}

export function totalLength(parts: readonly Uint8Array[]): number {
  return parts.reduce((total, part) => total + part.length, 0);
}
