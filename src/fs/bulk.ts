/** Where file data travels, so that talk does not wait behind it. */
import type { SftpClient } from '../sftp/client.js';

/** SFTP clients for file data, beside the one for everything else. */
export interface BulkClients {
  /**
   * Open clients, each with a server process of its own; may be empty, and is another array when connections
   * come and go. One without handles and requests may end when nothing was wanted for minutes.
   */
  readonly clients: readonly SftpClient[];
  /** There is, or will shortly be, data to move: brings up what may be opened, in the background. Cheap; called often. */
  want(): void;
}
