/** Handles: what a server calls an open file or directory (section 6.2). */
import type { ByteString } from '../base/bytes.js';
import { MAX_HANDLE_LENGTH } from './constants.js';
import { ProtocolError } from './errors.js';
import type { PacketReader } from './reader.js';

declare const handleBrand: unique symbol;

/** A server's name for an open file or directory: opaque bytes, 256 at most. */
export type SftpHandle = ByteString & { readonly [handleBrand]: true };

/** A handle off the wire, its length checked. */
export function readHandle(reader: PacketReader): SftpHandle {
  const handle = reader.string();
  if (handle.length > MAX_HANDLE_LENGTH) throw new ProtocolError(`a handle of ${handle.length} bytes`);
  return handle as SftpHandle;
}
