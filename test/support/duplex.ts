/** Two streams, each the other's far end, with back-pressure; `chunkSize` cuts what is written into pieces. */
import { Duplex } from 'node:stream';

class Side extends Duplex {
  peer: Side | null = null;
  readonly #chunkSize: number;
  #waiting: (() => void) | null = null;

  constructor(chunkSize: number) {
    super({ allowHalfOpen: true });
    this.#chunkSize = chunkSize;
  }

  override _read(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const peer = this.peer;
    if (peer === null || peer.destroyed) {
      done();
      return;
    }
    let room = true;
    // Copied, as a network would, so that nobody sees later changes to what was sent.
    const copy = Buffer.from(chunk);
    for (let at = 0; at < copy.length; at += this.#chunkSize) {
      room = peer.push(copy.subarray(at, at + this.#chunkSize));
    }
    if (room) done();
    else peer.#waiting = done;
  }

  override _final(done: () => void): void {
    this.peer?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const peer = this.peer;
    this.peer = null;
    if (peer !== null && !peer.destroyed) setImmediate(() => peer.destroy());
    done(error);
  }
}

export function duplexPair(chunkSize: number = Number.MAX_SAFE_INTEGER): [Duplex, Duplex] {
  const [one, other] = [new Side(chunkSize), new Side(chunkSize)];
  one.peer = other;
  other.peer = one;
  return [one, other];
}
