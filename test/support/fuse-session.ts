/** A session of the kernel's side over operations that a test gives, without a kernel. */
import type { Operations } from '../../src/fs/operations.js';
import { OPCODE } from '../../src/fuse/protocol/constants.js';
import { FuseSession } from '../../src/fuse/session.js';
import { fakeOperations } from './fake-operations.js';
import { cstring, initRequest, RecordingTransport, request, settle, u32, u64 } from './fuse-wire.js';

export function serve(operations: Partial<Operations>) {
  const transport = new RecordingTransport();
  const session = new FuseSession({ operations: fakeOperations(operations), transport });
  session.dispatch(initRequest());
  let unique = 2;
  /** Sends one request and answers its reply. */
  const call = async (opcode: number, nodeid: number, ...body: Buffer[]) => {
    unique += 2;
    session.dispatch(request(opcode, { unique, nodeid }, ...body));
    await settle();
    return transport.replyTo(unique);
  };
  const lookup = async (parent: number, name: string) => {
    const { payload } = await call(OPCODE.LOOKUP, parent, cstring(name));
    return Number(payload.readBigUInt64LE(0));
  };
  return { transport, session, call, lookup };
}

/** The body of READ, READDIR and READDIRPLUS. */
export const READ = (fh: number, offset: number, size: number) => [
  u64(fh),
  u64(offset),
  u32(size),
  u32(0),
  u64(0),
  u64(0),
];
