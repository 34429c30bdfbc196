/**
 * `remora reconnect`: asks the serving process to connect again now, and lends it this terminal, so that a password,
 * a code or a host key can be asked for.
 */

import { printable } from '../base/printable.js';
import { findFuseMounts } from '../fuse/mount/mounts.js';
import { answerBy, findAsker } from './asker.js';
import { askControl, ControlError } from './control-client.js';
import { CommandError } from './exit.js';
import type { Answer, ToPerson } from './ipc.js';
import { mountedPath } from './mountpoint.js';
import { daemonAt } from './place.js';

/** Returns when the mount is connected. Throws a CommandError with the exit code that `mount` would have. */
export async function reconnect(
  mountpoint: string,
  env: NodeJS.ProcessEnv,
  uid: number,
  tell: (text: string) => void,
): Promise<void> {
  const path = await mountedPath(mountpoint, await findFuseMounts());
  const daemon = await daemonAt(path, env, uid);
  const asker = findAsker(env);
  const listener = async (message: ToPerson): Promise<Answer | null> => {
    if (message.type === 'question') return answerBy(asker, message);
    tell(printable(message.text, true));
    return null;
  };
  try {
    const request = { op: 'reconnect', interactive: asker !== null } as const;
    await Promise.race([askControl(daemon.socket, request, { listener }), interruption()]);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    const exit = error.kind === 'dead' ? 'daemon' : error.exit;
    throw new CommandError(exit, `${path}: ${printable(error.message)}`, { cause: error });
  } finally {
    asker?.release();
  }
}

/** Ctrl-C while nothing is asked: the daemon goes on without us. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    process.once('SIGINT', () => reject(new CommandError('interrupted', 'interrupted')));
  });
}
