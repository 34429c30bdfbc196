/**
 * The only I/O with /dev/fuse, all of it on the event loop: the loop's own epoll tells that requests wait, they
 * are read without waiting, a batch a turn, and a reply, which never blocks, is written at once, by one writev that
 * copies no file data. So a request costs no thread hop, an idle mount nothing, and no parked read keeps the
 * process from ending. A notification may block for long and goes through the libuv pool.
 */
import { close, write, writevSync } from 'node:fs';
import { ERRNO } from '../base/errno.js';
import { logger } from '../base/log.js';
import { readNow, watchReadable } from './libc.js';
import { SIZEOF_IN_HEADER, SIZEOF_OUT_HEADER, SIZEOF_WRITE_IN } from './protocol/constants.js';
import { MAX_TRANSFER } from './protocol/init.js';
import type { EndReason, Transport } from './session.js';

const log = logger('fuse:device');

/** The kernel refuses to hand a request to a buffer that could not hold the largest WRITE. */
const BUFFER_SIZE = MAX_TRANSFER + SIZEOF_IN_HEADER + SIZEOF_WRITE_IN;

/** What one turn of the event loop takes at most, in requests and in bytes: the network has its turn then. */
const BATCH_REQUESTS = 16;
const BATCH_BYTES = MAX_TRANSFER;

/** How a connection ended, by the errno of the read that found out; anything unknown is no way to go on. */
function endOf(errno: number): EndReason {
  // FUSE_ABORT_ERROR makes an abort ECONNABORTED.
  return errno === ERRNO.ENODEV ? 'unmounted' : 'aborted';
}

export class FuseDevice implements Transport {
  readonly #fd: number;
  #state: 'open' | 'serving' | 'ended' | 'closed' = 'open';
  #end: (reason: EndReason) => void = () => {};

  /** `fd` is a mounted descriptor of /dev/fuse, owned by this object from here on. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  #setState(state: 'serving' | 'ended' | 'closed', why: string): void {
    log('%s -> %s (%s)', this.#state, state, why);
    this.#state = state;
  }

  /** Reads requests until the connection ends, closes the descriptor, and answers how it ended. */
  async serve(dispatch: (request: Buffer) => void): Promise<EndReason> {
    this.#setState('serving', `fd ${this.#fd}`);
    const buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
    const reason = await new Promise<EndReason>((resolve) => {
      const watch = watchReadable(this.#fd, () => {
        if (this.#state !== 'serving') return;
        const end = this.#takeBatch(buffer, dispatch);
        if (end !== null) this.#end(end);
      });
      this.#end = (end) => {
        watch.stop();
        resolve(end);
      };
    });
    await new Promise<void>((resolve) => close(this.#fd, () => resolve()));
    this.#setState('closed', 'descriptor closed');
    return reason;
  }

  /** Takes what waits, up to the bounds of one turn; what is left is told again. Answers how it ended, if it did. */
  #takeBatch(buffer: Buffer, dispatch: (request: Buffer) => void): EndReason | null {
    let bytes = 0;
    for (let taken = 0; taken < BATCH_REQUESTS && bytes < BATCH_BYTES; taken++) {
      const length = readNow(this.#fd, buffer);
      if (length > 0) {
        dispatch(buffer.subarray(0, length));
        bytes += length;
        continue;
      }
      switch (-length) {
        case ERRNO.EAGAIN:
          return null;
        // Interrupted, or the request was withdrawn while it was read.
        case ERRNO.EINTR:
        case ERRNO.ENOENT:
          continue;
        default:
          this.#setState('ended', `errno ${-length}`);
          return endOf(-length);
      }
    }
    return null;
  }

  /** Stops reading and closes the descriptor, which ends the connection. */
  abort(): void {
    if (this.#state !== 'serving') return;
    this.#setState('ended', 'aborted');
    this.#end('aborted');
  }

  reply(parts: readonly Uint8Array[]): boolean {
    if (this.#state !== 'serving') return false;
    try {
      writevSync(this.#fd, parts);
      return true;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENODEV') return false;
      log('reply refused: %s', code);
      this.#answerError(parts);
      return false;
    }
  }

  /** A reply the kernel finds malformed still leaves its request waiting: it gets EIO. */
  #answerError(parts: readonly Uint8Array[]): void {
    const header = Buffer.from(parts[0]?.subarray(0, SIZEOF_OUT_HEADER) ?? []);
    header.writeUInt32LE(SIZEOF_OUT_HEADER, 0);
    header.writeInt32LE(-ERRNO.EIO, 4);
    try {
      writevSync(this.#fd, [header]);
    } catch (error) {
      log('EIO refused: %s', (error as NodeJS.ErrnoException).code);
    }
  }

  notify(message: Buffer): Promise<void> {
    if (this.#state !== 'serving') return Promise.resolve();
    return new Promise((resolve, reject) => {
      write(this.#fd, message, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}
