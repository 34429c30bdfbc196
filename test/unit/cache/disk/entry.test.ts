import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../../src/base/bytes.js';
import { BLOCK_SIZE } from '../../../../src/cache/blocks.js';
import {
  blockLength,
  blocksIn,
  CorruptEntry,
  decodeEntry,
  ENTRY_MAX,
  type Entry,
  encodeEntry,
  type FileState,
  fileId,
  STRETCH_BLOCKS,
  spaceFor,
} from '../../../../src/cache/disk/entry.js';

const STRETCH_SIZE = STRETCH_BLOCKS * BLOCK_SIZE;
const FILE = fileId('me@nas', ascii('/srv/a'));
const STATE: FileState = { size: 5, mtime: 0x5e0be100, uid: 1000, gid: 100, mode: 0o100644 };
const ENTRY: Entry = {
  name: { file: FILE, stretch: 0 },
  state: STATE,
  since: 0x0123456789,
  blocks: new Map([[0, Buffer.from('hello')]]),
};

const written = (entry: Entry) => Buffer.concat(encodeEntry(entry));

/** Everything that the bytes may be taken for: all blocks of it are looked at. */
function read(bytes: Buffer, { name }: Pick<Entry, 'name'>): Entry {
  const { block, ...found } = decodeEntry(bytes, name);
  const places = Array.from({ length: STRETCH_BLOCKS }, (_, place) => [place, block(place)] as const);
  const blocks = new Map(places.flatMap(([place, data]) => (data === null ? [] : [[place, data]])));
  return { ...found, blocks };
}

describe('an entry on disk', () => {
  it('has its bytes in this order', () => {
    const rows = [
      '72656d6f72610001', // "remora", version 1
      '1df30123', // CRC-32 of the header from here on
      createHash('sha256').update('me@nas\0/srv/a').digest('hex'),
      '00000000', // stretch
      '0500000000000000', // size
      '00e10b5e00000000', // mtime
      'e8030000', // uid
      '64000000', // gid
      'a4810000', // mode
      '8967452301000000', // known since
      '01000000', // the first block alone
      '86a61036', // CRC-32 of "hello"
      '00'.repeat(28),
      Buffer.from('hello').toString('hex'),
    ];
    expect(written(ENTRY).toString('hex')).toBe(rows.join(''));
    expect(read(written(ENTRY), ENTRY)).toEqual(ENTRY);
  });

  it('is discarded wherever it was cut, and when something is behind it', () => {
    const whole = written(ENTRY);
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => read(whole.subarray(0, length), ENTRY), `${length} bytes`).toThrow(CorruptEntry);
    }
    expect(() => read(Buffer.concat([whole, Buffer.alloc(1)]), ENTRY)).toThrow(CorruptEntry);
  });

  it('is discarded whichever bit of it is another', () => {
    const whole = written(ENTRY);
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3] = Number(damaged[bit >> 3]) ^ (1 << (bit & 7));
      expect(() => read(damaged, ENTRY), `bit ${bit}`).toThrow(CorruptEntry);
    }
  });

  it('is discarded where it is found in the place of another', () => {
    const other = { name: { file: fileId('me@nas', ascii('/srv/b')), stretch: 0 } };
    expect(() => read(written(ENTRY), other)).toThrow('of another file');
    expect(() => read(written(ENTRY), { name: { file: FILE, stretch: 1 } })).toThrow('of another file');
  });

  it('belongs to one path of one server', () => {
    expect(fileId('me@nas', ascii('/a')).equals(fileId('me@nas', ascii('/a')))).toBe(true);
    expect(fileId('me@nas', ascii('/a')).equals(fileId('you@nas', ascii('/a')))).toBe(false);
    expect(fileId('me@nas', ascii('/a')).equals(fileId('me@nas', ascii('/b')))).toBe(false);
  });

  it('counts the blocks of stretches', () => {
    expect([0, 1, STRETCH_SIZE, STRETCH_SIZE + 1].map((size) => blocksIn(size, 0))).toEqual([0, 1, 8, 8]);
    expect([STRETCH_SIZE, STRETCH_SIZE + 1, 3 * STRETCH_SIZE].map((size) => blocksIn(size, 1))).toEqual([
      0, 1, 8,
    ]);
    expect([0, 1, 2].map((index) => blockLength(BLOCK_SIZE + 7, index))).toEqual([BLOCK_SIZE, 7, 0]);
    expect([0, 1, 4096, STRETCH_SIZE, STRETCH_SIZE + 1].map(spaceFor)).toEqual([
      0, 4096, 8192, 266_240, 270_336,
    ]);
  });
});

const states = fc.record({
  size: fc.oneof(fc.integer({ min: 1, max: 3 * STRETCH_SIZE }), fc.maxSafeNat()),
  mtime: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  mode: fc.integer({ min: 0, max: 0o177777 }),
});

const entries = fc
  .record({
    state: states,
    path: fc.string(),
    since: fc.integer({ min: 0, max: 2 ** 45 }),
    places: fc.uniqueArray(fc.integer({ min: 0, max: STRETCH_BLOCKS - 1 }), { maxLength: 3 }),
    stretch: fc.integer({ min: 0, max: 2 }),
    fill: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ state, path, since, places, stretch, fill }): Entry => {
    const blocks = places.flatMap((place): [number, Buffer][] => {
      const length = blockLength(state.size, stretch * STRETCH_BLOCKS + place);
      return length === 0 ? [] : [[place, Buffer.alloc(length, fill + place)]];
    });
    return {
      name: { file: fileId('s', ascii(path)), stretch },
      state,
      since,
      blocks: new Map(blocks.sort(([a], [b]) => a - b)),
    };
  });

describe('any entry', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const bytes = written(entry);
        expect(bytes.length).toBeLessThanOrEqual(ENTRY_MAX);
        const { blocks, ...rest } = read(bytes, entry);
        expect(rest).toEqual({ name: entry.name, state: entry.state, since: entry.since });
        expect([...blocks.keys()]).toEqual([...entry.blocks.keys()]);
        for (const [place, block] of blocks) expect(entry.blocks.get(place)?.equals(block)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is believed in no other form', () => {
    const damages = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(entries, damages, fc.nat(), (entry, flips, cut) => {
        const bytes = written(entry);
        const damaged = Buffer.from(bytes);
        for (const [at, mask] of flips) damaged[at % bytes.length] = Number(bytes[at % bytes.length]) ^ mask;
        expect(() => read(damaged, entry)).toThrow(CorruptEntry);
        expect(() => read(bytes.subarray(0, cut % bytes.length), entry)).toThrow(CorruptEntry);
      }),
      { numRuns: 60 },
    );
  });

  it('is not found in random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => read(Buffer.from(bytes), ENTRY)).toThrow(CorruptEntry);
      }),
    );
  });
});
