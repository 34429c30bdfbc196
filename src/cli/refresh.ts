/** `remora refresh`: what was changed on the server behind the mount's back is seen at once. */
import { askControl, ControlError } from './control-client.js';
import { CommandError } from './exit.js';
import { daemonAt, findPlaces } from './place.js';

/** Milliseconds to forget a large tree, which the kernel is told file by file. */
const REFRESH_TIMEOUT = 60_000;

/** Returns when nothing is held any more of `path` and all below. Throws a CommandError. */
export async function refresh(path: string, env: NodeJS.ProcessEnv, uid: number): Promise<void> {
  for (const { mountpoint, inside } of await findPlaces(path)) {
    const { socket } = await daemonAt(mountpoint, env, uid);
    try {
      await askControl(socket, { op: 'refresh', path: inside }, { timeout: REFRESH_TIMEOUT });
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      throw new CommandError('failure', `${path}: ${error.message}`, { cause: error });
    }
  }
}
