/**
 * Servers that lie, stall and break the protocol, below the whole filesystem. Whatever they send: every call comes
 * back, with a true errno; nothing throws, nothing hangs, memory stays bounded, and no handle or buffer is left.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { S_IFMT, S_IFREG, S_IFSOCK } from '../../../src/base/mode.js';
import type { Path } from '../../../src/base/path.js';
import { SftpClient } from '../../../src/sftp/client.js';
import * as c from '../../../src/sftp/constants.js';
import { encodeVersion } from '../../../src/sftp/handshake.js';
import type { PacketWriter } from '../../../src/sftp/writer.js';
import { duplexPair } from '../../support/duplex.js';
import {
  attrs,
  type Claim,
  data,
  handle,
  names,
  packet,
  status,
  statvfs,
} from '../../support/rogue-packets.js';
import {
  type Asked,
  CONTENT,
  everyCall,
  listNames,
  type Misdeed,
  openRogue,
  type RogueFileSystem,
  readThrough,
  type Script,
} from '../../support/rogue-server.js';

const path = (text: string) => text as Path;
const MAX = 2n ** 64n - 1n;

/** Does it with requests of that type; every other one is answered honestly. */
const when =
  (type: number, misdeed: (asked: Asked) => Misdeed) =>
  (asked: Asked): Misdeed =>
    asked.request.type === type ? misdeed(asked) : 'honest';

const isLimits = ({ request }: Asked): boolean =>
  request.type === c.SSH_FXP_EXTENDED && request.extension === c.LIMITS;

const open: RogueFileSystem[] = [];
afterEach(async () => {
  for (const { fs, close } of open.splice(0)) {
    // Data that a server never took is given up with the mount.
    if (fs.status().dirtyBytes > 0) fs.close();
    // A CLOSE that nobody waits for may be under way, or never be answered.
    await expect
      .poll(() => fs.status(), { timeout: 5000 })
      .toMatchObject({
        openFiles: 0,
        openDirectories: 0,
        dirtyBytes: 0,
        inFlight: 0,
        lentBytes: 0,
      });
    await close();
  }
});

async function rogue(script: Script, requestTimeout?: number): Promise<RogueFileSystem> {
  const opened = await openRogue(script, {}, requestTimeout);
  open.push(opened);
  return opened;
}

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

describe('names', () => {
  it('that would leave the directory, or that Linux cannot hold, are dropped', async () => {
    const wrong = ['', '.', '..', '/', '/etc/passwd', '../up', 'a/b', 'nul\0', 'x'.repeat(4096)];
    let page = 0;
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_READDIR, ({ id }) =>
        page++ === 0 ? names(id, [...wrong, 'good']) : status(id, 1),
      ),
    });
    expect(await listNames(fs, '')).toEqual(['good']);
  });

  it('that are the same for ever are EIO, after two million of them', async () => {
    const list = Array.from({ length: 5000 }, () => 'same');
    let sent = 0;
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_READDIR, ({ id }) => {
        sent += list.length;
        return names(id, list);
      }),
    });
    await expect(listNames(fs, '')).rejects.toMatchObject({ code: 'EIO' });
    // 512 MiB at 256 bytes and the name for each, and what was on its way by then.
    expect(sent).toBeGreaterThan(2_000_000);
    expect(sent).toBeLessThan(2_400_000);
  }, 60_000);

  it('of which none can be used, page after page, are EIO', async () => {
    let pages = 0;
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_READDIR, ({ id }) => {
        pages += 1;
        return names(id, ['..', 'a/b']);
      }),
    });
    await expect(listNames(fs, '')).rejects.toMatchObject({ code: 'EIO' });
    expect(pages).toBeLessThan(1100);
  });
});

describe('attributes', () => {
  async function claim(what: Claim) {
    const { fs } = await rogue({ answer: when(c.SSH_FXP_LSTAT, ({ id }) => attrs(id, what)) });
    return (await fs.lookup(path('f'))).attributes;
  }

  it.each([2n ** 63n, MAX])('a size of %d is the largest that can be told exactly', async (size) => {
    expect((await claim({ size }))?.size).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('times reach to 2106', async () => {
    expect(await claim({ time: 0xffff_ffff })).toMatchObject({ mtime: 0xffff_ffff, atime: 0xffff_ffff });
  });

  it.each([
    [0, S_IFREG],
    [0o644, S_IFREG],
    [0o170777, S_IFSOCK],
    [0o150000, S_IFSOCK],
    [0xffff_ffff, S_IFSOCK],
    [0o060666, 0o060000],
  ])('mode %o shows type %o', async (mode, type) => {
    expect(((await claim({ mode }))?.mode ?? 0) & S_IFMT).toBe(type);
  });

  it('a file of 2^64 bytes is read as far as it goes', async () => {
    const { fs } = await rogue({
      answer: ({ id, request }) =>
        request.type === c.SSH_FXP_LSTAT || request.type === c.SSH_FXP_FSTAT
          ? attrs(id, { size: MAX })
          : 'honest',
    });
    expect((await readThrough(fs, 'f')).equals(CONTENT)).toBe(true);
    const { handle: fd } = await fs.open(path('f'), 0);
    const { parts, release } = await fs.read(fd, Number.MAX_SAFE_INTEGER - 10_000, 131_072);
    expect(Buffer.concat(parts)).toHaveLength(0);
    release();
    await fs.release(fd);
  });

  it.each<[string, bigint[], object]>([
    ['nothing but zeros', Array<bigint>(11).fill(0n), { bsize: 4096, frsize: 4096, blocks: 0, namemax: 255 }],
    ['nothing but 2^64 - 1', Array<bigint>(11).fill(MAX), { bsize: 4096, frsize: 4096, namemax: 255 }],
    [
      'more free than there is',
      [512n, 512n, 10n, 20n, 30n, 5n, 9n, 9n, 1n, 0n, 200n],
      { bsize: 512, blocks: 10, bfree: 10, bavail: 10, files: 5, ffree: 5, namemax: 200 },
    ],
  ])('statvfs with %s can be counted with', async (_name, fields, expected) => {
    const { fs } = await rogue({
      answer: when(c.SSH_FXP_EXTENDED, ({ id }) => statvfs(id, fields)),
      extensions: new Set([c.STATVFS]),
    });
    expect(await fs.statfs()).toMatchObject(expected);
  });
});

describe('data', () => {
  const reading = (misdeed: (asked: Asked & { offset: number; len: number }) => Misdeed): Script => ({
    answer: (asked) =>
      asked.request.type === c.SSH_FXP_READ
        ? misdeed({ ...asked, offset: asked.request.offset, len: asked.request.len })
        : 'honest',
  });

  it('in pieces shorter than asked for is put together', async () => {
    const { fs } = await rogue(
      reading(({ id, offset, len }) =>
        data(id, CONTENT.subarray(offset, offset + Math.min(len, 1 + (offset % 7000)))),
      ),
    );
    expect((await readThrough(fs, 'f')).equals(CONTENT)).toBe(true);
  });

  it('longer than asked for ends the connection, and reaches nobody', async () => {
    const { fs, client } = await rogue(reading(({ id, len }) => data(id, Buffer.alloc(len + 1))));
    await expect(readThrough(fs, 'f')).rejects.toMatchObject({ code: 'EHOSTDOWN' });
    expect(client.state).toBe('closed');
  });

  it('of no bytes, and no end of the file, is EIO and not a shorter file', async () => {
    let asked = 0;
    const { fs } = await rogue(
      reading(({ id, offset }) => {
        asked += 1;
        return offset < 32_768 ? 'honest' : data(id, Buffer.alloc(0));
      }),
    );
    await expect(readThrough(fs, 'f')).rejects.toMatchObject({ code: 'EIO' });
    expect(asked).toBeLessThan(20);
  });

  it('that ends in the middle ends the file there', async () => {
    const end = 65_536;
    const { fs } = await rogue(
      reading(({ id, offset, len }) =>
        offset >= end
          ? status(id, c.SSH_FX_EOF)
          : data(id, CONTENT.subarray(offset, Math.min(offset + len, end))),
      ),
    );
    expect((await readThrough(fs, 'f')).equals(CONTENT.subarray(0, end))).toBe(true);
  });
});

describe('links', () => {
  const pointing = (...targets: string[]): Script => ({
    answer: ({ id, request }) => {
      if (request.type === c.SSH_FXP_REALPATH) return status(id, c.SSH_FX_FAILURE);
      return request.type === c.SSH_FXP_READLINK ? names(id, targets) : 'honest';
    },
  });

  it.each<[string, string[], string]>([
    ['no target', [], 'EIO'],
    ['two targets', ['a', 'b'], 'EIO'],
    ['an empty target', [''], 'EIO'],
    ['a target with NUL', ['f\0/../../etc'], 'EIO'],
    ['a target of 200 KiB', ['x/'.repeat(102_400)], 'EIO'],
    ['a target that climbs out', ['../../etc/passwd'], 'EXDEV'],
  ])('with %s are refused, and the connection stays', async (_name, targets, code) => {
    const { fs, client } = await rogue(pointing(...targets));
    await expect(fs.readlink(path('l'))).rejects.toMatchObject({ code });
    expect(client.state).toBe('open');
  });

  it('with a target of a mebibyte end the connection', async () => {
    const { fs, client } = await rogue(pointing('x'.repeat(1 << 20)));
    await expect(fs.readlink(path('l'))).rejects.toMatchObject({ code: 'EHOSTDOWN' });
    expect(client.state).toBe('closed');
  });

  it('that lead out are named once in the log', async () => {
    const { fs, reported } = await rogue({ ...pointing('../x') });
    for (const _ of [1, 2]) await expect(fs.readlink(path('l'))).rejects.toMatchObject({ code: 'EXDEV' });
    expect(reported).toEqual([expect.stringMatching(/^l: .*contain_symlinks=none/)]);
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
    ['2^64 - 1', MAX, 261_120],
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
