/** What a read borrowed goes back exactly once, and never before its bytes were sent, whatever happens to the reply. */
import { describe, expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import type { Operations, ReadResult } from '../../../src/fs/operations.js';
import { OPCODE } from '../../../src/fuse/protocol/constants.js';
import { FuseSession } from '../../../src/fuse/session.js';
import { fakeOperations } from '../../support/fake-operations.js';
import { initRequest, RecordingTransport, request, settle, u32, u64 } from '../../support/fuse-wire.js';

const EINTR = 4;
const EIO = 5;
const SIGKILL = 1n << 8n;
const UNIQUE = 10;

/** A session whose next READ is answered when the test says so; `events` tells what happened in which order. */
function reading() {
  const events: string[] = [];
  class Transport extends RecordingTransport {
    override reply(parts: readonly Uint8Array[]): boolean {
      const taken = super.reply(parts);
      if (this.replies.at(-1)?.unique === UNIQUE) events.push('reply');
      return taken;
    }
  }
  const transport = new Transport();
  const answer = deferred<ReadResult>();
  const operations: Partial<Operations> = { read: () => answer.promise };
  const session = new FuseSession({
    operations: fakeOperations(operations),
    transport,
    threadSignals: () => ({ pending: SIGKILL, blocked: 0n, ignored: 0n, caught: 0n }),
  });
  session.dispatch(initRequest());
  const body = [u64(1), u64(0), u32(100), u32(0), u64(0), u64(0)];
  session.dispatch(request(OPCODE.READ, { unique: UNIQUE }, ...body));
  const lend = (parts: readonly Uint8Array[] = [Buffer.from('data')]) =>
    answer.resolve({ parts, release: () => events.push('release') });
  return { session, transport, events, answer, lend };
}

describe('what a read borrowed is given back', () => {
  it('behind the reply', async () => {
    const { transport, events, lend } = reading();
    lend();
    await settle();
    expect(events).toEqual(['reply', 'release']);
    expect(transport.replyTo(UNIQUE).payload.toString()).toBe('data');
  });

  it('when the kernel refuses the reply', async () => {
    const { transport, events, lend } = reading();
    transport.accepts = false;
    lend();
    await settle();
    expect(events).toEqual(['reply', 'release']);
  });

  it('when an interrupt was quicker', async () => {
    const { session, transport, events, lend } = reading();
    session.dispatch(request(OPCODE.INTERRUPT, { unique: 11 }, u64(UNIQUE)));
    lend();
    await settle();
    expect(events).toEqual(['reply', 'release']);
    expect(transport.replyTo(UNIQUE).error).toBe(EINTR);
  });

  it('when no reply can be made of it', async () => {
    const { transport, events, lend } = reading();
    const broken: readonly Uint8Array[] = new Proxy([], {
      get: () => {
        throw new TypeError('a bug');
      },
    });
    lend(broken);
    await settle();
    expect(events.toSorted()).toEqual(['release', 'reply']);
    expect(transport.replyTo(UNIQUE).error).toBe(EIO);
  });

  it('when the mount ended before', async () => {
    const { session, events, lend } = reading();
    await session.end('unmounted');
    lend();
    await settle();
    expect(events).toEqual(['release']);
  });

  it('never, when the read fails: then nothing was lent', async () => {
    const { events, answer } = reading();
    answer.reject(new Error('lost'));
    await settle();
    expect(events).toEqual(['reply']);
  });
});
