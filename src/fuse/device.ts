/**
 * The only I/O with /dev/fuse. Two reads are parked in the libuv pool, so that one waits while the other's
 * request is taken; a reply never blocks and is written at once, by one writev that copies no file data. A
 * notification may block for long and goes through the pool. The descriptor is closed when both reads have
 * told that the connection ended: until then a thread sits in each.
 */
import { close, read, write, writevSync } from 'node:fs';
import { ERRNO } from '../base/errno.js';
import { logger } from '../base/log.js';
import { SIZEOF_IN_HEADER, SIZEOF_OUT_HEADER, SIZEOF_WRITE_IN } from './protocol/constants.js';
import { MAX_TRANSFER } from './protocol/init.js';
import type { EndReason, Transport } from './session.js';

const log = logger('fuse:device');

const PARKED_READS = 2;
/** The kernel refuses to hand a request to a buffer that could not hold the largest WRITE. */
const BUFFER_SIZE = MAX_TRANSFER + SIZEOF_IN_HEADER + SIZEOF_WRITE_IN;

/** The request was interrupted or its reader's turn was lost: read again. */
const RETRIED: ReadonlySet<string | undefined> = new Set(['EINTR', 'EAGAIN', 'ENOENT']);

export class FuseDevice implements Transport {
  readonly #fd: number;
  #state: 'open' | 'serving' | 'ended' | 'closed' = 'open';

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
    const reasons = await Promise.all(Array.from({ length: PARKED_READS }, () => this.#readLoop(dispatch)));
    await new Promise<void>((resolve) => close(this.#fd, () => resolve()));
    this.#setState('closed', 'descriptor closed');
    return reasons.includes('aborted') ? 'aborted' : 'unmounted';
  }

  #readLoop(dispatch: (request: Buffer) => void): Promise<EndReason> {
    const buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE);
    return new Promise((resolve) => {
      const park = () => {
        read(this.#fd, buffer, 0, BUFFER_SIZE, null, (error, length) => {
          if (error === null) dispatch(buffer.subarray(0, length));
          else if (!RETRIED.has(error.code)) {
            this.#setState('ended', error.code ?? error.message);
            // ENODEV: unmounted. ECONNABORTED: aborted (FUSE_ABORT_ERROR). Anything else is no way to go on.
            resolve(error.code === 'ENODEV' ? 'unmounted' : 'aborted');
            return;
          }
          park();
        });
      };
      park();
    });
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
