/** The embedded SFTP server for programs (`remora-fs/server`): as the demo has it, failing as the library does. */
import { type RunningServer, type ServerOptions, startServer as start } from '../demo/server.js';
import { guarded } from './errors.js';
import { mustBe, mustSay, RECORD, TEXT } from './values.js';

export type { RunningServer, ServerOptions } from '../demo/server.js';

/**
 * Serves `options.root` on 127.0.0.1, at a port that is free.
 * @throws RemoraError
 */
export function startServer(options: ServerOptions): Promise<RunningServer> {
  return guarded(async () => {
    mustBe('what is set', RECORD, options);
    mustSay("'root'", options.root);
    mustSay("'user'", options.user);
    const { password = '', authorizedKey = '' } = options;
    mustBe("'password'", TEXT, password);
    mustBe("'authorizedKey'", TEXT, authorizedKey);
    return start(options);
  });
}
