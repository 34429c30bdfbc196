/**
 * How long a call waits while the server cannot be reached: as long as all outages that it has seen may last
 * together. While the session is up nothing is counted: then the session itself notices when no answer comes.
 */
import { FsError } from '../base/errno.js';

/** What of the session decides about waiting. */
export interface Weather {
  /** The server is silent or gone. */
  readonly isDown: boolean;
  /** There is a session, though it may be silent. */
  readonly hasSession: boolean;
  /** Nothing is being tried to bring it back. */
  readonly isGivenUp: boolean;
}

/**
 * Why somebody who has `waited` for a server that is gone must wait no longer; null while they may. Both in
 * milliseconds; a `timeout` of 0 waits for nothing that is gone, infinity for ever.
 */
export function verdict(weather: Weather, timeout: number, waited: number): FsError | null {
  const { isDown, hasSession, isGivenUp } = weather;
  if (!isDown || timeout === Number.POSITIVE_INFINITY) return null;
  if (isGivenUp) return new FsError('EHOSTDOWN', 'the connection is lost');
  if (timeout === 0) return hasSession ? null : new FsError('EHOSTDOWN', 'the connection is lost');
  return waited < timeout ? null : new FsError('ETIMEDOUT', `no sign of the server for ${timeout / 1000} s`);
}
