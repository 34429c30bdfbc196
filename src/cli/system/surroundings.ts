/** What a program may count on when a person starts it, for when mount(8), autofs or a service manager does. */
import { delimiter } from 'node:path';
import { SYSTEM_PATH } from '../../fuse/mount/helper.js';
import { findAccount } from '../resolve.js';

/** mount(8) takes PATH and HOME out of the environment; ssh and a ProxyCommand need them. */
export function completeEnvironment(env: NodeJS.ProcessEnv): void {
  if (!env.PATH) env.PATH = SYSTEM_PATH.join(delimiter);
  if (!env.HOME) env.HOME = findAccount().homedir;
}
