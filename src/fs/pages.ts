/**
 * Reading a directory of the server in one go: several READDIRs in flight, more the longer it goes on, bounded
 * however long that is.
 */
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { SftpName } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';

const log = logger('names');

/** READDIR requests in flight for one directory: the second brings the end of a small one. */
const MIN_DEPTH = 2;
const MAX_DEPTH = 32;
/** Entries after which a directory is refused with EIO: a server may never stop sending, even the same name. */
const MAX_ENTRIES = 2_000_000;
/** Bytes that a directory of the common file systems has for each page of names, or fewer. */
const BYTES_PER_PAGE = 4096;

/** How many READDIRs to begin with for a directory of `size` bytes (st_size). */
export function depthFor(size: number): number {
  return Math.min(MAX_DEPTH, Math.max(MIN_DEPTH, 1 + Math.ceil(size / BYTES_PER_PAGE)));
}

/** The pages of an open directory, which is closed at the end. A `depth` of 1 asks for one at a time. */
export async function* readPages(
  client: SftpClient,
  handle: SftpHandle,
  depth: number,
): AsyncGenerator<readonly SftpName[]> {
  const inFlight: Promise<readonly SftpName[] | null>[] = [];
  const fill = (upTo: number) => {
    while (inFlight.length < upTo) {
      const request = client.readdir(handle);
      // Awaited below in its turn; until then a failure must not count as unhandled.
      request.catch(() => undefined);
      inFlight.push(request);
    }
  };
  try {
    fill(depth);
    let entries = 0;
    for (let pages = 1, next = inFlight.shift(); next !== undefined; next = inFlight.shift(), pages += 1) {
      const page = await next;
      if (page === null) break;
      // A page of names that all had to be dropped counts as well.
      entries += Math.max(1, page.length);
      if (entries > MAX_ENTRIES) throw new FsError('EIO', `a directory of more than ${MAX_ENTRIES} names`);
      // Most directories end with their first page; from the second on, each one lets two more out.
      if (depth === 1) fill(1);
      else if (pages > 1) fill(Math.min(MAX_DEPTH, inFlight.length + 2));
      yield page;
    }
  } finally {
    client.close(handle).catch((error: unknown) => log('closing a directory: %s', error));
  }
}
