/**
 * Rogues for one test each: a file system over a server that lies, which has to have come to rest when the test is
 * over, whatever the server did; and the words that scripts are written with.
 */
import { expect, onTestFinished } from 'vitest';
import * as c from '../../src/sftp/constants.js';
import { type Asked, type Misdeed, openRogue, type RogueFileSystem, type Script } from './rogue-server.js';

/** A request may go without progress for `requestTimeout` milliseconds. */
export async function rogue(script: Script, requestTimeout?: number): Promise<RogueFileSystem> {
  const opened = await openRogue(script, {}, requestTimeout);
  onTestFinished(async () => {
    const { fs, close } = opened;
    // Data that a server never took is given up with the mount.
    if (fs.status().dirtyBytes > 0) fs.close();
    // A CLOSE that nobody waits for may be under way, or never be answered.
    await expect
      .poll(() => fs.status(), { timeout: 5000 })
      .toMatchObject({ openFiles: 0, openDirectories: 0, dirtyBytes: 0, inFlight: 0, lentBytes: 0 });
    await close();
  });
  return opened;
}

/** Does it with requests of that type; every other one is answered honestly. */
export const when =
  (type: number, misdeed: (asked: Asked) => Misdeed) =>
  (asked: Asked): Misdeed =>
    asked.request.type === type ? misdeed(asked) : 'honest';

export const isLimits = ({ request }: Asked): boolean =>
  request.type === c.SSH_FXP_EXTENDED && request.extension === c.LIMITS;

/** The largest number of 64 bits. */
export const MAX_U64 = 2n ** 64n - 1n;
