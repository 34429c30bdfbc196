/** Reading a directory of the server in one go: several READDIRs in flight, bounded however long it goes on. */
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { SftpName } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';

const log = logger('names');

/** READDIR requests in flight for one directory. */
const READDIR_DEPTH = 4;
/** Entries after which a directory is refused with EIO: a server may never stop sending, even the same name. */
const MAX_ENTRIES = 2_000_000;

/** The pages of an open directory, which is closed at the end; `isSerial` asks for one at a time. */
export async function* readPages(
  client: SftpClient,
  handle: SftpHandle,
  isSerial: boolean,
): AsyncGenerator<readonly SftpName[]> {
  const inFlight: Promise<readonly SftpName[] | null>[] = [];
  const send = () => {
    const request = client.readdir(handle);
    // Awaited below in its turn; until then a failure must not count as unhandled.
    request.catch(() => undefined);
    inFlight.push(request);
  };
  try {
    for (let sent = 0; sent < (isSerial ? 1 : READDIR_DEPTH); sent += 1) send();
    let entries = 0;
    for (let next = inFlight.shift(); next !== undefined; next = inFlight.shift()) {
      const page = await next;
      if (page === null) break;
      // A page of names that all had to be dropped counts as well.
      entries += Math.max(1, page.length);
      if (entries > MAX_ENTRIES) throw new FsError('EIO', `a directory of more than ${MAX_ENTRIES} names`);
      send();
      yield page;
    }
  } finally {
    client.close(handle).catch((error: unknown) => log('closing a directory: %s', error));
  }
}
