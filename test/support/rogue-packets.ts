/** Packets that a rogue sends, field by field: nothing is checked, and every number can be a lie. */
import { ascii, type ByteString } from '../../src/base/bytes.js';
import * as c from '../../src/sftp/constants.js';
import { PacketWriter } from '../../src/sftp/writer.js';

/** One packet: `build` writes what follows the id. */
export function packet(type: number, id: number, build: (writer: PacketWriter) => PacketWriter): Buffer {
  return build(new PacketWriter(type).uint32(id)).finish();
}

export const status = (id: number, code: number): Buffer =>
  packet(c.SSH_FXP_STATUS, id, (w) => w.uint32(code).string(ascii('')).string(ascii('')));

export const data = (id: number, bytes: Buffer): Buffer => packet(c.SSH_FXP_DATA, id, (w) => w.data(bytes));

export const handle = (id: number, name: string): Buffer =>
  packet(c.SSH_FXP_HANDLE, id, (w) => w.string(ascii(name)));

/** What a server claims of a file. */
export interface Claim {
  readonly size?: bigint;
  readonly uid?: number;
  readonly mode?: number;
  readonly time?: number;
}

/** ATTRS with all fields, of which a test chooses those that matter. */
function claimed(w: PacketWriter, { size = 5n, uid = 0, mode = 0o100644, time = 1 }: Claim): PacketWriter {
  return w.uint32(0xf).uint64(size).uint32(uid).uint32(uid).uint32(mode).uint32(time).uint32(time);
}

export const attrs = (id: number, claim: Claim): Buffer =>
  packet(c.SSH_FXP_ATTRS, id, (w) => claimed(w, claim));

/** A NAME reply that says it holds `count` names. */
export const names = (id: number, list: readonly string[], claim: Claim = {}, count = list.length): Buffer =>
  packet(c.SSH_FXP_NAME, id, (w) => {
    w.uint32(count);
    for (const name of list) claimed(w.string(name as ByteString).string(ascii('')), claim);
    return w;
  });

/** The reply to statvfs@openssh.com with these eleven fields. */
export const statvfs = (id: number, fields: readonly bigint[]): Buffer =>
  packet(c.SSH_FXP_EXTENDED_REPLY, id, (w) => fields.reduce((to, field) => to.uint64(field), w));
