/** What carries the bytes between here and one SSH server, however they go. */
import type { Duplex } from 'node:stream';
import type { Incoming } from './incoming.js';

export interface Carrier {
  /** For ssh2 to read and write; paused, so that nothing is read before somebody listens. */
  readonly stream: Duplex;
  /** What all that is read passes through before `stream` tells of it. */
  readonly incoming: Incoming;
  /** The server's numeric address; null where only somebody on the way knows it. */
  readonly address: string | null;
  /**
   * Ends it so that nothing more of what was written leaves this machine: a request that is delivered late, by a
   * network that comes back, could undo what a newer one did. May be called again.
   */
  abandon(): void;
}
