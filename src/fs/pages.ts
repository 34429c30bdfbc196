/**
 * Reading a directory of the server in one go: several READDIRs in flight, more the longer it goes on. How much
 * of it is kept is for the caller to bound.
 */
import { FsError } from '../base/errno.js';
import { logger } from '../base/log.js';
import type { SftpName } from '../sftp/attributes.js';
import type { SftpClient, SftpHandle } from '../sftp/client.js';

const log = logger('names');

/** READDIR requests in flight for one directory: the second brings the end of a small one. */
const MIN_DEPTH = 2;
const MAX_DEPTH = 32;
/** Pages without a usable name, after which a directory is refused with EIO: honest servers send one at most. */
const MAX_EMPTY_PAGES = 1000;
/** What an entry takes in memory beside its name, in bytes: measured 235 to 260. */
const ENTRY_BYTES = 256;
/** Bytes that a directory of the common file systems has for each page of names, or fewer. */
const BYTES_PER_PAGE = 4096;

/** How many READDIRs to begin with for a directory of `size` bytes (st_size). */
export function depthFor(size: number): number {
  return Math.min(MAX_DEPTH, Math.max(MIN_DEPTH, 1 + Math.ceil(size / BYTES_PER_PAGE)));
}

/** Bytes of memory that the names of a page take. */
export function memoryOf(page: readonly SftpName[]): number {
  return page.reduce((sum, { filename }) => sum + ENTRY_BYTES + filename.length, 0);
}

/** The pages of an open directory, which is closed at the end. A `depth` of 1 asks for one at a time. */
export async function* readPages(
  client: Pick<SftpClient, 'readdir' | 'close'>,
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
    let emptyPages = 0;
    for (let pages = 1, next = inFlight.shift(); next !== undefined; next = inFlight.shift(), pages += 1) {
      const page = await next;
      if (page === null) break;
      if (page.length === 0) emptyPages += 1;
      if (emptyPages > MAX_EMPTY_PAGES) throw new FsError('EIO', 'a directory of names that cannot be used');
      // Most directories end with their first page; from the second on, each one lets two more out.
      if (depth === 1) fill(1);
      else if (pages > 1) fill(Math.min(MAX_DEPTH, inFlight.length + 2));
      yield page;
    }
  } finally {
    client.close(handle).catch((error: unknown) => log('closing a directory: %s', error));
  }
}
