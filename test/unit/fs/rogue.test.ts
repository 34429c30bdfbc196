/**
 * Servers that stall, break the protocol and greet wrongly, below the whole filesystem. Whatever they send: every call
 * comes back, with a true errno; nothing throws, nothing hangs, memory stays bounded, and no handle or buffer is left.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import type { Path } from '../../../src/base/path.js';
import { SftpClient } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { encodeVersion } from '../../../src/sftp/handshake.js';
import type { PacketWriter } from '../../../src/sftp/writer.js';
import { duplexPair } from '../../support/duplex.js';
import { isLimits, MAX_U64, rogue, when } from '../../support/rogue.js';
import { attrs, data, handle, names, packet, status } from '../../support/rogue-packets.js';
import {
  type Asked,
  CONTENT,
  everyCall,
  type Misdeed,
  openRogue,
  readThrough,
  type Script,
} from '../../support/rogue-server.js';

const path = (text: string) => text as Path;

describe('every call comes back from a server', () => {
  /** From the first request of a mount on; without its limits no client would begin. */
  const EVERY = (misdeed: (asked: Asked) => Misdeed): Script => ({
    answer: (asked) => (isLimits(asked) ? 'honest' : misdeed(asked)),
  });
  it.each<[string, Script]>([
    ['that never answers', EVERY(() => 'nothing')],
    ['that answers every third request only', EVERY(({ count }) => (count % 3 === 2 ? 'nothing' : 'honest'))],
    ['that hangs up at the tenth request', EVERY(({ count }) => (count === 9 ? 'hang up' : 'honest'))],
    ['that answers each request twice', EVERY(({ id }) => [status(id, 0), status(id, 0)])],
    ['that answers with the id of another', EVERY(({ id }) => status(id ^ 1, 0))],
    ['that answers with an id never used', EVERY(({ id }) => status(id + 2 ** 31, 0))],
    ['that sends packets of length zero', EVERY(() => Buffer.alloc(4))],
    ['that sends packets of 4 GiB', EVERY(() => Buffer.from('ffffffff65', 'hex'))],
    ['that sends packets with a length one too small', EVERY(({ id }) => cut(status(id, 0), -1))],
    ['that sends packets with a length one too large', EVERY(({ id }) => cut(status(id, 0), 1))],
    ['that sends half a packet and stops', EVERY(({ id }) => status(id, 0).subarray(0, 7))],
    ['that speaks text in the middle', EVERY(() => Buffer.from('Broadcast: going down\r\n'))],
    ['that sends a second VERSION', EVERY(() => encodeVersion(new Map()))],
    ['that sends requests', EVERY(({ id }) => packet(c.SSH_FXP_REMOVE, id, (w) => w.string(ascii('/'))))],
    ['that says OK to everything', EVERY(({ id }) => status(id, c.SSH_FX_OK))],
    ['that says EOF to everything', EVERY(({ id }) => status(id, c.SSH_FX_EOF))],
    ['that refuses everything', EVERY(({ id }) => status(id, c.SSH_FX_FAILURE))],
    ['that fails with a status nobody defined', EVERY(({ id }) => status(id, 0xffff_ffff))],
    ['that gives a handle for everything', EVERY(({ id }) => handle(id, 'h'))],
    ['that gives handles of 257 bytes', EVERY(({ id }) => handle(id, 'h'.repeat(257)))],
    ['that gives empty handles', { answer: when(c.SSH_FXP_OPEN, ({ id }) => handle(id, '')) }],
    ['that gives one handle to all files', { answer: when(c.SSH_FXP_OPEN, ({ id }) => handle(id, 'same')) }],
    ['that gives attributes for everything', EVERY(({ id }) => attrs(id, {}))],
    ['that gives names for everything', EVERY(({ id }) => names(id, ['f']))],
    ['that gives data for everything', EVERY(({ id }) => data(id, Buffer.alloc(8)))],
    ['that counts four billion names', EVERY(({ id }) => names(id, ['a'], {}, 0xffff_ffff))],
    ['that counts fewer names than it sends', EVERY(({ id }) => names(id, ['a', 'b'], {}, 1))],
    [
      'that claims four billion extended attributes',
      EVERY(({ id }) => packet(c.SSH_FXP_ATTRS, id, (w) => w.uint32(0x8000_0000).uint32(0xffff_ffff))),
    ],
    [
      'that says OK to a WRITE and keeps nothing',
      { answer: when(c.SSH_FXP_WRITE, ({ id }) => status(id, 0)) },
    ],
    ['that never answers a WRITE', { answer: when(c.SSH_FXP_WRITE, () => 'nothing') }],
    ['that never answers a CLOSE', { answer: when(c.SSH_FXP_CLOSE, () => 'nothing') }],
    [
      'whose files turn into directories and back',
      {
        answer: when(c.SSH_FXP_LSTAT, ({ id, count }) => attrs(id, { mode: count % 2 ? 0o40755 : 0o100644 })),
      },
    ],
  ])('%s', async (_name, script) => {
    const { fs } = await rogue(script, 250);
    await everyCall(fs);
  });

  /** `bytes` with a length field that is wrong by `by`. */
  function cut(bytes: Buffer, by: number): Buffer {
    const wrong = Buffer.from(bytes);
    wrong.writeUInt32BE(bytes.readUInt32BE(0) + by, 0);
    return wrong;
  }

  it.each([1, 2, 3, 5, 8, 13, 21])('that hangs up after every %i packets', async (most) => {
    const { fs } = await rogue({ answer: ({ count }) => (count >= most ? 'hang up' : 'honest') });
    const came = await everyCall(fs);
    expect(came.rmdir).toBe('EHOSTDOWN');
  });

  it('that sends random bytes at random places', async () => {
    const misdeeds = fc.oneof(
      { weight: 6, arbitrary: fc.constant('honest' as const) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
      {
        weight: 2,
        arbitrary: fc.tuple(fc.integer({ min: 100, max: 106 }), fc.uint8Array({ maxLength: 60 })),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(misdeeds, { minLength: 1, maxLength: 40 }), async (plan) => {
        const answer = (asked: Asked): Misdeed => {
          const { id, count } = asked;
          if (isLimits(asked)) return 'honest';
          const planned = plan[count % plan.length] ?? 'honest';
          if (!Array.isArray(planned)) return planned as Misdeed;
          const [type, body] = planned;
          return packet(type, id, (w) => w.raw(body));
        };
        const { fs, close } = await openRogue({ answer }, {}, 100);
        try {
          await everyCall(fs);
        } finally {
          await close();
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('a greeting', () => {
  async function greeted(script: Script): Promise<SftpClient> {
    const [near, far] = duplexPair();
    far.write(script.prelude ?? Buffer.alloc(0));
    far.once('data', () => far.write(script.greeting ?? Buffer.alloc(0)));
    return SftpClient.connect(near);
  }
  const version = (number: number, build = (w: PacketWriter) => w) =>
    packet(c.SSH_FXP_VERSION, number, build);

  it.each<[string, Script, RegExp]>([
    ['a banner', { prelude: Buffer.from('Welcome\n') }, /prints text at login/],
    ['a reply before VERSION', { prelude: status(0, 0) }, /the first packet is not SSH_FXP_VERSION/],
    ['version 2', { greeting: version(2) }, /version 2 of SFTP, not 3/],
    ['version 6', { greeting: version(6) }, /version 6 of SFTP, not 3/],
    ['an extension cut short', { greeting: version(3, (w) => w.uint32(99)) }, /ends within a field/],
    [
      'VERSION of a mebibyte',
      { greeting: version(3, (w) => w.data(Buffer.alloc(1 << 20)).uint32(0)) },
      /permitted/,
    ],
    [
      '100,000 extensions',
      {
        greeting: version(3, (w) => {
          for (let n = 0; n < 100_000; n += 1) w.string(ascii(`x${n}`)).string(ascii('1'));
          return w;
        }),
      },
      /permitted/,
    ],
  ])('with %s is refused', async (_name, script, message) => {
    await expect(greeted(script)).rejects.toThrow(message);
  });

  it.each<[string, bigint, number]>([
    ['0', 0n, 32_768],
    ['1', 1n, 4096],
    ['2^64 - 1', MAX_U64, 261_120],
  ])('with limits of %s is taken for what can be meant', async (_name, limit, expected) => {
    const { fs, client } = await rogue({
      answer: (asked) =>
        isLimits(asked)
          ? packet(c.SSH_FXP_EXTENDED_REPLY, asked.id, (w) =>
              w.uint64(limit).uint64(limit).uint64(limit).uint64(limit),
            )
          : 'honest',
    });
    expect(client.limits).toMatchObject({ maxRead: expected, maxWrite: expected });
    expect(await everyCall(fs)).toMatchObject({ read: 'ok', create: 'ok', list: 'ok' });
  });
});

describe('an honest server', () => {
  const FINE = [
    'lookup',
    'missing',
    'getattr',
    'readlink',
    'list',
    'listBelow',
    'read',
    'statfs',
    'access',
  ].concat(['create', 'chmod', 'truncate', 'mkdir', 'symlink', 'rename', 'unlink', 'rmdir']);
  const failed = (came: Record<string, string>) => FINE.filter((name) => came[name] !== 'ok');

  it.each<[string, Script]>([
    ['of OpenSSH’s extensions', {}],
    ['without any extension', { extensions: new Set() }],
    ['that answers out of order', { reorders: true }],
  ])('%s does it all', async (_name, script) => {
    const { fs } = await rogue(script, 5000);
    expect((await readThrough(fs, 'f')).equals(CONTENT)).toBe(true);
    const came = await everyCall(fs);
    expect(failed(came)).toEqual([]);
    expect(came.link).toBe(script.extensions === undefined ? 'ok' : 'EPERM');
  });

  it('that allows a single handle says EMFILE for the second, and never wrong data', async () => {
    const { fs } = await rogue({ maxHandles: 1, extensions: new Set() });
    expect(failed(await everyCall(fs))).toEqual([]);
    // What is here already would take no handle.
    await fs.refresh(path(''));
    const first = await fs.open(path('d/x'), 0);
    await expect(fs.open(path('f'), 0)).rejects.toMatchObject({ code: 'EMFILE' });
    await expect(fs.opendir(path(''))).rejects.toMatchObject({ code: 'EMFILE' });
    const { parts, release } = await fs.read(first.handle, 0, 100);
    expect(Buffer.concat(parts).toString()).toBe('x');
    release();
    await fs.release(first.handle);
    expect((await readThrough(fs, 'd/x')).toString()).toBe('x');
  });
});
