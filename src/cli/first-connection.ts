/**
 * The first connection of a mount. With `connect_retry`, as for a mount at boot, one that the network does not let
 * come about is tried again as a lost one is; what the server itself refuses stays refused.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { logger } from '../base/log.js';
import { waitBefore } from '../recovery/backoff.js';
import { ConnectError, isOfNetwork } from '../ssh/errors.js';

const log = logger('link');

export interface Retrying {
  /** Failed tries after which nothing more is tried; 0: never. */
  readonly max: number;
  /** Milliseconds between two tries at most. */
  readonly longestWait: number;
  /** For the person who waits: told once, when the first try has failed. */
  tell(text: string): void;
}

/** What `attempt` comes to, tried as often as it takes; once if `retrying` is null. Rejects as `attempt` does. */
export async function firstConnection<T>(attempt: () => Promise<T>, retrying: Retrying | null): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (retrying === null || !(error instanceof ConnectError) || !isOfNetwork(error.kind)) throw error;
      const { kind, message } = error;
      if (failures === retrying.max) {
        throw new ConnectError(kind, `${message}; given up after ${failures} tries`, { cause: error });
      }
      log('try %d: %s', failures, message);
      if (failures === 1) retrying.tell(`${message}; trying again until it works`);
      await delay(waitBefore(failures + 1, Math.random(), retrying.longestWait));
    }
  }
}
