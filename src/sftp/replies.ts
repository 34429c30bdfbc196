/**
 * Replies (section 7) as values, and as bytes in both directions: the embedded server encodes them, the
 * client decodes them. Bytes after the last known field are ignored, as OpenSSH does.
 */
import type { ByteString } from '../base/bytes.js';
import { readAttributes, type SftpAttributes, type SftpName, writeAttributes } from './attributes.js';
import {
  SSH_FXP_ATTRS,
  SSH_FXP_DATA,
  SSH_FXP_EXTENDED_REPLY,
  SSH_FXP_HANDLE,
  SSH_FXP_NAME,
  SSH_FXP_STATUS,
} from './constants.js';
import { ProtocolError } from './errors.js';
import { readHandle, type SftpHandle } from './handle.js';
import { PacketReader } from './reader.js';
import { PacketWriter } from './writer.js';

export type Reply =
  | { readonly type: typeof SSH_FXP_STATUS; readonly code: number; readonly message: ByteString }
  | { readonly type: typeof SSH_FXP_HANDLE; readonly handle: SftpHandle }
  | { readonly type: typeof SSH_FXP_DATA; readonly data: Buffer }
  | { readonly type: typeof SSH_FXP_NAME; readonly names: readonly SftpName[] }
  | { readonly type: typeof SSH_FXP_ATTRS; readonly attrs: SftpAttributes }
  | { readonly type: typeof SSH_FXP_EXTENDED_REPLY; readonly data: Buffer };

/** Bytes of the smallest entry of a NAME reply: two empty strings and the flags of empty ATTRS. */
const SMALLEST_NAME = 12;

/** Where the data of an SSH_FXP_DATA packet begins, its length field counted. */
export const DATA_OFFSET = 4 + 1 + 4 + 4;

/** One packet with its length field. */
export function encodeReply(id: number, reply: Reply): Buffer {
  const writer = new PacketWriter(reply.type).uint32(id);
  switch (reply.type) {
    case SSH_FXP_STATUS:
      return writer
        .uint32(reply.code)
        .string(reply.message)
        .string('' as ByteString)
        .finish();
    case SSH_FXP_HANDLE:
      return writer.string(reply.handle).finish();
    case SSH_FXP_DATA:
      return writer.data(reply.data).finish();
    case SSH_FXP_NAME:
      writer.uint32(reply.names.length);
      for (const { filename, longname, attributes } of reply.names) {
        writeAttributes(writer.string(filename).string(longname), attributes);
      }
      return writer.finish();
    case SSH_FXP_ATTRS:
      return writeAttributes(writer, reply.attrs).finish();
    case SSH_FXP_EXTENDED_REPLY:
      return writer.raw(reply.data).finish();
  }
}

/** Turns `buffer`, which holds `length` bytes of file data from `DATA_OFFSET` on, into a DATA packet in place. */
export function sealData(buffer: Buffer, id: number, length: number): Buffer {
  buffer.writeUInt32BE(DATA_OFFSET - 4 + length, 0);
  buffer.writeUInt8(SSH_FXP_DATA, 4);
  buffer.writeUInt32BE(id, 5);
  buffer.writeUInt32BE(length, 9);
  return buffer.subarray(0, DATA_OFFSET + length);
}

/**
 * Reads what stands in front of the data of a DATA packet; null for the `head` of another packet. Throws
 * `ProtocolError` when it claims more data than the `rest` bytes behind it.
 */
export function decodeDataHead(
  head: Buffer,
  rest: number,
): { readonly id: number; readonly length: number } | null {
  if (head.readUInt8(0) !== SSH_FXP_DATA) return null;
  const length = head.readUInt32BE(5);
  if (length > rest) throw new ProtocolError(`${length} bytes of data in a packet with ${rest}`);
  return { id: head.readUInt32BE(1), length };
}

/** Reads one packet, without its length field; data is a view of it. Throws `ProtocolError`. */
export function decodeReply(packet: Buffer): { readonly id: number; readonly reply: Reply } {
  const reader = new PacketReader(packet);
  const type = reader.uint8();
  const id = reader.uint32();
  return { id, reply: decodeBody(type, reader, packet) };
}

function decodeBody(type: number, reader: PacketReader, packet: Buffer): Reply {
  switch (type) {
    case SSH_FXP_STATUS: {
      const code = reader.uint32();
      // Some servers leave the message and its language out.
      if (reader.remaining === 0) return { type, code, message: '' as ByteString };
      const message = reader.string();
      if (reader.remaining > 0) reader.unused('language tag');
      return { type, code, message };
    }
    case SSH_FXP_HANDLE:
      return { type, handle: readHandle(reader) };
    case SSH_FXP_DATA:
      return { type, data: reader.data() };
    case SSH_FXP_NAME: {
      const count = reader.uint32();
      if (count * SMALLEST_NAME > reader.remaining)
        throw new ProtocolError(`${count} names in a short packet`);
      const names: SftpName[] = [];
      for (let index = 0; index < count; index++) {
        names.push({
          filename: reader.string(),
          longname: reader.string(),
          attributes: readAttributes(reader),
        });
      }
      return { type, names };
    }
    case SSH_FXP_ATTRS:
      return { type, attrs: readAttributes(reader) };
    case SSH_FXP_EXTENDED_REPLY:
      return { type, data: packet.subarray(packet.length - reader.remaining) };
    default:
      throw new ProtocolError(`a reply of the unknown type ${type}`);
  }
}
