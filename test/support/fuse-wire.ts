/** Bytes of the FUSE protocol for tests, written as annotated rows, and a transport that keeps what is sent. */
import type { Transport } from '../../src/fuse/session.js';

/** One field: its bytes in hex (spaces are free), and what it is. */
export type Row = readonly [hex: string, meaning: string];

export function bytes(...rows: readonly Row[]): Buffer {
  return Buffer.concat(rows.map(([hex]) => Buffer.from(hex.replaceAll(' ', ''), 'hex')));
}

export function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value >>> 0);
  return out;
}

export function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigInt64LE(BigInt(value));
  return out;
}

export const cstring = (text: string): Buffer => Buffer.from(`${text}\0`, 'latin1');

export interface RequestFields {
  readonly unique?: number;
  readonly nodeid?: number;
  readonly pid?: number;
}

/** A whole request: `fuse_in_header` and the body. */
export function request(opcode: number, fields: RequestFields, ...body: readonly Buffer[]): Buffer {
  const rest = Buffer.concat(body);
  const { unique = 2, nodeid = 1, pid = 77 } = fields;
  return Buffer.concat([
    u32(40 + rest.length),
    u32(opcode),
    u64(unique),
    u64(nodeid),
    u32(1000),
    u32(1000),
    u32(pid),
    u32(0),
    rest,
  ]);
}

export const initRequest = (unique = 1): Buffer =>
  request(26, { unique, nodeid: 0 }, u32(7), u32(31), u32(131072), u32(0x7fffffff));

export interface Reply {
  readonly unique: number;
  /** A positive errno, or 0. */
  readonly error: number;
  readonly payload: Buffer;
}

export class RecordingTransport implements Transport {
  readonly replies: Reply[] = [];
  readonly notifications: Buffer[] = [];
  aborted = false;
  /** What `reply` answers: false plays a kernel that waits no longer. */
  accepts = true;

  reply(parts: readonly Uint8Array[]): boolean {
    const whole = Buffer.concat(parts);
    if (whole.readUInt32LE(0) !== whole.length) throw new Error('the header tells another length');
    this.replies.push({
      unique: Number(whole.readBigUInt64LE(8)),
      error: 0 - whole.readInt32LE(4),
      payload: whole.subarray(16),
    });
    return this.accepts;
  }

  notify(message: Buffer): Promise<void> {
    this.notifications.push(message);
    return Promise.resolve();
  }

  abort(): void {
    this.aborted = true;
  }

  /** The only reply to `unique`; throws when there is none or more than one. */
  replyTo(unique: number): Reply {
    const found = this.replies.filter((reply) => reply.unique === unique);
    if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} replies to ${unique}`);
    return found[0];
  }
}

/** Lets every promise that can settle do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
