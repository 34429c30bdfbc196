/** An SFTP client on a new channel of a connection, and why there is none. */
import type { MountOptions } from '../config/parse.js';
import { SftpClient } from '../sftp/client.js';
import { ProtocolError } from '../sftp/errors.js';
import type { Traffic } from '../sftp/traffic.js';
import type { Connection } from '../ssh/connection.js';
import { CommandError } from './exit.js';
import { requestTimeout } from './wiring.js';

/** Milliseconds for the server to greet once the channel is open. */
const GREETING_TIMEOUT = 30_000;

/** What passes is counted in `traffic`. Throws a `CommandError` ('subsystem', 'protocol') for a server that does not greet, else a `ConnectError`. */
export async function openSftp(
  connection: Connection,
  options: Pick<MountOptions, 'maxRead' | 'maxWrite' | 'serverAliveInterval' | 'serverAliveCountMax'>,
  traffic?: Traffic,
): Promise<SftpClient> {
  const { maxRead, maxWrite } = options;
  const stream = await connection.openSftp();
  const timer = setTimeout(() => {
    stream.destroy(new Error('the server does not greet'));
  }, GREETING_TIMEOUT);
  try {
    return await SftpClient.connect(stream, {
      requestTimeout: requestTimeout(options),
      ...(traffic === undefined ? {} : { traffic }),
      ...(maxRead === null ? {} : { maxRead }),
      ...(maxWrite === null ? {} : { maxWrite }),
    });
  } catch (error) {
    throw greetingFailure(error, connection.complaints);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Why the SFTP server did not greet. One that broke the protocol talks, but not SFTP; one that went away
 * without a word is usually a program that is not installed, and its shell says so on standard error.
 */
function greetingFailure(error: unknown, complaints: string): CommandError {
  const message = error instanceof Error ? error.message : String(error);
  const talked = error instanceof Error && error.cause instanceof ProtocolError;
  const [complaint = ''] = complaints.split('\n');
  const why = complaint === '' ? message : `${message} (the server says: ${complaint})`;
  return new CommandError(talked ? 'protocol' : 'subsystem', `no SFTP on this server: ${why}`, {
    cause: error,
  });
}
