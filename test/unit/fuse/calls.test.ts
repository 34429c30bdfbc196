/** Calls in numbers, failures in words, and the one line that -d shows of each. */
import createDebug from 'debug';
import { afterEach, describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { FsError } from '../../../src/base/errno.js';
import { setLogSink } from '../../../src/base/log.js';
import { Calls } from '../../../src/fuse/calls.js';
import { NodeTable } from '../../../src/fuse/nodes.js';
import { OPCODE } from '../../../src/fuse/protocol/constants.js';
import { negativeEntryOut, openOut, writeOut } from '../../../src/fuse/protocol/replies.js';
import { readInHeader } from '../../../src/fuse/protocol/requests.js';
import { WireReader } from '../../../src/fuse/protocol/wire.js';
import { describeReply, describeRequest } from '../../../src/fuse/words.js';
import { cstring, request, u32, u64 } from '../../support/fuse-wire.js';

const header = (bytes: Buffer) => readInHeader(new WireReader(bytes));

function setup() {
  const clock = { time: 0, now: () => 1_700_000_000_000, monotonic: () => clock.time };
  const nodes = new NodeTable();
  const docs = nodes.lookup(nodes.root, ascii('docs'), 0o040755);
  const file = nodes.lookup(docs, ascii('a\n'), 0o100644);
  return { clock, nodes, docs, file, calls: new Calls(nodes, clock) };
}

const { log } = createDebug;
afterEach(() => {
  createDebug.disable();
  createDebug.log = log;
});

describe('calls', () => {
  it('are counted with their times and their errors', () => {
    const { clock, calls, docs } = setup();
    const lookup = request(OPCODE.LOOKUP, { nodeid: docs.id }, cstring('x'));
    const first = calls.begun(header(lookup), lookup);
    const second = calls.begun(header(lookup), lookup);
    clock.time = 3;
    calls.answered(first, [negativeEntryOut(0)]);
    clock.time = 5;
    calls.failed(second, new FsError('ENOENT'));
    expect(calls.tally.stats()).toMatchObject({ LOOKUP: { count: 2, milliseconds: 8, errors: 1 } });
    expect(calls.tally.sums()).toEqual({ LOOKUP: { count: 2, milliseconds: 8 } });
    expect(calls.tally.failures(), 'that there is no such name is an answer').toEqual([]);
  });

  it('that failed are kept with path, errno, reason and time, the last twenty', () => {
    const { calls, docs, file } = setup();
    const mkdir = request(OPCODE.MKDIR, { nodeid: docs.id }, u32(0o755), u32(0), cstring('new'));
    calls.failed(calls.begun(header(mkdir), mkdir), new FsError('EACCES', 'permission denied'));
    expect(calls.tally.failures()).toEqual([
      {
        when: 1_700_000_000_000,
        call: 'MKDIR',
        path: 'docs/new',
        errno: 'EACCES',
        reason: 'permission denied',
      },
    ]);
    const read = request(OPCODE.READ, { nodeid: file.id }, u64(1), u64(0), u32(4096));
    for (let i = 0; i < 25; i += 1) calls.failed(calls.begun(header(read), read), new Error('a bug'));
    expect(calls.tally.failures()).toHaveLength(20);
    expect(calls.tally.failures()[0]).toMatchObject({ path: 'docs/a\\x0a', errno: 'EIO', reason: 'a bug' });
  });

  it('are traced with result and time, when somebody wants that', () => {
    const lines: string[] = [];
    setLogSink((line) => void lines.push(line));
    const { clock, calls, docs } = setup();
    const lookup = request(OPCODE.LOOKUP, { nodeid: docs.id }, cstring('x'));
    calls.answered(calls.begun(header(lookup), lookup), [negativeEntryOut(0)]);
    expect(lines).toEqual([]);
    createDebug.enable('remora:call');
    const call = calls.begun(header(lookup), lookup);
    clock.time += 0.31;
    calls.failed(call, new FsError('EIO'));
    calls.silent(request(OPCODE.FORGET, { nodeid: docs.id }, u64(1)));
    expect(lines[0]).toMatch(/LOOKUP docs\/x -> EIO 0\.3 ms/);
    expect(lines[1]).toMatch(/FORGET node 2/);
  });
});

describe('a request in words', () => {
  const { nodes, docs, file } = setup();
  const on = { nodeid: file.id };
  const within = { nodeid: docs.id };

  it.each([
    ['READ docs/a\\x0a fh 3 131072 bytes at 4096', request(OPCODE.READ, on, u64(3), u64(4096), u32(131_072))],
    ['LOOKUP docs/b', request(OPCODE.LOOKUP, within, cstring('b'))],
    ['MKDIR docs/d 0755', request(OPCODE.MKDIR, within, u32(0o755), u32(0), cstring('d'))],
    ['SYMLINK docs/l to ../x', request(OPCODE.SYMLINK, within, cstring('l'), cstring('../x'))],
    ['RENAME docs/b to c', request(OPCODE.RENAME, within, u64(1), cstring('b'), cstring('c'))],
    ['LINK docs/c from docs/a\\x0a', request(OPCODE.LINK, within, u64(file.id), cstring('c'))],
    ['STATFS /', request(OPCODE.STATFS, { nodeid: 1 })],
    ['GETATTR (removed)', request(OPCODE.GETATTR, { nodeid: 99 }, u32(0), u32(0), u64(0))],
    ['OPEN docs/a\\x0a flags 0100001', request(OPCODE.OPEN, on, u32(0o100001), u32(0))],
    ['INIT', request(OPCODE.INIT, { nodeid: 0 })],
  ])('%s', (words, bytes) => {
    expect(describeRequest(nodes, bytes)).toBe(words);
  });

  it('is words whatever a request lacks', () => {
    const whole = request(OPCODE.COPY_FILE_RANGE, on, u64(1), u64(2), u64(3), u64(4), u64(5), u64(6), u64(0));
    for (let length = 40; length < whole.length; length += 1) {
      expect(describeRequest(nodes, whole.subarray(0, length))).toMatch(/^COPY_FILE_RANGE docs/);
    }
  });
});

describe('a reply in words', () => {
  it('says what it carries', () => {
    const opened = openOut({ handle: 7, keepCache: false, directIo: false });
    expect(describeReply(OPCODE.OPEN, [opened])).toBe('fh 7');
    expect(describeReply(OPCODE.WRITE, [writeOut(4096)])).toBe('4096 bytes');
    expect(describeReply(OPCODE.READ, [Buffer.alloc(4096), Buffer.alloc(300)])).toBe('4396 bytes');
    expect(describeReply(OPCODE.LOOKUP, [negativeEntryOut(1000)])).toBe('ENOENT');
    expect(describeReply(OPCODE.READLINK, [Buffer.from('a\x1b')])).toBe('a\\x1b');
    expect(describeReply(OPCODE.UNLINK, [])).toBe('ok');
  });
});
