import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Extent, overlay, WriteBuffer } from '../../../src/cache/write-buffer.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const shown = (extents: readonly Extent[]) =>
  extents.map(({ offset, data }) => [offset, Buffer.from(data).toString('latin1')]);

describe('write buffer', () => {
  it('joins sequential writes into one extent', () => {
    const buffer = new WriteBuffer(100);
    expect(buffer.write(0, bytes('abc'))).toEqual([]);
    expect(buffer.write(3, bytes('def'))).toEqual([]);
    expect(buffer.bytes).toBe(6);
    expect(shown(buffer.takeAll())).toEqual([[0, 'abcdef']]);
    expect(buffer.isEmpty).toBe(true);
    expect(buffer.bytes).toBe(0);
  });

  it('sends an extent as soon as it is as long as one request', () => {
    const buffer = new WriteBuffer(4);
    expect(shown(buffer.write(10, bytes('abcdefghij')))).toEqual([
      [10, 'abcd'],
      [14, 'efgh'],
    ]);
    expect(shown(buffer.takeAll())).toEqual([[18, 'ij']]);
  });

  it('overwrites inside an extent in place', () => {
    const buffer = new WriteBuffer(100);
    buffer.write(0, bytes('abcdef'));
    buffer.write(2, bytes('XY'));
    expect(shown(buffer.takeAll())).toEqual([[0, 'abXYef']]);
  });

  it('sends an older extent before one that cuts across it', () => {
    const buffer = new WriteBuffer(100);
    buffer.write(10, bytes('bbbbb'));
    expect(shown(buffer.write(8, bytes('aaaa')))).toEqual([[10, 'bbbbb']]);
    expect(shown(buffer.takeAll())).toEqual([[8, 'aaaa']]);
  });

  it('keeps a bounded number of extents', () => {
    const buffer = new WriteBuffer(100);
    const sent = Array.from({ length: 70 }, (_, at) => buffer.write(at * 1000, bytes('x'))).flat();
    expect(sent.length).toBe(6);
    expect(sent[0]?.offset).toBe(0);
  });

  it('copies what it is given', () => {
    const buffer = new WriteBuffer(100);
    const data = bytes('abc');
    buffer.write(0, data);
    data.fill(0);
    expect(shown(buffer.takeAll())).toEqual([[0, 'abc']]);
  });

  it('gives the same file as writing directly, whatever the writes, also when read in between', () => {
    const write = fc.record({ offset: fc.nat(60), length: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), fc.integer({ min: 1, max: 30 }), (writes, limit) => {
        const expected = Buffer.alloc(128);
        const server = Buffer.alloc(128);
        const buffer = new WriteBuffer(limit);
        for (const [at, { offset, length }] of writes.entries()) {
          const data = Buffer.alloc(length, at + 1);
          expected.set(data, offset);
          for (const extent of buffer.write(offset, data)) {
            expect(extent.data.length).toBeLessThanOrEqual(limit);
            server.set(extent.data, extent.offset);
          }
          const seen = Buffer.from(server);
          overlay(seen, 0, buffer.overlapping(0, 128));
          expect(seen.equals(expected)).toBe(true);
        }
        for (const extent of buffer.takeAll()) server.set(extent.data, extent.offset);
        expect(server.equals(expected)).toBe(true);
      }),
    );
  });
});
